// For tests of the Winograd convolution block: shapes, data, and its value by loops in double.
#ifndef WENGERT_TESTS_OPS_CONV_BLOCK_WINOGRAD_CASES_H_
#define WENGERT_TESTS_OPS_CONV_BLOCK_WINOGRAD_CASES_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ops/kernels/conv_block_winograd.h"
#include "tensor/tensor.h"
#include "tests/ops/kernel_test.h"

namespace wengert {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

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

inline ConvBlockGeometry Geometry(const Sizes& s) {
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

inline Sizes RandomSizes(Random& random) {
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

inline std::string Describe(const Sizes& s) {
  std::string text;
  for (const int64_t n : {s.batch, s.in_h, s.in_w, s.in_c, s.out_c, s.top, s.left, s.bottom,
                          s.right, int64_t{s.bias}, int64_t{s.relu}, int64_t{s.pool}}) {
    text += std::to_string(n) + " ";
  }
  return text;
}

inline Shape InputShape(const Conv2dGeometry& g) { return {g.batch, g.in_h, g.in_w, g.in_c}; }
inline Shape KernelShape(const Conv2dGeometry& g) { return {3, 3, g.in_c, g.out_c}; }
inline Shape OutputShape(const ConvBlockGeometry& g) {
  const int64_t step = g.pool ? 2 : 1;
  return {g.conv.batch, g.conv.out_h / step, g.conv.out_w / step, g.conv.out_c};
}

struct Data {
  Tensor x, w, bias;
};
inline Data RandomData(const ConvBlockGeometry& g, Random& random, int64_t bound, float scale) {
  return {random.Values(InputShape(g.conv), bound, scale),
          random.Values(KernelShape(g.conv), bound, scale),
          random.Values({g.conv.out_c}, bound, scale)};
}

struct Forward {
  Tensor y, winners;
};
inline Forward RunForward(const ConvBlockGeometry& g, const Data& data) {
  Forward result{Tensor::Full(OutputShape(g), -1, DType::kFloat32),
                 Tensor::Full(OutputShape(g), 77, DType::kUInt8)};
  WinogradBlockForward(g, data.x.data<float>(), data.w.data<float>(),
                       g.bias ? data.bias.data<float>() : nullptr, result.y.mutable_data<float>(),
                       g.pool ? result.winners.mutable_data<uint8_t>() : nullptr);
  return result;
}

// The convolution with bias and relu in double, not pooled.
inline std::vector<double> Convolve(const ConvBlockGeometry& block, const Data& data) {
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
inline std::vector<int64_t> Winners(const ConvBlockGeometry& g, const std::vector<double>& full) {
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

inline int64_t PositionInWindow(const Conv2dGeometry& g, int64_t index) {
  return index / g.out_c / g.out_w % g.out_h % 2 * 2 + index / g.out_c % g.out_w % 2;
}

// Exactly, as far as floats go.
inline void ExpectSame(const Tensor& actual, const std::vector<double>& expected) {
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
inline void ExpectNear(const Tensor& actual, const std::vector<double>& expected,
                       double tolerance) {
  ASSERT_EQ(actual.size(), static_cast<int64_t>(expected.size()));
  double error = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = actual.data<float>()[i] - expected[i];
    error += difference * difference, norm += expected[i] * expected[i];
  }
  EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(norm));
}

inline void Spoil(Tensor tensor, int64_t count, Random& random) {
  const float values[] = {kInfinity, -kInfinity, kNan};
  for (int64_t i = 0; i < count; ++i) {
    tensor.mutable_data<float>()[random.Int(0, tensor.size() - 1)] = values[random.Int(0, 2)];
  }
}

}  // namespace wengert

#endif  // WENGERT_TESTS_OPS_CONV_BLOCK_WINOGRAD_CASES_H_
