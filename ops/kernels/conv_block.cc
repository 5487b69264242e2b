// Chooses the kernels of a convolution block, and has those that take any: pieces of the batch
// through the plain convolution, with bias, relu and pooling while a piece is in cache. These give,
// forward, the bits of the ops one by one.
#include "ops/kernels/conv_block.h"

#include <algorithm>
#include <vector>

#include "ops/kernels/conv_block_direct.h"
#include "ops/kernels/conv_block_winograd.h"
#include "ops/kernels/convolution.h"
#include "ops/kernels/winograd.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/conv_block.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"

#ifndef WENGERT_CONV_BLOCK_ONCE_
#define WENGERT_CONV_BLOCK_ONCE_
namespace wengert {
namespace {

int64_t ResultHeight(const ConvBlockGeometry& g) { return g.conv.out_h / (g.pool ? 2 : 1); }
int64_t ResultWidth(const ConvBlockGeometry& g) { return g.conv.out_w / (g.pool ? 2 : 1); }
int64_t ResultImage(const ConvBlockGeometry& g) {
  return ResultHeight(g) * ResultWidth(g) * g.conv.out_c;
}

}  // namespace
}  // namespace wengert
#endif  // WENGERT_CONV_BLOCK_ONCE_

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// For the lambdas below: g++ would call them once for each vector.
#define INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

// Calls f(d, c) for whole vectors of channels, and lane by lane for those that fill none. Nothing
// here rounds differently by lane.
template <class F>
HWY_INLINE void ForChannels(int64_t channels, const F& f) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) f(d, c);
  for (; c < channels; ++c) f(one, c);
}

// max(z + bias, 0), with NaN as relu has it.
template <bool kBias, bool kRelu, class D>
HWY_INLINE hn::Vec<D> Activated(D d, const float* z, const float* bias, int64_t c) {
  auto v = hn::LoadU(d, z);
  if constexpr (kBias) v = hn::Add(v, hn::LoadU(d, bias + c));
  if constexpr (kRelu) v = hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Zero(d), v);
  return v;
}

// Positions are held as floats: one mask then serves values and positions.
template <class D>
HWY_INLINE void StorePositions(D, hn::Vec<D> positions, uint8_t* to) {
  const hn::Rebind<uint8_t, D> d_byte;
  hn::StoreU(hn::DemoteTo(d_byte, hn::ConvertTo(hn::Rebind<int32_t, D>(), positions)), d_byte, to);
}
template <class D>
HWY_INLINE hn::Vec<D> LoadPositions(D d, const uint8_t* from) {
  const hn::Rebind<int32_t, D> d_int;
  return hn::ConvertTo(d, hn::PromoteTo(d_int, hn::LoadU(hn::Rebind<uint8_t, D>(), from)));
}

// z: the convolution of one image, whose first output y is.
template <bool kBias, bool kRelu>
void FinishImage(const ConvBlockGeometry& g, const float* z, const float* bias, float* y,
                 uint8_t* winners) {
  const int64_t channels = g.conv.out_c, width = g.conv.out_w;
  if (!g.pool) {
    for (int64_t pixel = 0; pixel < g.conv.out_h * width; ++pixel) {
      const int64_t at = pixel * channels;
      ForChannels(channels, [&](auto d, int64_t c) INLINE_LAMBDA {
        hn::StoreU(Activated<kBias, kRelu>(d, z + at + c, bias, c), d, y + at + c);
      });
    }
    return;
  }
  for (int64_t row = 0; row < g.conv.out_h / 2; ++row) {
    for (int64_t column = 0; column < width / 2; ++column) {
      const float* const window = z + (row * 2 * width + column * 2) * channels;
      const int64_t at = (row * (width / 2) + column) * channels;
      ForChannels(channels, [&](auto d, int64_t c) INLINE_LAMBDA {
        auto best = Activated<kBias, kRelu>(d, window + c, bias, c);
        auto winner = hn::Zero(d);
        for (const int position : {1, 2, 3}) {
          const int64_t pixel = (position & 1) + (position >> 1) * width;
          const auto v = Activated<kBias, kRelu>(d, window + pixel * channels + c, bias, c);
          // v wins if it is larger, or the first NaN.
          const auto wins = hn::AndNot(hn::IsNaN(best), hn::Not(hn::Le(v, best)));
          best = hn::IfThenElse(wins, v, best);
          winner = hn::IfThenElse(wins, hn::Set(d, static_cast<float>(position)), winner);
        }
        hn::StoreU(best, d, y + at + c);
        if (winners) StorePositions(d, winner, winners + at + c);
      });
    }
  }
}

}  // namespace

void FinishOnTarget(const ConvBlockGeometry& g, const float* z, const float* bias, float* y,
                    uint8_t* winners) {
  const auto finish = g.bias ? (g.relu ? &FinishImage<true, true> : &FinishImage<true, false>)
                             : (g.relu ? &FinishImage<false, true> : &FinishImage<false, false>);
  finish(g, z, bias, y, winners);
}

// Writes the gradient of one image's convolution, unless dz is null, and adds the sum over its
// pixels to dbias, unless that is null.
void ExpandOnTarget(const ConvBlockGeometry& g, const float* y, const uint8_t* winners,
                    const float* dy, float* dz, double* dbias) {
  const int64_t channels = g.conv.out_c, width = g.conv.out_w;
  const int64_t rows = ResultHeight(g), columns = ResultWidth(g);
  const StoragePtr storage = StoragePtr::Allocate(dbias ? channels * sizeof(float) : 0);
  float* const sums = reinterpret_cast<float*>(storage->data());  // of a row of windows
  for (int64_t row = 0; row < rows; ++row) {
    if (dbias) std::fill_n(sums, channels, 0.0f);
    for (int64_t column = 0; column < columns; ++column) {
      const int64_t at = (row * columns + column) * channels;
      float* const window =
          dz ? dz + (g.pool ? row * 2 * width + column * 2 : row * width + column) * channels
             : nullptr;
      ForChannels(channels, [&](auto d, int64_t c) INLINE_LAMBDA {
        auto v = hn::LoadU(d, dy + at + c);
        if (g.relu) v = hn::IfThenElseZero(hn::Gt(hn::LoadU(d, y + at + c), hn::Zero(d)), v);
        if (dbias) hn::StoreU(hn::Add(hn::LoadU(d, sums + c), v), d, sums + c);
        if (!window) return;
        if (!g.pool) return hn::StoreU(v, d, window + c);
        const auto winner = LoadPositions(d, winners + at + c);
        for (const int position : {0, 1, 2, 3}) {
          const int64_t pixel = (position & 1) + (position >> 1) * width;
          const auto wins = hn::Eq(winner, hn::Set(d, static_cast<float>(position)));
          hn::StoreU(hn::IfThenElseZero(wins, v), d, window + pixel * channels + c);
        }
      });
    }
    for (int64_t c = 0; dbias && c < channels; ++c) dbias[c] += sums[c];
    // What no window reads.
    if (dz && g.pool && width % 2) {
      for (const int64_t line : {row * 2, row * 2 + 1}) {
        std::fill_n(dz + (line * width + width - 1) * channels, channels, 0.0f);
      }
    }
  }
  if (dz && g.pool && g.conv.out_h % 2) {
    std::fill_n(dz + (g.conv.out_h - 1) * width * channels, width * channels, 0.0f);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {
namespace {

HWY_EXPORT(FinishOnTarget);
HWY_EXPORT(ExpandOnTarget);

void GeneralForward(const ConvBlockGeometry& g, const float* x, const float* w, const float* bias,
                    float* y, uint8_t* winners) {
  const int64_t z_image = g.conv.out_h * g.conv.out_w * g.conv.out_c, y_image = ResultImage(g);
  const auto finish = [&](int64_t first, int64_t images, const float* z) {
    for (int64_t i = 0; i < images; ++i) {
      const int64_t at = (first + i) * y_image;
      HWY_DYNAMIC_DISPATCH(FinishOnTarget)
      (g, z + i * z_image, bias, y + at, winners ? winners + at : nullptr);
    }
  };
  // Without pooling a piece is finished where it is.
  Conv2dForwardPieces(g.conv, x, w, g.pool ? nullptr : y, finish);
}

// The sums of the images, [batch, out_c], in their order.
void FinishBias(const Conv2dGeometry& g, const std::vector<double>& sums, float* dbias) {
  for (int64_t c = 0; c < g.out_c; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < g.batch; ++i) sum += sums[i * g.out_c + c];
    dbias[c] = static_cast<float>(sum);
  }
}

// Without pooling: through the whole gradient of the convolution.
void UnpooledBackward(const ConvBlockGeometry& g, const float* x, const float* w, const float* y,
                      const float* dy, float* dx, float* dw, float* dbias) {
  const Conv2dGeometry& conv = g.conv;
  const int64_t image = conv.out_h * conv.out_w * conv.out_c;
  std::vector<double> sums(dbias ? conv.batch * conv.out_c : 0);
  const StoragePtr storage = StoragePtr::Allocate(g.relu ? conv.batch * image * sizeof(float) : 0);
  float* const dz = g.relu ? reinterpret_cast<float*>(storage->data()) : nullptr;
  if (dz || dbias) {
    ParallelFor(conv.batch, [&](int64_t i) {
      const int64_t at = i * image;
      HWY_DYNAMIC_DISPATCH(ExpandOnTarget)
      (g, y ? y + at : nullptr, nullptr, dy + at, dz ? dz + at : nullptr,
       dbias ? &sums[i * conv.out_c] : nullptr);
    });
  }
  if (dbias) FinishBias(conv, sums, dbias);
  if (dx) ConvolutionInputGradient(conv, dz ? dz : dy, w, dx);
  if (dw) ConvolutionKernelGradient(conv, x, dz ? dz : dy, dw);
}

void GeneralBackward(const ConvBlockGeometry& g, const float* x, const float* w, const float* y,
                     const uint8_t* winners, const float* dy, float* dx, float* dw, float* dbias) {
  const Conv2dGeometry& conv = g.conv;
  const int64_t z_image = conv.out_h * conv.out_w * conv.out_c, y_image = ResultImage(g);
  // Of each image, so that they do not depend on the pieces.
  std::vector<double> sums(dbias ? conv.batch * conv.out_c : 0);
  bool sums_wanted = dbias;
  const auto expand = [&](int64_t first, int64_t images, float* dz) {
    for (int64_t i = first; i < first + images; ++i) {
      const int64_t at = i * y_image;
      HWY_DYNAMIC_DISPATCH(ExpandOnTarget)
      (g, y ? y + at : nullptr, winners ? winners + at : nullptr, dy + at,
       dz ? dz + (i - first) * z_image : nullptr, sums_wanted ? &sums[i * conv.out_c] : nullptr);
    }
  };
  if (dx || dw) {
    Conv2dBackwardPieces(conv, x, w, dx, dw, expand);
    sums_wanted = false;
  }
  if (!dbias) return;
  if (sums_wanted) ParallelFor(conv.batch, [&](int64_t i) { expand(i, 1, nullptr); });
  FinishBias(conv, sums, dbias);
}

}  // namespace

// Where kernels are chosen, by shape alone.

void ConvBlockForward(const ConvBlockGeometry& g, const float* x, const float* w, const float* bias,
                      float* y, uint8_t* winners) {
  if (PrefersDirectBlock(g)) return DirectBlockForward(g, x, w, bias, y, winners);
  if (PrefersWinogradBlock(g)) return WinogradBlockForward(g, x, w, bias, y, winners);
  GeneralForward(g, x, w, bias, y, winners);
}

void ConvBlockBackward(const ConvBlockGeometry& g, const float* x, const float* w, const float* y,
                       const uint8_t* winners, const float* dy, float* dx, float* dw,
                       float* dbias) {
  if (PrefersDirectBlock(g)) return DirectBlockBackward(g, x, w, y, winners, dy, dx, dw, dbias);
  if (PrefersWinogradBlockBackward(g)) {
    return WinogradBlockBackward(g, x, w, y, winners, dy, dx, dw, dbias);
  }
  if (!g.pool && ((dx && PrefersWinogradInputGradient(g.conv)) ||
                  (dw && PrefersWinogradKernelGradient(g.conv)))) {
    return UnpooledBackward(g, x, w, y, dy, dx, dw, dbias);
  }
  GeneralBackward(g, x, w, y, winners, dy, dx, dw, dbias);
}

}  // namespace wengert
#endif  // HWY_ONCE
