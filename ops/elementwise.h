// The rows whose public function does not bear their name: those with numbers, and Pow's.
#ifndef WENGERT_OPS_ELEMENTWISE_H_
#define WENGERT_OPS_ELEMENTWISE_H_

#include "autograd/variable.h"

namespace wengert {

Variable GeneralPow(const Operand& a, const Operand& b);  // Pow without its shortcuts

#define UNARY_WITH_NUMBERS(op, Function, ...) \
  Variable Function##OfNumbers(const Operand& x, double p0, double p1);
#define UNARY(...)
#define BINARY(...)
#define COMPARISON(...)
#include "ops/kernels/elementwise_rows.inc"
#undef UNARY_WITH_NUMBERS
#undef UNARY
#undef BINARY
#undef COMPARISON

}  // namespace wengert

#endif  // WENGERT_OPS_ELEMENTWISE_H_
