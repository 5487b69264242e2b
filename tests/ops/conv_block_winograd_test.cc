// The Winograd convolution block: against loops in double and the unfused kernels, ties, infinities
// and NaN, bits.
// clang-format off
#include "ops/kernels/simd_targets.h"
// clang-format on

#include "ops/kernels/conv_block_winograd.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ops/kernels/pool.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Random : public RandomIntegers {
 public:
  using RandomIntegers::RandomIntegers;
  // Multiples of 1 / scale in [-bound, bound]; with a scale of 1, full of ties and exact in every
  // sum.
  Tensor Values(const Shape& shape, int64_t bound, float scale) {
    std::vector<float> values(NumElements(shape));
    for (float& value : values) value = static_cast<float>(Int(-bound, bound)) / scale;
    return Tensor::FromVector(values, shape);
  }
};

struct Sizes {
  int64_t batch, in_h, in_w, in_c, out_c;
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  bool bias = true, relu = true, pool = true;
};

ConvBlockGeometry Geometry(const Sizes& s) {
  return {.conv = {.batch = s.batch,
                   .in_h = s.in_h,
                   .in_w = s.in_w,
                   .in_c = s.in_c,
                   .out_h = s.in_h + s.top + s.bottom - 2,
                   .out_w = s.in_w + s.left + s.right - 2,
                   .out_c = s.out_c,
                   .kernel_h = 3,
                   .kernel_w = 3,
                   .pad_top = s.top,
                   .pad_left = s.left,
                   .pad_bottom = s.bottom,
                   .pad_right = s.right},
          .bias = s.bias,
          .relu = s.relu,
          .pool = s.pool};
}

Sizes RandomSizes(Random& random) {
  Sizes s{.batch = random.Int(1, 4),
          .in_h = random.Int(3, 14),
          .in_w = random.Int(3, 14),
          .in_c = random.Int(5, 40),
          .out_c = random.Int(8, 90)};
  for (int64_t* pad : {&s.top, &s.left, &s.bottom, &s.right}) *pad = random.Int(0, 2);
  s.bias = random.Int(0, 3) > 0;
  s.relu = random.Int(0, 3) > 0;
  s.pool = s.in_h + s.top + s.bottom >= 4 && s.in_w + s.left + s.right >= 4 && random.Int(0, 2) > 0;
  return s;
}

std::string Describe(const Sizes& s) {
  std::string text;
  for (const int64_t n : {s.batch, s.in_h, s.in_w, s.in_c, s.out_c, s.top, s.left, s.bottom,
                          s.right, int64_t{s.bias}, int64_t{s.relu}, int64_t{s.pool}}) {
    text += std::to_string(n) + " ";
  }
  return text;
}

Shape InputShape(const Conv2dGeometry& g) { return {g.batch, g.in_h, g.in_w, g.in_c}; }
Shape KernelShape(const Conv2dGeometry& g) { return {3, 3, g.in_c, g.out_c}; }
Shape OutputShape(const ConvBlockGeometry& g) {
  const int64_t step = g.pool ? 2 : 1;
  return {g.conv.batch, g.conv.out_h / step, g.conv.out_w / step, g.conv.out_c};
}

struct Data {
  Tensor x, w, bias;
};
Data RandomData(const ConvBlockGeometry& g, Random& random, int64_t bound, float scale) {
  return {random.Values(InputShape(g.conv), bound, scale),
          random.Values(KernelShape(g.conv), bound, scale),
          random.Values({g.conv.out_c}, bound, scale)};
}

struct Forward {
  Tensor y, winners;
};
Forward RunForward(const ConvBlockGeometry& g, const Data& data) {
  Forward result{Tensor::Full(OutputShape(g), -1, DType::kFloat32),
                 Tensor::Full(OutputShape(g), 77, DType::kUInt8)};
  WinogradBlockForward(g, data.x.data<float>(), data.w.data<float>(),
                       g.bias ? data.bias.data<float>() : nullptr, result.y.mutable_data<float>(),
                       g.pool ? result.winners.mutable_data<uint8_t>() : nullptr);
  return result;
}

// The convolution with bias and relu in double, not pooled.
std::vector<double> Convolve(const ConvBlockGeometry& block, const Data& data) {
  const Conv2dGeometry& g = block.conv;
  const float *x = data.x.data<float>(), *w = data.w.data<float>();
  std::vector<double> y(g.batch * g.out_h * g.out_w * g.out_c);
  for (int64_t p = 0; p < g.batch * g.out_h * g.out_w; ++p) {
    const int64_t n = p / g.out_w / g.out_h, oh = p / g.out_w % g.out_h, ow = p % g.out_w;
    double* const sums = y.data() + p * g.out_c;
    for (int64_t tap = 0; tap < 9; ++tap) {
      const int64_t h = oh + tap / 3 - g.pad_top, v = ow + tap % 3 - g.pad_left;
      if (h < 0 || h >= g.in_h || v < 0 || v >= g.in_w) continue;
      for (int64_t i = 0; i < g.in_c; ++i) {
        const double factor = x[((n * g.in_h + h) * g.in_w + v) * g.in_c + i];
        const float* const row = w + (tap * g.in_c + i) * g.out_c;
        for (int64_t c = 0; c < g.out_c; ++c) sums[c] += factor * row[c];
      }
    }
    for (int64_t c = 0; c < g.out_c; ++c) {
      if (block.bias) sums[c] += data.bias.data<float>()[c];
      if (block.relu && sums[c] < 0) sums[c] = 0;
    }
  }
  return y;
}

// The index into Convolve's result of each output of the block: the first of the largest in its
// window, or the first NaN.
std::vector<int64_t> Winners(const ConvBlockGeometry& g, const std::vector<double>& full) {
  const Shape out = OutputShape(g);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < NumElements(out); ++i) {
    const int64_t c = i % out[3], w = i / out[3] % out[2], h = i / out[3] / out[2] % out[1];
    const int64_t n = i / out[3] / out[2] / out[1], step = g.pool ? 2 : 1;
    int64_t winner = -1;
    for (int64_t k = 0; k < step * step; ++k) {
      const int64_t row = step * h + k / 2, column = step * w + k % 2;
      const int64_t at = ((n * g.conv.out_h + row) * g.conv.out_w + column) * out[3] + c;
      if (winner >= 0 && std::isnan(full[winner])) break;
      if (winner < 0 || full[at] > full[winner] || std::isnan(full[at])) winner = at;
    }
    indices.push_back(winner);
  }
  return indices;
}

int64_t PositionInWindow(const Conv2dGeometry& g, int64_t index) {
  return index / g.out_c / g.out_w % g.out_h % 2 * 2 + index / g.out_c % g.out_w % 2;
}

void ExpectSame(const Tensor& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    const float value = actual.data<float>()[i];
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(value)) << "at " << i << ": " << value;
    } else {
      ASSERT_EQ(value, static_cast<float>(expected[i])) << "at " << i;
    }
  }
}

// To `tolerance` of the norm.
void ExpectNear(const Tensor& actual, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), static_cast<int64_t>(expected.size()));
  double error = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = actual.data<float>()[i] - expected[i];
    error += difference * difference, norm += expected[i] * expected[i];
  }
  EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(norm));
}

// Forward against the loops, exactly: for data whose sums are exact, infinities included.
void CheckExactly(const ConvBlockGeometry& g, const Data& data) {
  const std::vector<double> full = Convolve(g, data);
  const std::vector<int64_t> winners = Winners(g, full);
  std::vector<double> y;
  for (const int64_t i : winners) y.push_back(full[i]);
  const Forward actual = RunForward(g, data);
  ExpectSame(actual.y, y);
  if (!g.pool) return;
  for (size_t i = 0; i < winners.size(); ++i) {
    ASSERT_EQ(actual.winners.data<uint8_t>()[i], PositionInWindow(g.conv, winners[i])) << i;
  }
}

class WinogradBlockTest : public testing::Test {
 protected:
  const std::vector<int64_t> targets_ = hwy::SupportedAndGeneratedTargets();
  KernelSettings settings_;
};

TEST_F(WinogradBlockTest, RandomShapesMatchLoops) {
  Random random(1);
  for (int trial = 0; trial < 150 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const Sizes sizes = RandomSizes(random);
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    const Data data = RandomData(g, random, 100'000, 65536);
    const std::vector<double> full = Convolve(g, data);
    std::vector<double> y;
    for (const int64_t i : Winners(g, full)) y.push_back(full[i]);
    const Forward actual = RunForward(g, data);
    ExpectNear(actual.y, y, 1e-6);
    if (!g.pool) continue;
    for (size_t i = 0; i < y.size(); ++i) {  // a near tie may go to the other one
      const int64_t out_c = g.conv.out_c, pixel = static_cast<int64_t>(i) / out_c;
      const Shape out = OutputShape(g);
      const uint8_t winner = actual.winners.data<uint8_t>()[i];
      ASSERT_LT(winner, 4);
      const int64_t row = pixel / out[2] % out[1] * 2 + winner / 2;
      const int64_t column = pixel % out[2] * 2 + winner % 2, n = pixel / out[2] / out[1];
      const int64_t at = ((n * g.conv.out_h + row) * g.conv.out_w + column) * out_c +
                         static_cast<int64_t>(i) % out_c;
      ASSERT_NEAR(full[at], y[i], 1e-4) << "at " << i;
    }
  }
}

// Integers make every sum exact, halves in the kernel's transform included, and ties frequent.
TEST_F(WinogradBlockTest, TiesGoToTheFirst) {
  Random random(2);
  for (int trial = 0; trial < 90 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const Sizes sizes = RandomSizes(random);
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    CheckExactly(g, RandomData(g, random, 1, 1));
  }
}

TEST_F(WinogradBlockTest, AllNegativeWindowsGiveZeroAndTheFirstWinner) {
  Random random(3);
  const ConvBlockGeometry g = Geometry({.batch = 2, .in_h = 9, .in_w = 8, .in_c = 20, .out_c = 30});
  Data data = RandomData(g, random, 2, 1);
  for (int64_t c = 0; c < g.conv.out_c; ++c) data.bias.mutable_data<float>()[c] = -1000;
  ForEachTarget([&] {
    const Forward actual = RunForward(g, data);
    for (int64_t i = 0; i < actual.y.size(); ++i) {
      ASSERT_EQ(actual.y.data<float>()[i], 0) << i;
      ASSERT_EQ(actual.winners.data<uint8_t>()[i], 0) << i;
    }
  });
}

// Winograd's transforms would spread them over a tile, and make NaN of two infinities.
TEST_F(WinogradBlockTest, InfinitiesAndNanStayWhereADirectConvolutionHasThem) {
  Random random(4);
  for (int trial = 0; trial < 120 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const Sizes sizes = RandomSizes(random);
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    const Data data = RandomData(g, random, 2, 1);
    const auto spoil = [&](Tensor tensor, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        const float values[] = {kInfinity, -kInfinity, kNan};
        tensor.mutable_data<float>()[random.Int(0, tensor.size() - 1)] = values[random.Int(0, 2)];
      }
    };
    if (trial % 3 == 0 || trial % 5 == 0) spoil(data.x, random.Int(1, 6));
    if (trial % 3 == 1 || trial % 5 == 0) spoil(data.w, random.Int(1, 3));
    if (trial % 3 == 2 || trial % 5 == 0) spoil(data.bias, random.Int(1, 3));
    CheckExactly(g, data);
  }
}

// Large sums are finite, but not all of their Winograd transforms.
TEST_F(WinogradBlockTest, SumsNearTheLargestFloatDoNotOverflow) {
  const ConvBlockGeometry g = Geometry({.batch = 1, .in_h = 6, .in_w = 6, .in_c = 5, .out_c = 8});
  Data data{Tensor::Full(InputShape(g.conv), 1.5e38, DType::kFloat32),
            Tensor::Full(KernelShape(g.conv), 0, DType::kFloat32),
            Tensor::Full({g.conv.out_c}, 0, DType::kFloat32)};
  for (int64_t i = 0; i < 8; ++i) data.w.mutable_data<float>()[4 * 5 * 8 + i] = 2;  // the middle
  ForEachTarget([&] { CheckExactly(g, data); });
}

TEST_F(WinogradBlockTest, BitsDoNotDependOnThreads) {
  Random random(5);
  for (const Sizes& sizes :
       {Sizes{.batch = 37, .in_h = 13, .in_w = 13, .in_c = 32, .out_c = 64},
        Sizes{.batch = 5, .in_h = 17, .in_w = 19, .in_c = 40, .out_c = 72, .top = 1, .left = 1},
        Sizes{.batch = 9, .in_h = 12, .in_w = 15, .in_c = 17, .out_c = 33, .pool = false}}) {
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    const Data data = RandomData(g, random, 100'000, 65536);
    SetNumThreads(1);
    const Forward serial = RunForward(g, data);
    for (const int threads : {2, 3, 8}) {
      SetNumThreads(threads);
      const Forward parallel = RunForward(g, data);
      EXPECT_TRUE(BitwiseEqual(serial.y, parallel.y)) << threads;
      EXPECT_TRUE(BitwiseEqual(serial.winners, parallel.winners)) << threads;
    }
  }
}

}  // namespace
}  // namespace wengert
