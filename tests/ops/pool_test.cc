// MaxPool2d and AvgPool2d: against loops in double, closed forms, ties, NaN, bits, errors.
// clang-format off
#include "ops/kernels/simd_targets.h"
// clang-format on

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
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

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Random : public RandomIntegers {
 public:
  using RandomIntegers::RandomIntegers;
  // Integers: exact in float32, and full of ties.
  Tensor Integers(const Shape& shape, int64_t bound) {
    std::vector<double> values(NumElements(shape));
    for (double& value : values) value = static_cast<double>(Int(-bound, bound));
    return Tensor::FromVector(values, shape);
  }
};

class PoolTest : public testing::Test {
 protected:
  const std::vector<int64_t> targets_ = hwy::SupportedAndGeneratedTargets();
  KernelSettings settings_;
};

using Pool = Variable (*)(const Variable&, const Pool2dOptions&, SourceLocation);

Variable Apply(Pool pool, const Variable& x, const Pool2dOptions& options) {
  return pool(x, options, SourceLocation::current());
}

// y, dx, and the derivative of <dx, u> by dy: the pool's linear map applied to u.
std::vector<Tensor> RunPool(Pool pool, const Tensor& x, const Tensor& dy, const Tensor& u,
                            const Pool2dOptions& options) {
  const Variable vx = DifferentiableLeaf(x), vdy = DifferentiableLeaf(dy);
  const Variable y = Apply(pool, vx, options);
  const Variable dx = Grad(y, vx, {.cotangents = {vdy}, .create_graph = true});
  return {y.value(), dx.value(), Grad(dx, vdy, {.cotangents = {u}}).value()};
}

struct Reference {
  std::vector<double> max, max_dx, max_u, mean, mean_dx, mean_u;
};

// The definition, written without the code under test. The output's size comes from dy.
Reference Loops(const Tensor& x, const Tensor& dy, const Tensor& u, int64_t window, int64_t stride,
                int64_t top, int64_t left) {
  const std::vector<double> xs = x.ToVector<double>(), dys = dy.ToVector<double>();
  const std::vector<double> us = u.ToVector<double>();
  const Shape in = x.shape(), out = dy.shape();
  Reference r;
  r.max_dx.resize(xs.size());
  r.mean_dx.resize(xs.size());
  for (int64_t yi = 0; yi < dy.size(); ++yi) {
    const int64_t c = yi % out[3], ow = yi / out[3] % out[2], oh = yi / out[3] / out[2] % out[1];
    const int64_t n = yi / out[3] / out[2] / out[1];
    std::vector<int64_t> pixels;
    for (int64_t h = oh * stride - top; h < oh * stride - top + window; ++h) {
      for (int64_t w = ow * stride - left; w < ow * stride - left + window; ++w) {
        if (h < 0 || h >= in[1] || w < 0 || w >= in[2]) continue;
        pixels.push_back(((n * in[1] + h) * in[2] + w) * in[3] + c);
      }
    }
    int64_t winner = pixels[0];
    double sum = 0, u_sum = 0;
    for (const int64_t i : pixels) {
      if (std::isnan(xs[winner])) break;
      if (xs[i] > xs[winner] || std::isnan(xs[i])) winner = i;
    }
    const double count = static_cast<double>(pixels.size());
    for (const int64_t i : pixels) {
      sum += xs[i], u_sum += us[i];
      r.mean_dx[i] += dys[yi] / count;
    }
    r.max.push_back(xs[winner]);
    r.max_dx[winner] += dys[yi];
    r.max_u.push_back(us[winner]);
    r.mean.push_back(sum / count);
    r.mean_u.push_back(u_sum / count);
  }
  return r;
}

void ExpectEqual(const Tensor& actual, const std::vector<double>& expected, double tolerance = 0) {
  const std::vector<double> values = actual.ToVector<double>();
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(values[i])) << "at " << i;
    } else if (std::isinf(expected[i])) {
      ASSERT_EQ(values[i], expected[i]) << "at " << i;
    } else {
      ASSERT_LE(std::abs(values[i] - expected[i]), tolerance) << "at " << i;
    }
  }
}

// Maxima exactly; means of integers exactly but for divisions.
void Check(const Tensor& x, const Shape& y_shape, const Pool2dOptions& options, int64_t top,
           int64_t left, Random& random) {
  const int64_t stride = options.stride == 0 ? options.window : options.stride;
  SCOPED_TRACE(testing::Message() << ToString(x.shape()) << " -> " << ToString(y_shape)
                                  << " window " << options.window << " stride " << stride
                                  << " padding " << top << " " << left);
  ASSERT_EQ(MaxPool2d(x, options).shape(), y_shape);
  const Tensor dy = random.Integers(y_shape, 20), u = random.Integers(x.shape(), 20);
  const Reference expected = Loops(x, dy, u, options.window, stride, top, left);
  for (const auto& [dtype, tolerance] :
       {std::pair{DType::kFloat64, 1e-12}, std::pair{DType::kFloat32, 1e-4}}) {
    const Tensor tx = x.To(dtype), tdy = dy.To(dtype), tu = u.To(dtype);
    const std::vector<Tensor> max = RunPool(&MaxPool2d, tx, tdy, tu, options);
    ASSERT_EQ(max[0].dtype(), dtype);
    ExpectEqual(max[0], expected.max);
    ExpectEqual(max[1], expected.max_dx);
    ExpectEqual(max[2], expected.max_u);
    const std::vector<Tensor> mean = RunPool(&AvgPool2d, tx, tdy, tu, options);
    ExpectEqual(mean[0], expected.mean, tolerance);
    ExpectEqual(mean[1], expected.mean_dx, tolerance);
    ExpectEqual(mean[2], expected.mean_u, tolerance);
  }
}

TEST_F(PoolTest, RandomGeometriesMatchLoops) {
  Random random(1);
  for (int trial = 0; trial < 260 && !HasFatalFailure(); ++trial) {
    Pool2dOptions o{.window = trial % 20 == 0 ? random.Int(17, 19) : random.Int(1, 4),
                    .stride = random.Int(0, 4)};
    const int64_t stride = o.stride == 0 ? o.window : o.stride;
    UseTargets(targets_[trial % targets_.size()]);
    Shape x{random.Int(1, 3), random.Int(1, 10), random.Int(1, 10),
            random.Int(0, 1) == 0 ? random.Int(1, 5) : random.Int(15, 40)};
    Shape y = x;
    int64_t top = 0, left = 0, bottom = 0, right = 0;
    if (random.Int(0, 2) == 0) {  // TensorFlow's documentation of SAME
      o.padding = Padding::Same();
      y[1] = (x[1] + stride - 1) / stride, y[2] = (x[2] + stride - 1) / stride;
      top = std::max<int64_t>((y[1] - 1) * stride + o.window - x[1], 0) / 2;
      left = std::max<int64_t>((y[2] - 1) * stride + o.window - x[2], 0) / 2;
    } else {
      if (random.Int(0, 1) == 0) {
        top = random.Int(0, o.window - 1), bottom = random.Int(0, o.window - 1);
        left = random.Int(0, o.window - 1), right = random.Int(0, o.window - 1);
        o.padding = {Padding::kExplicit, top, left, bottom, right};
      }
      x[1] = std::max(x[1], o.window - top - bottom),
      x[2] = std::max(x[2], o.window - left - right);
      y[1] = (x[1] + top + bottom - o.window) / stride + 1;
      y[2] = (x[2] + left + right - o.window) / stride + 1;
    }
    Tensor values = random.Integers(x, 3);
    double* const data = values.mutable_data<double>();
    for (int64_t i = 0; i < values.size(); ++i) {
      if (trial % 3 == 1 && random.Int(0, 9) == 0) data[i] = -kInfinity;
      if (trial % 3 == 2 && random.Int(0, 9) == 0) data[i] = kNan;
    }
    Check(values, y, o, top, left, random);
  }
}

TEST_F(PoolTest, BitsDoNotDependOnThreads) {
  Random random(2);
  for (const Pool2dOptions& options :
       {Pool2dOptions{}, {.window = 3, .stride = 2, .padding = Padding::Same()}}) {
    const Tensor x = random.Integers({13, 26, 27, 20}, 1 << 20).To(DType::kFloat32);
    const Shape y_shape = MaxPool2d(x, options).shape();
    const Tensor dy = random.Integers(y_shape, 1 << 20).To(DType::kFloat32);
    for (const Pool pool : {Pool{&MaxPool2d}, Pool{&AvgPool2d}}) {
      SetNumThreads(1);
      const std::vector<Tensor> serial = RunPool(pool, x, dy, x, options);
      for (const int threads : {2, 3, 8}) {
        SetNumThreads(threads);
        const std::vector<Tensor> parallel = RunPool(pool, x, dy, x, options);
        for (int i = 0; i < 3; ++i) EXPECT_TRUE(BitwiseEqual(serial[i], parallel[i])) << threads;
      }
    }
  }
}

// One channel, 2 x 2 windows over two rows.
std::vector<double> GradientOf(const std::vector<double>& x, const Shape& shape,
                               const Pool2dOptions& options = {}) {
  const Variable v = DifferentiableLeaf(Tensor::FromVector(x, shape));
  const Variable y = MaxPool2d(v, options);
  return Grad(y, v, {.cotangents = {Tensor::Ones(y.shape(), y.dtype())}})
      .value()
      .ToVector<double>();
}

TEST(MaxPool2dTest, TiesGoToTheFirst) {
  EXPECT_THAT(GradientOf({5, 5, 5, 5}, {1, 2, 2, 1}), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(GradientOf({1, 5, 5, 1}, {1, 2, 2, 1}), ElementsAre(0, 1, 0, 0));
  EXPECT_THAT(GradientOf({0.0, -0.0, 0.0, 0.0}, {1, 2, 2, 1}), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(GradientOf({-kInfinity, -kInfinity, -kInfinity, -kInfinity}, {1, 2, 2, 1}),
              ElementsAre(1, 0, 0, 0));
}

TEST(MaxPool2dTest, FirstNanWins) {
  const Tensor x = Tensor::FromVector<double>({kInfinity, kNan, kNan, 3}, {1, 2, 2, 1});
  EXPECT_TRUE(std::isnan(MaxPool2d(x).item<double>()));
  EXPECT_THAT(GradientOf(x.ToVector<double>(), x.shape()), ElementsAre(0, 1, 0, 0));
}

TEST(MaxPool2dTest, PaddingNeverWins) {
  const Tensor x = Tensor::Full({1, 3, 3, 1}, -7);
  const Pool2dOptions same{.window = 3, .stride = 1, .padding = Padding::Same()};
  EXPECT_THAT(MaxPool2d(x, same).value().ToVector<float>(), Each(-7));
  EXPECT_THAT(AvgPool2d(x, same).value().ToVector<float>(), Each(-7));
}

// Four overlapping windows share the middle pixel of 3 x 3.
TEST(MaxPool2dTest, OverlappingWindowsAddUp) {
  EXPECT_THAT(GradientOf({1, 2, 3, 4, 9, 5, 6, 7, 8}, {1, 3, 3, 1}, {.window = 2, .stride = 1}),
              ElementsAre(0, 0, 0, 0, 4, 0, 0, 0, 0));
}

// f = sum(max^3) over windows of 2 with stride 2: f'' is 6 x at the winners.
TEST(MaxPool2dTest, SecondDerivative) {
  const Variable x = DifferentiableLeaf(Tensor::FromVector<double>({1, 2, 4, 3}, {1, 2, 2, 1}));
  const Variable y = MaxPool2d(x);
  const Variable first = Grad(y * y * y, x, {.create_graph = true});
  const Variable second =
      Grad(first, x, {.cotangents = {Tensor::Ones({1, 2, 2, 1}, DType::kFloat64)}});
  EXPECT_THAT(first.value().ToVector<double>(), ElementsAre(0, 0, 48, 0));
  EXPECT_THAT(second.value().ToVector<double>(), ElementsAre(0, 0, 24, 0));
}

TEST(AvgPool2dTest, MeanOfAConstantIsTheConstant) {
  const Tensor x = Tensor::Full({1, 28, 28, 3}, 0.1);
  EXPECT_THAT(AvgPool2d(x, {.window = 1}).value().ToVector<float>(), Each(0.1f));
  const Tensor means = AvgPool2d(Tensor::Full({1, 28, 28, 3}, 3), {.window = 28}).value();
  EXPECT_EQ(means.shape(), Shape({1, 1, 1, 3}));
  EXPECT_THAT(means.ToVector<float>(), Each(3));
}

TEST(PoolDtypeTest, TakesViewsAndOtherDtypes) {
  Random random(3);
  const Tensor x = random.Integers({2, 3, 6, 4}, 9).Permute({0, 2, 3, 1});
  const Tensor u8 = Tensor::Arange(0, 16, 1, DType::kUInt8).Reshape({1, 4, 4, 1});
  for (const Pool pool : {Pool{&MaxPool2d}, Pool{&AvgPool2d}}) {
    EXPECT_TRUE(BitwiseEqual(Apply(pool, x, {}).value(), Apply(pool, x.Clone(), {}).value()));
    EXPECT_EQ(Apply(pool, u8, {}).dtype(), DType::kFloat32);
  }
  EXPECT_THAT(MaxPool2d(u8).value().ToVector<float>(), ElementsAre(5, 7, 13, 15));
  EXPECT_THAT(AvgPool2d(u8).value().ToVector<float>(), ElementsAre(2.5, 4.5, 10.5, 12.5));
}

TEST(PoolDtypeTest, Empty) {
  for (const Pool pool : {Pool{&MaxPool2d}, Pool{&AvgPool2d}}) {
    for (const Shape& shape : {Shape{0, 4, 4, 2}, Shape{2, 4, 4, 0}}) {
      const Variable x = DifferentiableLeaf(Tensor::Empty(shape));
      const Variable y = Apply(pool, x, {});
      EXPECT_EQ(y.value().shape(), Shape({shape[0], 2, 2, shape[3]}));
      EXPECT_EQ(Grad(y, x, {.cotangents = {Tensor::Empty(y.shape())}}).value().shape(), shape);
    }
  }
}

std::string ErrorOf(Pool pool, const Shape& x, const Pool2dOptions& options) {
  const std::string text = ThrownMessage([&] { Apply(pool, Tensor::Zeros(x), options); });
  EXPECT_THAT(text, HasSubstr("pool_test.cc:"));
  return text;
}

TEST(PoolErrorTest, Messages) {
  EXPECT_THAT(ErrorOf(&MaxPool2d, {1, 2, 2, 4}, {.window = 3}),
              StartsWith("[max_pool2d] window 3 larger than padded input [1,2,2,4] ("));
  EXPECT_THAT(ErrorOf(&AvgPool2d, {1, 9, 2, 4}, {.window = 5, .padding = Padding::Pixels(1)}),
              StartsWith("[avg_pool2d] window 5 larger than padded input [1,11,4,4] ("));
  EXPECT_THAT(ErrorOf(&MaxPool2d, {28, 28}, {}),
              StartsWith("[max_pool2d] x [28,28] is not [N, H, W, C]"));
  EXPECT_THAT(ErrorOf(&MaxPool2d, {1, 4, 4, 1}, {.window = 0}),
              StartsWith("[max_pool2d] window 0 is not in [1, 4096]"));
  EXPECT_THAT(ErrorOf(&AvgPool2d, {1, 4, 4, 1}, {.stride = -2}),
              StartsWith("[avg_pool2d] stride -2 is not in [1, 2^31]"));
  EXPECT_THAT(ErrorOf(&MaxPool2d, {1, 4, 4, 1}, {.padding = Padding::Pixels(2)}),
              StartsWith("[max_pool2d] padding 2 is not in [0, 1], for window 2"));
}

}  // namespace
}  // namespace wengert
