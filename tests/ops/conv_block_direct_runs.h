// Runs of the direct convolution blocks: random geometries, loops in double to compare with, and
// the ops one by one.
#ifndef WENGERT_TESTS_OPS_CONV_BLOCK_DIRECT_RUNS_H_
#define WENGERT_TESTS_OPS_CONV_BLOCK_DIRECT_RUNS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "autograd/grad.h"
#include "gtest/gtest.h"
#include "ops/kernels/conv_block_direct.h"
#include "ops/kernels/pool.h"
#include "ops/ops.h"
#include "tests/ops/kernel_test.h"

namespace wengert {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using Bytes = std::vector<uint8_t>;

// Sizes of the results.
struct Sizes {
  explicit Sizes(const ConvBlockGeometry& g)
      : h(g.pool ? g.conv.out_h / 2 : g.conv.out_h),
        w(g.pool ? g.conv.out_w / 2 : g.conv.out_w),
        x(g.conv.batch * g.conv.in_h * g.conv.in_w * g.conv.in_c),
        kernel(g.conv.kernel_h * g.conv.kernel_w * g.conv.in_c * g.conv.out_c),
        y(g.conv.batch * h * w * g.conv.out_c) {}
  int64_t h, w, x, kernel, y;
};

struct Inputs {
  Floats x, w, bias, dy;
};

class Random : public RandomIntegers {
 public:
  using RandomIntegers::RandomIntegers;
  bool Coin() { return Int(0, 1) == 1; }
  Floats Values(int64_t size) {
    Floats values(size);
    for (float& value : values) value = static_cast<float>(Int(-1'000'000, 1'000'000)) * 1e-6f;
    return values;
  }
  Floats Integers(int64_t size, int64_t most) {
    Floats values(size);
    for (float& value : values) value = static_cast<float>(Int(-most, most));
    return values;
  }
  ConvBlockGeometry Geometry() {
    ConvBlockGeometry g{.bias = Coin(), .relu = Coin(), .pool = Int(0, 2) > 0};
    Conv2dGeometry& c = g.conv;
    c.batch = Int(1, 5), c.in_c = Int(1, 4), c.out_c = Int(8, Int(0, 3) == 0 ? 70 : 36);
    c.kernel_h = Int(0, 1) ? 3 : Int(1, 5), c.kernel_w = Int(0, 1) ? 3 : Int(1, 5);
    if (Int(0, 1)) {
      c.pad_top = Int(0, 2), c.pad_bottom = Int(0, 2);
      c.pad_left = Int(0, 2), c.pad_right = Int(0, 2);
    }
    c.in_h = c.kernel_h + Int(1, 9), c.in_w = c.kernel_w + Int(1, 20);
    SetOutputSize(g);
    return g;
  }
  static void SetOutputSize(ConvBlockGeometry& g) {
    Conv2dGeometry& c = g.conv;
    c.out_h = c.in_h + c.pad_top + c.pad_bottom - c.kernel_h + 1;
    c.out_w = c.in_w + c.pad_left + c.pad_right - c.kernel_w + 1;
  }
  Inputs For(const ConvBlockGeometry& g) {
    const Sizes s(g);
    return {Values(s.x), Values(s.kernel), Values(g.conv.out_c), Values(s.y)};
  }
};

struct Block {
  Floats y;
  Bytes winners;
  Floats dx, dw, dbias;
  bool operator==(const Block&) const = default;
};

// Results start as NaN: what is not written shows.
inline Block RunBlock(const ConvBlockGeometry& g, const Inputs& in) {
  const Sizes s(g);
  Block b{Floats(s.y, NAN), Bytes(g.pool ? s.y : 0, 255), Floats(s.x, NAN), Floats(s.kernel, NAN),
          Floats(g.bias ? g.conv.out_c : 0, NAN)};
  DirectBlockForward(g, in.x.data(), in.w.data(), in.bias.data(), b.y.data(), b.winners.data());
  DirectBlockBackward(g, in.x.data(), in.w.data(), b.y.data(), b.winners.data(), in.dy.data(),
                      b.dx.data(), b.dw.data(), g.bias ? b.dbias.data() : nullptr);
  return b;
}

// Calls term(x index, w index, y index) for every product of the convolution.
template <class Term>
void ForEachProduct(const Conv2dGeometry& g, Term term) {
  for (int64_t n = 0; n < g.batch; ++n) {
    for (int64_t oh = 0; oh < g.out_h; ++oh) {
      for (int64_t ow = 0; ow < g.out_w; ++ow) {
        for (int64_t tap = 0; tap < g.kernel_h * g.kernel_w; ++tap) {
          const int64_t ih = oh + tap / g.kernel_w - g.pad_top;
          const int64_t iw = ow + tap % g.kernel_w - g.pad_left;
          if (ih < 0 || ih >= g.in_h || iw < 0 || iw >= g.in_w) continue;
          for (int64_t i = 0; i < g.in_c; ++i) {
            for (int64_t o = 0; o < g.out_c; ++o) {
              term(((n * g.in_h + ih) * g.in_w + iw) * g.in_c + i, (tap * g.in_c + i) * g.out_c + o,
                   ((n * g.out_h + oh) * g.out_w + ow) * g.out_c + o);
            }
          }
        }
      }
    }
  }
}

// Where the window of result `i` has its pixel at `place`, among the pixels of the convolution.
inline int64_t PixelIndex(const ConvBlockGeometry& g, int64_t i, int64_t place) {
  if (!g.pool) return i;
  const int64_t rows = g.conv.out_h / 2, cols = g.conv.out_w / 2, c = g.conv.out_c;
  const int64_t col = i / c % cols, row = i / c / cols % rows, n = i / c / cols / rows;
  return ((n * g.conv.out_h + 2 * row + place / 2) * g.conv.out_w + 2 * col + place % 2) * c +
         i % c;
}

inline void ExpectNear(const Floats& actual, const Doubles& expected, const Doubles& magnitude) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_LE(std::abs(actual[i] - expected[i]), 3e-6 * magnitude[i]) << "at " << i;
  }
}

inline void CheckAgainstLoops(const ConvBlockGeometry& g, const Inputs& in, const Block& block) {
  const Sizes s(g);
  const int64_t pixels = g.conv.batch * g.conv.out_h * g.conv.out_w * g.conv.out_c;
  Doubles sums(pixels), sizes(pixels);
  ForEachProduct(g.conv, [&](int64_t x, int64_t w, int64_t y) {
    const double term = static_cast<double>(in.x[x]) * in.w[w];
    sums[y] += term, sizes[y] += std::abs(term);
  });
  Doubles dy(pixels), y(s.y), y_size(s.y), dbias(g.conv.out_c), dbias_size(g.conv.out_c);
  for (int64_t i = 0; i < s.y; ++i) {
    const double bias = g.bias ? in.bias[i % g.conv.out_c] : 0;
    y[i] = -HUGE_VAL;
    for (int64_t place = 0; place < (g.pool ? 4 : 1); ++place) {
      const int64_t pixel = PixelIndex(g, i, place);
      const double value = sums[pixel] + bias;
      y[i] = std::max(y[i], g.relu ? std::max(value, 0.0) : value);
      y_size[i] = std::max(y_size[i], sizes[pixel] + std::abs(bias));
    }
    if (g.relu && !(block.y[i] > 0)) continue;
    dy[PixelIndex(g, i, g.pool ? block.winners[i] : 0)] = in.dy[i];
    dbias[i % g.conv.out_c] += in.dy[i], dbias_size[i % g.conv.out_c] += std::abs(in.dy[i]);
  }
  ExpectNear(block.y, y, y_size);
  if (g.bias) ExpectNear(block.dbias, dbias, dbias_size);
  Doubles dx(s.x), dw(s.kernel), dx_size(s.x), dw_size(s.kernel);
  ForEachProduct(g.conv, [&](int64_t xi, int64_t wi, int64_t yi) {
    dx[xi] += dy[yi] * in.w[wi], dx_size[xi] += std::abs(dy[yi] * in.w[wi]);
    dw[wi] += dy[yi] * in.x[xi], dw_size[wi] += std::abs(dy[yi] * in.x[xi]);
  });
  ExpectNear(block.dx, dx, dx_size);
  ExpectNear(block.dw, dw, dw_size);
}

// The ops one by one, with the winners that max-pooling leaves; in float32, or at once in float64.
struct Ops {
  Tensor activation, y, winners, dx, dw, dbias;
};

inline Ops RunOps(const ConvBlockGeometry& g, const Inputs& in, DType dtype = DType::kFloat32) {
  const Conv2dGeometry& c = g.conv;
  const Sizes s(g);
  const auto leaf = [&](const Floats& values, const Shape& shape) {
    return DifferentiableLeaf(Tensor::FromVector(values, shape).To(dtype));
  };
  const Variable x = leaf(in.x, {c.batch, c.in_h, c.in_w, c.in_c});
  const Variable w = leaf(in.w, {c.kernel_h, c.kernel_w, c.in_c, c.out_c});
  const Variable bias = leaf(in.bias, {c.out_c});
  const Variable dy = leaf(in.dy, {c.batch, s.h, s.w, c.out_c});
  const Padding padding = {Padding::kExplicit, c.pad_top, c.pad_left, c.pad_bottom, c.pad_right};
  Variable a = Conv2d(x, w, {.padding = padding});
  if (g.bias) a = a + bias;
  if (g.relu) a = Relu(a);
  const Variable y = g.pool ? MaxPool2d(a, {.window = 2}) : a;
  const std::vector<Variable> d =
      Grad({&y, 1}, {{x, w, bias}}, {.cotangents = {dy}, .unused = Unused::kZero});
  Ops ops{.activation = a.value(), .y = y.value(), .dx = d[0].value(), .dw = d[1].value()};
  ops.dbias = d[2].value();
  if (g.pool) {
    ops.winners = Tensor::Empty(y.shape(), DType::kUInt8);
    Tensor again = Tensor::Empty(y.shape(), dtype);
    MaxPool2dKernel({.batch = c.batch,
                     .in_h = c.out_h,
                     .in_w = c.out_w,
                     .channels = c.out_c,
                     .out_h = s.h,
                     .out_w = s.w,
                     .window = 2,
                     .stride = 2},
                    ops.activation, again, ops.winners);
  }
  return ops;
}

}  // namespace wengert

#endif  // WENGERT_TESTS_OPS_CONV_BLOCK_DIRECT_RUNS_H_
