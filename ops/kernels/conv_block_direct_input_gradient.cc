// The gradient of the input, compiled once per SIMD target. Each channel of a result adds its
// gradient times its kernel to a patch of the input. A patch fits a few vectors: that of a window
// holds the kernel at any of its four places, so that a winner is one multiply-add like any other.
#include <algorithm>

#include "ops/kernels/direct_rows.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/conv_block_direct_input_gradient.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/direct-inl.h"

#ifndef WENGERT_CONV_BLOCK_DIRECT_INPUT_GRADIENT_ONCE_
#define WENGERT_CONV_BLOCK_DIRECT_INPUT_GRADIENT_ONCE_
namespace wengert {
namespace {

// The kernels of all output channels as patches, [places, out_c, size], zero around the kernel.
struct Patches {
  Patches(const ConvBlockGeometry& g, const float* w);
  float* data() const { return reinterpret_cast<float*>(storage->data()); }

  int64_t rows, width;  // of a patch
  int64_t size;         // rows * width and more, whole vectors
  StoragePtr storage;
};

Patches::Patches(const ConvBlockGeometry& g, const float* w) {
  constexpr int64_t kMaxLanes = 16;
  const DirectSizes s(g);
  rows = s.kernel_h + s.step - 1;
  width = s.run + (s.step - 1) * s.in_c;
  size = (rows * width + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
  const int64_t total = s.step * s.step * s.out_c * size;
  storage = StoragePtr::Allocate(total * sizeof(float));
  std::fill_n(data(), total, 0.0f);
  for (int64_t place = 0; place < s.step * s.step; ++place) {
    float* const corner = data() + place * s.out_c * size + place / 2 * width + place % 2 * s.in_c;
    for (int64_t tap = 0; tap < s.taps(); ++tap) {
      float* const to = corner + tap / s.run * width + tap % s.run;
      for (int64_t c = 0; c < s.out_c; ++c) to[c * size] = w[tap * s.out_c + c];
    }
  }
}

struct Results {
  const float* y;          // null: without relu
  const uint8_t* winners;  // null: without pooling
  const float* dy;
};

}  // namespace
}  // namespace wengert
#endif  // WENGERT_CONV_BLOCK_DIRECT_INPUT_GRADIENT_ONCE_

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

// sums[0, kVectors * lanes) = the sum over channels of gradients[c] times the patch at offsets[c].
template <int kVectors, class D>
HWY_INLINE void SumPatches(D d, int64_t channels, const float* gradients, const int64_t* offsets,
                           const float* patches, float* sums) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> even[kVectors], odd[kVectors];  // two chains of sums, to wait less for each
  for (int v = 0; v < kVectors; ++v) even[v] = odd[v] = hn::Zero(d);
  const auto add = [&](hn::Vec<D>(&to)[kVectors], int64_t c) HWY_ATTR {
    const auto gradient = hn::Set(d, gradients[c]);
    const float* const patch = patches + offsets[c];
    for (int v = 0; v < kVectors; ++v) {
      to[v] = hn::MulAdd(gradient, hn::LoadU(d, patch + v * lanes), to[v]);
    }
  };
  int64_t c = 0;
  for (; c + 2 <= channels; c += 2) {
    add(even, c);
    add(odd, c + 1);
  }
  if (c < channels) add(even, c);
  for (int v = 0; v < kVectors; ++v) hn::StoreU(hn::Add(even[v], odd[v]), d, sums + v * lanes);
}

// The gradient of one padded image, [out_h + kernel_h - 1, width].
template <class D>
void PaddedGradient(D d, const DirectSizes& s, const Patches& patches, const Results& r,
                    float* padded) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const StoragePtr storage = StoragePtr::Allocate(s.out_c * (sizeof(int64_t) + sizeof(float)) +
                                                  patches.size * sizeof(float));
  int64_t* const offsets = reinterpret_cast<int64_t*>(storage->data());
  float* const gradients = reinterpret_cast<float*>(offsets + s.out_c);
  float* const sums = gradients + s.out_c;
  for (int64_t c = 0; c < s.out_c; ++c) offsets[c] = c * patches.size;
  const int64_t place_size = s.out_c * patches.size;
  for (int64_t i = 0; i < s.rows * s.cols; ++i) {
    const int64_t at = i * s.out_c;
    for (int64_t c = 0; c < s.out_c; ++c) {
      gradients[c] = !r.y || r.y[at + c] > 0 ? r.dy[at + c] : 0.0f;
    }
    if (r.winners) {
      for (int64_t c = 0; c < s.out_c; ++c) {
        offsets[c] = r.winners[at + c] * place_size + c * patches.size;
      }
    }
    int64_t j = 0;
    for (; j + 4 * lanes <= patches.size; j += 4 * lanes) {
      SumPatches<4>(d, s.out_c, gradients, offsets, patches.data() + j, sums + j);
    }
    for (; j < patches.size; j += lanes) {
      SumPatches<1>(d, s.out_c, gradients, offsets, patches.data() + j, sums + j);
    }
    float* to = padded + i / s.cols * s.step * s.width + i % s.cols * s.step * s.in_c;
    const float* from = sums;
    for (int64_t row = 0; row < patches.rows; ++row, to += s.width, from += patches.width) {
      for (int64_t k = 0; k < patches.width; ++k) to[k] += from[k];
    }
  }
}

}  // namespace

bool IsFiniteOnTarget(const float* values, int64_t size) {
  return IsFinite(hn::ScalableTag<float>(), values, size);
}

void InputGradientOnTarget(const ConvBlockGeometry& g, const Patches& patches,
                           const Results& results, float* dx) {
  const DirectSizes s(g);
  const Conv2dGeometry& conv = g.conv;
  const int64_t size = (conv.out_h + conv.kernel_h - 1) * s.width;
  const StoragePtr storage = StoragePtr::Allocate(size * sizeof(float));
  float* const padded = reinterpret_cast<float*>(storage->data());
  std::fill_n(padded, size, 0.0f);
  PaddedGradient(hn::CappedTag<float, 16>(), s, patches, results, padded);
  const int64_t row_size = conv.in_w * conv.in_c;
  for (int64_t row = 0; row < conv.in_h; ++row) {
    std::copy_n(padded + (conv.pad_top + row) * s.width + conv.pad_left * conv.in_c, row_size,
                dx + row * row_size);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(IsFiniteOnTarget);
HWY_EXPORT(InputGradientOnTarget);

void DirectInputGradient(const ConvBlockGeometry& g, const float* w, const float* y,
                         const uint8_t* winners, const float* dy, float* dx) {
  const Conv2dGeometry& conv = g.conv;
  const DirectSizes s(g);
  // Zeros, of losers and around a kernel in its patch, give NaN with what is not finite: then each
  // pixel is a result of its own.
  const auto is_finite = [](const float* values, int64_t size) {
    return HWY_DYNAMIC_DISPATCH(IsFiniteOnTarget)(values, size);
  };
  const bool spread = g.pool && !(is_finite(w, s.taps() * s.out_c) &&
                                  is_finite(dy, s.batch * s.rows * s.cols * s.out_c));
  ConvBlockGeometry read = g;
  if (spread) read.pool = read.relu = false;
  const Patches patches(read, w);
  ParallelFor(s.batch, [&](int64_t image) {
    const int64_t at = image * s.rows * s.cols * s.out_c;
    Results results = {g.relu ? y + at : nullptr, g.pool ? winners + at : nullptr, dy + at};
    StoragePtr pixels;
    if (spread) {
      pixels = StoragePtr::Allocate(conv.out_h * conv.out_w * s.out_c * sizeof(float));
      float* const all = reinterpret_cast<float*>(pixels->data());
      SpreadOverWindows(g, {image, 0, s.rows}, y, winners, dy, all);
      results = {nullptr, nullptr, all};
    }
    HWY_DYNAMIC_DISPATCH(InputGradientOnTarget)
    (read, patches, results, dx + image * conv.in_h * conv.in_w * conv.in_c);
  });
}

}  // namespace wengert
#endif  // HWY_ONCE
