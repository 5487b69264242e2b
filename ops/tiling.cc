// Elements repeated, tiled, rolled or spread over a grid: compositions of views, one copy per axis.
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ops/place.h"

namespace wengert {
namespace {

// x, in blocks of all the axes from `first_axis` on, with each block n times in a row; its
// dimension of `axis` is then n times as long. Of rank 3, so that no rank of x is too high.
Variable RepeatBlocks(const Variable& x, int first_axis, int64_t n, int axis) {
  Shape shape = x.shape();
  int64_t blocks = 1, size = 1;
  for (int i = 0; i < shape.rank(); ++i) (i < first_axis ? blocks : size) *= shape[i];
  shape[axis] *= n;
  const Variable repeated = Expand(Reshape(x, {blocks, 1, size}), {blocks, n, size});
  return Reshape(repeated, shape);
}

// Throws unless x, n times along the axis, is a shape.
void CheckTimes(std::string_view op, const Shape& x, int64_t n, int axis) {
  constexpr int64_t kMost = int64_t{1} << 31;
  if (n < 0 || n > kMost) {
    throw Error(op, absl::StrCat(n, " times along axis ", axis, " of ", ToString(x),
                                 " is not in [0, 2^31]"));
  }
  CheckedNumElements({n, NumElements(x)}, op);
}

}  // namespace

Variable Repeat(const Variable& x, int64_t n, int axis, SourceLocation where) {
  return internal::Placed("repeat", {&x, 1}, where, [&] {
    const int normal = NormalizeAxis(axis, x.rank(), "repeat");
    CheckTimes("repeat", x.shape(), n, normal);
    return RepeatBlocks(x, normal + 1, n, normal);
  });
}

Variable Tile(const Variable& x, absl::Span<const int64_t> times, SourceLocation where) {
  return internal::Placed("tile", {&x, 1}, where, [&] {
    const int count = static_cast<int>(times.size());
    Shape shape = x.shape();
    while (shape.rank() < count) shape.Insert(0, 1);
    Variable y = Reshape(x, shape);
    // From the innermost axis out: the largest copy, which is the last, is of the longest blocks.
    for (int axis = y.rank() - 1; axis >= y.rank() - count; --axis) {
      const int64_t n = times[axis - (y.rank() - count)];
      CheckTimes("tile", y.shape(), n, axis);
      if (n != 1) y = RepeatBlocks(y, axis, n, axis);
    }
    return y;
  });
}

Variable Roll(const Variable& x, int64_t shift, int axis, SourceLocation where) {
  return Roll(x, {&shift, 1}, {&axis, 1}, where);
}

Variable Roll(const Variable& x, absl::Span<const int64_t> shifts, absl::Span<const int> axes,
              SourceLocation where) {
  return internal::Placed("roll", {&x, 1}, where, [&] {
    if (shifts.size() != axes.size()) {
      throw Error("roll", absl::StrCat("shifts {", absl::StrJoin(shifts, ","), "} for the axes {",
                                       absl::StrJoin(axes, ","), "} of ", ToString(x.shape())));
    }
    Variable y = x;
    for (size_t i = 0; i < axes.size(); ++i) {
      const int axis = NormalizeAxis(axes[i], x.rank(), "roll");
      const int64_t dim = x.shape()[axis];
      const int64_t shift = dim > 0 ? (shifts[i] % dim + dim) % dim : 0;
      if (shift == 0) continue;
      const Variable parts[] = {Narrow(y, axis, dim - shift, shift),
                                Narrow(y, axis, 0, dim - shift)};
      y = Concat(parts, axis);
    }
    return y;
  });
}

std::vector<Variable> Meshgrid(VariableSpan coordinates, GridIndexing indexing,
                               SourceLocation where) {
  return internal::Placed("meshgrid", coordinates, where, [&] {
    Shape shape;
    for (const Variable& x : coordinates) {
      if (x.rank() > 1) {
        throw Error("meshgrid", absl::StrCat("coordinates of shape ", ToString(x.shape()),
                                             " are not a vector or a scalar"));
      }
      shape.Append(x.size());
    }
    CheckedNumElements(shape, "meshgrid");
    const bool exchanged = indexing == GridIndexing::kXy && shape.rank() > 1;
    if (exchanged) std::swap(shape[0], shape[1]);
    std::vector<Variable> grids;
    for (int i = 0; i < shape.rank(); ++i) {
      const int axis = exchanged && i < 2 ? 1 - i : i;
      Shape along = Shape::Filled(shape.rank(), 1);
      along[axis] = shape[axis];
      grids.push_back(Expand(Reshape(coordinates[i], along), shape));
    }
    return grids;
  });
}

}  // namespace wengert
