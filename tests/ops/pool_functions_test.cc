// Pooling of sequences, adaptive and global pooling: against loops, closed forms, errors.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/ops/kernel_test.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class Random : public RandomIntegers {
 public:
  using RandomIntegers::RandomIntegers;
  Tensor Integers(const Shape& shape) {
    std::vector<double> values(NumElements(shape));
    for (double& value : values) value = static_cast<double>(Int(-50, 50));
    return Tensor::FromVector(values, shape);
  }
};

void ExpectNear(const Variable& actual, const std::vector<double>& expected) {
  const std::vector<double> values = actual.value().ToVector<double>();
  ASSERT_EQ(values.size(), expected.size());
  const double tolerance = actual.dtype() == DType::kFloat32 ? 1e-4 : 1e-12;
  for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], expected[i], tolerance) << i;
}

TEST(Pool1dTest, RandomGeometriesMatchLoops) {
  Random random(1);
  for (int trial = 0; trial < 100 && !testing::Test::HasFatalFailure(); ++trial) {
    Pool2dOptions o{.window = random.Int(1, 4), .stride = random.Int(0, 3)};
    const int64_t stride = o.stride == 0 ? o.window : o.stride;
    const int64_t n = random.Int(1, 2), channels = random.Int(1, 9);
    int64_t t = random.Int(1, 12), before = 0, after = 0, steps;
    if (random.Int(0, 2) == 0) {
      o.padding = Padding::Same();
      steps = (t + stride - 1) / stride;
      before = std::max<int64_t>((steps - 1) * stride + o.window - t, 0) / 2;
    } else {
      if (random.Int(0, 1) == 0) {
        before = random.Int(0, o.window - 1), after = random.Int(0, o.window - 1);
        o.padding = Padding::Steps(before, after);
      }
      t = std::max(t, o.window - before - after);
      steps = (t + before + after - o.window) / stride + 1;
    }
    const Tensor x = random.Integers({n, t, channels});
    std::vector<double> maxima, means;
    for (int64_t b = 0; b < n; ++b) {
      for (int64_t s = 0; s < steps; ++s) {
        for (int64_t c = 0; c < channels; ++c) {
          std::vector<double> values;
          for (int64_t i = s * stride - before; i < s * stride - before + o.window; ++i) {
            if (i >= 0 && i < t) values.push_back(x.at<double>({b, i, c}));
          }
          double sum = 0;
          for (const double value : values) sum += value;
          maxima.push_back(*std::max_element(values.begin(), values.end()));
          means.push_back(sum / static_cast<double>(values.size()));
        }
      }
    }
    for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
      ASSERT_EQ(MaxPool1d(x.To(dtype), o).shape(), Shape({n, steps, channels}));
      ExpectNear(MaxPool1d(x.To(dtype), o), maxima);
      ExpectNear(AvgPool1d(x.To(dtype), o), means);
    }
  }
}

TEST(AdaptivePool2dTest, MatchesLoops) {
  Random random(2);
  for (int trial = 0; trial < 100 && !testing::Test::HasFatalFailure(); ++trial) {
    const Shape in{random.Int(1, 2), random.Int(1, 30), random.Int(1, 9), random.Int(1, 19)};
    const int64_t height = random.Int(1, 6), width = random.Int(1, 12);
    const Tensor x = random.Integers(in);
    std::vector<double> maxima, means, dx(x.size());
    for (int64_t n = 0; n < in[0]; ++n) {
      for (int64_t oh = 0; oh < height; ++oh) {
        for (int64_t ow = 0; ow < width; ++ow) {
          for (int64_t c = 0; c < in[3]; ++c) {
            // PyTorch's documentation: from floor(i in / out) to ceil((i + 1) in / out).
            const auto start = [](int64_t i, int64_t in, int64_t out) { return i * in / out; };
            const auto end = [](int64_t i, int64_t in, int64_t out) {
              return static_cast<int64_t>(
                  std::ceil(static_cast<double>((i + 1) * in) / static_cast<double>(out)));
            };
            double sum = 0, max = -1000;
            int64_t winner = 0, count = 0;
            for (int64_t h = start(oh, in[1], height); h < end(oh, in[1], height); ++h) {
              for (int64_t w = start(ow, in[2], width); w < end(ow, in[2], width); ++w) {
                const double value = x.at<double>({n, h, w, c});
                sum += value, ++count;
                if (value > max) {
                  max = value;
                  winner = ((n * in[1] + h) * in[2] + w) * in[3] + c;
                }
              }
            }
            maxima.push_back(max);
            means.push_back(sum / static_cast<double>(count));
            dx[winner] += 1;
          }
        }
      }
    }
    for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
      const Variable leaf = DifferentiableLeaf(x.To(dtype));
      const Variable y = AdaptiveMaxPool2d(leaf, height, width);
      ASSERT_EQ(y.shape(), Shape({in[0], height, width, in[3]}));
      ExpectNear(y, maxima);
      ExpectNear(Grad(y, leaf, {.cotangents = {Tensor::Ones(y.shape(), dtype)}}), dx);
      ExpectNear(AdaptiveAvgPool2d(leaf, height, width), means);
    }
  }
}

TEST(AdaptivePool2dTest, ByHand) {
  const Tensor x = Tensor::FromVector<float>({1, 2, 3, 4, 5}, {1, 1, 5, 1});
  EXPECT_THAT(AdaptiveAvgPool2d(x, 1, 3).value().ToVector<float>(), ElementsAre(1.5, 3, 4.5));
  EXPECT_THAT(AdaptiveMaxPool2d(x, 1, 3).value().ToVector<float>(), ElementsAre(2, 4, 5));
  EXPECT_THAT(AdaptiveMaxPool2d(x, 2, 1).value().ToVector<float>(), ElementsAre(5, 5));
}

TEST(GlobalPoolTest, AreReductionsOverPixels) {
  const Tensor x = Tensor::FromVector<float>({1, 8, 2, 7, 3, 6, 6, 3}, {1, 2, 2, 2});
  EXPECT_THAT(GlobalMaxPool2d(x).value().ToVector<float>(), ElementsAre(6, 8));
  EXPECT_THAT(GlobalAvgPool2d(x).value().ToVector<float>(), ElementsAre(3, 6));
  EXPECT_EQ(GlobalAvgPool2d(x, kKeepDims).value().shape(), Shape({1, 1, 1, 2}));
  const Tensor steps = x.Reshape({1, 4, 2});
  EXPECT_THAT(GlobalMaxPool1d(steps).value().ToVector<float>(), ElementsAre(6, 8));
  EXPECT_THAT(GlobalAvgPool1d(steps).value().ToVector<float>(), ElementsAre(3, 6));
  EXPECT_EQ(GlobalMaxPool1d(steps, kKeepDims).value().shape(), Shape({1, 1, 2}));
  EXPECT_EQ(GlobalAvgPool2d(Tensor::Ones({1, 2, 2, 1}, DType::kInt64)).dtype(), DType::kFloat32);
  EXPECT_EQ(GlobalMaxPool2d(Tensor::Ones({0, 2, 2, 3})).value().shape(), Shape({0, 3}));
}

TEST(PoolFunctionsTest, NanReachesItsWindowsAlone) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor x = Tensor::FromVector<double>({nan, 2, 3, 4}, {1, 4, 1});
  for (const auto& pool : {&MaxPool1d, &AvgPool1d}) {
    const std::vector<double> y = pool(x, {}, SourceLocation::current()).value().ToVector<double>();
    EXPECT_TRUE(std::isnan(y[0]));
    EXPECT_FALSE(std::isnan(y[1]));
  }
  EXPECT_TRUE(std::isnan(GlobalMaxPool1d(x).value().ToVector<double>()[0]));
}

TEST(PoolFunctionsTest, DerivativesAreRightToSecondOrder) {
  Random random(3);
  const auto check = [&](const Function& f, const Shape& shape) {
    // Distinct, so that no step of the differences makes another element win.
    const Tensor x = Tensor::Arange(0, static_cast<double>(NumElements(shape)), 1, DType::kFloat64)
                         .Reshape(shape);
    const GradientReport report = CheckGradients(f, {{x}});
    EXPECT_TRUE(report.ok) << report.text;
  };
  check([](VariableSpan x) { return Square(MaxPool1d(x[0], {.window = 3, .stride = 2})); },
        {2, 7, 2});
  check([](VariableSpan x) { return Square(AvgPool1d(x[0], {.padding = Padding::Same()})); },
        {2, 5, 2});
  check([](VariableSpan x) { return Square(AdaptiveMaxPool2d(x[0], 2, 3)); }, {1, 5, 4, 2});
  check([](VariableSpan x) { return Square(AdaptiveAvgPool2d(x[0], 3, 2)); }, {1, 5, 4, 2});
  check([](VariableSpan x) { return Square(GlobalMaxPool2d(x[0])); }, {2, 3, 2, 2});
  check([](VariableSpan x) { return Square(GlobalAvgPool1d(x[0])); }, {2, 3, 2});
}

TEST(PoolFunctionsTest, Errors) {
  const auto text = [](absl::FunctionRef<Variable(const Tensor&)> f, const Shape& shape) {
    const std::string message = ThrownMessage([&] { f(Tensor::Zeros(shape)); });
    EXPECT_THAT(message, HasSubstr("pool_functions_test.cc:"));
    return message;
  };
  EXPECT_THAT(text([](const Tensor& x) { return MaxPool1d(x); }, {4, 4}),
              StartsWith("[max_pool1d] x [4,4] is not [N, T, C] ("));
  EXPECT_THAT(text([](const Tensor& x) { return AvgPool1d(x, {.window = 5}); }, {1, 4, 2}),
              StartsWith("[avg_pool1d] window 5 larger than padded input [1,4,2] ("));
  EXPECT_THAT(
      text([](const Tensor& x) { return AvgPool1d(x, {.padding = Padding::Causal()}); }, {1, 4, 2}),
      StartsWith("[avg_pool1d] causal padding is for conv1d alone ("));
  EXPECT_THAT(text([](const Tensor& x) { return AdaptiveAvgPool2d(x, 2, 2); }, {4, 4}),
              StartsWith("[adaptive_avg_pool2d] x [4,4] is not [N, H, W, C] ("));
  EXPECT_THAT(text([](const Tensor& x) { return AdaptiveMaxPool2d(x, 2, 2); }, {1, 0, 4, 1}),
              StartsWith("[adaptive_max_pool2d] x [1,0,4,1] has no pixels ("));
  EXPECT_THAT(text([](const Tensor& x) { return AdaptiveMaxPool2d(x, 2, 0); }, {1, 4, 4, 1}),
              StartsWith("[adaptive_max_pool2d] height 2 and width 0 are not in [1, 2^31] ("));
  EXPECT_THAT(text([](const Tensor& x) { return AdaptiveMaxPool2d(x, 1, 1); }, {1, 1, 5000, 1}),
              StartsWith("[adaptive_max_pool2d] windows of up to 5000 pixels a side, beyond 4096"));
  EXPECT_THAT(text([](const Tensor& x) { return GlobalMaxPool2d(x); }, {4, 4, 1}),
              StartsWith("[global_max_pool2d] x [4,4,1] is not [N, H, W, C] ("));
  EXPECT_THAT(text([](const Tensor& x) { return GlobalAvgPool1d(x); }, {4, 0, 1}),
              StartsWith("[global_avg_pool1d] x [4,0,1] has no steps ("));
}

}  // namespace
}  // namespace wengert
