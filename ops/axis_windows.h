// Windows along one axis, as convolutions, pooling and Unfold slide them.
#ifndef WENGERT_OPS_AXIS_WINDOWS_H_
#define WENGERT_OPS_AXIS_WINDOWS_H_

#include <algorithm>
#include <cstdint>

#include "ops/ops.h"

namespace wengert::internal {

struct AxisWindows {
  int64_t count;          // not positive if none fits
  int64_t before, after;  // padding in elements
};

// Of `span` elements each, the gaps of a dilated window included, `stride` apart, over `in`
// elements. before, after: the padding of kValid (0) and kExplicit.
inline AxisWindows WindowsAlong(Padding::Mode mode, int64_t in, int64_t span, int64_t stride,
                                int64_t before, int64_t after) {
  if (mode == Padding::kValid || mode == Padding::kExplicit) {
    const int64_t spare = in + before + after - span;
    return {spare < 0 ? 0 : spare / stride + 1, before, after};
  }
  const int64_t count = (in + stride - 1) / stride;
  if (mode == Padding::kCausal) return {count, span - 1, 0};
  const int64_t total = std::max<int64_t>((count - 1) * stride + span - in, 0);
  return {count, total / 2, total - total / 2};
}

}  // namespace wengert::internal

#endif  // WENGERT_OPS_AXIS_WINDOWS_H_
