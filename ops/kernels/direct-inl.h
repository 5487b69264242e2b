// What the direct convolution kernels share: vectors laid over output channels. Compiled once per
// SIMD target: include inside foreach_target.h's passes only.
#if defined(WENGERT_OPS_KERNELS_DIRECT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_DIRECT_INL_H_
#undef WENGERT_OPS_KERNELS_DIRECT_INL_H_
#else
#define WENGERT_OPS_KERNELS_DIRECT_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "hwy/highway.h"

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

// Calls f with the widest vector that `channels` >= 8 fill.
template <class F>
HWY_INLINE void WithVector(int64_t channels, const F& f) {
  const hn::ScalableTag<float> d;
  if (channels >= static_cast<int64_t>(hn::Lanes(d))) return f(d);
  f(hn::CappedTag<float, 8>());
}

// The largest magnitude; infinite or NaN if any is.
template <class D>
float MaxAbs(D d, const float* values, int64_t size) {
  const hn::Rebind<int32_t, D> di;  // magnitudes are in the order of their bits
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto magnitudes = [&](int64_t at) HWY_ATTR {
    return hn::BitCast(di, hn::Abs(hn::LoadU(d, values + at)));
  };
  auto most = hn::Zero(di), more = hn::Zero(di);
  int64_t i = 0;
  for (; i + 2 * lanes <= size; i += 2 * lanes) {
    most = hn::Max(most, magnitudes(i));
    more = hn::Max(more, magnitudes(i + lanes));
  }
  most = hn::Max(most, more);
  int32_t result = hn::GetLane(hn::MaxOfLanes(di, most));
  for (; i < size; ++i) result = std::max(result, std::bit_cast<int32_t>(std::abs(values[i])));
  return std::bit_cast<float>(result);
}

template <class D>
bool IsFinite(D d, const float* values, int64_t size) {
  return MaxAbs(d, values, size) <= std::numeric_limits<float>::max();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif  // WENGERT_OPS_KERNELS_DIRECT_INL_H_
