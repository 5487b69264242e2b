// The direct loops, compiled once per SIMD target. Vectors run over output channels; a block of
// sums stays in registers while pixels (forward: taps) pass by.
#include "ops/kernels/conv_direct.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "tensor/parallel.h"
#include "tensor/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/conv_direct.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"

#ifndef WENGERT_CONV_DIRECT_ONCE_
#define WENGERT_CONV_DIRECT_ONCE_
namespace wengert {
namespace {

constexpr int64_t kMinChannels = 8;  // below, and for larger kernels, oneDNN is as fast or faster
constexpr int64_t kMaxTaps = 25;
constexpr int64_t kSpareTaps = 2;  // by which groups of taps may pass the last one

// A few images as one task sees them: with the padding around them, so that the loops meet no edge.
class PaddedImages {
 public:
  PaddedImages(const Conv2dGeometry& g, const float* x, int64_t first, int64_t count)
      : width_(g.out_w + g.kernel_w - 1), size_((g.out_h + g.kernel_h - 1) * width_) {
    const int64_t in_size = g.in_h * g.in_w;
    data_ = x + first * in_size;
    if (g.pad_top == 0 && g.pad_left == 0 && g.pad_bottom == 0 && g.pad_right == 0) return;
    padded_ = StoragePtr::Allocate(count * size_ * sizeof(float));
    float* const out = reinterpret_cast<float*>(padded_->data());
    std::fill_n(out, count * size_, 0.0f);
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t row = 0; row < g.in_h; ++row) {
        std::copy_n(data_ + n * in_size + row * g.in_w, g.in_w,
                    out + n * size_ + (g.pad_top + row) * width_ + g.pad_left);
      }
    }
    data_ = out;
  }
  int64_t width() const { return width_; }
  const float* row(int64_t n, int64_t h) const { return data_ + n * size_ + h * width_; }

 private:
  int64_t width_, size_;
  StoragePtr padded_;
  const float* data_;
};

// How many images one task takes, from the shape alone: work for 10 us or more.
int64_t ImagesPerTask(const Conv2dGeometry& g) {
  const int64_t products = g.out_h * g.out_w * g.out_c * g.kernel_h * g.kernel_w;
  return std::min(g.batch, 500'000 / products + 1);
}

}  // namespace
}  // namespace wengert
#endif  // WENGERT_CONV_DIRECT_ONCE_

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr bool kManyRegisters = true;
#else
constexpr bool kManyRegisters = false;
#endif

// Calls block(vectors, c) so that all channels are covered: pairs of vectors from c on, then one.
// The last may overlap the one before it: those sums are computed twice, to the same bits.
template <bool kPairs, class D, class F>
HWY_INLINE void ForChannelBlocks(D d, int64_t channels, const F& block) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  if constexpr (kPairs) {
    for (; c + 2 * lanes <= channels; c += 2 * lanes) {
      block(std::integral_constant<int, 2>(), c);
    }
  }
  for (; c < channels; c += lanes) {
    block(std::integral_constant<int, 1>(), std::min(c, channels - lanes));
  }
}

// `pixels` sums along one output row, for kVectors vectors of channels. Zero padding of x makes
// every tap count.
template <int kVectors, int kPixels, class D>
HWY_INLINE void ForwardBlock(D d, const Conv2dGeometry& g, const float* x, int64_t width,
                             const float* w, float* y) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sums[kPixels][kVectors];
  HWY_UNROLL(8)
  for (int p = 0; p < kPixels; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) sums[p][v] = hn::Zero(d);
  }
  // Columns outside: were rows outside, one step's pixels would be the next one's, shifted; g++
  // then moves them through registers, which costs more than loading them again.
  for (int64_t kw = 0; kw < g.kernel_w; ++kw) {
    const float* row = x + kw;
    const float* tap = w + kw * g.out_c;
    for (int64_t kh = 0; kh < g.kernel_h; ++kh, row += width, tap += g.kernel_w * g.out_c) {
      hn::Vec<D> weights[kVectors];
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) weights[v] = hn::LoadU(d, tap + v * lanes);
      HWY_UNROLL(8)
      for (int p = 0; p < kPixels; ++p) {
        const auto pixel = hn::Set(d, row[p]);
        HWY_UNROLL(2)
        for (int v = 0; v < kVectors; ++v) {
          sums[p][v] = hn::MulAdd(pixel, weights[v], sums[p][v]);
        }
      }
    }
  }
  HWY_UNROLL(8)
  for (int p = 0; p < kPixels; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[p][v], d, y + p * g.out_c + v * lanes);
  }
}

// One output row from pixel ow on: blocks of kPixels, then of half as many, and so on.
template <int kVectors, int kPixels, class D>
HWY_INLINE void ForwardRow(D d, const Conv2dGeometry& g, const float* x, int64_t width,
                           const float* w, float* y, int64_t ow) {
  for (; ow + kPixels <= g.out_w; ow += kPixels) {
    ForwardBlock<kVectors, kPixels>(d, g, x + ow, width, w, y + ow * g.out_c);
  }
  if constexpr (kPixels > 1) {
    ForwardRow<kVectors, kPixels / 2>(d, g, x, width, w, y, ow);
  }
}

template <class D>
void ForwardImages(D d, const Conv2dGeometry& g, const float* x, const float* w, float* y,
                   int64_t first, int64_t count) {
  const PaddedImages images(g, x, first, count);
  for (int64_t n = 0; n < count; ++n) {
    for (int64_t oh = 0; oh < g.out_h; ++oh) {
      float* const row = y + ((first + n) * g.out_h + oh) * g.out_w * g.out_c;
      ForChannelBlocks<true>(d, g.out_c, [&](auto vectors, int64_t c) HWY_ATTR {
        constexpr int kPixels = kManyRegisters || vectors == 1 ? 8 : 4;
        ForwardRow<vectors, kPixels>(d, g, images.row(n, oh), images.width(), w + c, row + c, 0);
      });
    }
  }
}

// Adds to `totals` the gradient of kTaps taps and kVectors vectors of channels from one image.
// offsets: from an output pixel's place in x to the tap's. A function of its own, so that the
// pointers stay in registers.
template <int kTaps, int kVectors, class D>
HWY_NOINLINE void KernelGradientOfImage(D d, const Conv2dGeometry& g, const float* x, int64_t width,
                                        const int64_t* offsets, const float* dy, float* totals) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t out_w = g.out_w, out_c = g.out_c;
  hn::Vec<D> sums[kTaps][kVectors];
  HWY_UNROLL(9)
  for (int t = 0; t < kTaps; ++t) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) sums[t][v] = hn::Zero(d);
  }
  for (int64_t oh = 0; oh < g.out_h; ++oh, x += width) {
    const float* pixels[kTaps];
    HWY_UNROLL(9)
    for (int t = 0; t < kTaps; ++t) pixels[t] = x + offsets[t];
    for (int64_t ow = 0; ow < out_w; ++ow, dy += out_c) {
      hn::Vec<D> gradient[kVectors];
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) gradient[v] = hn::LoadU(d, dy + v * lanes);
      HWY_UNROLL(9)
      for (int t = 0; t < kTaps; ++t) {
        const auto pixel = hn::Set(d, pixels[t][ow]);
        HWY_UNROLL(2)
        for (int v = 0; v < kVectors; ++v) {
          sums[t][v] = hn::MulAdd(pixel, gradient[v], sums[t][v]);
        }
      }
    }
  }
  HWY_UNROLL(9)
  for (int t = 0; t < kTaps; ++t) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) {
      float* const total = totals + (t * kVectors + v) * lanes;
      hn::Store(hn::Add(hn::Load(d, total), sums[t][v]), d, total);
    }
  }
}

// dw of some taps and channels, from a task's images. Each image is summed by itself, to bound the
// rounding.
template <int kTaps, int kVectors, class D>
void KernelGradientBlock(D d, const Conv2dGeometry& g, const PaddedImages& images, int64_t count,
                         const int64_t* offsets, const float* dy, float* dw) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float totals[kTaps * kVectors * hn::MaxLanes(d)] = {};
  for (int64_t n = 0; n < count; ++n) {
    KernelGradientOfImage<kTaps, kVectors>(d, g, images.row(n, 0), images.width(), offsets,
                                           dy + n * g.out_h * g.out_w * g.out_c, totals);
  }
  for (int t = 0; t < kTaps; ++t) {
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(hn::Load(d, totals + (t * kVectors + v) * lanes), d, dw + t * g.out_c + v * lanes);
    }
  }
}

// dw of a task's images. It has room for whole groups of taps past its last one.
template <class D>
void KernelGradientOfImages(D d, const Conv2dGeometry& g, const float* x, const float* dy,
                            int64_t first, int64_t count, float* dw) {
  const PaddedImages images(g, x, first, count);
  dy += first * g.out_h * g.out_w * g.out_c;
  // Taps past the last repeat the first; what they give is not used.
  std::vector<int64_t> offsets(g.kernel_h * g.kernel_w + kSpareTaps);
  const int64_t taps = g.kernel_h * g.kernel_w;
  for (int64_t t = 0; t < taps; ++t) {
    offsets[t] = t / g.kernel_w * images.width() + t % g.kernel_w;
  }
  const auto group = [&](auto group_taps, int64_t t) HWY_ATTR {
    ForChannelBlocks<kManyRegisters>(d, g.out_c, [&](auto vectors, int64_t c) HWY_ATTR {
      KernelGradientBlock<group_taps, vectors>(d, g, images, count, &offsets[t], dy + c,
                                               dw + t * g.out_c + c);
    });
  };
  for (int64_t t = 0; t < taps;) {
    if (taps - t >= 7) {
      group(std::integral_constant<int, 9>(), t);
      t += 9;
    } else {
      group(std::integral_constant<int, 3>(), t);
      t += 3;
    }
  }
}

// Calls f with the widest vector that the channels fill.
template <class F>
HWY_INLINE void WithVector(int64_t channels, const F& f) {
  const hn::ScalableTag<float> d;
  if (channels >= static_cast<int64_t>(hn::Lanes(d))) return f(d);
  f(hn::CappedTag<float, kMinChannels>());
}

}  // namespace

void ForwardOnTarget(const Conv2dGeometry& g, const float* x, const float* w, float* y,
                     int64_t first, int64_t count) {
  WithVector(g.out_c, [&](auto d) HWY_ATTR { ForwardImages(d, g, x, w, y, first, count); });
}
void KernelGradientOnTarget(const Conv2dGeometry& g, const float* x, const float* dy, int64_t first,
                            int64_t count, float* dw) {
  WithVector(g.out_c,
             [&](auto d) HWY_ATTR { KernelGradientOfImages(d, g, x, dy, first, count, dw); });
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(ForwardOnTarget);
HWY_EXPORT(KernelGradientOnTarget);

bool PrefersDirect(const Conv2dGeometry& g) {
  return g.in_c == 1 && g.groups == 1 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
         g.dilation_w == 1 && g.out_c >= kMinChannels && g.kernel_h * g.kernel_w <= kMaxTaps &&
         g.batch * g.in_h * g.in_w > 0 && g.out_h * g.out_w > 0;
}

void DirectConv2dForward(const Conv2dGeometry& g, const float* x, const float* w, float* y) {
  const int64_t step = ImagesPerTask(g);
  ParallelFor((g.batch + step - 1) / step, [&](int64_t task) {
    const int64_t first = task * step;
    HWY_DYNAMIC_DISPATCH(ForwardOnTarget)(g, x, w, y, first, std::min(step, g.batch - first));
  });
}

void DirectConv2dKernelGradient(const Conv2dGeometry& g, const float* x, const float* dy,
                                float* dw) {
  constexpr int64_t kMaxPartials = 64;  // one for each task
  const int64_t step = std::max(ImagesPerTask(g), (g.batch + kMaxPartials - 1) / kMaxPartials);
  const int64_t tasks = (g.batch + step - 1) / step;
  const int64_t size = g.kernel_h * g.kernel_w * g.out_c;
  const int64_t stride = size + kSpareTaps * g.out_c;
  const StoragePtr storage = StoragePtr::Allocate(tasks * stride * sizeof(float));
  float* const partials = reinterpret_cast<float*>(storage->data());
  ParallelFor(tasks, [&](int64_t task) {
    const int64_t first = task * step;
    HWY_DYNAMIC_DISPATCH(KernelGradientOnTarget)
    (g, x, dy, first, std::min(step, g.batch - first), partials + task * stride);
  });
  constexpr int64_t kBlock = 1024;
  ParallelFor((size + kBlock - 1) / kBlock, [&](int64_t block) {
    const int64_t begin = block * kBlock, length = std::min(kBlock, size - begin);
    double sums[kBlock] = {};
    for (int64_t task = 0; task < tasks; ++task) {
      const float* const partial = partials + task * stride + begin;
      for (int64_t i = 0; i < length; ++i) sums[i] += partial[i];
    }
    for (int64_t i = 0; i < length; ++i) dw[begin + i] = static_cast<float>(sums[i]);
  });
}

}  // namespace wengert
#endif  // HWY_ONCE
