#include "ops/reduction.h"

#include <vector>

namespace wengert::internal {

Shape Reduction::Result(const Shape& shape) const {
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!(axes >> i & 1)) {
      result.Append(shape[i]);
    } else if (keep_dims) {
      result.Append(1);
    }
  }
  return result;
}

int64_t Reduction::Count(const Shape& shape) const {
  int64_t count = 1;
  for (int i = 0; i < shape.rank(); ++i) count *= axes >> i & 1 ? shape[i] : 1;
  return count;
}

Reduction MakeReduction(std::string_view op, const Variable& x, const Axes& axes, bool keep_dims,
                        SourceLocation where) {
  try {
    Reduction reduction{0, keep_dims};
    for (const int axis : axes.Normalized(x.rank(), op)) reduction.axes |= 1u << axis;
    return reduction;
  } catch (Error& error) {
    RethrowWithPlace(error, {&x, 1}, where);
  }
}

Variable Spread(const Variable& v, const Reduction& reduction, const Shape& shape) {
  return Expand(Reshape(v, reduction.WithDims(shape)), shape);
}

Variable WithReducedLast(const Variable& x, const Reduction& reduction, SourceLocation where) {
  std::vector<int> order;
  for (const bool reduced : {false, true}) {
    for (int i = 0; i < x.rank(); ++i) {
      if ((reduction.axes >> i & 1) == reduced) order.push_back(i);
    }
  }
  Shape rows = Reduction{reduction.axes, false}.Result(x.shape());
  rows.Append(reduction.Count(x.shape()));
  return Reshape(Permute(x, order, where), rows, where);
}

Variable Real(const Variable& x, SourceLocation where) {
  return IsFloating(x.dtype()) ? x : Cast(x, DType::kFloat32, where);
}

Variable Number(const Variable& x, SourceLocation where) {
  return x.dtype() == DType::kBool || x.dtype() == DType::kUInt8 ? Cast(x, DType::kInt64, where)
                                                                 : x;
}

}  // namespace wengert::internal
