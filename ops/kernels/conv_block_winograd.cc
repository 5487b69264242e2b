// The forward pass, compiled once per SIMD target. The tiles of the batch are cut into blocks; a
// block's tiles are transformed, multiplied by the transformed kernel (16 products, one for each
// value of a tile) and transformed back while they are in cache.
#include "ops/kernels/conv_block_winograd.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tensor/parallel.h"
#include "tensor/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/conv_block_winograd.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/winograd_tiles-inl.h"

#ifndef WENGERT_CONV_BLOCK_WINOGRAD_ONCE_
#define WENGERT_CONV_BLOCK_WINOGRAD_ONCE_
namespace wengert {
namespace {

// How many tiles one task takes, from the shape alone: what they give is to stay in L2.
int64_t TilesPerTask(const ConvBlockGeometry& g) {
  const int64_t tiles = 8192 / RoundUp(g.conv.in_c, kCacheLine);
  return std::clamp<int64_t>(tiles, 24, 96) / 24 * 24;
}

struct ForwardArguments {
  const ConvBlockGeometry& g;
  const float* x;
  const float* w;
  const float* bias;
  float* y;
  uint8_t* winners;
  const float* transformed_w;
};

// Outputs (row, column) of the convolution for `count` channels from c on, tap by tap: Winograd's
// sums would spread an infinity or NaN over their whole tile and make NaN of two infinities.
void ConvolvePixel(const ForwardArguments& a, int64_t image, int64_t row, int64_t column, int64_t c,
                   int64_t count, float* sums) {
  const Conv2dGeometry& g = a.g.conv;
  std::fill_n(sums, count, 0.0f);
  for (int64_t kh = 0; kh < 3; ++kh) {
    const int64_t h = row + kh - g.pad_top;
    if (h < 0 || h >= g.in_h) continue;
    for (int64_t kw = 0; kw < 3; ++kw) {
      const int64_t w = column + kw - g.pad_left;
      if (w < 0 || w >= g.in_w) continue;
      const float* const x = a.x + ((image * g.in_h + h) * g.in_w + w) * g.in_c;
      const float* const tap = a.w + (kh * 3 + kw) * g.in_c * g.out_c + c;
      for (int64_t i = 0; i < g.in_c; ++i) {
        for (int64_t k = 0; k < count; ++k) sums[k] += x[i] * tap[i * g.out_c + k];
      }
    }
  }
}

// The four pixels of a tile by ConvolvePixel, `stride` floats apart; those past the edge stay 0.
void ConvolveTile(const ForwardArguments& a, const TilePosition& tile, int64_t c, int64_t count,
                  float* y, int64_t stride) {
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t row = 2 * tile.row + i / 2, column = 2 * tile.column + i % 2;
    if (row >= a.g.conv.out_h || column >= a.g.conv.out_w) continue;
    ConvolvePixel(a, tile.image, row, column, c, count, y + i * stride);
  }
}

}  // namespace
}  // namespace wengert
#endif  // WENGERT_CONV_BLOCK_WINOGRAD_ONCE_

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// What follows the convolution, for one tile and vector of `count` channels.
struct Finish {
  const ForwardArguments& a;

  HWY_INLINE void operator()(VF (&y)[4], const TilePosition& tile, int64_t tile_number, int64_t c,
                             int64_t count) const {
    const DF d;
    const hn::RebindToSigned<DF> di;
    const Conv2dGeometry& g = a.g.conv;
    if (a.g.bias) {
      const VF bias = LoadChannels(a.bias + c, count);
      HWY_UNROLL(4) for (VF& v : y) v = hn::Add(v, bias);
    }
    const VF zero = hn::Zero(d);
    if (!a.g.pool) {
      if (a.g.relu) {
        HWY_UNROLL(4) for (VF& v : y) v = hn::IfThenElse(hn::Lt(v, zero), zero, v);
      }
      const int64_t row = 2 * tile.row, column = 2 * tile.column;
      float* const to = a.y + ((tile.image * g.out_h + row) * g.out_w + column) * g.out_c + c;
      const bool right = column + 1 < g.out_w;
      StoreChannels(y[0], d, to, count);
      if (right) StoreChannels(y[1], d, to + g.out_c, count);
      if (row + 1 == g.out_h) return;
      StoreChannels(y[2], d, to + g.out_w * g.out_c, count);
      if (right) StoreChannels(y[3], d, to + (g.out_w + 1) * g.out_c, count);
      return;
    }
    VF best = y[0];
    auto winner = hn::Zero(di);
    HWY_UNROLL(3) for (int i = 1; i < 4; ++i) {
      // Wins if it is larger, or the first NaN.
      const auto wins = hn::AndNot(hn::IsNaN(best), hn::Not(hn::Le(y[i], best)));
      best = hn::IfThenElse(wins, y[i], best);
      winner = hn::IfThenElse(hn::RebindMask(di, wins), hn::Set(di, i), winner);
    }
    if (a.g.relu) {
      // What relu makes zeros of is equal, and the first of equals wins.
      winner = hn::IfThenZeroElse(hn::RebindMask(di, hn::Le(best, zero)), winner);
      best = hn::IfThenElse(hn::Lt(best, zero), zero, best);
    }
    StoreChannels(best, d, a.y + tile_number * g.out_c + c, count);
    if (a.winners == nullptr) return;
    const hn::Rebind<uint8_t, DF> d_byte;
    StoreChannels(hn::DemoteTo(d_byte, winner), d_byte, a.winners + tile_number * g.out_c + c,
                  count);
  }
};

// The results of tiles [begin, end) for the channels of one panel. products: [16, stride], where a
// value's tiles are rows of kVectors vectors.
template <int kVectors>
void FinishTiles(const ForwardArguments& a, const Tiles& tiles, int64_t begin, int64_t end,
                 int64_t channel, const float* products, int64_t stride) {
  const DF d;
  const Finish finish{a};
  const int64_t out_c = a.g.conv.out_c;
  const VF infinity = hn::Inf(d);
  TilePosition position(tiles, begin);
  for (int64_t tile = begin; tile < end; ++tile, ++position) {
    for (int v = 0; v < kVectors; ++v, products += kLanes) {
      const int64_t c = channel + v * kLanes;
      VF y[4];
      TransformOutput(d, products, stride, y);
      const VF sum = hn::Add(hn::Add(y[0], y[1]), hn::Add(y[2], y[3]));
      if (HWY_UNLIKELY(!hn::AllTrue(d, hn::Lt(hn::Abs(sum), infinity)))) {
        HWY_ALIGN float direct[4 * kLanes] = {};
        ConvolveTile(a, position, c, std::min(kLanes, out_c - c), direct, kLanes);
        HWY_UNROLL(4) for (int i = 0; i < 4; ++i) y[i] = hn::Load(d, direct + i * kLanes);
      }
      finish(y, position, tile, c, out_c - c);
    }
  }
}

// The transformed kernel is stored panel by panel as [16, in_c, vectors * lanes].
template <int kVectors>
void PanelOfTiles(const ForwardArguments& a, const Tiles& tiles, int64_t begin, int64_t end,
                  int64_t channel, const float* transformed_x, int64_t row, int64_t x_stride,
                  float* products, int64_t stride) {
  const int64_t in_c = a.g.conv.in_c, w_size = in_c * kVectors * kLanes;
  const float* const w = a.transformed_w + 16 * in_c * channel;
  for (int64_t value = 0; value < 16; ++value) {
    MultiplyPanel<kVectors>(end - begin, in_c, transformed_x + value * x_stride, row, 1,
                            w + value * w_size, products + value * stride);
  }
  FinishTiles<kVectors>(a, tiles, begin, end, channel, products, stride);
}
template <int... kIndex>
constexpr auto MakePanels(std::integer_sequence<int, kIndex...>) {
  return std::array{&PanelOfTiles<kIndex + 1>...};
}

}  // namespace

// The floats of the transformed kernel.
int64_t TransformedKernelSizeOnTarget(const Conv2dGeometry& g) {
  return 16 * g.in_c * RoundUp(g.out_c, kLanes);
}

// Input channels [begin, end) of the kernel.
void TransformKernelOnTarget(const Conv2dGeometry& g, const float* w, int64_t begin, int64_t end,
                             float* to) {
  const DF d;
  ForPanels(g.out_c, [&](int64_t channel, int64_t vectors) HWY_ATTR {
    const int64_t width = vectors * kLanes;
    float* const panel = to + 16 * g.in_c * channel;
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t v = 0; v < width; v += kLanes) {
        const float* const from = w + i * g.out_c + channel + v;
        TransformKernel(
            d,
            [&](int row, int column) HWY_ATTR {
              return LoadChannels(from + (row * 3 + column) * g.in_c * g.out_c,
                                  g.out_c - channel - v);
            },
            panel + i * width + v, g.in_c * width);
      }
    }
  });
}

void ForwardTilesOnTarget(const ForwardArguments& a, const Tiles& tiles, int64_t begin,
                          int64_t end) {
  const Conv2dGeometry& g = a.g.conv;
  const int64_t count = end - begin, row = RoundUp(g.in_c, kLanes);
  // A line more than a power of two, so that the 16 values of a tile fall into different sets.
  const int64_t x_stride = RoundUp(count * row, kCacheLine) + kCacheLine;
  const int64_t stride = RoundUp(count * kPanelVectors * kLanes, kCacheLine) + kCacheLine;
  const StoragePtr scratch =
      StoragePtr::Allocate((16 * x_stride + 16 * stride + row) * sizeof(float));
  float* const transformed = Floats(scratch);
  float* const products = transformed + 16 * x_stride;
  float* const zeros = products + 16 * stride;
  std::fill_n(zeros, row, 0.0f);
  TransformTiles(g, tiles, a.x, begin, end, zeros, transformed, row, x_stride);
  constexpr auto kPanels = MakePanels(std::make_integer_sequence<int, kPanelVectors>());
  ForPanels(g.out_c, [&](int64_t channel, int64_t vectors) {
    kPanels[vectors - 1](a, tiles, begin, end, channel, transformed, row, x_stride, products,
                         stride);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(TransformedKernelSizeOnTarget);
HWY_EXPORT(TransformKernelOnTarget);
HWY_EXPORT(ForwardTilesOnTarget);

void WinogradBlockForward(const ConvBlockGeometry& g, const float* x, const float* w,
                          const float* bias, float* y, uint8_t* winners) {
  const Tiles tiles(g);
  if (tiles.count == 0 || g.conv.out_c == 0) return;
  const int64_t w_size = HWY_DYNAMIC_DISPATCH(TransformedKernelSizeOnTarget)(g.conv);
  const StoragePtr transformed_w = StoragePtr::Allocate(w_size * sizeof(float));
  const int64_t w_step = CeilDiv(16384, g.conv.out_c);
  ParallelFor(CeilDiv(g.conv.in_c, w_step), [&](int64_t task) {
    const int64_t begin = task * w_step, end = std::min(begin + w_step, g.conv.in_c);
    HWY_DYNAMIC_DISPATCH(TransformKernelOnTarget)(g.conv, w, begin, end, Floats(transformed_w));
  });
  const ForwardArguments arguments{g, x, w, bias, y, winners, Floats(transformed_w)};
  const int64_t step = TilesPerTask(g);
  ParallelFor(CeilDiv(tiles.count, step), [&](int64_t task) {
    const int64_t begin = task * step, end = std::min(begin + step, tiles.count);
    HWY_DYNAMIC_DISPATCH(ForwardTilesOnTarget)(arguments, tiles, begin, end);
  });
}

}  // namespace wengert
#endif  // HWY_ONCE
