// The input's gradient from the winners of pooling windows, compiled once per SIMD target. A window
// reads 4x4 pixels of x; their gradients, for one vector of input channels, are summed in registers
// over the output channels: dx[pixel + tap, :] += dy * w[tap, :].
#include <algorithm>

#include "ops/kernels/conv_block_winners.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/conv_block_input_gradient.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/gemm_pack-inl.h"
#include "ops/kernels/winner_lists-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(DF()));

// Adds to the 4x4 sums what the listed channels give to the nine pixels that pixel kPixel of the
// window reads. w: [channels, 9, lanes].
template <int kPixel>
HWY_INLINE void AddPixel(const int32_t* index, const int32_t* end, const float* HWY_RESTRICT dy,
                         const float* HWY_RESTRICT w, VF (&sums)[16]) {
  const DF d;
  constexpr int kFirst = kPixel / 2 * 4 + kPixel % 2;
  for (; index != end; ++index) {
    const int64_t c = *index;
    const VF scale = hn::Set(d, dy[c]);
    const float* const taps = w + c * (9 * kLanes);
    HWY_UNROLL(9) for (int t = 0; t < 9; ++t) {
      VF& sum = sums[kFirst + t / 3 * 4 + t % 3];
      sum = hn::MulAdd(scale, hn::Load(d, taps + t * kLanes), sum);
    }
  }
}

// Adds a window's gradient to the pixels that it reads, rows of `row` floats.
void AddWindow(const int32_t* indices, const int32_t* starts, const float* dy, const float* w,
               float* HWY_RESTRICT to, int64_t row) {
  const DF d;
  VF sums[16];
  HWY_UNROLL(16) for (int i = 0; i < 16; ++i) {
    sums[i] = hn::Load(d, to + i / 4 * row + i % 4 * kLanes);
  }
  AddPixel<0>(indices + starts[0], indices + starts[1], dy, w, sums);
  AddPixel<1>(indices + starts[1], indices + starts[2], dy, w, sums);
  AddPixel<2>(indices + starts[2], indices + starts[3], dy, w, sums);
  AddPixel<3>(indices + starts[3], indices + starts[4], dy, w, sums);
  HWY_UNROLL(16) for (int i = 0; i < 16; ++i) {
    hn::Store(sums[i], d, to + i / 4 * row + i % 4 * kLanes);
  }
}

}  // namespace

// The kernel as [vectors of input channels, out_c, 9, lanes]: of one vector, with zeros for the
// channels past the last.
int64_t PackedVectorSizeOnTarget(const Conv2dGeometry& g) { return g.out_c * 9 * kLanes; }
int64_t VectorsOnTarget(const Conv2dGeometry& g) { return (g.in_c + kLanes - 1) / kLanes; }
void PackVectorOnTarget(const Conv2dGeometry& g, const float* w, int64_t vector, float* to) {
  const int64_t channel = vector * kLanes, channels = std::min(kLanes, g.in_c - channel);
  if (channels < kLanes) std::fill_n(to, g.out_c * 9 * kLanes, 0.0f);
  for (int64_t tap = 0; tap < 9; ++tap) {
    Pack(w + (tap * g.in_c + channel) * g.out_c, 1, g.out_c, g.out_c, channels, 9 * kLanes,
         to + tap * kLanes);
  }
}

// dx of the images [image, end), vectors [first, last) of channels. w: as PackVectorOnTarget leaves
// it.
void InputGradientOfImagesOnTarget(const ConvBlockGeometry& block, const float* w,
                                   const PooledGradient& from, int64_t image, int64_t end,
                                   int64_t first, int64_t last, float* dx) {
  const DF d;
  const Conv2dGeometry& g = block.conv;
  const int64_t windows_h = g.out_h / 2, windows_w = g.out_w / 2;
  const int64_t per_image = windows_h * windows_w, windows = (end - image) * per_image;
  const int64_t vectors = last - first;
  const int64_t lists = (g.out_c + kListedChannels - 1) / kListedChannels;
  // The pixels of the padded image that some window reads.
  const int64_t height = 2 * windows_h + 2, width = 2 * windows_w + 2, row = width * kLanes;
  const int64_t image_size = height * row, starts_size = 4 * windows + 1;
  const int64_t indices_size = windows * kListedChannels + kLanes;
  const StoragePtr scratch =
      StoragePtr::Allocate((end - image) * vectors * image_size * sizeof(float) +
                           lists * (indices_size + starts_size) * sizeof(int32_t));
  float* const sums = reinterpret_cast<float*>(scratch->data());
  int32_t* const indices = reinterpret_cast<int32_t*>(sums + (end - image) * vectors * image_size);
  int32_t* const starts = indices + lists * indices_size;
  for (int64_t list = 0; list < lists; ++list) {
    const int64_t channel = list * kListedChannels;
    ListWinners(from, image * per_image, windows, channel,
                std::min(kListedChannels, g.out_c - channel), indices + list * indices_size,
                starts + list * starts_size);
  }
  std::fill_n(sums, (end - image) * vectors * image_size, 0.0f);
  w += first * g.out_c * 9 * kLanes;
  for (int64_t vector = 0; vector < vectors; ++vector, w += g.out_c * 9 * kLanes) {
    for (int64_t list = 0; list < lists; ++list) {
      const int64_t channel = list * kListedChannels;
      const float* dy = from.dy + image * per_image * g.out_c + channel;
      const int32_t* start = starts + list * starts_size;
      for (int64_t window = 0; window < windows; ++window, dy += g.out_c, start += 4) {
        const int64_t in_image = window % per_image;
        const int64_t pixel = in_image / windows_w * 2 * width + in_image % windows_w * 2;
        AddWindow(indices + list * indices_size, start, dy, w + channel * 9 * kLanes,
                  sums + (window / per_image * vectors + vector) * image_size + pixel * kLanes,
                  row);
      }
    }
  }
  const int64_t channel = first * kLanes, channels = std::min(vectors * kLanes, g.in_c - channel);
  for (int64_t n = image; n < end; ++n) {
    const float* const image_sums = sums + (n - image) * vectors * image_size;
    for (int64_t h = 0; h < g.in_h; ++h) {
      float* to = dx + (n * g.in_h + h) * g.in_w * g.in_c + channel;
      for (int64_t v = 0; v < g.in_w; ++v, to += g.in_c) {
        const int64_t padded_h = h + g.pad_top, padded_w = v + g.pad_left;
        if (padded_h >= height || padded_w >= width) {
          std::fill_n(to, channels, 0.0f);
          continue;
        }
        const float* pixel = image_sums + padded_h * row + padded_w * kLanes;
        int64_t c = 0;
        for (; c + kLanes <= channels; c += kLanes, pixel += image_size) {
          hn::StoreU(hn::Load(d, pixel), d, to + c);
        }
        std::copy_n(pixel, channels - c, to + c);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(PackedVectorSizeOnTarget);
HWY_EXPORT(VectorsOnTarget);
HWY_EXPORT(PackVectorOnTarget);
HWY_EXPORT(InputGradientOfImagesOnTarget);

bool WinnersInputGradient(const ConvBlockGeometry& block, const float* w, const PooledGradient& dy,
                          float* dx) {
  const Conv2dGeometry& g = block.conv;
  float poison = 0;
  for (int64_t i = 0; i < 9 * g.in_c * g.out_c; ++i) poison += 0 * w[i];
  if (!(poison == 0)) return false;

  const int64_t vectors = HWY_DYNAMIC_DISPATCH(VectorsOnTarget)(g);
  const int64_t size = HWY_DYNAMIC_DISPATCH(PackedVectorSizeOnTarget)(g);
  const StoragePtr storage = StoragePtr::Allocate(vectors * size * sizeof(float));
  float* const packed = reinterpret_cast<float*>(storage->data());
  ParallelFor(vectors, [&](int64_t vector) {
    HWY_DYNAMIC_DISPATCH(PackVectorOnTarget)(g, w, vector, packed + vector * size);
  });
  // A task has so many windows that the packed kernel is read from L1. Where that makes few tasks,
  // channels are dealt to several.
  constexpr int64_t kMinWindows = 100, kMinTasks = 8;
  const int64_t windows = (g.out_h / 2) * (g.out_w / 2);
  const int64_t step = std::min((kMinWindows + windows - 1) / windows, g.batch);
  const int64_t image_tasks = (g.batch + step - 1) / step;
  const int64_t parts = std::min(vectors, (kMinTasks + image_tasks - 1) / image_tasks);
  ParallelFor(image_tasks * parts, [&](int64_t task) {
    const int64_t image = task / parts * step, end = std::min(image + step, g.batch);
    const int64_t part = task % parts;
    HWY_DYNAMIC_DISPATCH(InputGradientOfImagesOnTarget)
    (block, packed, dy, image, end, part * vectors / parts, (part + 1) * vectors / parts, dx);
  });
  return true;
}

}  // namespace wengert
#endif  // HWY_ONCE
