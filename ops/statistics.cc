// Reductions composed of others: deviations, norms, medians, means over a mask, Any and All.
#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/ops.h"
#include "ops/reduction.h"

namespace wengert {
namespace {

using internal::MakeReduction;
using internal::Real;
using internal::Reduction;

// x^power of x >= 0, with a derivative of 0 at 0, where the power's own is infinite or no number.
// At 0 another number takes x's place, so that the derivative is never formed.
Variable PowerOrZero(const Variable& x, double power) {
  const Variable is_zero = Equal(x, 0);
  const Variable safe = Where(is_zero, 1, x);
  return Where(is_zero, 0, power == 0.5 ? Sqrt(safe) : Pow(safe, power));
}

// Throws unless there is an element to reduce.
void CheckCount(std::string_view op, const Variable& x, const Reduction& reduction,
                SourceLocation where) {
  if (reduction.Count(x.shape()) > 0) return;
  internal::ThrowAt(op, absl::StrCat("of no elements: ", ToString(x.shape())), x, where);
}

// Any and All: the largest or smallest of bools.
Variable Quantified(std::string_view op, bool any, const Variable& x, const Axes& axes,
                    bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, op);
  const Reduction reduction = MakeReduction(op, x, axes, keep_dims, where);
  if (reduction.Count(x.shape()) == 0) {
    return Tensor::Full(reduction.Result(x.shape()), any ? 0 : 1, DType::kBool);
  }
  const Variable holds = x.dtype() == DType::kBool ? x : NotEqual(x, 0);
  return any ? Max(holds, axes, keep_dims) : Min(holds, axes, keep_dims);
}

}  // namespace

Variable StdDev(const Variable& x, const Axes& axes, bool keep_dims, double correction,
                SourceLocation where) {
  const WhereScope scope(where, "std_dev");
  MakeReduction("std_dev", x, axes, keep_dims, where);
  return PowerOrZero(Variance(x, axes, keep_dims, correction), 0.5);
}

Variable Norm(const Variable& x, double p, const Axes& axes, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "norm");
  const Reduction reduction = MakeReduction("norm", x, axes, keep_dims, where);
  if (!(p > 0)) {
    internal::ThrowAt("norm",
                      absl::StrCat("p must be above 0, not ", p, ", for x ", ToString(x.shape())),
                      x, where);
  }
  const Variable real = Real(x, where);
  if (p == 1) return Sum(Abs(real), axes, keep_dims);
  if (p == 2) return PowerOrZero(Sum(Square(real), axes, keep_dims), 0.5);
  if (std::isinf(p)) {
    CheckCount("norm", x, reduction, where);
    return Max(Abs(real), axes, keep_dims);
  }
  return PowerOrZero(Sum(PowerOrZero(Abs(real), p), axes, keep_dims), 1 / p);
}

Variable Median(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "median");
  const Reduction reduction = MakeReduction("median", x, axes, keep_dims, where);
  CheckCount("median", x, reduction, where);
  const Variable sorted = Sort(internal::WithReducedLast(Real(x, where), reduction, where));
  const int64_t count = sorted.dim(-1), lower = (count - 1) / 2, upper = count / 2;
  Variable middle = Narrow(sorted, -1, lower, 1);
  if (lower != upper) middle = middle * 0.5 + Narrow(sorted, -1, upper, 1) * 0.5;
  // NaN is sorted to the end.
  const Variable last = Narrow(sorted, -1, count - 1, 1);
  return Reshape(Where(NotEqual(last, last), last, middle), reduction.Result(x.shape()));
}

Variable MeanWhere(const Variable& x, const Variable& mask, const Axes& axes, bool keep_dims,
                   SourceLocation where) {
  const WhereScope scope(where, "mean_where");
  const Variable inputs[] = {x, mask};
  if (mask.dtype() != DType::kBool) {
    internal::ThrowAt("mean_where",
                      absl::StrCat("the mask must be bool, not ", std::string(Name(mask.dtype())),
                                   ToString(mask.shape())),
                      inputs, where);
  }
  Shape shape;
  try {
    shape = BroadcastShapes(x.shape(), mask.shape(), "mean_where");
  } catch (Error& error) {
    internal::RethrowWithPlace(error, inputs, where);
  }
  const Variable real = Real(x, where);
  const Variable chosen = Where(mask, real, 0);
  MakeReduction("mean_where", chosen, axes, keep_dims, where);
  const Variable counted = Expand(Cast(mask, real.dtype()), shape);
  return Sum(chosen, axes, keep_dims) / Sum(counted, axes, keep_dims);
}

Variable Any(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  return Quantified("any", true, x, axes, keep_dims, where);
}

Variable All(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  return Quantified("all", false, x, axes, keep_dims, where);
}

}  // namespace wengert
