// Conv2d and its gradients: against loops in double, closed forms, bits, errors.
// clang-format off
#include "ops/kernels/simd_targets.h"
// clang-format on

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
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
  // Exact in float32.
  Tensor Values(const Shape& shape) {
    std::vector<double> values(NumElements(shape));
    for (double& value : values) value = static_cast<double>(Int(-100'000, 100'000)) / 65536;
    return Tensor::FromVector(values, shape);
  }
};

class ConvTest : public testing::Test {
 protected:
  const std::vector<int64_t> targets_ = hwy::SupportedAndGeneratedTargets();
  KernelSettings settings_;
};

// y, dx and dw.
std::vector<Tensor> Convolve(const Tensor& x, const Tensor& kernel, const Tensor& dy,
                             const Conv2dOptions& options) {
  const Variable vx = DifferentiableLeaf(x), vk = DifferentiableLeaf(kernel);
  const Variable y = Conv2d(vx, vk, options);
  const std::vector<Variable> d = Grad({&y, 1}, {{vx, vk}}, {.cotangents = {dy}});
  return {y.value(), d[0].value(), d[1].value()};
}

// The definition, written without the code under test. The output's size comes from dy.
struct Reference {
  Reference(const Tensor& x, const Tensor& kernel, const Tensor& dy, const Conv2dOptions& o,
            int64_t top, int64_t left)
      : y(dy.size()), dx(x.size()), dw(kernel.size()), y_size(y), dx_size(dx), dw_size(dw) {
    const std::vector<double> xs = x.ToVector<double>(), ws = kernel.ToVector<double>();
    const std::vector<double> dys = dy.ToVector<double>();
    const Shape in = x.shape(), k = kernel.shape(), out = dy.shape();
    const int64_t group_out = out[3] / o.groups;
    for (int64_t yi = 0; yi < dy.size(); ++yi) {
      const int64_t c = yi % out[3], ow = yi / out[3] % out[2], oh = yi / out[3] / out[2] % out[1];
      const int64_t n = yi / out[3] / out[2] / out[1];
      for (int64_t wi = c; wi < kernel.size(); wi += k[3]) {
        const int64_t i = wi / k[3] % k[2], kw = wi / k[3] / k[2] % k[1],
                      kh = wi / k[3] / k[2] / k[1];
        const int64_t ih = oh * o.stride + kh * o.dilation - top;
        const int64_t iw = ow * o.stride + kw * o.dilation - left;
        if (ih < 0 || ih >= in[1] || iw < 0 || iw >= in[2]) continue;
        const int64_t xi = ((n * in[1] + ih) * in[2] + iw) * in[3] + c / group_out * k[2] + i;
        y[yi] += xs[xi] * ws[wi], y_size[yi] += std::abs(xs[xi] * ws[wi]);
        dx[xi] += dys[yi] * ws[wi], dx_size[xi] += std::abs(dys[yi] * ws[wi]);
        dw[wi] += dys[yi] * xs[xi], dw_size[wi] += std::abs(dys[yi] * xs[xi]);
      }
    }
  }
  std::vector<double> y, dx, dw, y_size, dx_size, dw_size;  // sizes: sums of absolute terms
};

void ExpectNear(const Tensor& actual, const std::vector<double>& expected,
                const std::vector<double>& size, double tolerance) {
  const std::vector<double> values = actual.ToVector<double>();
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_LE(std::abs(values[i] - expected[i]), tolerance * size[i]) << "at " << i;
  }
}

// Checks value and gradients in float64 and float32; `top` and `left` are the resolved padding.
void Check(const Shape& x_shape, const Shape& kernel_shape, const Shape& y_shape,
           const Conv2dOptions& options, int64_t top, int64_t left, Random& random) {
  SCOPED_TRACE(testing::Message() << ToString(x_shape) << " * " << ToString(kernel_shape) << " -> "
                                  << ToString(y_shape) << " stride " << options.stride
                                  << " dilation " << options.dilation << " groups "
                                  << options.groups << " padding " << top << " " << left);
  const Tensor x = random.Values(x_shape), kernel = random.Values(kernel_shape);
  const Tensor dy = random.Values(y_shape);
  ASSERT_EQ(Conv2d(x, kernel, options).shape(), y_shape);
  const Reference expected(x, kernel, dy, options, top, left);
  for (const auto& [dtype, tolerance] :
       {std::pair{DType::kFloat64, 1e-14}, std::pair{DType::kFloat32, 1e-6}}) {
    const std::vector<Tensor> actual =
        Convolve(x.To(dtype), kernel.To(dtype), dy.To(dtype), options);
    ASSERT_EQ(actual[0].dtype(), dtype);
    ExpectNear(actual[0], expected.y, expected.y_size, tolerance);
    ExpectNear(actual[1], expected.dx, expected.dx_size, tolerance);
    ExpectNear(actual[2], expected.dw, expected.dw_size, tolerance);
  }
}

TEST_F(ConvTest, RandomGeometriesMatchLoops) {
  Random random(1);
  for (int trial = 0; trial < 240 && !HasFatalFailure(); ++trial) {
    Conv2dOptions o{.stride = random.Int(1, 3), .dilation = random.Int(1, 2)};
    if (random.Int(0, 2) == 0) o.groups = random.Int(2, 4);
    const Shape k{random.Int(1, 4), random.Int(1, 4), random.Int(1, 3),
                  o.groups * random.Int(1, 5)};
    Shape x{random.Int(1, 3), random.Int(1, 9), random.Int(1, 9), k[2] * o.groups};
    const int64_t span_h = (k[0] - 1) * o.dilation + 1, span_w = (k[1] - 1) * o.dilation + 1;
    int64_t out_h, out_w, top = 0, left = 0;
    if (random.Int(0, 2) == 0) {  // TensorFlow's documentation of SAME
      o.padding = Padding::Same();
      out_h = (x[1] + o.stride - 1) / o.stride, out_w = (x[2] + o.stride - 1) / o.stride;
      top = std::max<int64_t>((out_h - 1) * o.stride + span_h - x[1], 0) / 2;
      left = std::max<int64_t>((out_w - 1) * o.stride + span_w - x[2], 0) / 2;
    } else {
      int64_t bottom = 0, right = 0;
      if (random.Int(0, 1) == 0) {
        top = random.Int(0, 3), bottom = random.Int(0, 3);
        left = random.Int(0, 3), right = random.Int(0, 3);
        o.padding = {Padding::kExplicit, top, left, bottom, right};
      }
      x[1] = std::max(x[1], span_h - top - bottom), x[2] = std::max(x[2], span_w - left - right);
      out_h = (x[1] + top + bottom - span_h) / o.stride + 1;
      out_w = (x[2] + left + right - span_w) / o.stride + 1;
    }
    Check(x, k, {x[0], out_h, out_w, k[3]}, o, top, left, random);
  }
}

// The direct kernels: every remainder of a row and of a vector, several images a task.
TEST_F(ConvTest, OneChannelMatchesLoops) {
  Random random(2);
  for (int trial = 0; trial < 120 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const Shape k{random.Int(1, 5), random.Int(1, 5), 1, random.Int(8, trial % 8 == 0 ? 100 : 40)};
    const int64_t top = random.Int(0, 2), bottom = random.Int(0, 2);
    const int64_t left = random.Int(0, 2), right = random.Int(0, 2);
    const Shape x{random.Int(1, 4), random.Int(k[0], 9), random.Int(k[1], 20), 1};
    const Shape y{x[0], x[1] + top + bottom - k[0] + 1, x[2] + left + right - k[1] + 1, k[3]};
    Check(x, k, y, {.padding = {Padding::kExplicit, top, left, bottom, right}}, top, left, random);
  }
}

// Large enough for several tasks in each kernel; integers, so that every order of sums is exact.
TEST_F(ConvTest, IntegersAreExactAndBitsDoNotDependOnThreads) {
  Random random(3);
  const struct {
    Shape x, kernel;
    Conv2dOptions options;
  } list[] = {{{37, 28, 28, 1}, {3, 3, 1, 32}, {}},
              {{19, 28, 27, 1}, {5, 5, 1, 20}, {.padding = Padding::Same()}},
              {{21, 13, 13, 16}, {3, 3, 16, 24}, {.padding = Padding::Pixels(1)}},
              {{11, 17, 16, 8}, {3, 3, 4, 16}, {.stride = 2, .groups = 2}}};
  for (const auto& [x_shape, kernel_shape, options] : list) {
    SCOPED_TRACE(ToString(x_shape));
    const auto integers = [&](const Shape& shape) {
      std::vector<float> values(NumElements(shape));
      for (float& value : values) value = static_cast<float>(random.Int(-4, 4));
      return Tensor::FromVector(values, shape);
    };
    const Tensor x = integers(x_shape), kernel = integers(kernel_shape);
    const Shape y_shape = Conv2d(x, kernel, options).shape();
    const Tensor dy = integers(y_shape);
    SetNumThreads(2);
    const std::vector<Tensor> actual = Convolve(x, kernel, dy, options);
    const std::vector<Tensor> expected = Convolve(x.To(DType::kFloat64), kernel.To(DType::kFloat64),
                                                  dy.To(DType::kFloat64), options);
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(BitwiseEqual(actual[i].To(DType::kFloat64), expected[i])) << "result " << i;
    }

    const Tensor fx = random.Values(x_shape).To(DType::kFloat32);
    const Tensor fk = random.Values(kernel_shape).To(DType::kFloat32);
    const Tensor fdy = random.Values(y_shape).To(DType::kFloat32);
    SetNumThreads(1);
    const std::vector<Tensor> serial = Convolve(fx, fk, fdy, options);
    for (const int threads : {2, 3, 8}) {
      SetNumThreads(threads);
      const std::vector<Tensor> parallel = Convolve(fx, fk, fdy, options);
      for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(BitwiseEqual(serial[i], parallel[i])) << "result " << i << ", " << threads;
      }
    }
  }
}

// The kernel [[1, 2], [3, 4]] by hand.
TEST(Conv2dTest, IsCrossCorrelation) {
  const Tensor x = Tensor::FromVector<float>({1, 0, 0, 0, 0, 0, 0, 0, 10}, {1, 3, 3, 1});
  const Tensor kernel = Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2, 1, 1});
  EXPECT_THAT(Conv2d(x, kernel).value().ToVector<float>(), ElementsAre(1, 0, 0, 40));
}

// 4 x 4 in steps of 2 takes one row of padding, at the end: windows start at 0 and 2.
TEST(Conv2dTest, SamePutsOddPaddingAtTheEnd) {
  const Tensor x = Tensor::Arange(0, 16, 1, DType::kFloat32).Reshape({1, 4, 4, 1});
  const Conv2dOptions same{.stride = 2, .padding = Padding::Same()};
  const Variable y = Conv2d(x, Tensor::Ones({3, 3, 1, 1}), same);
  EXPECT_EQ(y.shape(), Shape({1, 2, 2, 1}));
  EXPECT_THAT(y.value().ToVector<float>(), ElementsAre(45, 39, 66, 50));
}

// Ones everywhere: each output counts the pixels under its window.
TEST(Conv2dTest, PaddingIsZero) {
  const Variable y =
      Conv2d(Tensor::Ones({1, 3, 3, 1}), Tensor::Ones({3, 3, 1, 1}), {.padding = Padding::Same()});
  EXPECT_THAT(y.value().ToVector<float>(), ElementsAre(4, 6, 4, 6, 9, 6, 4, 6, 4));
}

// Each gradient differentiates into the other two ops: <dx, u> = <dy, Conv2d(u, kernel)>.
TEST(Conv2dTest, GradientsOfGradients) {
  Random random(4);
  const Conv2dOptions options{.stride = 2, .padding = Padding::Same()};
  const Variable x = DifferentiableLeaf(random.Values({2, 5, 6, 2}));
  const Variable kernel = DifferentiableLeaf(random.Values({3, 2, 2, 3}));
  const Variable y = Conv2d(x, kernel, options);
  const Variable dy = DifferentiableLeaf(random.Values(y.shape()));
  const Variable u = random.Values(x.shape()), v = random.Values(kernel.shape());
  const GradOptions graph{.cotangents = {dy}, .create_graph = true};
  const std::vector<Variable> d = Grad({&y, 1}, {{x, kernel}}, graph);
  const auto near = [](const Variable& a, const Variable& b) {
    const std::vector<double> values = b.value().ToVector<double>();
    ExpectNear(a.value(), values, std::vector<double>(values.size(), 10.0), 1e-13);
  };
  near(Grad(d[0], dy, {.cotangents = {u}}), Conv2d(u, kernel, options));
  near(Grad(d[1], dy, {.cotangents = {v}}), Conv2d(x, v, options));
  // Mixed: d <dx, u> / d kernel is the kernel's gradient at x = u, and likewise for x.
  const Variable at_u = Conv2d(u, kernel, options), at_v = Conv2d(x, v, options);
  near(Grad(d[0], kernel, {.cotangents = {u}}), Grad(at_u, kernel, {.cotangents = {dy}}));
  near(Grad(d[1], x, {.cotangents = {v}}), Grad(at_v, x, {.cotangents = {dy}}));
}

TEST(Conv2dTest, TakesViewsAndOtherDtypes) {
  Random random(5);
  const Tensor nchw = random.Values({2, 3, 5, 4}).To(DType::kFloat32);
  const Tensor x = nchw.Permute({0, 2, 3, 1});
  const Tensor kernel = random.Values({2, 2, 3, 4}).To(DType::kFloat32).Flip(0);
  const Tensor y = Conv2d(x, kernel).value();
  EXPECT_TRUE(BitwiseEqual(y, Conv2d(x.Clone(), kernel.Clone()).value()));
  EXPECT_EQ(Conv2d(x, kernel.To(DType::kFloat64)).dtype(), DType::kFloat64);
  EXPECT_EQ(Conv2d(x.To(DType::kUInt8), kernel).dtype(), DType::kFloat32);
  const Variable integers =
      Conv2d(Tensor::Ones({1, 2, 2, 1}, DType::kInt64), Tensor::Ones({2, 2, 1, 1}, DType::kInt32));
  EXPECT_EQ(integers.dtype(), DType::kFloat32);
  EXPECT_EQ(integers.item<float>(), 4);
}

TEST(Conv2dTest, EmptyBatch) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const int64_t channels : {1, 2}) {
      const Shape kernel{3, 3, channels, 8};
      const std::vector<Tensor> r =
          Convolve(Tensor::Empty({0, 5, 4, channels}, dtype), Tensor::Ones(kernel, dtype),
                   Tensor::Empty({0, 3, 2, 8}, dtype), {});
      EXPECT_EQ(r[0].shape(), Shape({0, 3, 2, 8}));
      EXPECT_EQ(r[1].shape(), Shape({0, 5, 4, channels}));
      EXPECT_TRUE(BitwiseEqual(r[2], Tensor::Zeros(kernel, dtype)));
    }
  }
}

std::string ErrorOf(const Shape& x, const Shape& kernel, const Conv2dOptions& options = {}) {
  const std::string text =
      ThrownMessage([&] { Conv2d(Tensor::Zeros(x), Tensor::Zeros(kernel), options); });
  EXPECT_THAT(text, HasSubstr("conv_test.cc:"));
  return text;
}

TEST(Conv2dTest, Errors) {
  EXPECT_THAT(ErrorOf({32, 28, 28, 3}, {3, 3, 1, 32}),
              StartsWith("[conv2d] x [32,28,28,3] has 3 channels, kernel [3,3,1,32] takes 1 x 1 "
                         "group ("));
  EXPECT_THAT(
      ErrorOf({2, 8, 8, 6}, {3, 3, 2, 4}, {.groups = 2}),
      StartsWith("[conv2d] x [2,8,8,6] has 6 channels, kernel [3,3,2,4] takes 2 x 2 groups"));
  EXPECT_THAT(ErrorOf({2, 8, 8, 6}, {3, 3, 2, 4}, {.groups = 3}),
              StartsWith("[conv2d] 3 groups do not divide the 4 outputs of kernel [3,3,2,4]"));
  EXPECT_THAT(ErrorOf({1, 2, 2, 4}, {3, 3, 4, 4}),
              StartsWith("[conv2d] kernel [3,3,4,4] larger than padded input [1,2,2,4]"));
  EXPECT_THAT(ErrorOf({1, 4, 3, 1}, {3, 3, 1, 1}, {.dilation = 3, .padding = Padding::Pixels(1)}),
              StartsWith("[conv2d] kernel [3,3,1,1] with dilation 3 larger than padded input "
                         "[1,6,5,1]"));
  EXPECT_THAT(ErrorOf({28, 28}, {3, 3, 1, 1}),
              StartsWith("[conv2d] x [28,28] is not [N, H, W, C]"));
  EXPECT_THAT(ErrorOf({1, 4, 4, 1}, {3, 3}),
              StartsWith("[conv2d] kernel [3,3] is not [kh, kw, in / groups, out]"));
  EXPECT_THAT(ErrorOf({1, 4, 4, 1}, {3, 3, 1, 1}, {.stride = 0}),
              StartsWith("[conv2d] stride 0 is not in [1, 2^31]"));
  EXPECT_THAT(ErrorOf({1, 4, 4, 1}, {3, 3, 1, 1}, {.dilation = -1}),
              StartsWith("[conv2d] dilation -1 is not in [1, 2^31]"));
  EXPECT_THAT(ErrorOf({1, 4, 4, 1}, {3, 3, 1, 1}, {.groups = 0}),
              StartsWith("[conv2d] groups 0 is not in [1, 2^31]"));
  EXPECT_THAT(ErrorOf({1, 4, 4, 1}, {3, 3, 1, 1}, {.padding = Padding::Pixels(-1)}),
              StartsWith("[conv2d] padding -1 is not in [0, 2^31]"));
  EXPECT_THAT(ErrorOf({1, 4, 4, 1}, {0, 3, 1, 1}),
              StartsWith("[conv2d] kernel height 0 is not in [1, 2^31]"));
}

}  // namespace
}  // namespace wengert
