// What Winograd's convolution and its gradients share: tiles, their transforms, panels of output
// channels. Compiled once per SIMD target: include inside foreach_target.h's passes only.
#ifndef WENGERT_OPS_KERNELS_WINOGRAD_TILES_ONCE_
#define WENGERT_OPS_KERNELS_WINOGRAD_TILES_ONCE_

#include <algorithm>
#include <cstdint>

#include "ops/kernels/conv_block.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

constexpr int64_t kCacheLine = 16;  // floats

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }
float* Floats(const StoragePtr& storage) { return reinterpret_cast<float*>(storage->data()); }

// The tiles of a convolution: 2x2 outputs each, rows [height, width] of each image, in the order of
// the batch. With pooling a tile is an output of the block, and what flooring drops has no tile.
struct Tiles {
  explicit Tiles(const ConvBlockGeometry& g)
      : height(g.pool ? g.conv.out_h / 2 : CeilDiv(g.conv.out_h, 2)),
        width(g.pool ? g.conv.out_w / 2 : CeilDiv(g.conv.out_w, 2)),
        count(g.conv.batch * height * width) {}
  int64_t height, width, count;
};

// One tile, found by its number; moves on to the next ones.
struct TilePosition {
  TilePosition(const Tiles& tiles, int64_t tile)
      : tiles(tiles),
        image(tile / (tiles.height * tiles.width)),
        row(tile / tiles.width % tiles.height),
        column(tile % tiles.width) {}
  void operator++() {
    if (++column < tiles.width) return;
    column = 0;
    if (++row < tiles.height) return;
    row = 0;
    ++image;
  }
  const Tiles& tiles;
  int64_t image, row, column;
};

}  // namespace
}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_WINOGRAD_TILES_ONCE_

#if defined(WENGERT_OPS_KERNELS_WINOGRAD_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_WINOGRAD_TILES_INL_H_
#undef WENGERT_OPS_KERNELS_WINOGRAD_TILES_INL_H_
#else
#define WENGERT_OPS_KERNELS_WINOGRAD_TILES_INL_H_
#endif

#include "hwy/highway.h"
#include "ops/kernels/winograd_gemm-inl.h"
#include "ops/kernels/winograd_transform-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(DF()));

// Panels of output channels, dealt evenly: calls f(channel, vectors) for each.
template <class F>
HWY_INLINE void ForPanels(int64_t out_c, const F& f) {
  int64_t vectors_left = CeilDiv(out_c, kLanes), channel = 0;
  for (int64_t left = CeilDiv(vectors_left, kPanelVectors); left > 0; --left) {
    const int64_t vectors = CeilDiv(vectors_left, left);
    f(channel, vectors);
    channel += vectors * kLanes;
    vectors_left -= vectors;
  }
}

// `count` channels from `from` on, the rest of the vector 0.
HWY_INLINE VF LoadChannels(const float* from, int64_t count) {
  const DF d;
  if (count >= kLanes) return hn::LoadU(d, from);
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, from);
}

// Stores the first `count` lanes and touches nothing else: it may be another thread's.
template <class D, class T>
HWY_INLINE void StoreChannels(hn::Vec<D> v, D d, T* to, int64_t count) {
  if (count >= kLanes) return hn::StoreU(v, d, to);
  HWY_ALIGN T lanes[kLanes];
  hn::Store(v, d, lanes);
  std::copy_n(lanes, count, to);
}

// A tile's 4x4 pixels of x, by vectors of channels, to to[value * stride + channel].
template <class Pixel>
HWY_INLINE void TransformTile(int64_t channels, const Pixel& pixel, float* to, int64_t stride) {
  const DF d;
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    TransformInput(
        d, [&](int i, int j) HWY_ATTR { return hn::LoadU(d, pixel(i, j) + c); }, to + c, stride);
  }
  if (c == channels) return;
  const auto mask = hn::FirstN(d, static_cast<size_t>(channels - c));
  TransformInput(
      d, [&](int i, int j) HWY_ATTR { return hn::MaskedLoad(mask, d, pixel(i, j) + c); }, to + c,
      stride);
}

// The tiles [begin, end) to `to`: [16, stride], where a value's tiles are rows of `row` floats.
// zeros: a pixel of the padding.
void TransformTiles(const Conv2dGeometry& g, const Tiles& tiles, const float* x, int64_t begin,
                    int64_t end, const float* zeros, float* to, int64_t row, int64_t stride) {
  const int64_t row_size = g.in_w * g.in_c;
  TilePosition position(tiles, begin);
  for (int64_t tile = begin; tile < end; ++tile, ++position, to += row) {
    const int64_t h = 2 * position.row - g.pad_top, w = 2 * position.column - g.pad_left;
    const float* const first = x + (position.image * g.in_h + h) * row_size + w * g.in_c;
    if (h >= 0 && h + 4 <= g.in_h && w >= 0 && w + 4 <= g.in_w) {
      TransformTile(
          g.in_c,
          [=](int i, int j)
              HWY_ATTR { return first + i * row_size + j * static_cast<int>(g.in_c); },
          to, stride);
      continue;
    }
    const float* pixels[4][4];
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        const bool inside = h + i >= 0 && h + i < g.in_h && w + j >= 0 && w + j < g.in_w;
        pixels[i][j] = inside ? first + i * row_size + j * g.in_c : zeros;
      }
    }
    TransformTile(
        g.in_c, [&](int i, int j) HWY_ATTR { return pixels[i][j]; }, to, stride);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif
