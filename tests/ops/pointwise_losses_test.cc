// Losses of single elements: each against its formula in float64 and literals from it, derivatives
// to second order, extreme values, NaN, dtypes, reductions, errors.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
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

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// One loss, with its reduction last.
struct Pointwise {
  std::string name;
  std::function<Variable(const Variable&, const Variable&, LossReduction)> loss;
  std::function<double(double x, double t)> formula;
  double low, high;  // of predictions
  bool of_probabilities = false;
};

double Clipped(double p) { return std::clamp(p, 1e-7, 1 - 1e-7); }

const std::vector<Pointwise>& Losses() {
  static const auto& losses = *new std::vector<Pointwise>{
      {"sigmoid_cross_entropy",
       [](auto& x, auto& t, auto r) { return SigmoidCrossEntropy(x, t, {.reduction = r}); },
       [](double x, double t) {
         return std::max(x, 0.0) - x * t + std::log1p(std::exp(-std::abs(x)));
       },
       -4, 4},
      {"sigmoid_cross_entropy",
       [](auto& x, auto& t, auto r) {
         return SigmoidCrossEntropy(x, t, {.positive_weight = Tensor::Full({}, 3), .reduction = r});
       },
       [](double x, double t) {
         const double p = 1 / (1 + std::exp(-x));
         return -3 * t * std::log(p) - (1 - t) * std::log(1 - p);
       },
       -4, 4},
      {"binary_cross_entropy", [](auto& x, auto& t, auto r) { return BinaryCrossEntropy(x, t, r); },
       [](double p, double t) {
         return -t * std::log(Clipped(p)) - (1 - t) * std::log(Clipped(1 - p));
       },
       0.1, 0.9, true},
      {"hinge_loss", [](auto& x, auto& t, auto r) { return HingeLoss(x, t, r); },
       [](double x, double t) { return std::max(0.0, 1 - t * x); }, -2, 2},
      {"squared_hinge_loss", [](auto& x, auto& t, auto r) { return SquaredHingeLoss(x, t, r); },
       [](double x, double t) { return std::pow(std::max(0.0, 1 - t * x), 2); }, -2, 2},
      {"mean_squared_error", [](auto& x, auto& t, auto r) { return MeanSquaredError(x, t, r); },
       [](double x, double t) { return (x - t) * (x - t); }, -4, 4},
      {"mean_absolute_error", [](auto& x, auto& t, auto r) { return MeanAbsoluteError(x, t, r); },
       [](double x, double t) { return std::abs(x - t); }, -4, 4},
      {"huber_loss",
       [](auto& x, auto& t, auto r) { return HuberLoss(x, t, {.delta = 0.5, .reduction = r}); },
       [](double x, double t) {
         const double d = std::abs(x - t);
         return d <= 0.5 ? d * d / 2 : 0.5 * (d - 0.25);
       },
       -2, 2},
      {"log_cosh_loss", [](auto& x, auto& t, auto r) { return LogCoshLoss(x, t, r); },
       [](double x, double t) {
         const double d = std::abs(x - t);
         return d + std::log1p(std::exp(-2 * d)) - 0.6931471805599453;
       },
       -4, 4},
      {"poisson_loss", [](auto& x, auto& t, auto r) { return PoissonLoss(x, t, {.reduction = r}); },
       [](double x, double t) { return x - t * std::log(x + 1e-7); }, 0.3, 4},
      {"poisson_loss",
       [](auto& x, auto& t, auto r) {
         return PoissonLoss(x, t, {.log_rates = true, .reduction = r});
       },
       [](double x, double t) { return std::exp(x) - t * x; }, -2, 2}};
  return losses;
}

TEST(PointwiseLossesTest, AreTheirFormulas) {
  Generator rng(3);
  for (const Pointwise& of : Losses()) {
    SCOPED_TRACE(of.name);
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      for (const Shape& shape : {Shape{}, {1}, {7}, {3, 5}, {2, 3, 17}}) {
        const Tensor x = Uniform(shape, rng, of.low, of.high, dtype).value();
        const Tensor t = Uniform(shape, rng, 0, 1, dtype).value();
        const Doubles xs = x.ToVector<double>(), ts = t.ToVector<double>();
        const Variable none = of.loss(x, t, LossReduction::kNone);
        const Variable sum = of.loss(x, t, LossReduction::kSum);
        const Variable mean = of.loss(x, t, LossReduction::kMean);
        EXPECT_EQ(none.shape(), shape);
        EXPECT_EQ(mean.shape(), Shape());
        EXPECT_EQ(mean.dtype(), dtype);
        const double tolerance = dtype == DType::kFloat32 ? 2e-6 : 1e-13;
        double expected_sum = 0;
        for (size_t i = 0; i < xs.size(); ++i) {
          const double expected = of.formula(xs[i], ts[i]);
          ASSERT_NEAR(none.value().ToVector<double>()[i], expected,
                      tolerance * (1 + std::abs(expected)));
          expected_sum += expected;
        }
        const double size = static_cast<double>(xs.size());
        EXPECT_NEAR(sum.item<double>(), expected_sum, tolerance * size * 5);
        EXPECT_NEAR(mean.item<double>(), expected_sum / size, tolerance * 5);
      }
    }
  }
}

TEST(PointwiseLossesTest, Gradients) {
  Generator rng(4);
  for (const Pointwise& of : Losses()) {
    for (const LossReduction reduction :
         {LossReduction::kMean, LossReduction::kSum, LossReduction::kNone}) {
      const std::vector<Variable> inputs = {
          Uniform({3, 5}, rng, of.low, of.high, DType::kFloat64).value(),
          Uniform({3, 5}, rng, 0.1, 0.9, DType::kFloat64).value()};
      const GradientReport report =
          CheckGradients([&](VariableSpan x) { return of.loss(x[0], x[1], reduction); }, inputs);
      EXPECT_TRUE(report.ok) << of.name << ": " << report.text;
    }
  }
}

TEST(PointwiseLossesTest, AreFiniteFarOff) {
  for (const Pointwise& of : Losses()) {
    SCOPED_TRACE(of.name);
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      // Of the log-rates, those that have a rate.
      const bool grows = of.name == "poisson_loss";
      const Doubles far = of.of_probabilities ? Doubles{0, 1, 0, 1}
                          : grows             ? Doubles{0, 50, 0, 50}
                                              : Doubles{1e4, -1e4, 1e4, -1e4};
      const Variable x = DifferentiableLeaf(Tensor::FromVector(far).To(dtype));
      const Tensor t = Tensor::FromVector(Doubles{0, 0, 1, 1}).To(dtype);
      const Variable losses = of.loss(x, t, LossReduction::kNone);
      const Variable slope = Grad(Sum(losses), x, {.create_graph = true});
      const Variable second = Grad(Sum(slope), x, {.unused = Unused::kZero});
      for (const Variable& v : {losses, slope, second}) {
        for (const double value : v.value().ToVector<double>()) EXPECT_TRUE(std::isfinite(value));
      }
      for (size_t i = 0; i < 4; ++i) {
        const double expected = of.formula(far[i], i / 2 ? 1 : 0);
        if (!std::isfinite(expected)) continue;  // the formula of weights is not made for this
        EXPECT_NEAR(losses.value().ToVector<double>()[i], expected,
                    1e-5 * (1 + std::abs(expected)));
      }
    }
  }
}

TEST(PointwiseLossesTest, NanIsNan) {
  for (const Pointwise& of : Losses()) {
    SCOPED_TRACE(of.name);
    const Tensor good = Tensor::Full({2}, 0.5);
    const Tensor bad = Tensor::FromVector(std::vector<float>{0.5f, std::nanf("")});
    EXPECT_TRUE(std::isnan(of.loss(bad, good, LossReduction::kMean).item<double>()));
    EXPECT_TRUE(std::isnan(of.loss(good, bad, LossReduction::kSum).item<double>()));
    const Doubles losses = of.loss(bad, good, LossReduction::kNone).value().ToVector<double>();
    EXPECT_FALSE(std::isnan(losses[0]));
    EXPECT_TRUE(std::isnan(losses[1]));
  }
}

TEST(PointwiseLossesTest, TakeIntegersAndBoolsAndMixedFloats) {
  for (const Pointwise& of : Losses()) {
    SCOPED_TRACE(of.name);
    const Tensor x = Tensor::FromVector(std::vector<float>{0.25f, 0.75f});
    const Tensor t = Tensor::FromVector(std::vector<float>{0, 1});
    const float expected = of.loss(x, t, LossReduction::kMean).item<float>();
    for (const DType dtype : {DType::kInt64, DType::kInt32, DType::kUInt8, DType::kBool}) {
      const Variable loss = of.loss(x, t.To(dtype), LossReduction::kMean);
      EXPECT_EQ(loss.dtype(), DType::kFloat32);
      EXPECT_EQ(loss.item<float>(), expected);
    }
    EXPECT_EQ(of.loss(x, t.To(DType::kFloat64), LossReduction::kMean).dtype(), DType::kFloat64);
    EXPECT_EQ(of.loss(t.To(DType::kUInt8), t.To(DType::kUInt8), LossReduction::kMean).dtype(),
              DType::kFloat32);
  }
}

TEST(PointwiseLossesTest, OfNothing) {
  for (const Pointwise& of : Losses()) {
    SCOPED_TRACE(of.name);
    const Tensor nothing = Tensor::Ones({0, 3});
    EXPECT_EQ(of.loss(nothing, nothing, LossReduction::kSum).item<float>(), 0);
    EXPECT_EQ(of.loss(nothing, nothing, LossReduction::kNone).shape(), (Shape{0, 3}));
    EXPECT_THAT(ThrownMessage([&] { of.loss(nothing, nothing, LossReduction::kMean); }),
                HasSubstr("[" + of.name + "] the batch is empty: [0,3]"));
  }
}

TEST(PointwiseLossesTest, Errors) {
  for (const Pointwise& of : Losses()) {
    const std::string text = ThrownMessage([&] {
      of.loss(Tensor::Ones({2, 3}), Tensor::Ones({3}), LossReduction::kMean);
    });
    EXPECT_THAT(text, testing::StartsWith("[" + of.name + "] "));
    EXPECT_THAT(text, HasSubstr(" [2,3] and target"));
    EXPECT_THAT(text, HasSubstr(" [3] differ (tests/ops/pointwise_losses_test.cc:"));
  }
  const Tensor x = Tensor::Ones({2, 3});
  for (const double delta : {0.0, -1.0, kNan}) {
    EXPECT_THAT(ThrownMessage([&] { HuberLoss(x, x, {.delta = delta}); }),
                HasSubstr("[huber_loss] delta must be above 0, not "));
  }
  EXPECT_THAT(
      ThrownMessage([&] { SigmoidCrossEntropy(x, x, {.positive_weight = Tensor::Ones({2})}); }),
      HasSubstr("[sigmoid_cross_entropy] positive_weight [2] does not broadcast to logits "
                "[2,3]"));
}

void ExpectLosses(const Variable& losses, const Doubles& expected, double tolerance = 1e-14) {
  ASSERT_EQ(losses.size(), static_cast<int64_t>(expected.size()));
  const Doubles values = losses.value().ToVector<double>();
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << i;
}
Tensor Of(const Doubles& values) { return Tensor::FromVector(values); }

TEST(SigmoidCrossEntropyTest, Literals) {
  const Tensor x = Of({3, -20, 0, 0.5}), t = Of({1, 0.25, 0, 0.75});
  ExpectLosses(SigmoidCrossEntropy(x, t, {.reduction = LossReduction::kNone}),
               {0.04858735157374206, 5.000000002061154, 0.6931471805599453, 0.5990769841801067});
  ExpectLosses(
      SigmoidCrossEntropy(x, t, {.positive_weight = Of({3}), .reduction = LossReduction::kNone}),
      {0.1457620547212262, 15.00000000309173, 0.6931471805599453, 1.3101924604502666});
  ExpectLosses(
      SigmoidCrossEntropy(Of({2, 2}).Reshape({2, 1}).Expand({2, 2}),
                          Tensor::Ones({2, 2}, DType::kFloat64), {.positive_weight = Of({1, 10})}),
      {0.1269280110429725 * 5.5});
}

// Where a loss is near 0, so is its error: nothing cancels.
TEST(SigmoidCrossEntropyTest, IsExactWhereItIsSmall) {
  const Variable x = DifferentiableLeaf(Tensor::FromVector(std::vector<float>{20, -20, 0}));
  const Tensor t = Tensor::FromVector(std::vector<float>{1, 0, 0});
  const Variable losses = SigmoidCrossEntropy(x, t, {.reduction = LossReduction::kNone});
  const Doubles slope = Grad(Sum(losses), x).value().ToVector<double>();
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(losses.value().ToVector<double>()[i], 2.061153620314381e-09, 1e-15);
    EXPECT_NEAR(slope[i], i ? 2.0611536181902037e-09 : -2.0611536181902037e-09, 1e-15);
  }
  EXPECT_EQ(slope[2], 0.5);  // at 0, where training begins
}

TEST(BinaryCrossEntropyTest, Literals) {
  const Tensor p = Of({0.6, 0.6, 0.25, 1, 0, 1}), t = Of({1, 0, 0.5, 0, 1, 1});
  const Doubles expected = {0.5108256237659907, 0.916290731874155, 0.8369882167858358,
                            16.11809565095832,  16.11809565095832, 1.0000000494736474e-07};
  ExpectLosses(BinaryCrossEntropy(p, t, LossReduction::kNone), expected);
  ExpectLosses(BinaryCrossEntropy(p.To(DType::kFloat32), t, LossReduction::kNone), expected, 1e-6);
  const Variable leaf = DifferentiableLeaf(p);
  const Variable loss = BinaryCrossEntropy(leaf, t, LossReduction::kSum);
  ExpectLosses(Grad(loss, leaf), {-1 / 0.6, 2.5, -2 + 0.5 / 0.75, 0, 0, 0}, 1e-13);
}

TEST(HuberLossTest, Literals) {
  const Variable x = DifferentiableLeaf(Of({0, 1, -3, 0.25, 2}));
  const Tensor t = Of({0.5, -1, 1, 0.25, 0.5});
  const Variable losses = HuberLoss(x, t, {.delta = 1.5, .reduction = LossReduction::kNone});
  ExpectLosses(losses, {0.125, 1.875, 4.875, 0, 1.125});
  const Variable slope = Grad(Sum(losses), x, {.create_graph = true});
  ExpectLosses(slope, {-0.5, 1.5, -1.5, 0, 1.5});
  ExpectLosses(Grad(Sum(slope * Of({1, 1, 1, 1, 0})), x), {1, 0, 0, 1, 0});
  // Smooth L1 of beta = 1.5.
  ExpectLosses(losses / 1.5, {0.25 / 3, 1.25, 3.25, 0, 0.75});
}

TEST(LogCoshLossTest, Literals) {
  const Variable x = DifferentiableLeaf(Of({-2, 1.5, 1, 4}));
  const Variable losses = LogCoshLoss(x, Of({0, 1, 1, 1}), LossReduction::kNone);
  ExpectLosses(losses, {1.3250027473578645, 0.12011450695827745, 0, 2.309328504577785});
  const Variable slope = Grad(Sum(losses), x, {.create_graph = true});
  ExpectLosses(slope, {-0.9640275800758169, 0.46211715726000974, 0, 0.9950547536867305});
  EXPECT_EQ(Grad(Sum(slope), x).value().ToVector<double>()[2], 1);  // no kink
}

TEST(PoissonLossTest, Literals) {
  ExpectLosses(PoissonLoss(Of({0, 1, -3, 0.25}), Of({0.5, 3, 1, 0}),
                           {.log_rates = true, .reduction = LossReduction::kNone}),
               {1, -0.2817181715409549, 3.049787068367864, 1.2840254166877414});
  ExpectLosses(
      PoissonLoss(Of({0.5, 1, 3, 0}), Of({0.5, 3, 1, 2}), {.reduction = LossReduction::kNone}),
      {0.8465734902799826, 0.9999997000000148, 1.9013876779985577, 32.23619130191664});
}

TEST(HingeLossTest, LiteralsAndKinks) {
  const Variable x = DifferentiableLeaf(Of({0.5, -0.5, 2, 1}));
  const Tensor t = Of({1, 1, 1, 1});
  const Variable hinge = HingeLoss(x, t, LossReduction::kNone);
  ExpectLosses(hinge, {0.5, 1.5, 0, 0});
  ExpectLosses(Grad(Sum(hinge), x), {-1, -1, 0, 0});
  const Variable squared = SquaredHingeLoss(x, t, LossReduction::kNone);
  ExpectLosses(squared, {0.25, 2.25, 0, 0});
  ExpectLosses(Grad(Sum(squared), x), {-1, -3, 0, 0});
}

TEST(MeanAbsoluteErrorTest, LiteralsAndKink) {
  const Variable x = DifferentiableLeaf(Of({1, -2, 3}));
  const Variable loss = MeanAbsoluteError(x, Of({1, 0, 2}));
  EXPECT_EQ(loss.item<double>(), 1);
  ExpectLosses(Grad(loss, x), {0, -1.0 / 3, 1.0 / 3});
}

}  // namespace
}  // namespace wengert
