#include "autograd/anomaly.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"

namespace wengert::internal {
namespace {

struct Range {
  double lowest = INFINITY, highest = -INFINITY;
};
Range RangeOf(const Tensor& tensor) {
  Range range;
  if (!IsFloating(tensor.dtype())) return range;
  for (const double value : tensor.ToVector<double>()) {
    range.lowest = std::min(range.lowest, value);
    range.highest = std::max(range.highest, value);
  }
  return range;
}

}  // namespace

void CheckFinite(const Node& node, absl::Span<const Tensor* const> in) {
  for (int o = 0; o < node.num_public; ++o) {
    if (AllFinite(node.outputs()[o])) continue;
    std::string inputs;
    for (const Tensor* tensor : in) {
      const Range r = RangeOf(*tensor);
      absl::StrAppend(&inputs, inputs.empty() ? "" : ", ", ToString(tensor->shape()), " in [",
                      r.lowest, ", ", r.highest, "]", AllFinite(*tensor) ? "" : " (not finite)");
    }
    throw Error(node.op->name,
                absl::StrCat("the first value that is not finite; inputs: ", inputs));
  }
}

}  // namespace wengert::internal
