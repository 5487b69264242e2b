// Axes: which dimensions an op works along.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace wengert {

absl::InlinedVector<int, 4> Axes::Normalized(int rank, std::string_view op) const {
  absl::InlinedVector<int, 4> axes;
  for (const int axis : axes_) axes.push_back(NormalizeAxis(axis, rank, op));
  if (axes_.empty()) {
    for (int axis = 0; axis < rank; ++axis) axes.push_back(axis);
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    throw Error(op, absl::StrCat("an axis is given twice, of rank ", rank));
  }
  return axes;
}

}  // namespace wengert
