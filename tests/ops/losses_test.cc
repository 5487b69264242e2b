// Losses against closed forms, the two ways of giving targets against each other, the fused kernels
// against the Definition, and their errors.
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::HasSubstr;

Tensor Values(const Shape& shape, DType dtype, double low = -3, double high = 3) {
  std::mt19937 engine(5);
  std::vector<double> values(NumElements(shape));
  for (double& v : values) v = low + (high - low) * static_cast<double>(engine()) / 4294967296.0;
  return Tensor::FromVector(values, shape).To(dtype);
}

Tensor Labels(int64_t size, int64_t classes) {
  std::mt19937 engine(6);
  std::vector<int64_t> labels(size);
  for (int64_t& label : labels) label = static_cast<int64_t>(engine() % classes);
  return Tensor::FromVector(labels);
}

void ExpectNear(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_EQ(a.shape(), b.shape());
  const std::vector<double> x = a.ToVector<double>(), y = b.ToVector<double>();
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], tolerance) << i;
}

// float32 takes the kernel, float64 and eager mode the Definition.
constexpr DType kBothFloats[] = {DType::kFloat32, DType::kFloat64};

TEST(SoftmaxCrossEntropyTest, ClosedForms) {
  for (const DType dtype : kBothFloats) {
    const double tolerance = dtype == DType::kFloat32 ? 1e-6 : 1e-14;
    const auto loss = [&](const std::vector<double>& x, int64_t label) {
      const auto classes = static_cast<int64_t>(x.size());
      return SoftmaxCrossEntropy(Tensor::FromVector(x, {1, classes}).To(dtype),
                                 Tensor::FromVector(std::vector<int64_t>{label}))
          .item<double>();
    };
    EXPECT_NEAR(loss({1, 2, 3}, 2), 0.4076059644443806, tolerance);
    EXPECT_NEAR(loss({1, 2, 3}, 0), 2.4076059644443806, tolerance);
    EXPECT_NEAR(loss({3, 0}, 0), 0.04858735157374196, tolerance);  // ln(1 + e^-3)
    EXPECT_NEAR(loss(std::vector<double>(1000, 2.5), 999), 6.907755278982137,
                tolerance);                                           // ln 1000
    EXPECT_NEAR(loss({1e4, 1e4}, 0), 0.6931471805599453, tolerance);  // ln 2
    EXPECT_EQ(loss({1e4, -1e4}, 0), 0);
    EXPECT_EQ(loss({1e4, -1e4}, 1), 2e4);
    EXPECT_NEAR(loss({7}, 0), 0, 0);
    EXPECT_TRUE(std::isnan(loss({0, std::numeric_limits<double>::quiet_NaN()}, 0)));
  }
}

TEST(SoftmaxCrossEntropyTest, GradientIsProbabilitiesMinusOneHot) {
  for (const DType dtype : kBothFloats) {
    for (const Shape& shape : {Shape{1, 2}, {5, 3}, {64, 10}, {300, 17}, {9, 1000}}) {
      const int64_t n = shape[0], classes = shape[1];
      const Variable x = DifferentiableLeaf(Values(shape, dtype));
      const Tensor labels = Labels(n, classes);
      const Variable loss = SoftmaxCrossEntropy(x, labels);
      const std::vector<double> gradient = Grad(loss, x).value().ToVector<double>();
      const std::vector<double> logits = x.value().ToVector<double>();
      double expected_loss = 0;
      for (int64_t r = 0; r < n; ++r) {
        const double* row = logits.data() + r * classes;
        double sum = 0;
        for (int64_t c = 0; c < classes; ++c) sum += std::exp(row[c]);
        const int64_t label = labels.at<int64_t>({r});
        expected_loss += (std::log(sum) - row[label]) / static_cast<double>(n);
        for (int64_t c = 0; c < classes; ++c) {
          ASSERT_NEAR(gradient[r * classes + c] * static_cast<double>(n),
                      std::exp(row[c]) / sum - (c == label),
                      dtype == DType::kFloat32 ? 5e-7 : 1e-13);
        }
      }
      EXPECT_NEAR(loss.item<double>(), expected_loss, dtype == DType::kFloat32 ? 2e-6 : 1e-12);
    }
  }
}

TEST(SoftmaxCrossEntropyTest, GradientOfLargeLogits) {
  const Variable x = DifferentiableLeaf(
      Tensor::FromVector(std::vector<float>{1e4, 1e4, -1e4, 1e4, -1e4, -1e4}, {2, 3}));
  const Tensor labels = Tensor::FromVector(std::vector<int32_t>{0, 1});
  const Variable loss = SoftmaxCrossEntropy(x, labels);
  EXPECT_FLOAT_EQ(loss.item<float>(), (0.69314718f + 2e4f) / 2);
  EXPECT_THAT(Grad(loss, x).value().ToVector<float>(),
              testing::ElementsAre(-0.25f, 0.25f, 0, 0.5f, -0.5f, 0));
}

TEST(SoftmaxCrossEntropyTest, HessianIsTheCovariance) {
  // d2 loss / dx_i dx_j = (p_i delta_ij - p_i p_j) for one row.
  const std::vector<double> p = {0.09003057317038046, 0.24472847105479764, 0.6652409557748218};
  for (const DType dtype : kBothFloats) {
    const Tensor x = Tensor::FromVector(std::vector<double>{1, 2, 3}, {1, 3}).To(dtype);
    const Tensor label = Tensor::FromVector(std::vector<int64_t>{1});
    const std::vector<double> hessian =
        Hessian([&](const Variable& v) { return SoftmaxCrossEntropy(v, label); }, x)
            .value()
            .ToVector<double>();
    ASSERT_EQ(hessian.size(), 9u);
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) {
        EXPECT_NEAR(hessian[i * 3 + j], p[i] * (i == j) - p[i] * p[j],
                    dtype == DType::kFloat32 ? 3e-7 : 1e-14);
      }
    }
  }
}

TEST(SoftmaxCrossEntropyTest, ScalesWithItsCotangent) {
  const Variable x = DifferentiableLeaf(Values({4, 5}, DType::kFloat32));
  const Tensor labels = Labels(4, 5);
  const Tensor one = Grad(SoftmaxCrossEntropy(x, labels), x).value();
  const Tensor minus_three = Grad(SoftmaxCrossEntropy(x, labels) * -3, x).value();
  ExpectNear((Variable(one) * -3).value(), minus_three, 1e-6);
}

TEST(SoftmaxCrossEntropyTest, LabelsOfEveryIntegerTypeAndView) {
  const Tensor x = Values({6, 4}, DType::kFloat32), labels = Labels(12, 4);
  const Tensor even = labels.Narrow(0, 0, 6, 2);
  const float expected = SoftmaxCrossEntropy(x, even.Clone()).item<float>();
  EXPECT_EQ(SoftmaxCrossEntropy(x, even).item<float>(), expected);
  EXPECT_EQ(SoftmaxCrossEntropy(x, even.To(DType::kInt32)).item<float>(), expected);
  EXPECT_EQ(SoftmaxCrossEntropy(x, even.To(DType::kUInt8)).item<float>(), expected);
  EXPECT_EQ(SoftmaxCrossEntropy(x.T().Clone().T(), even).item<float>(), expected);
  Tensor wide = Tensor::Full({6, 9}, std::nan(""));
  wide.Narrow(1, 2, 4).CopyFrom(x);
  EXPECT_EQ(SoftmaxCrossEntropy(wide.Narrow(1, 2, 4), even).item<float>(), expected);
}

TEST(SoftmaxCrossEntropyTest, Errors) {
  const Tensor x = Tensor::Ones({2, 3});
  const auto labels = [](std::vector<int64_t> values) { return Tensor::FromVector(values); };
  EXPECT_THAT(ThrownMessage([&] {
                SoftmaxCrossEntropy(Tensor::Ones({0, 3}), labels({}));
              }),
              HasSubstr("[softmax_cross_entropy] the batch is empty: [0,3]"));
  EXPECT_THAT(ThrownMessage([&] { SoftmaxCrossEntropy(Tensor::Ones({3}), labels({1})); }),
              HasSubstr("logits must be [N, classes], not [3]"));
  EXPECT_THAT(ThrownMessage([&] { SoftmaxCrossEntropy(x, labels({1})); }),
              HasSubstr("labels must be [2] for logits [2,3], not [1]"));
  EXPECT_THAT(ThrownMessage([&] { SoftmaxCrossEntropy(x, Tensor::Ones({2})); }),
              HasSubstr("labels must be integers, not float32"));
  EXPECT_THAT(ThrownMessage([&] { SoftmaxCrossEntropy(x, Tensor::Ones({2})); }),
              HasSubstr("losses_test.cc"));
  for (const int64_t bad : {3, -1}) {
    const Variable loss = SoftmaxCrossEntropy(x, labels({0, bad}));  // known when it is computed
    const std::string number = std::to_string(bad);
    EXPECT_THAT(ThrownMessage([&] { loss.value(); }),
                HasSubstr("[softmax_cross_entropy] label " + number +
                          " in row 1 is out of range: there are 3 classes"));
    const Variable definition = SoftmaxCrossEntropy(x.To(DType::kFloat64), labels({0, bad}));
    EXPECT_THAT(ThrownMessage([&] { definition.value(); }),
                HasSubstr("index " + number + " at [1] is out of range: there are 3 entries"));
  }
  EXPECT_THAT(ThrownMessage([&] {
                SoftmaxCrossEntropyRows(x, Tensor::Ones({2, 2}));
              }),
              HasSubstr("[softmax_cross_entropy_rows] logits [2,3] and targets [2,2] differ"));
}

TEST(SoftmaxCrossEntropyRowsTest, OneHotRowsAreLabels) {
  for (const DType dtype : kBothFloats) {
    const Variable x = DifferentiableLeaf(Values({40, 11}, dtype));
    const Tensor labels = Labels(40, 11);
    const Variable rows = SoftmaxCrossEntropyRows(x, OneHot(labels, 11, dtype));
    const Variable loss = SoftmaxCrossEntropy(x, labels);
    const double tolerance = dtype == DType::kFloat32 ? 1e-6 : 1e-13;
    EXPECT_NEAR(rows.item<double>(), loss.item<double>(), tolerance);
    ExpectNear(Grad(rows, x).value(), Grad(loss, x).value(), 0.1 * tolerance);
  }
}

TEST(SoftmaxCrossEntropyRowsTest, SoftTargets) {
  // One row: -sum t_i log p_i; d x = p sum(t) - t; d t = -log p.
  const std::vector<double> p = {0.09003057317038046, 0.24472847105479764, 0.6652409557748218};
  const std::vector<double> t = {0.5, 0.25, 0.75};
  const double expected =
      0.5 * 2.4076059644443806 + 0.25 * 1.4076059644443806 + 0.75 * 0.4076059644443806;
  for (const DType dtype : kBothFloats) {
    const double tolerance = dtype == DType::kFloat32 ? 5e-7 : 1e-14;
    const Variable x =
        DifferentiableLeaf(Tensor::FromVector(std::vector<double>{1, 2, 3}, {1, 3}).To(dtype));
    const Tensor targets = Tensor::FromVector(t, {1, 3}).To(dtype);
    const Variable target_leaf = DifferentiableLeaf(targets);
    for (const Variable& given : {Variable(targets), target_leaf}) {
      const Variable loss = SoftmaxCrossEntropyRows(x, given);
      EXPECT_NEAR(loss.item<double>(), expected, tolerance);
      const std::vector<double> dx = Grad(loss, x).value().ToVector<double>();
      for (int i = 0; i < 3; ++i) EXPECT_NEAR(dx[i], p[i] * 1.5 - t[i], tolerance);
    }
    const std::vector<double> dt =
        Grad(SoftmaxCrossEntropyRows(x, target_leaf), target_leaf).value().ToVector<double>();
    for (int i = 0; i < 3; ++i) EXPECT_NEAR(dt[i], -std::log(p[i]), 2 * tolerance);
  }
}

TEST(SoftmaxCrossEntropyTest, KernelsAgreeWithTheDefinition) {
  for (const Shape& shape : {Shape{1, 1}, {3, 2}, {33, 10}, {7, 40}, {2, 3000}}) {
    const Variable x = DifferentiableLeaf(Values(shape, DType::kFloat32));
    const Tensor labels = Labels(shape[0], shape[1]);
    const Tensor targets = Values(shape, DType::kFloat32, 0, 1);
    const auto both = [&](const std::function<Variable()>& f) {
      const Variable fused = f();
      const Tensor fused_gradient = Grad(fused, x).value();
      const EagerGuard eager(true);
      const Variable plain = f();
      EXPECT_NE(fused.node()->op, plain.node()->op);  // or nothing is compared
      EXPECT_NEAR(fused.item<float>(), plain.item<float>(),
                  1e-5 * std::abs(plain.item<float>()) + 1e-7);
      ExpectNear(fused_gradient, Grad(plain, x).value(), 1e-6);
    };
    both([&] { return SoftmaxCrossEntropy(x, labels); });
    both([&] { return SoftmaxCrossEntropyRows(x, targets); });
  }
}

TEST(SoftmaxCrossEntropyTest, SameBitsForAnyNumberOfThreads) {
  const int threads = NumThreads();
  const Variable x = DifferentiableLeaf(Values({5000, 37}, DType::kFloat32));
  const Tensor labels = Labels(5000, 37), targets = Values({5000, 37}, DType::kFloat32, 0, 1);
  std::vector<Tensor> expected;
  for (const int many : {1, 2, 3, 8}) {
    SetNumThreads(many);
    std::vector<Tensor> got;
    for (const Variable& loss :
         {SoftmaxCrossEntropy(x, labels), SoftmaxCrossEntropyRows(x, targets)}) {
      got.push_back(loss.value());
      got.push_back(Grad(loss, x).value());
    }
    if (many == 1) expected = got;
    for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(BitwiseEqual(got[i], expected[i])) << i;
  }
  // The lowest bad row is named, whoever finds one first.
  Tensor bad = labels.Clone();
  bad.Narrow(0, 100, 4900).Fill(99);
  for (const int many : {1, 8}) {
    SetNumThreads(many);
    EXPECT_THAT(ThrownMessage([&] { SoftmaxCrossEntropy(x, bad).value(); }),
                HasSubstr("label 99 in row 100 "));
  }
  SetNumThreads(threads);
}

TEST(MeanSquaredErrorTest, ValueGradientAndErrors) {
  const Variable a = DifferentiableLeaf(Tensor::FromVector(std::vector<float>{1, 2, 3, 4}, {2, 2}));
  const Tensor b = Tensor::FromVector(std::vector<float>{1, 0, 0, 1}, {2, 2});
  const Variable loss = MeanSquaredError(a, b);
  EXPECT_EQ(loss.item<float>(), 5.5f);  // (0 + 4 + 9 + 9) / 4
  EXPECT_THAT(Grad(loss, a).value().ToVector<float>(), testing::ElementsAre(0, 1, 1.5, 1.5));
  EXPECT_THAT(ThrownMessage([&] { MeanSquaredError(a, Tensor::Ones({2})); }),
              HasSubstr("[mean_squared_error] prediction [2,2] and target [2] differ"));
  EXPECT_THAT(ThrownMessage([&] { MeanSquaredError(Tensor::Ones({0}), Tensor::Ones({0})); }),
              HasSubstr("[mean_squared_error] the batch is empty: [0]"));
}

}  // namespace
}  // namespace wengert
