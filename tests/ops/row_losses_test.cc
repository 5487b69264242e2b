// Losses of rows: each against its formula in float64 and literals from it, derivatives to second
// order, what is 0 or infinite, NaN, dtypes, reductions, errors.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::HasSubstr;
using Doubles = std::vector<double>;
using Row = absl::Span<const double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct RowLoss {
  std::string name;
  std::function<Variable(const Variable&, const Variable&, LossReduction)> loss;
  std::function<double(Row x, Row t)> formula;
  bool of_probabilities;  // predictions above 0, else any
};

double Dot(Row a, Row b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

const std::vector<RowLoss>& Losses() {
  static const auto& losses = *new std::vector<RowLoss>{
      {"categorical_cross_entropy",
       [](auto& x, auto& t, auto r) { return CategoricalCrossEntropy(x, t, r); },
       [](Row p, Row t) {
         const double sum = std::accumulate(p.begin(), p.end(), 0.0);
         double loss = 0;
         for (size_t c = 0; c < p.size(); ++c) {
           loss -= t[c] * std::log(std::clamp(p[c] / sum, 1e-7, 1 - 1e-7));
         }
         return loss;
       },
       true},
      {"kl_divergence", [](auto& x, auto& t, auto r) { return KlDivergence(x, t, r); },
       [](Row log_p, Row t) {
         double loss = 0;
         for (size_t c = 0; c < t.size(); ++c) loss += t[c] * (std::log(t[c]) - log_p[c]);
         return loss;
       },
       false},
      {"categorical_hinge_loss",
       [](auto& x, auto& t, auto r) { return CategoricalHingeLoss(x, t, r); },
       [](Row x, Row t) {
         double most = -kInfinity;
         for (size_t c = 0; c < t.size(); ++c) most = std::max(most, (1 - t[c]) * x[c]);
         return std::max(0.0, 1 + most - Dot(x, t));
       },
       false},
      {"cosine_similarity_loss",
       [](auto& x, auto& t, auto r) { return CosineSimilarityLoss(x, t, r); },
       [](Row x, Row t) { return -Dot(x, t) / std::sqrt(Dot(x, x) * Dot(t, t)); }, false}};
  return losses;
}

TEST(RowLossesTest, AreTheirFormulas) {
  Generator rng(3);
  for (const RowLoss& of : Losses()) {
    SCOPED_TRACE(of.name);
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      for (const Shape& shape : {Shape{1}, {7}, {3, 5}, {4, 1}, {2, 3, 17}}) {
        const Tensor x = Uniform(shape, rng, of.of_probabilities ? 0.1 : -2, 2, dtype).value();
        const Tensor t = Uniform(shape, rng, 0.1, 1, dtype).value();
        const Doubles xs = x.ToVector<double>(), ts = t.ToVector<double>();
        const auto classes = static_cast<size_t>(shape[shape.rank() - 1]);
        const Doubles losses = of.loss(x, t, LossReduction::kNone).value().ToVector<double>();
        ASSERT_EQ(losses.size(), xs.size() / classes);
        const double tolerance = dtype == DType::kFloat32 ? 2e-5 : 1e-12;
        double sum = 0;
        for (size_t n = 0; n < losses.size(); ++n) {
          const double expected = of.formula(Row(xs).subspan(n * classes, classes),
                                             Row(ts).subspan(n * classes, classes));
          ASSERT_NEAR(losses[n], expected, tolerance);
          sum += expected;
        }
        const double rows = static_cast<double>(losses.size());
        EXPECT_NEAR(of.loss(x, t, LossReduction::kSum).item<double>(), sum, tolerance * rows);
        const Variable mean = of.loss(x, t, LossReduction::kMean);
        EXPECT_NEAR(mean.item<double>(), sum / rows, tolerance);
        EXPECT_EQ(mean.dtype(), dtype);
      }
    }
  }
}

TEST(RowLossesTest, Gradients) {
  Generator rng(4);
  for (const RowLoss& of : Losses()) {
    for (const LossReduction reduction : {LossReduction::kMean, LossReduction::kNone}) {
      const double low = of.of_probabilities ? 0.1 : -2;
      const std::vector<Variable> inputs = {
          Uniform({2, 3, 5}, rng, low, 2, DType::kFloat64).value(),
          Uniform({2, 3, 5}, rng, 0.1, 0.9, DType::kFloat64).value()};
      const GradientReport report =
          CheckGradients([&](VariableSpan x) { return of.loss(x[0], x[1], reduction); }, inputs);
      EXPECT_TRUE(report.ok) << of.name << ": " << report.text;
    }
  }
  const Tensor labels = Tensor::FromVector(std::vector<int64_t>{2, 0});
  const GradientReport report = CheckGradients(
      [&](VariableSpan x) {
        return SparseCategoricalCrossEntropy(x[0], labels, LossReduction::kNone);
      },
      std::vector<Variable>{Uniform({2, 3}, rng, 0.1, 2, DType::kFloat64).value()});
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(RowLossesTest, AreFiniteFarOffAndNanIsNan) {
  for (const RowLoss& of : Losses()) {
    SCOPED_TRACE(of.name);
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      const double far = of.of_probabilities ? 0 : -1e4;
      const Variable x = DifferentiableLeaf(
          Tensor::FromVector(Doubles{1e4, far, far, far, far, 1e4}, {2, 3}).To(dtype));
      const Tensor t = Tensor::FromVector(Doubles{0, 1, 0, 0, 0, 1}, {2, 3}).To(dtype);
      const Variable losses = of.loss(x, t, LossReduction::kNone);
      const Variable slope = Grad(Sum(losses), x, {.create_graph = true});
      const Variable second = Grad(Sum(Square(slope)), x, {.unused = Unused::kZero});
      for (const Variable& v : {losses, slope, second}) {
        for (const double value : v.value().ToVector<double>()) EXPECT_TRUE(std::isfinite(value));
      }
      Tensor bad = x.value().Clone();
      bad.Narrow(0, 1, 1).Narrow(1, 0, 1).Fill(std::nan(""));
      const Doubles of_bad = of.loss(bad, t, LossReduction::kNone).value().ToVector<double>();
      EXPECT_FALSE(std::isnan(of_bad[0]));
      EXPECT_TRUE(std::isnan(of_bad[1]));
      EXPECT_TRUE(std::isnan(of.loss(t, bad, LossReduction::kMean).item<double>()));
    }
  }
}

TEST(RowLossesTest, Errors) {
  for (const RowLoss& of : Losses()) {
    SCOPED_TRACE(of.name);
    const Tensor x = Tensor::Ones({2, 3}), nothing = Tensor::Ones({0, 3});
    const std::string text =
        ThrownMessage([&] { of.loss(x, Tensor::Ones({3}), LossReduction::kMean); });
    EXPECT_THAT(text, testing::StartsWith("[" + of.name + "] "));
    EXPECT_THAT(text, HasSubstr(" [2,3] and target"));
    EXPECT_THAT(text, HasSubstr(" [3] differ (tests/ops/row_losses_test.cc:"));
    EXPECT_THAT(
        ThrownMessage([&] { of.loss(Tensor::Ones({}), Tensor::Ones({}), LossReduction::kMean); }),
        HasSubstr(" must be [..., classes] with classes >= 1, not []"));
    EXPECT_THAT(ThrownMessage([&] { of.loss(nothing, nothing, LossReduction::kMean); }),
                HasSubstr("[" + of.name + "] the batch is empty: [0,3]"));
    EXPECT_EQ(of.loss(nothing, nothing, LossReduction::kSum).item<float>(), 0);
    EXPECT_EQ(of.loss(nothing, nothing, LossReduction::kNone).shape(), Shape{0});
    EXPECT_EQ(of.loss(x, Cast(x, DType::kInt32), LossReduction::kMean).dtype(), DType::kFloat32);
  }
}

void ExpectNear(const Variable& got, const Doubles& expected, double tolerance = 1e-14) {
  const Doubles values = got.value().ToVector<double>();
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << i;
}
Tensor Rows(const Doubles& values, int64_t classes = 3) {
  return Tensor::FromVector(values, {static_cast<int64_t>(values.size()) / classes, classes});
}

TEST(CategoricalCrossEntropyTest, LiteralsAndClipping) {
  const Tensor p = Rows({0.05, 0.95, 0, 0.1, 0.8, 0.1, 2, 1, 1});
  const Doubles expected = {0.05129329438755058, 2.3025850929940455, 1.2130075659799042};
  const Tensor t = Rows({0, 1, 0, 0, 0, 1, 0.25, 0.25, 0.5});
  ExpectNear(CategoricalCrossEntropy(p, t, LossReduction::kNone), expected);
  ExpectNear(CategoricalCrossEntropy(p, t), {1.1889619844538333});
  // A class that is clipped pulls on the others of its row not at all.
  const Variable sure = DifferentiableLeaf(Rows({1, 0, 0}));
  const Variable loss = CategoricalCrossEntropy(sure, Rows({0, 1, 0}));
  ExpectNear(loss, {16.11809565095832});
  ExpectNear(Grad(loss, sure), {0, 0, 0});
}

TEST(SparseCategoricalCrossEntropyTest, IsThatOfOneHotRows) {
  const Tensor p = Rows({0.05, 0.95, 0, 0.1, 0.8, 0.1, 2, 1, 1});
  const Tensor labels = Tensor::FromVector(std::vector<int64_t>{1, 2, 0});
  for (const DType dtype : {DType::kInt64, DType::kInt32, DType::kUInt8}) {
    ExpectNear(SparseCategoricalCrossEntropy(p, labels.To(dtype), LossReduction::kNone),
               {0.05129329438755058, 2.3025850929940455, 0.6931471805599453});
  }
  ExpectNear(SparseCategoricalCrossEntropy(p, labels),
             {CategoricalCrossEntropy(p, OneHot(labels, 3)).item<double>()});
  // Of more axes.
  EXPECT_EQ(SparseCategoricalCrossEntropy(p.Reshape({1, 3, 3}), labels.Reshape({1, 3}),
                                          LossReduction::kNone)
                .shape(),
            (Shape{1, 3}));
}

TEST(SparseCategoricalCrossEntropyTest, Errors) {
  const Tensor p = Tensor::Ones({2, 3});
  const auto labels = [](std::vector<int64_t> values) { return Tensor::FromVector(values); };
  EXPECT_THAT(ThrownMessage([&] { SparseCategoricalCrossEntropy(p, labels({1})); }),
              HasSubstr("[sparse_categorical_cross_entropy] labels must be [2] for probabilities "
                        "[2,3], not [1]"));
  EXPECT_THAT(ThrownMessage([&] { SparseCategoricalCrossEntropy(p, Tensor::Ones({2})); }),
              HasSubstr("labels must be integers, not float32 (CategoricalCrossEntropy takes "
                        "probabilities)"));
  for (const int64_t bad : {3, -1}) {
    const Variable loss = SparseCategoricalCrossEntropy(p, labels({0, bad}));
    EXPECT_THAT(ThrownMessage([&] { loss.value(); }),
                HasSubstr("index " + std::to_string(bad) + " at [1] is out of range"));
  }
}

TEST(KlDivergenceTest, LiteralsAndZeros) {
  const Tensor x = Rows({1, 2, 3, 0.5, -1, 2, -2, 0, 1});
  const Tensor t = Rows({0.2, 0.3, 0.5, 0, 1, 0, 0.6, 0.4, 0});
  ExpectNear(KlDivergence(LogSoftmax(x), t, LossReduction::kNone),
             {0.0779529503798066, 3.241311296657157, 1.8760005497589303});
  ExpectNear(KlDivergence(LogSoftmax(x), t), {1.731754932265298});
  // What both rule out adds nothing; what only log p rules out is infinite.
  const Variable log_p = DifferentiableLeaf(Rows({std::log(0.5), std::log(0.5), -kInfinity}));
  const Variable loss = KlDivergence(log_p, Rows({0.25, 0.75, 0}));
  ExpectNear(loss, {0.25 * std::log(0.5) + 0.75 * std::log(1.5)});
  ExpectNear(Grad(loss, log_p), {-0.25, -0.75, 0});
  EXPECT_EQ(KlDivergence(log_p, Rows({0, 0.5, 0.5})).item<double>(), kInfinity);
  EXPECT_TRUE(std::isnan(KlDivergence(Rows({0, std::nan(""), 0}), Rows({1, 0, 0})).item<double>()));
}

TEST(CategoricalHingeLossTest, Literals) {
  const Variable x = DifferentiableLeaf(Rows({0.5, 2, -1, 3, 0.5, 1}));
  const Variable losses = CategoricalHingeLoss(x, Rows({1, 0, 0, 1, 0, 0}), LossReduction::kNone);
  ExpectNear(losses, {2.5, 0});
  ExpectNear(Grad(Sum(losses), x), {-1, 1, 0, 0, 0, 0});
}

TEST(CosineSimilarityLossTest, LiteralsAndZeroVectors) {
  const Variable x = DifferentiableLeaf(Rows({3, 4, 0, 0, 1, 1, -6, -8}, 2));
  const Variable t = DifferentiableLeaf(Rows({3, 4, 1, 2, 1, 0, 3, 4}, 2));
  const Variable losses = CosineSimilarityLoss(x, t, LossReduction::kNone);
  ExpectNear(losses, {-1, 0, -0.7071067811865475, 1});
  const double slope = 0.35355339059327373;  // of -cos at (1, 1): its part across (1, 1)
  ExpectNear(Grad(Sum(losses), x), {0, 0, 0, 0, -slope, slope, 0, 0});
  ExpectNear(Grad(Sum(losses), t), {0, 0, 0, 0, 0, -0.7071067811865475, 0, 0});
  const Variable first = Grad(Sum(losses), x, {.create_graph = true});
  for (const double v : Grad(Sum(Square(first)), x).value().ToVector<double>()) {
    EXPECT_TRUE(std::isfinite(v));
  }
}

}  // namespace
}  // namespace wengert
