// The options of the softmax cross entropy against sums over classes in float64, with literals from
// them; the fused way against the general one; reductions; padding; errors.
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
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
constexpr DType kBothFloats[] = {DType::kFloat32, DType::kFloat64};

const Tensor kLogits = Tensor::FromVector(Doubles{1, 2, 3, 0.5, -1, 2, -2, 0, 1}, {3, 3});
const Tensor kLabels = Tensor::FromVector(std::vector<int64_t>{2, 0, 1});
const Tensor kWeights = Tensor::FromVector(Doubles{1, 2, 0.5});

void ExpectNear(const Variable& got, const Doubles& expected, double tolerance) {
  const Doubles values = got.value().ToVector<double>();
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << i;
}

TEST(SoftmaxCrossEntropyOptionsTest, ClosedForms) {
  const struct {
    SoftmaxCrossEntropyOptions options;
    Doubles rows;
    double mean;
  } list[] = {
      {{.label_smoothing = 0.1},
       {0.5076059644443801, 1.7413112966571571, 1.3823455501015198},
       1.2104209370676857},
      {{.class_weights = kWeights},
       {0.20380298222219007, 1.7413112966571571, 2.698024433536373},
       1.3266110606902057},
      {{.label_smoothing = 0.1, .class_weights = kWeights},
       {0.3643100465184821, 1.845333151601443, 2.6356067488056905},
       1.384357127693033},
      {{.ignore_label = 0}, {0.40760596444438013, 0, 1.3490122167681864}, 0.8783090906062833},
      {{.label_smoothing = 0.3, .class_weights = kWeights, .ignore_label = 0},
       {0.6853241751110661, 0, 2.510771379344326},
       1.2784382217821568}};
  for (const DType dtype : kBothFloats) {
    const double tolerance = dtype == DType::kFloat32 ? 1e-6 : 1e-14;
    const Variable x = DifferentiableLeaf(kLogits.To(dtype));
    for (auto [options, rows, mean] : list) {
      for (const DType label_type : {DType::kInt64, DType::kInt32, DType::kUInt8}) {
        const Tensor labels = kLabels.To(label_type);
        options.reduction = LossReduction::kMean;
        const Variable loss = SoftmaxCrossEntropy(x, labels, options);
        EXPECT_EQ(loss.dtype(), dtype);
        ExpectNear(loss, {mean}, tolerance);
        options.reduction = LossReduction::kSum;
        const Variable sum = SoftmaxCrossEntropy(x, labels, options);
        ExpectNear(sum, {rows[0] + rows[1] + rows[2]}, 3 * tolerance);
        options.reduction = LossReduction::kNone;
        const Variable losses = SoftmaxCrossEntropy(x, labels, options);
        ExpectNear(losses, rows, tolerance);
        ExpectNear(Grad(sum, x), Grad(Sum(losses), x).value().ToVector<double>(), tolerance);
      }
    }
  }
}

TEST(SoftmaxCrossEntropyOptionsTest, ReductionsOfNoOptions) {
  for (const DType dtype : kBothFloats) {
    const double tolerance = dtype == DType::kFloat32 ? 1e-6 : 1e-14;
    const Tensor x = kLogits.To(dtype);
    const Doubles rows = {0.40760596444438013, 1.7413112966571571, 1.3490122167681864};
    const Tensor targets = OneHot(kLabels, 3, dtype).value();
    ExpectNear(SoftmaxCrossEntropy(x, kLabels, {.reduction = LossReduction::kNone}), rows,
               tolerance);
    ExpectNear(SoftmaxCrossEntropyRows(x, targets, LossReduction::kNone), rows, tolerance);
    const double sum = rows[0] + rows[1] + rows[2];
    ExpectNear(SoftmaxCrossEntropy(x, kLabels, {.reduction = LossReduction::kSum}), {sum},
               3 * tolerance);
    ExpectNear(SoftmaxCrossEntropyRows(x, targets, LossReduction::kSum), {sum}, 3 * tolerance);
  }
}

TEST(SoftmaxCrossEntropyOptionsTest, Gradients) {
  for (const double smoothing : {0.0, 0.2}) {
    for (const Tensor& weights : {Tensor(), kWeights}) {
      for (const std::optional<int64_t> ignore : {std::optional<int64_t>(), {0}}) {
        for (const LossReduction reduction :
             {LossReduction::kMean, LossReduction::kSum, LossReduction::kNone}) {
          const GradientReport report = CheckGradients(
              [&](VariableSpan x) {
                return SoftmaxCrossEntropy(x[0], kLabels, {smoothing, weights, ignore, reduction});
              },
              std::vector<Variable>{kLogits});
          EXPECT_TRUE(report.ok) << report.text;
        }
      }
    }
  }
  for (const LossReduction reduction : {LossReduction::kSum, LossReduction::kNone}) {
    const GradientReport report = CheckGradients(
        [&](VariableSpan x) { return SoftmaxCrossEntropyRows(x[0], x[1], reduction); },
        std::vector<Variable>{kLogits, Sigmoid(kLogits).value()});
    EXPECT_TRUE(report.ok) << report.text;
  }
}

TEST(SoftmaxCrossEntropyOptionsTest, WhatRowsThatDoNotCountHoldDoesNotMatter) {
  for (const DType dtype : kBothFloats) {
    Tensor logits = kLogits.To(dtype).Clone();
    logits.Narrow(0, 1, 1).Fill(kNan);
    const Variable x = DifferentiableLeaf(logits);
    // -1 is no class: only what counts must be one.
    const Tensor labels = Tensor::FromVector(std::vector<int64_t>{2, -1, 1});
    const Variable loss = SoftmaxCrossEntropy(
        x, labels, {.label_smoothing = 0.1, .class_weights = kWeights, .ignore_label = -1});
    ExpectNear(loss, {(0.3643100465184821 + 2.6356067488056905) / 2.5},
               dtype == DType::kFloat32 ? 1e-6 : 1e-14);
    const Doubles gradient = Grad(loss, x).value().ToVector<double>();
    for (size_t i = 0; i < gradient.size(); ++i) {
      EXPECT_TRUE(std::isfinite(gradient[i]));
      EXPECT_EQ(gradient[i] == 0, i / 3 == 1);
    }
    const Variable none = SoftmaxCrossEntropy(x, Tensor::FromVector(std::vector<int64_t>{7, 7, 7}),
                                              {.ignore_label = 7});
    ExpectNear(none, {0}, 0);
    ExpectNear(Grad(none, x), Doubles(9, 0.0), 0);
    EXPECT_TRUE(
        std::isnan(SoftmaxCrossEntropy(x, kLabels, {.class_weights = kWeights}).item<double>()));
    EXPECT_TRUE(
        std::isnan(SoftmaxCrossEntropy(x, kLabels, {.label_smoothing = 0.1}).item<double>()));
  }
}

TEST(SoftmaxCrossEntropyOptionsTest, LargeLogits) {
  for (const DType dtype : kBothFloats) {
    const Variable x =
        DifferentiableLeaf(Tensor::FromVector(Doubles{1e4, -1e4, -1e4, 1e4}, {2, 2}).To(dtype));
    const Tensor labels = Tensor::FromVector(std::vector<int64_t>{0, 0});
    const Tensor weights = Tensor::FromVector(Doubles{3, 1});
    const Variable smooth = SoftmaxCrossEntropy(x, labels, {.label_smoothing = 0.5});
    ExpectNear(smooth, {(0.25 * 2e4 + 0.75 * 2e4) / 2}, 1e-2);
    ExpectNear(Grad(smooth, x), {0.125, -0.125, -0.375, 0.375}, 1e-6);
    const Variable weighted = SoftmaxCrossEntropy(x, labels, {.class_weights = weights});
    ExpectNear(weighted, {1e4}, 1e-2);
    ExpectNear(Grad(weighted, x), {0, 0, -0.5, 0.5}, 1e-6);
  }
}

TEST(SoftmaxCrossEntropyOptionsTest, AClassThatIsRuledOutByMinusInfinity) {
  const double inf = std::numeric_limits<double>::infinity();
  const Variable x = DifferentiableLeaf(Tensor::FromVector(Doubles{0, 0, -inf}, {1, 3}));
  const Tensor label = Tensor::FromVector(std::vector<int64_t>{1});
  const Variable loss =
      SoftmaxCrossEntropy(x, label, {.class_weights = kWeights, .ignore_label = -100});
  ExpectNear(loss, {0.6931471805599453}, 1e-15);
  ExpectNear(Grad(loss, x), {0.5, -0.5, 0}, 1e-15);
}

TEST(SoftmaxCrossEntropyOptionsTest, NoRows) {
  const Tensor x = Tensor::Ones({0, 3}), labels = Tensor::FromVector(std::vector<int64_t>{});
  EXPECT_EQ(SoftmaxCrossEntropy(x, labels, {.reduction = LossReduction::kSum}).item<float>(), 0);
  EXPECT_EQ(SoftmaxCrossEntropy(x, labels, {.reduction = LossReduction::kNone}).shape(), Shape{0});
  EXPECT_EQ(SoftmaxCrossEntropyRows(x, x, LossReduction::kSum).item<float>(), 0);
}

TEST(SoftmaxCrossEntropyOptionsTest, Errors) {
  EXPECT_THAT(
      ThrownMessage([&] { SoftmaxCrossEntropy(kLogits, kLabels, {.label_smoothing = 1.5}); }),
      HasSubstr("[softmax_cross_entropy] label_smoothing must be 0 to 1, not 1.5"));
  const std::string weights = ThrownMessage(
      [&] { SoftmaxCrossEntropy(kLogits, kLabels, {.class_weights = Tensor::Ones({2})}); });
  EXPECT_THAT(weights, HasSubstr("class_weights must be [3] for logits [3,3], not [2]"));
  EXPECT_THAT(weights, HasSubstr("loss_options_test.cc:" + std::to_string(__LINE__ - 2)));
  EXPECT_THAT(
      ThrownMessage([&] {
        SoftmaxCrossEntropy(Tensor::Ones({3, 0}), kLabels, {.reduction = LossReduction::kNone});
      }),
      HasSubstr("logits must be [..., classes] with classes >= 1, not [3,0]"));
  const Tensor bad = Tensor::FromVector(std::vector<int64_t>{0, 3, 1});
  for (const SoftmaxCrossEntropyOptions& options : {SoftmaxCrossEntropyOptions{.ignore_label = -1},
                                                    {.class_weights = kWeights},
                                                    {.label_smoothing = 0.1},
                                                    {.reduction = LossReduction::kNone}}) {
    const Variable loss = SoftmaxCrossEntropy(kLogits, bad, options);
    EXPECT_THAT(ThrownMessage([&] { loss.value(); }), HasSubstr("out of range"));
  }
}

}  // namespace
}  // namespace wengert
