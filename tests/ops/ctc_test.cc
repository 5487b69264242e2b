// CtcLoss against the sum over all paths, one by one; closed forms; derivatives to second order;
// what cannot be aligned; padding; errors.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::HasSubstr;
using Doubles = std::vector<double>;
using Labels = std::vector<int64_t>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// -log of the sum, over all C^T paths that collapse to the labels, of the product of probabilities.
double BruteForce(const double* logits, int64_t steps, int64_t classes, const Labels& labels,
                  int64_t blank) {
  Doubles p(logits, logits + steps * classes);
  for (int64_t t = 0; t < steps; ++t) {
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(p[t * classes + c]);
    for (int64_t c = 0; c < classes; ++c) {
      p[t * classes + c] = std::exp(p[t * classes + c]) / sum;
    }
  }
  const auto paths = static_cast<int64_t>(std::pow(classes, steps) + 0.5);
  double total = 0;
  for (int64_t path = 0; path < paths; ++path) {
    Labels read;
    double product = 1;
    int64_t before = -1, rest = path;
    for (int64_t t = 0; t < steps; ++t, rest /= classes) {
      const int64_t c = rest % classes;
      product *= p[t * classes + c];
      if (c != before && c != blank) read.push_back(c);
      before = c;
    }
    if (read == labels) total += product;
  }
  return -std::log(total);
}

Tensor Logits(const Shape& shape, DType dtype = DType::kFloat64) {
  Generator rng(7);
  return Uniform(shape, rng, -2, 2, DType::kFloat64).value().To(dtype);
}

TEST(CtcLossTest, IsTheSumOverAllPaths) {
  const struct {
    int64_t steps, classes, blank;
    Labels labels;
  } list[] = {{1, 1, 0, {}},        {1, 2, 0, {1}},       {2, 2, 0, {1}},
              {3, 2, 0, {1, 1}},    {4, 3, 0, {1, 2}},    {5, 3, 0, {2, 2}},
              {5, 3, 2, {0, 1, 0}}, {6, 3, 1, {0, 0, 2}}, {6, 4, 0, {3, 1, 2}},
              {7, 3, 0, {1, 2, 1}}, {4, 3, 0, {}},        {3, 4, 0, {1, 2, 3}},
              {7, 2, 0, {1, 1, 1}}, {6, 3, 0, {1}},       {5, 4, 3, {0, 1, 1, 2}}};
  for (const auto& [steps, classes, blank, labels] : list) {
    const auto length = static_cast<int64_t>(labels.size());
    const Tensor x = Logits({1, steps, classes});
    const double expected = BruteForce(x.data<double>(), steps, classes, labels, blank);
    ASSERT_TRUE(std::isfinite(expected));
    const Tensor given = Tensor::FromVector(labels, {1, length});
    EXPECT_NEAR(CtcLoss(x, given, {.blank = blank}).item<double>(), expected, 1e-12);
    EXPECT_NEAR(
        CtcLoss(x.To(DType::kFloat32), given.To(DType::kInt32), {.blank = blank}).item<double>(),
        expected, 1e-5);
    // Log-probabilities are logits.
    EXPECT_NEAR(CtcLoss(LogSoftmax(x), given, {.blank = blank}).item<double>(), expected, 1e-12);
    const GradientReport report = CheckGradients(
        [&, blank = blank](VariableSpan v) { return CtcLoss(v[0], given, {.blank = blank}); },
        std::vector<Variable>{x});
    EXPECT_TRUE(report.ok) << report.text;
  }
}

TEST(CtcLossTest, ClosedForms) {
  // All of 0, so that every path has probability C^-T.
  const Tensor even = Tensor::Zeros({1, 3, 2}, DType::kFloat64);
  // 11-, 1--, -11, -1-, --1, 111: six of eight. Of "1 1": 1-1.
  EXPECT_NEAR(CtcLoss(even, Tensor::FromVector(Labels{1}, {1, 1})).item<double>(),
              -std::log(6.0 / 8), 1e-15);
  EXPECT_NEAR(CtcLoss(even, Tensor::FromVector(Labels{1, 1}, {1, 2})).item<double>(),
              -std::log(1.0 / 8), 1e-15);
  EXPECT_NEAR(CtcLoss(even, Tensor::FromVector(Labels{}, {1, 0})).item<double>(),
              -std::log(1.0 / 8), 1e-15);
}

// Rows of their own lengths, with NaN in the padding of logits and no class in that of labels.
struct Batch {
  Tensor logits = Logits({4, 6, 3});
  Tensor labels = Tensor::FromVector(Labels{1, 2, 1, 2, 2, -9, 1, 77, 77, 5, 5, 5}, {4, 3});
  CtcOptions options = {.input_lengths = Tensor::FromVector(Labels{6, 4, 1, 3}),
                        .label_lengths = Tensor::FromVector(Labels{3, 2, 1, 0})};

  Doubles Expected() const {
    Doubles expected;
    for (int64_t n = 0; n < 4; ++n) {
      Labels row = labels.Narrow(0, n, 1).Clone().ToVector<int64_t>();
      row.resize(options.label_lengths.at<int64_t>({n}));
      expected.push_back(BruteForce(logits.data<double>() + n * 18,
                                    options.input_lengths.at<int64_t>({n}), 3, row, 0));
    }
    return expected;
  }
  Tensor Padded(double value, DType dtype) const {
    Tensor padded = logits.Clone();
    for (int64_t n = 0; n < 4; ++n) {
      const int64_t length = options.input_lengths.at<int64_t>({n});
      padded.Narrow(0, n, 1).Narrow(1, length, 6 - length).Fill(value);
    }
    return padded.To(dtype);
  }
};

TEST(CtcLossTest, LengthsAndReductions) {
  Batch batch;
  const Doubles expected = batch.Expected();
  double sum = 0;
  for (const double loss : expected) sum += loss;
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const double tolerance = dtype == DType::kFloat32 ? 1e-5 : 1e-12;
    const Variable x = DifferentiableLeaf(batch.Padded(std::nan(""), dtype));
    batch.options.reduction = LossReduction::kNone;
    const Variable losses = CtcLoss(x, batch.labels, batch.options);
    ASSERT_EQ(losses.shape(), Shape{4});
    EXPECT_EQ(losses.dtype(), dtype);
    for (int64_t n = 0; n < 4; ++n) {
      EXPECT_NEAR(losses.value().ToVector<double>()[n], expected[n], tolerance);
    }
    batch.options.reduction = LossReduction::kSum;
    EXPECT_NEAR(CtcLoss(x, batch.labels, batch.options).item<double>(), sum, 4 * tolerance);
    batch.options.reduction = LossReduction::kMean;
    const Variable mean = CtcLoss(x, batch.labels, batch.options);
    EXPECT_NEAR(mean.item<double>(), sum / 4, tolerance);
    const Doubles gradient = Grad(mean, x).value().ToVector<double>();
    for (int64_t i = 0; i < 72; ++i) {
      const bool padding = i % 18 / 3 >= batch.options.input_lengths.at<int64_t>({i / 18});
      ASSERT_TRUE(std::isfinite(gradient[i]));
      EXPECT_EQ(gradient[i] == 0, padding) << i;
    }
    const EagerGuard eager;
    EXPECT_NEAR(CtcLoss(x, batch.labels, batch.options).item<double>(), sum / 4, tolerance);
  }
  batch.options.reduction = LossReduction::kNone;
  const GradientReport report =
      CheckGradients([&](VariableSpan x) { return CtcLoss(x[0], batch.labels, batch.options); },
                     std::vector<Variable>{batch.logits});
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(CtcLossTest, WhatCannotBeAlignedIsInfiniteWithoutGradient) {
  // Three labels in two steps; a pair of equal ones in two steps; and one that fits.
  const Tensor labels = Tensor::FromVector(Labels{1, 2, 1, 1, 1, 0, 2, 0, 0}, {3, 3});
  const Tensor lengths = Tensor::FromVector(Labels{3, 2, 1});
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const Variable x = DifferentiableLeaf(Logits({3, 2, 3}, dtype));
    const CtcOptions options = {.label_lengths = lengths, .reduction = LossReduction::kNone};
    const Variable losses = CtcLoss(x, labels, options);
    EXPECT_EQ(losses.value().ToVector<double>()[0], kInfinity);
    EXPECT_EQ(losses.value().ToVector<double>()[1], kInfinity);
    EXPECT_TRUE(std::isfinite(losses.value().ToVector<double>()[2]));
    const Variable first = Grad(Sum(losses), x, {.create_graph = true});
    const Variable second = Grad(Sum(Square(first)), x);
    for (const Variable& v : {first, second}) {
      const Doubles values = v.value().ToVector<double>();
      for (size_t i = 0; i < 12; ++i) EXPECT_EQ(values[i], 0);
      for (size_t i = 12; i < 18; ++i) EXPECT_TRUE(std::isfinite(values[i]) && values[i] != 0);
    }
    EXPECT_EQ(CtcLoss(x, labels, {.label_lengths = lengths}).item<double>(), kInfinity);
  }
}

TEST(CtcLossTest, ExtremeAndInfiniteLogits) {
  const Tensor label = Tensor::FromVector(Labels{1}, {1, 1});
  const CtcOptions options;
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const auto leaf = [&](const Doubles& values) {
      return DifferentiableLeaf(Tensor::FromVector(values, {1, 2, 2}).To(dtype));
    };
    // The blank is sure in both steps: the best path reads the label once, at -2e4.
    const Variable far = leaf({1e4, -1e4, 1e4, -1e4});
    const Variable loss = CtcLoss(far, label, options);
    EXPECT_NEAR(loss.item<double>(), 2e4 - std::log(2.0), 1e-2);
    const Doubles slope = Grad(loss, far).value().ToVector<double>();
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(slope[i], i % 2 ? -0.5 : 0.5, 1e-5);
    // The label is sure.
    EXPECT_EQ(CtcLoss(leaf({-1e4, 1e4, -1e4, 1e4}), label, options).item<double>(), 0);
    // Ruled out in the first step; in both.
    const Variable half = leaf({0, -kInfinity, 0, 0});
    const Variable possible = CtcLoss(half, label, options);
    EXPECT_NEAR(possible.item<double>(), std::log(2.0), 1e-6);
    const Doubles half_slope = Grad(possible, half).value().ToVector<double>();
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(half_slope[i], (Doubles{0, 0, 0.5, -0.5})[i], 1e-6);
    const Variable never = leaf({0, -kInfinity, 0, -kInfinity});
    const Variable impossible = CtcLoss(never, label, options);
    EXPECT_EQ(impossible.item<double>(), kInfinity);
    for (const double v : Grad(impossible, never).value().ToVector<double>()) EXPECT_EQ(v, 0);
    EXPECT_TRUE(std::isnan(CtcLoss(leaf({0, std::nan(""), 0, 0}), label, options).item<double>()));
  }
}

TEST(CtcLossTest, IsAsGoodInFloat32OverManySteps) {
  const Tensor x = Logits({1, 1000, 5}).To(DType::kFloat32);
  Labels labels;
  for (int64_t s = 0; s < 200; ++s) labels.push_back(1 + s * s % 4);
  const Tensor given = Tensor::FromVector(labels, {1, 200});
  const Variable a = DifferentiableLeaf(x), b = DifferentiableLeaf(x.To(DType::kFloat64));
  const Variable loss_a = CtcLoss(a, given), loss_b = CtcLoss(b, given);
  EXPECT_NEAR(loss_a.item<double>() / loss_b.item<double>(), 1, 1e-6);
  const Doubles da = Grad(loss_a, a).value().ToVector<double>();
  const Doubles db = Grad(loss_b, b).value().ToVector<double>();
  for (size_t i = 0; i < da.size(); ++i) ASSERT_NEAR(da[i], db[i], 3e-6) << i;
}

TEST(CtcLossTest, NoRows) {
  const Tensor x = Tensor::Ones({0, 2, 3}), labels = Tensor::Zeros({0, 2}, DType::kInt64);
  EXPECT_EQ(CtcLoss(x, labels, {.reduction = LossReduction::kSum}).item<float>(), 0);
  EXPECT_EQ(CtcLoss(x, labels, {.reduction = LossReduction::kNone}).shape(), Shape{0});
  EXPECT_THAT(ThrownMessage([&] { CtcLoss(x, labels); }),
              HasSubstr("[ctc_loss] the batch is empty: [0,2,3]"));
}

TEST(CtcLossTest, Errors) {
  const Tensor x = Tensor::Ones({2, 4, 3}), good = Tensor::Ones({2, 2}, DType::kInt64);
  const auto message = [&](const Tensor& logits, const Tensor& labels,
                           const CtcOptions& options = {}) {
    return ThrownMessage([&] { CtcLoss(logits, labels, options); });
  };
  EXPECT_THAT(message(Tensor::Ones({4, 3}), good),
              HasSubstr("[ctc_loss] logits must be [N, T, classes] with T and classes >= 1, not "
                        "[4,3] (tests/ops/ctc_test.cc:"));
  EXPECT_THAT(message(Tensor::Ones({2, 0, 3}), good), HasSubstr("not [2,0,3]"));
  EXPECT_THAT(message(x, Tensor::Ones({2}, DType::kInt64)),
              HasSubstr("labels must be integers [2, S] for logits [2,4,3], not int64[2]"));
  EXPECT_THAT(message(x, Tensor::Ones({2, 2})), HasSubstr("not float32[2,2]"));
  EXPECT_THAT(message(x, good, {.blank = 3}),
              HasSubstr("blank 3 is out of range: there are 3 classes"));
  EXPECT_THAT(message(x, good, {.blank = 1}), HasSubstr("label 1 at [0,0] is the blank"));
  for (const int64_t bad : {3, -1}) {
    EXPECT_THAT(message(x, Tensor::FromVector(Labels{1, 2, 1, bad}, {2, 2})),
                HasSubstr("label " + std::to_string(bad) +
                          " at [1,1] is out of range: there are 3 classes"));
  }
  EXPECT_THAT(message(x, good, {.input_lengths = Tensor::FromVector(Labels{4, 0})}),
              HasSubstr("input_lengths[1] is 0, but must be 1 to 4"));
  EXPECT_THAT(message(x, good, {.label_lengths = Tensor::FromVector(Labels{3, 0})}),
              HasSubstr("label_lengths[0] is 3, but must be 0 to 2"));
  EXPECT_THAT(message(x, good, {.input_lengths = Tensor::Ones({2})}),
              HasSubstr("input_lengths must be integers [2], not float32[2]"));
  EXPECT_THAT(message(x, good, {.label_lengths = Tensor::FromVector(Labels{1})}),
              HasSubstr("label_lengths must be integers [2], not int64[1]"));
}

}  // namespace
}  // namespace wengert
