// Movement: ops that change shapes and positions, not values. Views where strides allow. Each is
// linear and stands beside its adjoint.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "autograd/op.h"
#include "autograd/slice.h"
#include "ops/kernels/elementwise_loop.h"
#include "ops/ops.h"
#include "ops/place.h"

namespace wengert {
namespace {

using internal::AssembleOp;
using internal::NarrowOp;

// What Reshape, Permute, Expand and Flip share.
template <class Derived>
struct ViewOp : Op<Derived> {
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kMakesOutputs = true;
};

struct ReshapeOp : ViewOp<ReshapeOp> {
  static constexpr std::string_view kName = "reshape";
  Shape shape;  // without -1

  Spec Infer(VariableSpan x) const { return {shape, x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { y = x[0].Reshape(shape); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {Reshape(dy, x[0].shape())};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const std::pair<Shape, Shape> shapes[] = {
        {{}, {1}},        {{6}, {2, 3}},    {{2, 3}, {-1}},         {{2, 3, 4}, {4, 6}},
        {{0, 3}, {3, 0}}, {{4, 1}, {2, 2}}, {{2, 3}, {1, 2, 1, 3}}, {{8}, {2, 1, 2, 1, 2}}};
    for (const auto& [from, to] : shapes) {
      cases.push_back(OpCase::Linear(absl::StrCat(ToString(from), " to ", ToString(to)), {from},
                                     [to = to](VariableSpan x) { return Reshape(x[0], to); }));
    }
    cases.push_back(OpCase::Linear("of a transposed", {{3, 4}}, [](VariableSpan x) {
      return Reshape(Transpose(x[0]), {2, 6});
    }));
    return cases;
  }
};

struct PermuteOp : ViewOp<PermuteOp> {
  static constexpr std::string_view kName = "permute";
  absl::InlinedVector<int, 4> order;

  Spec Infer(VariableSpan x) const {
    Shape shape = x[0].shape();
    for (size_t i = 0; i < order.size(); ++i) shape[i] = x[0].shape()[order[i]];
    return {shape, x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { y = x[0].Permute(order); }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    PermuteOp inverse;
    inverse.order.resize(order.size());
    for (size_t i = 0; i < order.size(); ++i) inverse.order[order[i]] = static_cast<int>(i);
    return {Apply(std::move(inverse), {dy})};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases{
        OpCase::Linear("rank 0", {{}},
                       [](VariableSpan x) { return Permute(x[0], absl::Span<const int>()); }),
        OpCase::Linear("transpose", {{3, 4}}, [](VariableSpan x) { return Transpose(x[0]); }),
        OpCase::Linear("transpose outer", {{2, 3, 4}},
                       [](VariableSpan x) { return Transpose(x[0], 0, 1); }),
        OpCase::Linear("zero size", {{0, 4}}, [](VariableSpan x) { return Transpose(x[0]); })};
    for (const auto& order : {std::vector<int>{0, 1, 2}, {2, 0, 1}, {1, 2, 0}, {-1, -2, -3}}) {
      cases.push_back(OpCase::Linear(absl::StrCat("to ", order[0], order[1], order[2]), {{2, 3, 4}},
                                     [order](VariableSpan x) { return Permute(x[0], order); }));
    }
    return cases;
  }
};

struct ExpandOp : ViewOp<ExpandOp> {
  static constexpr std::string_view kName = "expand";
  static constexpr Grouping kGrouping = Grouping::kExpand;
  static constexpr auto kRunGroup = &RunElementGroup;
  Shape shape;

  Spec Infer(VariableSpan x) const {
    if (!BroadcastsTo(x[0].shape(), shape)) {
      throw Error(kName,
                  absl::StrCat(ToString(x[0].shape()), " does not broadcast to ", ToString(shape)));
    }
    return {shape, x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { y = x[0].Expand(shape); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {SumTo(dy, x[0].shape())};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const std::pair<Shape, Shape> shapes[] = {{{}, {3}},        {{1}, {4}},
                                              {{3}, {2, 3}},    {{3, 1}, {3, 4}},
                                              {{1, 3}, {2, 3}}, {{2, 1, 3}, {2, 4, 3}},
                                              {{1}, {2, 0}},    {{2, 1}, {2, 2, 1, 2, 3}}};
    for (const auto& [from, to] : shapes) {
      cases.push_back(OpCase::Linear(absl::StrCat(ToString(from), " to ", ToString(to)), {from},
                                     [to = to](VariableSpan x) { return Expand(x[0], to); }));
    }
    return cases;
  }
};

struct FlipOp : ViewOp<FlipOp> {
  static constexpr std::string_view kName = "flip";
  absl::InlinedVector<int, 4> axes;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    y = x[0];
    for (const int axis : axes) y = y.Flip(axis);
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {Apply(FlipOp{.axes = axes}, {dy})};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const std::pair<Shape, Axes> shapes[] = {{{}, {}},
                                             {{1}, 0},
                                             {{5}, {}},
                                             {{2, 3}, 0},
                                             {{2, 3}, 1},
                                             {{2, 3}, {0, 1}},
                                             {{2, 3, 4}, {0, -1}},
                                             {{0, 3}, {}},
                                             {{2, 3, 4}, -2},
                                             {{2, 1, 3, 2}, {}}};
    for (const auto& [shape, axes] : shapes) {
      cases.push_back(OpCase::Linear(absl::StrCat(ToString(shape), " #", cases.size()), {shape},
                                     [axes = axes](VariableSpan x) { return Flip(x[0], axes); }));
    }
    return cases;
  }
};

// Adds or removes axes of length 1: a reshape that always is a view.
Variable WithShape(const Variable& x, Shape shape, SourceLocation where) {
  return Apply(ReshapeOp{.shape = std::move(shape)}, {x}, where);
}

// Throws with the caller's line.
}  // namespace

Variable Reshape(const Variable& x, const Shape& shape, SourceLocation where) {
  const WhereScope scope(where, "reshape");
  Shape full = shape;
  int64_t known = 1;
  int unknown = -1;
  for (int i = 0; i < full.rank(); ++i) {
    if (full[i] != -1) {
      known *= full[i];
    } else if (unknown < 0) {
      unknown = i;
    } else {
      internal::ThrowAt("reshape", absl::StrCat("more than one -1 in ", ToString(shape)), x, where);
    }
  }
  if (unknown >= 0) full[unknown] = known > 0 ? x.size() / known : 0;
  for (const int64_t dim : full) known = std::min(known, dim < 0 ? int64_t{-1} : known);
  if (known < 0 || NumElements(full) != x.size()) {
    internal::ThrowAt(
        "reshape",
        absl::StrCat(ToString(x.shape()), " does not have the size of ", ToString(shape)), x,
        where);
  }
  if (full == x.shape()) return x;
  return Apply(ReshapeOp{.shape = std::move(full)}, {x}, where);
}

Variable Permute(const Variable& x, absl::Span<const int> order, SourceLocation where) {
  const WhereScope scope(where, "permute");
  PermuteOp op;
  unsigned seen = 0;
  bool fits = order.size() == static_cast<size_t>(x.rank());
  for (const int axis : order) {
    if (!fits) break;
    op.order.push_back(internal::AxisAt(axis, x.rank(), "permute", x, where));
    fits &= !(seen >> op.order.back() & 1);
    seen |= 1u << op.order.back();
  }
  if (!fits) {
    internal::ThrowAt("permute",
                      absl::StrCat("the order {", absl::StrJoin(order, ","),
                                   "} is not a permutation of the axes of ", ToString(x.shape())),
                      x, where);
  }
  return Apply(std::move(op), {x}, where);
}

Variable Transpose(const Variable& x, int axis_a, int axis_b, SourceLocation where) {
  const WhereScope scope(where, "transpose");
  PermuteOp op;
  for (int i = 0; i < x.rank(); ++i) op.order.push_back(i);
  std::swap(op.order[internal::AxisAt(axis_a, x.rank(), "transpose", x, where)],
            op.order[internal::AxisAt(axis_b, x.rank(), "transpose", x, where)]);
  return Apply(std::move(op), {x}, where);
}

Variable Expand(const Variable& x, const Shape& shape, SourceLocation where) {
  const WhereScope scope(where, "expand");
  if (shape == x.shape()) return x;
  return Apply(ExpandOp{.shape = shape}, {x}, where);
}

Variable Narrow(const Variable& x, int axis, int64_t start, int64_t length, int64_t step,
                SourceLocation where) {
  const WhereScope scope(where, "narrow");
  return Apply(NarrowOp{.axis = internal::AxisAt(axis, x.rank(), "narrow", x, where),
                        .place = {start, length, step}},
               {x}, where);
}

Variable Embed(const Variable& x, int axis, int64_t dim, int64_t start, int64_t step,
               SourceLocation where) {
  const WhereScope scope(where, "embed");
  axis = internal::AxisAt(axis, x.rank(), "embed", x, where);
  const int64_t last = start + step * (x.shape()[axis] - 1);
  if (x.shape()[axis] > 0 &&
      (step == 0 || std::min(start, last) < 0 || std::max(start, last) >= dim)) {
    internal::ThrowAt("embed",
                      absl::StrCat(ToString(x.shape()), " from ", start, " in steps of ", step,
                                   " along axis ", axis, " does not fit into ", dim),
                      x, where);
  }
  return Apply(AssembleOp{.axis = axis, .dim = dim, .places = {{start, x.shape()[axis], step}}},
               {x}, where);
}

Variable Concat(VariableSpan parts, int axis, SourceLocation where) {
  const WhereScope scope(where, "concat");
  if (parts.empty()) internal::ThrowAt("concat", "of nothing", where);
  AssembleOp op{.axis = internal::AxisAt(axis, parts[0].rank(), "concat", parts[0], where),
                .dim = 0};
  std::vector<Variable> inputs;
  DType dtype = parts[0].dtype();
  for (const Variable& part : parts) dtype = Promote(dtype, part.dtype());
  for (const Variable& part : parts) {
    bool fits = part.rank() == parts[0].rank();
    for (int i = 0; fits && i < part.rank(); ++i) {
      fits = i == op.axis || part.shape()[i] == parts[0].shape()[i];
    }
    if (!fits) {
      internal::ThrowAt("concat",
                        absl::StrCat(ToString(parts[0].shape()), " and ", ToString(part.shape()),
                                     " differ beside axis ", op.axis),
                        parts, where);
    }
    op.places.push_back({op.dim, part.shape()[op.axis], 1});
    op.dim += part.shape()[op.axis];
    inputs.push_back(part.dtype() == dtype ? part : Cast(part, dtype, where));
  }
  return Apply(std::move(op), VariableSpan(inputs), where);
}

Variable Stack(VariableSpan parts, int axis, SourceLocation where) {
  const WhereScope scope(where, "stack");
  if (parts.empty()) internal::ThrowAt("stack", "of nothing", where);
  axis = internal::AxisAt(axis, parts[0].rank() + 1, "stack", parts[0], where);
  std::vector<Variable> rows;
  for (const Variable& part : parts) {
    if (!(part.shape() == parts[0].shape())) {
      internal::ThrowAt("stack",
                        absl::StrCat("shapes differ: ", ToString(parts[0].shape()), " and ",
                                     ToString(part.shape())),
                        parts, where);
    }
    rows.push_back(Unsqueeze(part, axis, where));
  }
  return Concat(rows, axis, where);
}

std::vector<Variable> Split(const Variable& x, absl::Span<const int64_t> lengths, int axis,
                            SourceLocation where) {
  const WhereScope scope(where, "split");
  axis = internal::AxisAt(axis, x.rank(), "split", x, where);
  int64_t start = 0;
  std::vector<Variable> parts;
  for (const int64_t length : lengths) {
    if (length < 0 || start + length > x.shape()[axis]) break;
    parts.push_back(Narrow(x, axis, start, length, 1, where));
    start += length;
  }
  if (start != x.shape()[axis] || parts.size() != lengths.size()) {
    internal::ThrowAt("split",
                      absl::StrCat("the lengths {", absl::StrJoin(lengths, ","),
                                   "} do not add up to axis ", axis, " of ", ToString(x.shape())),
                      x, where);
  }
  return parts;
}

std::vector<int64_t> internal::EqualParts(const Variable& x, int axis, int n,
                                          SourceLocation where) {
  const WhereScope scope(where, "chunk");
  const int64_t dim = x.shape()[internal::AxisAt(axis, x.rank(), "chunk", x, where)];
  if (dim % n != 0) {
    internal::ThrowAt(
        "chunk",
        absl::StrCat("axis ", axis, " of ", ToString(x.shape()), " has no ", n, " equal parts"), x,
        where);
  }
  return std::vector<int64_t>(n, dim / n);
}

Variable Squeeze(const Variable& x, int axis, SourceLocation where) {
  const WhereScope scope(where, "squeeze");
  axis = internal::AxisAt(axis, x.rank(), "squeeze", x, where);
  Shape shape = x.shape();
  if (shape[axis] != 1) {
    internal::ThrowAt("squeeze", absl::StrCat("axis ", axis, " of ", ToString(shape), " is not 1"),
                      x, where);
  }
  shape.Remove(axis);
  return WithShape(x, std::move(shape), where);
}

Variable Unsqueeze(const Variable& x, int axis, SourceLocation where) {
  const WhereScope scope(where, "unsqueeze");
  if (x.rank() == kMaxRank) {
    internal::ThrowAt(
        "unsqueeze",
        absl::StrCat(ToString(x.shape()), " has the maximum rank, ", kMaxRank, ", already"), x,
        where);
  }
  axis = internal::AxisAt(axis, x.rank() + 1, "unsqueeze", x, where);
  Shape shape = x.shape();
  shape.Insert(axis, 1);
  return WithShape(x, std::move(shape), where);
}

Variable Flip(const Variable& x, const Axes& axes, SourceLocation where) {
  const WhereScope scope(where, "flip");
  try {
    return Apply(FlipOp{.axes = axes.Normalized(x.rank(), "flip")}, {x}, where);
  } catch (Error& error) {
    internal::RethrowWithPlace(error, {&x, 1}, where);
  }
}

}  // namespace wengert
