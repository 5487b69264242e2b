// Which channels of a pooling window pass a gradient, and to which of its four pixels: after relu
// and 2x2 max-pooling at most a quarter of the convolution's output gradient is not zero. Compiled
// once per SIMD target: include inside foreach_target.h's passes only.
#if defined(WENGERT_OPS_KERNELS_WINNER_LISTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_WINNER_LISTS_INL_H_
#undef WENGERT_OPS_KERNELS_WINNER_LISTS_INL_H_
#else
#define WENGERT_OPS_KERNELS_WINNER_LISTS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"
#include "ops/kernels/conv_block_winners.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// How many channels the lists of one window cover at most: what the kernels keep for them fits L1.
constexpr int64_t kListedChannels = 64;

// dy of `count` channels from element `at` on, 0 where it does not pass and in the lanes past them.
template <class D>
HWY_INLINE hn::Vec<D> LoadGradient(D d, const PooledGradient& from, int64_t at, int64_t count) {
  auto dy = hn::LoadU(d, from.dy + at);
  if (from.relu) {
    dy = hn::IfThenElseZero(hn::Gt(hn::LoadU(d, from.y + at), hn::Zero(d)), dy);
  }
  if (count >= static_cast<int64_t>(hn::Lanes(d))) return dy;
  return hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(count)), dy);
}

// Lists of the windows [window, window + windows), counted over the batch, and channels [channel,
// channel + channels). The channels, from 0, for which pixel p of window i has a gradient are
// indices[starts[4 i + p]] to indices[starts[4 i + p + 1]], rising. indices: room for windows *
// channels and a vector.
inline void ListWinners(const PooledGradient& from, int64_t window, int64_t windows,
                        int64_t channel, int64_t channels, int32_t* indices, int32_t* starts) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<uint8_t, decltype(d)> d_byte;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto zero = hn::Zero(d);
  const auto lane = hn::Iota(di, 0);  // goes through memory: not in the loop
  HWY_ALIGN int32_t pixels[kListedChannels];
  int32_t* next = indices;
  *starts++ = 0;
  for (int64_t i = window; i < window + windows; ++i) {
    const int64_t first = i * from.channels + channel;
    for (int64_t c = 0; c < channels; c += lanes) {
      const int64_t at = first + c;
      const auto dy = LoadGradient(d, from, at, channels - c);
      const auto pixel = hn::PromoteTo(di, hn::LoadU(d_byte, from.winners + at));
      const auto none = hn::RebindMask(di, hn::Eq(dy, zero));
      hn::Store(hn::IfThenElse(none, hn::Set(di, 4), pixel), di, pixels + c);
    }
    for (int32_t p = 0; p < 4; ++p) {
      for (int64_t c = 0; c < channels; c += lanes) {
        const auto wins = hn::Eq(hn::Load(di, pixels + c), hn::Set(di, p));
        hn::StoreU(hn::Compress(hn::Add(lane, hn::Set(di, static_cast<int32_t>(c))), wins), di,
                   next);
        next += hn::CountTrue(di, wins);
      }
      *starts++ = static_cast<int32_t>(next - indices);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif
