// What the families of reductions share: which axes, the shapes that follow from them, and the
// dtypes that are added up or averaged.
#ifndef WENGERT_OPS_REDUCTION_H_
#define WENGERT_OPS_REDUCTION_H_

#include <cstdint>
#include <string_view>

#include "autograd/op.h"
#include "ops/ops.h"

namespace wengert::internal {

// Which axes, and the shapes that follow from them. What all reductions hold.
struct Reduction {
  uint32_t axes;  // bit i: axis i is reduced
  bool keep_dims;

  Shape Result(const Shape& shape) const;
  Shape WithDims(const Shape& shape) const { return Reduction{axes, true}.Result(shape); }
  int64_t Count(const Shape& shape) const;
};

// Throws Error naming `op`, x and `where` if x does not have the axes.
Reduction MakeReduction(std::string_view op, const Variable& x, const Axes& axes, bool keep_dims,
                        SourceLocation where);

// The result of a reduction (or its cotangent), spread over x again.
Variable Spread(const Variable& v, const Reduction& reduction, const Shape& shape);
// x with the reduced axes at the end, as one: kept.shape + [count].
Variable WithReducedLast(const Variable& x, const Reduction& reduction, SourceLocation where);

// Bools and integers as what ops over the reals compute in.
Variable Real(const Variable& x, SourceLocation where);
// Bools and uint8 as what is counted and added up in.
Variable Number(const Variable& x, SourceLocation where);

}  // namespace wengert::internal

#endif  // WENGERT_OPS_REDUCTION_H_
