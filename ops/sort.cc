// Sorting along an axis: one op finds the order, and the values are gathered by it.
#include "ops/kernels/sort.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/ops.h"
#include "ops/place.h"

namespace wengert {
namespace {

// Along the last axis: the positions of the first `count` elements in order.
struct ArgSortOp : Op<ArgSortOp> {
  static constexpr std::string_view kName = "arg_sort";
  static constexpr bool kDifferentiable = false;
  int64_t count;  // at most the length of the axis
  bool descending;

  Spec Infer(VariableSpan x) const {
    Shape shape = x[0].shape();
    shape[shape.rank() - 1] = count;
    return {std::move(shape), DType::kInt64};
  }
  void Forward(TensorSpan x, Tensor& y) const { ArgSortKernel(x[0], descending, y); }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const std::pair<Shape, int> shapes[] = {
        {{1}, 0},    {{7}, -1},   {{3, 4}, 0}, {{3, 4}, 1},    {{2, 3, 4}, 1}, {{2, 3, 4}, 0},
        {{0, 3}, 0}, {{0, 3}, 1}, {{3, 0}, 1}, {{300, 40}, 1}, {{2, 1, 3}, 1}};
    for (const auto& [shape, axis] : shapes) {
      const bool descending = cases.size() % 2 == 1;
      cases.push_back(OpCase::Of(
          absl::StrCat(ToString(shape), " axis ", axis, descending ? ", descending" : ""),
          {{.shape = shape}},
          [axis = axis, descending](VariableSpan x) { return ArgSort(x[0], axis, descending); }));
    }
    cases.push_back(OpCase::Of("the largest two", {{.shape = {5, 3}}},
                               [](VariableSpan x) { return TopK(x[0], 2, 0).indices; }));
    // Equal ones.
    cases.push_back(OpCase::Of("integers",
                               {{.shape = {4, 30}, .low = 0, .high = 5, .dtype = DType::kInt32}},
                               [](VariableSpan x) { return ArgSort(x[0]); }));
    return cases;
  }
};

// x with `axis` last, or back.
Variable Exchanged(const Variable& x, int axis, SourceLocation where) {
  return axis == x.rank() - 1 ? x : Transpose(x, axis, -1, where);
}

}  // namespace

Variable ArgSort(const Variable& x, int axis, bool descending, SourceLocation where) {
  const WhereScope scope(where, "arg_sort");
  axis = internal::AxisAt(axis, x.rank(), "arg_sort", x, where);
  const Variable rows = Exchanged(x, axis, where);
  const Variable order =
      Apply(ArgSortOp{.count = rows.dim(-1), .descending = descending}, {rows}, where);
  return Exchanged(order, axis, where);
}

Variable Sort(const Variable& x, int axis, bool descending, SourceLocation where) {
  const WhereScope scope(where, "sort");
  axis = internal::AxisAt(axis, x.rank(), "sort", x, where);
  return TopK(x, x.dim(axis), axis, /*largest=*/descending, where).values;
}

ValuesAndIndices TopK(const Variable& x, int64_t k, int axis, bool largest, SourceLocation where) {
  const WhereScope scope(where, "top_k");
  axis = internal::AxisAt(axis, x.rank(), "top_k", x, where);
  if (k < 0 || k > x.dim(axis)) {
    internal::ThrowAt(
        "top_k",
        absl::StrCat("axis ", axis, " of ", ToString(x.shape()), " has no ", k, " elements"), x,
        where);
  }
  const Variable rows = Exchanged(x, axis, where);
  const Variable order = Apply(ArgSortOp{.count = k, .descending = largest}, {rows}, where);
  return {Exchanged(GatherAlong(rows, order, -1, where), axis, where),
          Exchanged(order, axis, where)};
}

}  // namespace wengert
