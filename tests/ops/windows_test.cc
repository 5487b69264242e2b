// Unfold and Fold: values against loops and against Conv2d, gradients, errors.
#include <cstdint>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor Counted(const Shape& shape, DType dtype = DType::kFloat32) {
  return Tensor::Arange(1, static_cast<double>(NumElements(shape) + 1), 1, dtype).Reshape(shape);
}

Tensor Uneven(const Shape& shape) {
  std::vector<double> values(NumElements(shape));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 37 % 101) / 50 - 1;
  return Tensor::FromVector(values, shape);
}

struct WindowCase {
  Shape x;
  UnfoldOptions options;
  int64_t top = 0, left = 0;  // the padding that it means
};

std::vector<WindowCase> WindowCases() {
  const Padding same = Padding::Same();
  return {
      {{2, 3, 4, 3}, {}},
      {{2, 5, 6, 2}, {.window_h = 3, .window_w = 2}},
      {{1, 7, 8, 3}, {.window_h = 2, .window_w = 3, .stride = 3}},
      {{2, 7, 9, 1}, {.window_h = 3, .window_w = 3, .stride = 2, .dilation = 2}},
      {{1, 4, 5, 5}, {.window_h = 3, .window_w = 4, .padding = same}, 1, 1},
      {{1, 6, 5, 2}, {.window_h = 3, .window_w = 3, .stride = 2, .padding = same}, 0, 1},
      {{1, 3, 4, 1},
       {.window_h = 3, .window_w = 3, .padding = {Padding::kExplicit, 2, 0, 1, 3}},
       2,
       0},
      {{3, 40, 37, 16}, {.window_h = 3, .window_w = 3, .padding = Padding::Pixels(1)}, 1, 1},
      {{0, 4, 4, 2}, {.window_h = 2, .window_w = 2}},
  };
}

// Element (kh, kw, c) of the window at (oh, ow): of the pixel there, 0 outside.
double Expected(const Tensor& x, const WindowCase& of, const Shape& y, int64_t i) {
  const UnfoldOptions& o = of.options;
  const int64_t channels = x.dim(3), in_row = i % y[3], place = i / y[3];
  const int64_t c = in_row % channels, tap = in_row / channels;
  const int64_t h = place / y[2] % y[1] * o.stride + tap / o.window_w * o.dilation - of.top;
  const int64_t w = place % y[2] * o.stride + tap % o.window_w * o.dilation - of.left;
  if (h < 0 || h >= x.dim(1) || w < 0 || w >= x.dim(2)) return 0;
  return x.at<double>({place / y[2] / y[1], h, w, c});
}

TEST(UnfoldTest, AgreesWithLoops) {
  for (const DType dtype : {DType::kUInt8, DType::kInt32, DType::kFloat32, DType::kFloat64}) {
    for (const WindowCase& of : WindowCases()) {
      const Tensor x = Counted(of.x, dtype);
      const Variable y = Unfold(x, of.options);
      ASSERT_EQ(y.dtype(), dtype);
      const std::vector<double> got = y.value().ToVector<double>();
      for (int64_t i = 0; i < y.size(); ++i) {
        ASSERT_EQ(got[i], Expected(x, of, y.shape(), i)) << ToString(of.x) << ' ' << i;
      }
    }
  }
  EXPECT_THAT(Unfold(Counted({1, 2, 3, 1}), {.window_h = 2, .window_w = 2}).value().ToVector<int>(),
              ElementsAre(1, 2, 4, 5, 2, 3, 5, 6));
  EXPECT_THAT(
      Unfold(Tensor::Ones({1, 1, 1, 1}, DType::kBool), {.window_w = 2, .padding = Padding::Same()})
          .value()
          .ToVector<bool>(),
      ElementsAre(true, false));
}

// Fold adds each element at the place that Unfold reads it from.
TEST(FoldTest, AgreesWithLoops) {
  for (const DType dtype : {DType::kUInt8, DType::kInt64, DType::kFloat32, DType::kFloat64}) {
    for (const WindowCase& of : WindowCases()) {
      // Element i of x holds i + 1, so the windows say which elements they hold.
      const Tensor places = Unfold(Counted(of.x, DType::kInt64), of.options).value();
      const Tensor windows = Counted(places.shape(), dtype);
      const Tensor y = Fold(windows, of.x[1], of.x[2], of.options).value();
      ASSERT_EQ(y.shape(), of.x);
      std::vector<int64_t> expected(y.size() + 1, 0);
      const std::vector<int64_t> at = places.ToVector<int64_t>(), in = windows.ToVector<int64_t>();
      for (size_t i = 0; i < at.size(); ++i) expected[at[i]] += in[i];
      expected.erase(expected.begin());  // what lies in the padding
      if (dtype == DType::kUInt8) {
        for (int64_t& v : expected) v &= 255;
      }
      ASSERT_EQ(y.ToVector<int64_t>(), expected) << ToString(of.x);
    }
  }
}

TEST(UnfoldTest, IsWhatConv2dMultiplies) {
  for (const WindowCase& of : WindowCases()) {
    const UnfoldOptions& o = of.options;
    const Tensor x = Uneven(of.x), kernel = Uneven({o.window_h, o.window_w, of.x[3], 4});
    const Tensor expected =
        Conv2d(x, kernel, {.stride = o.stride, .dilation = o.dilation, .padding = o.padding})
            .value();
    const Tensor product = MatMul(Unfold(x, o), Reshape(kernel, {-1, 4})).value();
    ASSERT_EQ(product.shape(), expected.shape());
    const std::vector<double> a = product.ToVector<double>(), b = expected.ToVector<double>();
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-12);
  }
}

TEST(UnfoldTest, ReadsViews) {
  const Tensor x = Uneven({2, 4, 5, 3}).Permute({0, 2, 3, 1}).Flip(1);
  const UnfoldOptions options{.window_h = 2, .window_w = 3};
  EXPECT_TRUE(BitwiseEqual(Unfold(x, options).value(), Unfold(x.Clone(), options).value()));
}

TEST(UnfoldTest, Gradients) {
  const UnfoldOptions options{
      .window_h = 3, .window_w = 2, .stride = 2, .dilation = 2, .padding = Padding::Pixels(1)};
  const Tensor x = Uneven({2, 6, 5, 2});
  GradientReport report =
      CheckGradients([&](VariableSpan v) { return Exp(Unfold(v[0], options)); }, {x});
  EXPECT_TRUE(report.ok) << report.text;
  const Tensor windows = Uneven(Unfold(x, options).shape());
  report =
      CheckGradients([&](VariableSpan v) { return Exp(Fold(v[0], 6, 5, options)); }, {windows});
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(UnfoldTest, SameBitsForAnyNumberOfThreads) {
  const int threads = NumThreads();
  const Tensor x = Uneven({3, 40, 37, 16}).To(DType::kFloat32);
  const UnfoldOptions options{.window_h = 3, .window_w = 3, .padding = Padding::Same()};
  Tensor expected;
  for (const int many : {1, 2, 3, 8}) {
    SetNumThreads(many);
    const Tensor y = Fold(Unfold(x, options) * 0.3, 40, 37, options).value();
    if (many == 1) expected = y;
    EXPECT_TRUE(BitwiseEqual(y, expected));
  }
  SetNumThreads(threads);
}

TEST(UnfoldTest, Errors) {
  const Tensor x = Counted({2, 4, 5, 3});
  const auto unfold = [&](UnfoldOptions options) {
    return ThrownMessage([&] { Unfold(x, options); });
  };
  EXPECT_THAT(ThrownMessage([&] {
                Unfold(Counted({4, 5, 3}), {});
              }),
              HasSubstr("[unfold] x [4,5,3] is not [N, H, W, C] (tests/ops/windows_test.cc"));
  EXPECT_THAT(unfold({.window_h = 0}), HasSubstr("[unfold] window height 0 is not in [1, 32768]"));
  EXPECT_THAT(unfold({.window_w = 40000}), HasSubstr("window width 40000"));
  EXPECT_THAT(unfold({.stride = 0}), HasSubstr("stride 0 is not in [1, 2147483648]"));
  EXPECT_THAT(unfold({.dilation = -1}), HasSubstr("dilation -1"));
  EXPECT_THAT(unfold({.padding = Padding::Pixels(-1)}), HasSubstr("padding -1"));
  EXPECT_THAT(unfold({.window_h = 3, .window_w = 2, .dilation = 2}),
              HasSubstr("[unfold] windows of 5 x 3 pixels are larger than the padded [2,4,5,3]"));
  EXPECT_THAT(ThrownMessage([&] { Unfold(x, {.padding = Padding::Causal()}); }),
              HasSubstr("causal padding is for conv1d alone"));
  EXPECT_THAT(ThrownMessage([&] { Fold(x, 4, 5, {.window_w = 2}); }),
              HasSubstr("[fold] [2,4,5,C] has windows [2,4,4,2 * C], not [2,4,5,3]"));
  EXPECT_THAT(ThrownMessage([&] { Fold(Counted({2}), 4, 5, {}); }),
              HasSubstr("[fold] the windows [2] are not [N, H', W', window_h * window_w * C]"));
  EXPECT_THAT(ThrownMessage([&] { Fold(x, -4, 5, {}); }), HasSubstr("[fold] image height -4"));
  EXPECT_THAT(ThrownMessage([&] {
                Fold(Tensor::Zeros({1, 1, 1, 1}, DType::kBool), 1, 1, {});
              }),
              HasSubstr("[fold] bools cannot be added up"));
}

}  // namespace
}  // namespace wengert
