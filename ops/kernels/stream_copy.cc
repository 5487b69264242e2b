#include "ops/kernels/stream_copy.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/stream_copy.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {

void StreamCopyOnTarget(const std::byte* from, int64_t bytes, std::byte* to) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<uint8_t> d;
  const auto* source = reinterpret_cast<const uint8_t*>(from);
  auto* target = reinterpret_cast<uint8_t*>(to);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = std::min<int64_t>(bytes, -reinterpret_cast<uintptr_t>(to) % 64);
  std::memcpy(target, source, static_cast<size_t>(i));
  for (; i + lanes <= bytes; i += lanes) hn::Stream(hn::LoadU(d, source + i), d, target + i);
  std::memcpy(target + i, source + i, static_cast<size_t>(bytes - i));
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(StreamCopyOnTarget);

void StreamCopy(const std::byte* from, int64_t bytes, std::byte* to) {
  HWY_DYNAMIC_DISPATCH(StreamCopyOnTarget)(from, bytes, to);
}

void FinishStreamCopies() { hwy::FlushStream(); }

}  // namespace wengert
#endif  // HWY_ONCE
