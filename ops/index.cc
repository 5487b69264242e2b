// Indexing: Gather, GatherAlong and TakeAlongLast with their adjoints ScatterAdd, ScatterAddAlong
// and PutAlongLast, and OneHot. All are linear in x; indices are constants.
#include "ops/kernels/index.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/ops.h"
#include "ops/place.h"

namespace wengert {
namespace {

// Where the rules read the indices only.
constexpr Uses kReadsIndices = Uses::Input(1);

void CheckIndices(std::string_view op, const Variable& indices) {
  if (indices.dtype() != DType::kInt64 && indices.dtype() != DType::kInt32) {
    throw Error(op, absl::StrCat("indices are ", std::string(Name(indices.dtype())),
                                 ", not int64 or int32"));
  }
}

Sample IndexSample(const Shape& shape, int64_t size, DType dtype = DType::kInt64) {
  return {.shape = shape, .low = 0, .high = static_cast<double>(size), .dtype = dtype};
}

// A case of a linear op on values and indices.
OpCase IndexCase(std::string name, Sample x, Sample indices,
                 std::function<Variable(VariableSpan)> f) {
  OpCase made = OpCase::Of(std::move(name), {std::move(x), std::move(indices)}, std::move(f));
  made.linear = true;
  return made;
}

struct GatherOp : Op<GatherOp> {
  static constexpr std::string_view kName = "gather";
  static constexpr Uses kUses = kReadsIndices;
  int axis;  // not negative, as in all of these

  Spec Infer(VariableSpan x) const {
    CheckIndices(kName, x[1]);
    const Shape &from = x[0].shape(), &indices = x[1].shape();
    Shape shape;
    for (int i = 0; i < axis; ++i) shape.Append(from[i]);
    for (const int64_t dim : indices) shape.Append(dim);
    for (int i = axis + 1; i < from.rank(); ++i) shape.Append(from[i]);
    return {std::move(shape), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { GatherKernel(kName, x[0], x[1], axis, y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {ScatterAdd(dy, x[1], x[0].shape()[axis], axis), Variable()};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const struct {
      Shape shape, indices;
      int axis;
      DType dtype = DType::kInt64;
    } list[] = {{{5}, {}, 0},
                {{5}, {9}, 0},
                {{4, 3}, {2}, 0},
                {{4, 3}, {5}, 1, DType::kInt32},
                {{4, 3}, {2, 3}, 0},
                {{2, 3, 4}, {7}, 1},
                {{2, 3, 4}, {2, 2}, -1},
                {{3, 4}, {0}, 0},
                {{3, 0}, {2}, 0},
                {{1, 17}, {3}, 0, DType::kInt32},
                {{2, 3, 4}, {}, 1}};
    for (const auto& [shape, indices, axis, dtype] : list) {
      const int64_t size = shape[axis < 0 ? axis + shape.rank() : axis];
      cases.push_back(
          IndexCase(absl::StrCat(ToString(shape), " at ", ToString(indices), " axis ", axis),
                    {.shape = shape}, IndexSample(indices, size, dtype),
                    [axis = axis](VariableSpan x) { return Gather(x[0], x[1], axis); }));
    }
    return cases;
  }
};

struct ScatterAddOp : Op<ScatterAddOp> {
  static constexpr std::string_view kName = "scatter_add";
  static constexpr Uses kUses = kReadsIndices;
  int axis;
  int64_t dim;

  Spec Infer(VariableSpan x) const {
    CheckIndices(kName, x[1]);
    const Shape &from = x[0].shape(), &indices = x[1].shape();
    bool fits = dim >= 0 && from.rank() >= axis + indices.rank();
    for (int i = 0; fits && i < indices.rank(); ++i) fits = from[axis + i] == indices[i];
    if (!fits) {
      throw Error(kName, absl::StrCat(ToString(from), " does not have the indices' shape ",
                                      ToString(indices), " from axis ", axis, " on, for ", dim,
                                      " entries"));
    }
    if (x[0].dtype() == DType::kBool) throw Error(kName, "bools cannot be added up");
    Shape shape;
    for (int i = 0; i < axis; ++i) shape.Append(from[i]);
    shape.Append(dim);
    for (int i = axis + indices.rank(); i < from.rank(); ++i) shape.Append(from[i]);
    return {std::move(shape), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { ScatterAddKernel(kName, x[0], x[1], axis, y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {Gather(dy, x[1], axis), Variable()};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const struct {
      Shape shape, indices;
      int64_t dim;
      int axis;
      DType dtype = DType::kInt64;
    } list[] = {{{}, {}, 5, 0},
                {{9}, {9}, 4, 0},
                {{5, 3}, {5}, 2, 0},
                {{4, 3}, {3}, 5, 1, DType::kInt32},
                {{2, 3, 4}, {2, 3}, 3, 0},
                {{2, 7, 3}, {7}, 4, 1},
                {{2, 3, 4}, {3, 4}, 2, 1},
                {{0, 3}, {0}, 2, 0},
                {{2, 0}, {2}, 3, 0},
                {{40, 2}, {40}, 3, 0, DType::kInt32},
                {{2, 4}, {}, 3, 1}};
    for (const auto& [shape, indices, dim, axis, dtype] : list) {
      cases.push_back(IndexCase(
          absl::StrCat(ToString(shape), " at ", ToString(indices), " of ", dim, " axis ", axis),
          {.shape = shape}, IndexSample(indices, dim, dtype),
          [dim = dim, axis = axis](VariableSpan x) { return ScatterAdd(x[0], x[1], dim, axis); }));
    }
    return cases;
  }
};

struct GatherAlongOp : Op<GatherAlongOp> {
  static constexpr std::string_view kName = "gather_along";
  static constexpr Uses kUses = kReadsIndices;
  int axis;

  Spec Infer(VariableSpan x) const {
    CheckIndices(kName, x[1]);
    const Shape &from = x[0].shape(), &indices = x[1].shape();
    bool fits = from.rank() == indices.rank();
    for (int i = 0; fits && i < from.rank(); ++i) fits = i == axis || from[i] == indices[i];
    if (!fits) {
      throw Error(kName, absl::StrCat(ToString(from), " and the indices ", ToString(indices),
                                      " differ beside axis ", axis));
    }
    return {indices, x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { GatherAlongKernel(kName, x[0], x[1], axis, y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {ScatterAddAlong(dy, x[1], x[0].shape()[axis], axis), Variable()};
  }
  static std::vector<OpCase> Cases();
};

struct ScatterAddAlongOp : Op<ScatterAddAlongOp> {
  static constexpr std::string_view kName = "scatter_add_along";
  static constexpr Uses kUses = kReadsIndices;
  int axis;
  int64_t dim;

  Spec Infer(VariableSpan x) const {
    CheckIndices(kName, x[1]);
    Shape shape = x[0].shape();
    if (shape != x[1].shape()) {
      throw Error(kName, absl::StrCat(ToString(shape), " does not have the indices' shape ",
                                      ToString(x[1].shape())));
    }
    if (dim < 0) throw Error(kName, absl::StrCat(dim, " entries"));
    if (x[0].dtype() == DType::kBool) throw Error(kName, "bools cannot be added up");
    shape[axis] = dim;
    return {std::move(shape), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { ScatterAddAlongKernel(kName, x[0], x[1], axis, y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {GatherAlong(dy, x[1], axis), Variable()};
  }
  static std::vector<OpCase> Cases();
};

// `count` indices along the axis of shapes that have `dim` entries there.
struct AlongCase {
  Shape shape;
  int64_t count;
  int axis;
  DType dtype = DType::kInt64;
};
const AlongCase kAlongCases[] = {{{5}, 9, 0},
                                 {{1}, 3, 0},
                                 {{4, 3}, 2, 0},
                                 {{4, 3}, 7, 1, DType::kInt32},
                                 {{2, 3, 4}, 5, 1},
                                 {{2, 3, 4}, 6, -1},
                                 {{3, 2, 2}, 5, -3, DType::kInt32},
                                 {{3, 4}, 0, 0},
                                 {{3, 0}, 2, 0},
                                 {{0, 4}, 2, 1},
                                 {{2, 1, 3, 2}, 4, 2}};

// f: of values of the shape that `indexed` says, of the indices and of the case.
template <class F>
std::vector<OpCase> MakeAlongCases(bool indexed, F f) {
  std::vector<OpCase> cases;
  for (const AlongCase& of : kAlongCases) {
    const int axis = of.axis < 0 ? of.axis + of.shape.rank() : of.axis;
    Shape indices = of.shape;
    indices[axis] = of.count;
    cases.push_back(IndexCase(
        absl::StrCat(ToString(of.shape), ", ", of.count, " along axis ", of.axis),
        {.shape = indexed ? of.shape : indices}, IndexSample(indices, of.shape[axis], of.dtype),
        [f, of, axis](VariableSpan x) { return f(x, of.shape[axis], of.axis); }));
  }
  return cases;
}

std::vector<OpCase> GatherAlongOp::Cases() {
  return MakeAlongCases(
      true, [](VariableSpan x, int64_t, int axis) { return GatherAlong(x[0], x[1], axis); });
}
std::vector<OpCase> ScatterAddAlongOp::Cases() {
  return MakeAlongCases(false, [](VariableSpan x, int64_t dim, int axis) {
    return ScatterAddAlong(x[0], x[1], dim, axis);
  });
}

// The shapes of x (without its last axis) and indices must be the same.
void CheckRows(std::string_view op, const Shape& x, int rank, const Shape& indices) {
  bool fits = rank >= 0 && rank == indices.rank();
  for (int i = 0; fits && i < rank; ++i) fits = x[i] == indices[i];
  if (!fits) {
    throw Error(op, absl::StrCat(ToString(x), " and the indices ", ToString(indices),
                                 " do not have the same rows"));
  }
}

struct TakeAlongLastOp : Op<TakeAlongLastOp> {
  static constexpr std::string_view kName = "take_along_last";
  static constexpr Uses kUses = kReadsIndices;

  Spec Infer(VariableSpan x) const {
    CheckIndices(kName, x[1]);
    CheckRows(kName, x[0].shape(), x[0].rank() - 1, x[1].shape());
    return {x[1].shape(), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { TakeAlongLastKernel(kName, x[0], x[1], y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {PutAlongLast(dy, x[1], x[0].dim(-1)), Variable()};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const Shape& shape :
         {Shape{5}, {1}, {4, 3}, {1, 7}, {17, 1}, {2, 3, 4}, {0, 3}, {2, 0, 5}, {2, 1, 3, 2}}) {
      Shape rows = shape;
      rows.Remove(shape.rank() - 1);
      const DType dtype = cases.size() % 2 ? DType::kInt32 : DType::kInt64;
      cases.push_back(IndexCase(ToString(shape), {.shape = shape},
                                IndexSample(rows, shape[shape.rank() - 1], dtype),
                                [](VariableSpan x) { return TakeAlongLast(x[0], x[1]); }));
    }
    return cases;
  }
};

struct PutAlongLastOp : Op<PutAlongLastOp> {
  static constexpr std::string_view kName = "put_along_last";
  static constexpr Uses kUses = kReadsIndices;
  int64_t dim;

  Spec Infer(VariableSpan x) const {
    CheckIndices(kName, x[1]);
    CheckRows(kName, x[0].shape(), x[0].rank(), x[1].shape());
    if (dim < 0) throw Error(kName, absl::StrCat(dim, " columns"));
    Shape shape = x[0].shape();
    shape.Append(dim);
    return {std::move(shape), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { PutAlongLastKernel(kName, x[0], x[1], y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {TakeAlongLast(dy, x[1]), Variable()};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const auto& [shape, dim] : {std::pair{Shape{}, 5},
                                     {{}, 1},
                                     {{4}, 3},
                                     {{7}, 1},
                                     {{1}, 17},
                                     {{2, 3}, 4},
                                     {{0}, 3},
                                     {{2, 0}, 2},
                                     {{2, 1, 3}, 2}}) {
      const DType dtype = cases.size() % 2 ? DType::kInt32 : DType::kInt64;
      cases.push_back(IndexCase(absl::StrCat(ToString(shape), " into ", dim), {.shape = shape},
                                IndexSample(shape, dim, dtype), [dim = dim](VariableSpan x) {
                                  return PutAlongLast(x[0], x[1], dim);
                                }));
    }
    return cases;
  }
};

struct OneHotOp : Op<OneHotOp> {
  static constexpr std::string_view kName = "one_hot";
  static constexpr bool kDifferentiable = false;
  int64_t classes;
  DType dtype;

  Spec Infer(VariableSpan x) const {
    CheckIndices(kName, x[0]);
    if (classes < 0) throw Error(kName, absl::StrCat(classes, " classes"));
    Shape shape = x[0].shape();
    shape.Append(classes);
    return {std::move(shape), dtype};
  }
  void Forward(TensorSpan x, Tensor& y) const { PutAlongLastKernel(kName, Tensor(), x[0], y); }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const auto& [shape, classes] : {std::pair{Shape{}, 5},
                                         {{}, 1},
                                         {{4}, 3},
                                         {{7}, 1},
                                         {{1}, 17},
                                         {{2, 3}, 4},
                                         {{0}, 3},
                                         {{2, 1, 3}, 2}}) {
      for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
        cases.push_back(OpCase::Of(
            absl::StrCat(ToString(shape), " of ", classes, ", ", std::string(Name(dtype))),
            {IndexSample(shape, classes)},
            [classes = classes, dtype](VariableSpan x) { return OneHot(x[0], classes, dtype); }));
      }
    }
    return cases;
  }
};

}  // namespace

Variable Gather(const Variable& x, const Variable& indices, int axis, SourceLocation where) {
  const WhereScope scope(where, "gather");
  return Apply(GatherOp{.axis = internal::AxisAt(axis, x.rank(), "gather", x, where)}, {x, indices},
               where);
}

Variable ScatterAdd(const Variable& x, const Variable& indices, int64_t dim, int axis,
                    SourceLocation where) {
  const WhereScope scope(where, "scatter_add");
  // The axis counts in the result.
  const int rank = x.rank() - indices.rank() + 1;
  if (axis < -rank || axis >= rank) {
    const Variable inputs[] = {x, indices};
    internal::ThrowAt(
        "scatter_add",
        absl::StrCat("axis ", axis, " is out of range for rank ", std::max(rank, 0), ", of x ",
                     ToString(x.shape()), " at the indices ", ToString(indices.shape())),
        inputs, where);
  }
  return Apply(ScatterAddOp{.axis = axis < 0 ? axis + rank : axis, .dim = dim}, {x, indices},
               where);
}

Variable GatherAlong(const Variable& x, const Variable& indices, int axis, SourceLocation where) {
  const WhereScope scope(where, "gather_along");
  return Apply(GatherAlongOp{.axis = internal::AxisAt(axis, x.rank(), "gather_along", x, where)},
               {x, indices}, where);
}

Variable ScatterAddAlong(const Variable& x, const Variable& indices, int64_t dim, int axis,
                         SourceLocation where) {
  const WhereScope scope(where, "scatter_add_along");
  axis = internal::AxisAt(axis, x.rank(), "scatter_add_along", x, where);
  return Apply(ScatterAddAlongOp{.axis = axis, .dim = dim}, {x, indices}, where);
}

Variable TakeAlongLast(const Variable& x, const Variable& indices, SourceLocation where) {
  return Apply(TakeAlongLastOp(), {x, indices}, where);
}

Variable PutAlongLast(const Variable& x, const Variable& indices, int64_t dim,
                      SourceLocation where) {
  return Apply(PutAlongLastOp{.dim = dim}, {x, indices}, where);
}

Variable OneHot(const Variable& indices, int64_t classes, DType dtype, SourceLocation where) {
  return Apply(OneHotOp{.classes = classes, .dtype = dtype}, {indices}, where);
}

}  // namespace wengert
