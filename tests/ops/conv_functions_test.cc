// Conv1d, DepthwiseConv2d and the transposed convolutions: against loops, closed forms, adjoints,
// derivatives, errors.
#include <cmath>
#include <cstdint>
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
  // Small integers: every sum of products is exact, in float32 too.
  Tensor Values(const Shape& shape) {
    std::vector<double> values(NumElements(shape));
    for (double& value : values) value = static_cast<double>(Int(-9, 9));
    return Tensor::FromVector(values, shape);
  }
};

// Both dtypes give exactly these values.
template <class F>
void ExpectValues(F f, const Tensor& x, const Tensor& kernel, const Shape& shape,
                  const std::vector<double>& expected) {
  for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
    const Tensor y = f(x.To(dtype), kernel.To(dtype)).value();
    ASSERT_EQ(y.dtype(), dtype);
    ASSERT_EQ(y.shape(), shape);
    ASSERT_EQ(y.ToVector<double>(), expected);
  }
}

TEST(Conv1dTest, RandomGeometriesMatchLoops) {
  Random random(1);
  for (int trial = 0; trial < 120 && !testing::Test::HasFatalFailure(); ++trial) {
    Conv2dOptions o{
        .stride = random.Int(1, 3), .dilation = random.Int(1, 3), .groups = random.Int(1, 3)};
    const int64_t k = random.Int(1, 4), in = random.Int(1, 3), out = random.Int(1, 4);
    const int64_t span = (k - 1) * o.dilation + 1, n = random.Int(1, 3);
    int64_t t = random.Int(1, 12), before = 0, after = 0, steps;
    switch (random.Int(0, 3)) {
      case 0:
        o.padding = Padding::Same();
        steps = (t + o.stride - 1) / o.stride;
        before = std::max<int64_t>((steps - 1) * o.stride + span - t, 0) / 2;
        break;
      case 1:
        o.padding = Padding::Causal();
        steps = (t + o.stride - 1) / o.stride;
        before = span - 1;
        break;
      case 2:
        before = random.Int(0, 3), after = random.Int(0, 3);
        o.padding = Padding::Steps(before, after);
        [[fallthrough]];
      default:
        t = std::max(t, span - before - after);
        steps = (t + before + after - span) / o.stride + 1;
    }
    const Tensor x = random.Values({n, t, in * o.groups});
    const Tensor kernel = random.Values({k, in, out * o.groups});
    std::vector<double> expected;
    for (int64_t b = 0; b < n; ++b) {
      for (int64_t s = 0; s < steps; ++s) {
        for (int64_t c = 0; c < out * o.groups; ++c) {
          double sum = 0;
          for (int64_t i = 0; i < k; ++i) {
            const int64_t at = s * o.stride + i * o.dilation - before;
            for (int64_t j = 0; at >= 0 && at < t && j < in; ++j) {
              sum += x.at<double>({b, at, c / out * in + j}) * kernel.at<double>({i, j, c});
            }
          }
          expected.push_back(sum);
        }
      }
    }
    SCOPED_TRACE(testing::Message() << "trial " << trial);
    ExpectValues([&](const Variable& x, const Variable& w) { return Conv1d(x, w, o); }, x, kernel,
                 {n, steps, out * o.groups}, expected);
  }
}

TEST(Conv1dTest, CausalOutputsSeeNoLaterStep) {
  const Tensor x = Tensor::FromVector<float>({1, 2, 3, 4}, {1, 4, 1});
  const Tensor kernel = Tensor::FromVector<float>({100, 10, 1}, {3, 1, 1});
  const auto run = [&](const Conv2dOptions& options) {
    return Conv1d(x, kernel, options).value().ToVector<float>();
  };
  const Padding causal = Padding::Causal();
  EXPECT_THAT(run({.padding = causal}), ElementsAre(1, 12, 123, 234));
  EXPECT_THAT(run({.dilation = 2, .padding = causal}), ElementsAre(1, 2, 13, 24));
  EXPECT_THAT(run({.stride = 2, .padding = causal}), ElementsAre(1, 123));
  EXPECT_EQ(Conv1d(Tensor::Zeros({2, 0, 1}), kernel, {.padding = causal}).value().shape(),
            Shape({2, 0, 1}));
}

TEST(DepthwiseConv2dTest, MatchesLoops) {
  Random random(2);
  for (int trial = 0; trial < 60 && !testing::Test::HasFatalFailure(); ++trial) {
    const int64_t stride = random.Int(1, 2), dilation = random.Int(1, 2), pad = random.Int(0, 2);
    const Conv2dOptions o{.stride = stride, .dilation = dilation, .padding = Padding::Pixels(pad)};
    const int64_t kh = random.Int(1, 3), kw = random.Int(1, 3), multiplier = random.Int(1, 3);
    const Shape in{random.Int(1, 2), random.Int(5, 8), random.Int(5, 8), random.Int(1, 9)};
    const int64_t out_h = (in[1] + 2 * pad - (kh - 1) * dilation - 1) / stride + 1;
    const int64_t out_w = (in[2] + 2 * pad - (kw - 1) * dilation - 1) / stride + 1;
    const Tensor x = random.Values(in), kernel = random.Values({kh, kw, in[3], multiplier});
    std::vector<double> expected;
    for (int64_t n = 0; n < in[0]; ++n) {
      for (int64_t oh = 0; oh < out_h; ++oh) {
        for (int64_t ow = 0; ow < out_w; ++ow) {
          for (int64_t c = 0; c < in[3]; ++c) {
            for (int64_t m = 0; m < multiplier; ++m) {
              double sum = 0;
              for (int64_t i = 0; i < kh; ++i) {
                for (int64_t j = 0; j < kw; ++j) {
                  const int64_t h = oh * stride + i * dilation - pad;
                  const int64_t w = ow * stride + j * dilation - pad;
                  if (h < 0 || h >= in[1] || w < 0 || w >= in[2]) continue;
                  sum += x.at<double>({n, h, w, c}) * kernel.at<double>({i, j, c, m});
                }
              }
              expected.push_back(sum);
            }
          }
        }
      }
    }
    ExpectValues([&](const Variable& x, const Variable& w) { return DepthwiseConv2d(x, w, o); }, x,
                 kernel, {in[0], out_h, out_w, in[3] * multiplier}, expected);
  }
}

// Each pixel of x adds itself times the kernel to the result, which is cut by the padding.
std::vector<double> Stamps(const Tensor& x, const Tensor& kernel, const ConvTransposeOptions& o,
                           const Shape& y, int64_t top, int64_t left) {
  std::vector<double> result(NumElements(y));
  const Shape &in = x.shape(), &k = kernel.shape();
  const int64_t group_in = in[3] / o.groups;
  for (int64_t n = 0; n < in[0]; ++n) {
    for (int64_t h = 0; h < in[1]; ++h) {
      for (int64_t w = 0; w < in[2]; ++w) {
        for (int64_t c = 0; c < in[3]; ++c) {
          for (int64_t i = 0; i < k[0]; ++i) {
            for (int64_t j = 0; j < k[1]; ++j) {
              const int64_t row = h * o.stride + i * o.dilation - top;
              const int64_t column = w * o.stride + j * o.dilation - left;
              if (row < 0 || row >= y[1] || column < 0 || column >= y[2]) continue;
              for (int64_t out = 0; out < k[2]; ++out) {
                const int64_t channel = c / group_in * k[2] + out;
                result[((n * y[1] + row) * y[2] + column) * y[3] + channel] +=
                    x.at<double>({n, h, w, c}) * kernel.at<double>({i, j, out, c});
              }
            }
          }
        }
      }
    }
  }
  return result;
}

TEST(ConvTranspose2dTest, RandomGeometriesMatchStamps) {
  Random random(3);
  for (int trial = 0; trial < 120 && !testing::Test::HasFatalFailure(); ++trial) {
    ConvTransposeOptions o{
        .stride = random.Int(1, 3), .dilation = random.Int(1, 2), .groups = random.Int(1, 2)};
    const Shape k{random.Int(1, 4), random.Int(1, 4), random.Int(1, 3),
                  o.groups * random.Int(1, 3)};
    const Shape x{random.Int(1, 2), random.Int(2, 5), random.Int(2, 5), k[3]};
    const int64_t span_h = (k[0] - 1) * o.dilation + 1, span_w = (k[1] - 1) * o.dilation + 1;
    Shape y{x[0], 0, 0, k[2] * o.groups};
    int64_t top = 0, left = 0;
    switch (random.Int(0, 2)) {  // as Keras's documentation and PyTorch's say
      case 0:
        y[1] = x[1] * o.stride + std::max<int64_t>(span_h - o.stride, 0);
        y[2] = x[2] * o.stride + std::max<int64_t>(span_w - o.stride, 0);
        break;
      case 1:
        o.padding = Padding::Same();
        y[1] = x[1] * o.stride, y[2] = x[2] * o.stride;
        top = std::max<int64_t>(span_h - o.stride, 0) / 2;
        left = std::max<int64_t>(span_w - o.stride, 0) / 2;
        break;
      default:
        o.output_padding = random.Int(0, o.stride - 1);
        top = random.Int(0, 1), left = random.Int(0, 1);
        const int64_t bottom = random.Int(0, 1), right = random.Int(0, 1);
        o.padding = {Padding::kExplicit, top, left, bottom, right};
        y[1] = (x[1] - 1) * o.stride + span_h - top - bottom + o.output_padding;
        y[2] = (x[2] - 1) * o.stride + span_w - left - right + o.output_padding;
        if (y[1] < 1 || y[2] < 1) continue;
    }
    SCOPED_TRACE(testing::Message() << "trial " << trial);
    const Tensor values = random.Values(x), kernel = random.Values(k);
    ExpectValues([&](const Variable& x, const Variable& w) { return ConvTranspose2d(x, w, o); },
                 values, kernel, y, Stamps(values, kernel, o, y, top, left));
    // One of the kernel's rows, over one row of pixels, is a transposed convolution of sequences.
    if (o.padding.mode == Padding::kExplicit) continue;
    const Tensor line = random.Values({x[0], 1, x[2], x[3]}),
                 weights = random.Values({1, k[1], k[2], k[3]});
    const Shape steps{y[0], y[2], y[3]};
    ExpectValues(
        [&](const Variable& x, const Variable& w) {
          return ConvTranspose1d(Squeeze(x, 1), Squeeze(w, 0), o);
        },
        line, weights, steps, Stamps(line, weights, o, {y[0], 1, y[2], y[3]}, 0, left));
  }
}

TEST(ConvTranspose2dTest, IsTheAdjointOfConv2d) {
  Random random(4);
  const Tensor kernel = random.Values({3, 2, 3, 4});
  for (const Padding& padding : {Padding::Valid(), Padding::Same()}) {
    const Tensor small = random.Values({2, 4, 3, 4});
    const Variable y = ConvTranspose2d(small, kernel, {.stride = 2, .padding = padding});
    const Tensor large = random.Values(y.shape());
    const Variable back = Conv2d(large, kernel, {.stride = 2, .padding = padding});
    ASSERT_EQ(back.shape(), small.shape());
    EXPECT_EQ(Sum(y * large).item<double>(), Sum(back * small).item<double>());
  }
}

// Doubling with a 2 x 2 kernel of ones repeats each pixel.
TEST(ConvTranspose2dTest, OfOnesRepeatsPixels) {
  const Tensor x = Tensor::FromVector<float>({1, 2, 3, 4}, {1, 2, 2, 1});
  const Variable y = ConvTranspose2d(x, Tensor::Ones({2, 2, 1, 1}), {.stride = 2});
  EXPECT_THAT(y.value().ToVector<float>(),
              ElementsAre(1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4));
}

TEST(ConvTransposeTest, OutputPaddingAddsStepsThatNothingReaches) {
  const Tensor x = Tensor::FromVector<float>({1, 2}, {1, 2, 1});
  const Variable y =
      ConvTranspose1d(x, Tensor::Ones({1, 1, 1}),
                      {.stride = 3, .padding = Padding::Pixels(0), .output_padding = 2});
  EXPECT_THAT(y.value().ToVector<float>(), ElementsAre(1, 0, 0, 2, 0, 0));
}

TEST(ConvFunctionsTest, ZeroSizes) {
  const Tensor kernel = Tensor::Ones({3, 3, 2, 4});
  EXPECT_EQ(ConvTranspose2d(Tensor::Zeros({0, 2, 2, 4}), kernel).value().shape(),
            Shape({0, 4, 4, 2}));
  EXPECT_EQ(ConvTranspose2d(Tensor::Zeros({1, 0, 2, 4}), kernel, {.padding = Padding::Same()})
                .value()
                .shape(),
            Shape({1, 0, 2, 2}));
  EXPECT_EQ(ConvTranspose2d(Tensor::Zeros({1, 2, 2, 0}), Tensor::Ones({3, 3, 2, 0}))
                .value()
                .ToVector<float>(),
            std::vector<float>(32));
  EXPECT_EQ(
      DepthwiseConv2d(Tensor::Zeros({0, 4, 4, 2}), Tensor::Ones({3, 3, 2, 2})).value().shape(),
      Shape({0, 2, 2, 4}));
  EXPECT_EQ(Conv1d(Tensor::Zeros({0, 4, 2}), Tensor::Ones({3, 2, 5})).value().shape(),
            Shape({0, 2, 5}));
}

TEST(ConvFunctionsTest, TakeIntegersAsFloat32) {
  const Tensor x = Tensor::Ones({1, 3, 1}, DType::kInt64),
               k = Tensor::Ones({2, 1, 1}, DType::kInt32);
  EXPECT_EQ(Conv1d(x, k).dtype(), DType::kFloat32);
  EXPECT_EQ(ConvTranspose1d(x, k.To(DType::kFloat64)).dtype(), DType::kFloat64);
}

TEST(ConvFunctionsTest, DerivativesAreRightToSecondOrder) {
  Random random(5);
  const auto check = [](const Function& f, const Tensor& x, const Tensor& kernel) {
    const GradientReport report = CheckGradients(f, {{x, kernel}});
    EXPECT_TRUE(report.ok) << report.text;
  };
  check(
      [](VariableSpan x) {
        return Conv1d(x[0], x[1],
                      {.stride = 2, .dilation = 2, .groups = 2, .padding = Padding::Causal()});
      },
      random.Values({2, 6, 4}), random.Values({3, 2, 2}));
  check([](VariableSpan x) { return DepthwiseConv2d(x[0], x[1], {.padding = Padding::Same()}); },
        random.Values({1, 4, 3, 2}), random.Values({3, 2, 2, 3}));
  check(
      [](VariableSpan x) {
        return ConvTranspose2d(x[0], x[1], {.stride = 2, .groups = 2, .padding = Padding::Same()});
      },
      random.Values({1, 3, 2, 4}), random.Values({3, 3, 1, 4}));
  check(
      [](VariableSpan x) {
        return ConvTranspose1d(x[0], x[1],
                               {.stride = 3, .padding = Padding::Steps(1, 0), .output_padding = 1});
      },
      random.Values({2, 3, 2}), random.Values({4, 3, 2}));
}

template <class F, class Options>
std::string ErrorOf(F f, const Shape& x, const Shape& kernel, const Options& options,
                    int line = __builtin_LINE()) {
  const std::string text = ThrownMessage(
      [&] { f(Tensor::Zeros(x), Tensor::Zeros(kernel), options, SourceLocation::current()); });
  EXPECT_THAT(text, HasSubstr("conv_functions_test.cc:")) << line;
  return text;
}

TEST(ConvFunctionsTest, Errors) {
  const Conv2dOptions plain;
  EXPECT_THAT(ErrorOf(&Conv1d, {4, 4, 4, 2}, {3, 2, 1}, plain),
              StartsWith("[conv1d] x [4,4,4,2] is not [N, T, C] ("));
  EXPECT_THAT(ErrorOf(&Conv1d, {4, 4, 2}, {3, 2}, plain),
              StartsWith("[conv1d] kernel [3,2] is not [k, in / groups, out] ("));
  EXPECT_THAT(ErrorOf(&Conv1d, {4, 4, 3}, {3, 2, 1}, plain),
              StartsWith("[conv1d] x [4,4,3] has 3 channels, kernel [3,2,1] takes 2 x 1 group ("));
  EXPECT_THAT(
      ErrorOf(&Conv1d, {4, 4, 2}, {3, 2, 1},
              Conv2dOptions{.dilation = 2, .padding = Padding::Steps(0, 0)}),
      StartsWith("[conv1d] kernel [3,2,1] with dilation 2 larger than padded input [4,4,2] ("));
  EXPECT_THAT(ErrorOf(&Conv1d, {4, 4, 2}, {0, 2, 1}, plain),
              StartsWith("[conv1d] kernel length 0 is not in [1, 2^31]"));
  EXPECT_THAT(
      ErrorOf(&Conv2d, {4, 4, 4, 2}, {3, 3, 2, 1}, Conv2dOptions{.padding = Padding::Causal()}),
      StartsWith("[conv2d] causal padding is for conv1d alone ("));
  EXPECT_THAT(
      ErrorOf(&DepthwiseConv2d, {4, 4, 4, 2}, {3, 3, 3, 1}, plain),
      StartsWith("[depthwise_conv2d] x [4,4,4,2] and kernel [3,3,3,1] are not [N, H, W, in] "
                 "and [kh, kw, in, multiplier] ("));
  EXPECT_THAT(ErrorOf(&DepthwiseConv2d, {4, 4, 4, 2}, {3, 3, 2, 1}, Conv2dOptions{.groups = 2}),
              StartsWith("[depthwise_conv2d] groups 2: each channel is one already ("));

  const auto transpose = [](const Shape& x, const Shape& kernel, const ConvTransposeOptions& o) {
    return ErrorOf(&ConvTranspose2d, x, kernel, o);
  };
  EXPECT_THAT(transpose({4, 4, 2}, {3, 3, 2, 2}, {}),
              StartsWith("[conv_transpose2d] x [4,4,2] is not [N, H, W, C] ("));
  EXPECT_THAT(transpose({4, 4, 4, 2}, {3, 3, 2}, {}),
              StartsWith("[conv_transpose2d] kernel [3,3,2] is not [kh, kw, out / groups, in] ("));
  EXPECT_THAT(
      transpose({4, 4, 4, 2}, {3, 3, 2, 3}, {}),
      StartsWith("[conv_transpose2d] x [4,4,4,2] has 2 channels, kernel [3,3,2,3] takes 3 ("));
  EXPECT_THAT(transpose({4, 4, 4, 2}, {3, 3, 2, 2}, {.stride = 2, .output_padding = 2}),
              StartsWith("[conv_transpose2d] output_padding 2 is not in [0, 1], for stride 2 ("));
  EXPECT_THAT(transpose({4, 4, 4, 2}, {3, 3, 2, 2}, {.stride = 2, .output_padding = 1}),
              StartsWith("[conv_transpose2d] output_padding 1 without explicit padding"));
  EXPECT_THAT(transpose({4, 1, 4, 2}, {3, 3, 2, 2}, {.padding = Padding::Pixels(2)}),
              StartsWith("[conv_transpose2d] padding leaves nothing of the result of x [4,1,4,2] "
                         "and kernel [3,3,2,2]: [4,-1,2,2] ("));
  EXPECT_THAT(transpose({4, 4, 4, 3}, {3, 3, 2, 3}, {.groups = 2}),
              StartsWith("[conv_transpose2d] 2 groups do not divide the 3 inputs of kernel "
                         "[3,3,2,3] ("));
  EXPECT_THAT(transpose({4, 4, 4, 2}, {3, 3, 2, 2}, {.padding = Padding::Causal()}),
              StartsWith("[conv_transpose2d] causal padding is for conv1d alone ("));
}

}  // namespace
}  // namespace wengert
