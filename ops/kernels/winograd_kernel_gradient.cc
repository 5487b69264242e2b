// The kernel's gradient of a 3x3 convolution by the adjoint of Winograd's F(2x2, 3x3): for each of
// the 16 values of a tile, the sum over the tiles of the outer products of transformed x and
// transformed dy, then the transform back to nine taps. Compiled once per SIMD target.
#include <algorithm>
#include <array>
#include <utility>

#include "ops/kernels/winograd.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/winograd_kernel_gradient.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/winograd_tiles-inl.h"

#ifndef WENGERT_WINOGRAD_KERNEL_GRADIENT_ONCE_
#define WENGERT_WINOGRAD_KERNEL_GRADIENT_ONCE_
namespace wengert {
namespace {

// How the work is cut, by the shape alone: tiles into groups, whose sums are added at the end, and
// output channels into panels.
struct Cut {
  Cut(const Conv2dGeometry& g, int64_t lanes, int64_t panel_vectors)
      : tiles({.conv = g}),
        panels(CeilDiv(CeilDiv(g.out_c, lanes), panel_vectors)),
        x_row(RoundUp(g.in_c, lanes)),
        sums_size(16 * g.in_c * RoundUp(g.out_c, lanes)) {
    groups = std::clamp<int64_t>(tiles.count / 256, 1, std::max<int64_t>(1, 16 / panels));
    // The transformed tiles of a step and the sums of a panel stay in L2.
    constexpr int64_t kFloats = 200'000;
    step = std::clamp<int64_t>(kFloats / (16 * (x_row + panel_vectors * lanes)), 8, 96);
  }
  int64_t FirstTile(int64_t group) const { return group * tiles.count / groups; }

  Tiles tiles;
  int64_t panels, x_row, sums_size, groups;
  int64_t step;  // tiles
};

}  // namespace
}  // namespace wengert
#endif  // WENGERT_WINOGRAD_KERNEL_GRADIENT_ONCE_

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The tiles [begin, end) of dy, `vectors` of channels from `channel` on, to `to`: [16, stride],
// where a value's tiles are rows of that many vectors. What lies past an edge is 0.
void TransformGradientTiles(const Conv2dGeometry& g, const Tiles& tiles, const float* dy,
                            int64_t begin, int64_t end, int64_t channel, int64_t vectors, float* to,
                            int64_t stride) {
  const DF d;
  TilePosition position(tiles, begin);
  for (int64_t tile = begin; tile < end; ++tile, ++position) {
    const int64_t row = 2 * position.row, column = 2 * position.column;
    const float* const first =
        dy + ((position.image * g.out_h + row) * g.out_w + column) * g.out_c + channel;
    for (int64_t v = 0; v < vectors; ++v, to += kLanes) {
      const int64_t count = g.out_c - channel - v * kLanes;
      TransformOutputGradient(
          d,
          [&](int i, int j) HWY_ATTR {
            if (row + i >= g.out_h || column + j >= g.out_w) return hn::Zero(d);
            return LoadChannels(first + (i * g.out_w + j) * g.out_c + v * kLanes, count);
          },
          to, stride);
    }
  }
}

// sums[16, in_c, vectors * lanes] of one group and panel.
template <int kVectors>
void SumPanel(const Conv2dGeometry& g, const Cut& cut, const float* x, const float* dy,
              int64_t group, int64_t channel, float* sums) {
  constexpr int64_t kWidth = kVectors * kLanes;
  // A line more than a power of two, so that the 16 values of a tile fall into different sets.
  const int64_t x_stride = RoundUp(cut.step * cut.x_row, kCacheLine) + kCacheLine;
  const int64_t y_stride = RoundUp(cut.step * kWidth, kCacheLine) + kCacheLine;
  const StoragePtr scratch =
      StoragePtr::Allocate((16 * x_stride + 16 * y_stride + cut.x_row) * sizeof(float));
  float* const x_tiles = Floats(scratch);
  float* const y_tiles = x_tiles + 16 * x_stride;
  float* const zeros = y_tiles + 16 * y_stride;
  std::fill_n(zeros, cut.x_row, 0.0f);
  const int64_t first = cut.FirstTile(group), last = cut.FirstTile(group + 1);
  for (int64_t begin = first; begin < last; begin += cut.step) {
    const int64_t end = std::min(begin + cut.step, last);
    TransformTiles(g, cut.tiles, x, begin, end, zeros, x_tiles, cut.x_row, x_stride);
    TransformGradientTiles(g, cut.tiles, dy, begin, end, channel, kVectors, y_tiles, y_stride);
    for (int64_t value = 0; value < 16; ++value) {
      MultiplyPanel<kVectors>(g.in_c, end - begin, x_tiles + value * x_stride, 1, cut.x_row,
                              y_tiles + value * y_stride, sums + value * g.in_c * kWidth,
                              /*accumulate=*/begin > first);
    }
  }
}
template <int... kIndex>
constexpr auto MakeSums(std::integer_sequence<int, kIndex...>) {
  return std::array{&SumPanel<kIndex + 1>...};
}

// Calls f(channel, vectors) for the panel of that number.
template <class F>
void ForPanel(int64_t out_c, int64_t number, const F& f) {
  int64_t i = 0;
  ForPanels(out_c, [&](int64_t channel, int64_t vectors) {
    if (i++ == number) f(channel, vectors);
  });
}

}  // namespace

Cut CutOnTarget(const Conv2dGeometry& g) { return Cut(g, kLanes, kPanelVectors); }

// The sums of a group: panel by panel.
void SumPanelOnTarget(const Conv2dGeometry& g, const Cut& cut, const float* x, const float* dy,
                      int64_t group, int64_t panel, float* sums) {
  constexpr auto kSums = MakeSums(std::make_integer_sequence<int, kPanelVectors>());
  ForPanel(g.out_c, panel, [&](int64_t channel, int64_t vectors) {
    kSums[vectors - 1](g, cut, x, dy, group, channel, sums + 16 * g.in_c * channel);
  });
}

// dw of input channels [begin, end) and a panel, from the sums of all groups. Returns whether all
// of it is finite.
bool FinishPanelOnTarget(const Conv2dGeometry& g, const Cut& cut, const float* sums, int64_t panel,
                         int64_t begin, int64_t end, float* dw) {
  const DF d;
  VF poison = hn::Zero(d);
  ForPanel(g.out_c, panel, [&](int64_t channel, int64_t vectors) HWY_ATTR {
    const int64_t width = vectors * kLanes;
    const float* const of_panel = sums + 16 * g.in_c * channel;
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t v = 0; v < width; v += kLanes) {
        VF values[16], taps[9];
        for (int64_t value = 0; value < 16; ++value) {
          const float* const from = of_panel + (value * g.in_c + i) * width + v;
          values[value] = hn::Load(d, from);
          for (int64_t group = 1; group < cut.groups; ++group) {
            values[value] = hn::Add(values[value], hn::Load(d, from + group * cut.sums_size));
          }
        }
        TransformKernelGradient(values, taps);
        for (int64_t tap = 0; tap < 9; ++tap) {
          poison = hn::MulAdd(taps[tap], hn::Zero(d), poison);
          StoreChannels(taps[tap], d, dw + (tap * g.in_c + i) * g.out_c + channel + v,
                        g.out_c - channel - v);
        }
      }
    }
  });
  return hn::AllTrue(d, hn::Eq(poison, hn::Zero(d)));
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(CutOnTarget);
HWY_EXPORT(SumPanelOnTarget);
HWY_EXPORT(FinishPanelOnTarget);

void WinogradKernelGradient(const Conv2dGeometry& g, const float* x, const float* dy, float* dw) {
  const Cut cut = HWY_DYNAMIC_DISPATCH(CutOnTarget)(g);
  constexpr int64_t kChannels = 16;  // of a task at the end
  const int64_t blocks = CeilDiv(g.in_c, kChannels), tasks = cut.panels * blocks;
  const StoragePtr storage =
      StoragePtr::Allocate(cut.groups * cut.sums_size * sizeof(float) + tasks);
  float* const sums = Floats(storage);
  bool* const finite = reinterpret_cast<bool*>(sums + cut.groups * cut.sums_size);
  ParallelFor(cut.groups * cut.panels, [&](int64_t task) {
    const int64_t group = task / cut.panels;
    HWY_DYNAMIC_DISPATCH(SumPanelOnTarget)
    (g, cut, x, dy, group, task % cut.panels, sums + group * cut.sums_size);
  });
  ParallelFor(tasks, [&](int64_t task) {
    const int64_t begin = task % blocks * kChannels;
    finite[task] = HWY_DYNAMIC_DISPATCH(FinishPanelOnTarget)(
        g, cut, sums, task / blocks, begin, std::min(begin + kChannels, g.in_c), dw);
  });
  // The transforms spread an infinity or NaN, and make NaN of infinities.
  if (std::find(finite, finite + tasks, false) != finite + tasks) {
    Conv2dKernelGradient(g, x, dy, dw);
  }
}

}  // namespace wengert
#endif  // HWY_ONCE
