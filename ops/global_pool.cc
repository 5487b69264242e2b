// Pooling of whole images and whole sequences: reductions over their axes.
#include <string>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using Reduction = Variable (*)(const Variable&, const Axes&, bool, SourceLocation);

// `reduce` over the axes between the first and the last: there are 2 of [N, H, W, C], 1 of
// [N, T, C].
Variable GlobalPool(std::string_view op, Reduction reduce, int axes, const Variable& x,
                    bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, op);
  std::string problem;
  if (x.rank() != axes + 2) {
    problem = axes == 2 ? "is not [N, H, W, C]" : "is not [N, T, C]";
  } else if (x.dim(1) == 0 || x.dim(axes) == 0) {
    problem = axes == 2 ? "has no pixels" : "has no steps";
  }
  if (!problem.empty()) {
    internal::ThrowAt(op, absl::StrCat("x ", ToString(x.shape()), " ", problem), x, where);
  }
  const Variable real = IsFloating(x.dtype()) ? x : Cast(x, DType::kFloat32, where);
  return reduce(real, axes == 2 ? Axes{1, 2} : Axes{1}, keep_dims, where);
}

}  // namespace

Variable GlobalMaxPool2d(const Variable& x, bool keep_dims, SourceLocation where) {
  return GlobalPool("global_max_pool2d", &Max, 2, x, keep_dims, where);
}
Variable GlobalAvgPool2d(const Variable& x, bool keep_dims, SourceLocation where) {
  return GlobalPool("global_avg_pool2d", &Mean, 2, x, keep_dims, where);
}
Variable GlobalMaxPool1d(const Variable& x, bool keep_dims, SourceLocation where) {
  return GlobalPool("global_max_pool1d", &Max, 1, x, keep_dims, where);
}
Variable GlobalAvgPool1d(const Variable& x, bool keep_dims, SourceLocation where) {
  return GlobalPool("global_avg_pool1d", &Mean, 1, x, keep_dims, where);
}

}  // namespace wengert
