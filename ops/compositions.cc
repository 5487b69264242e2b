// Element-wise functions that are compositions of the rows.
#include <limits>
#include <numbers>

#include "autograd/modes.h"
#include "autograd/op.h"
#include "ops/ops.h"

namespace wengert {

Variable Gelu(const Operand& x) {
  const WhereScope scope(x.where(), "gelu");
  return NormalCdf(x) * x;
}

// (1 + tanh(u)) / 2 = sigmoid(2 u), which does not cancel where u is far below 0.
Variable GeluTanh(const Operand& x) {
  constexpr double kTwice = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  const WhereScope scope(x.where(), "gelu_tanh");
  return Sigmoid((Square(x) * (kTwice * 0.044715) + kTwice) * x) * x;
}

Variable Silu(const Operand& x) {
  const WhereScope scope(x.where(), "silu");
  return x * Sigmoid(x);
}

Variable Mish(const Operand& x) {
  const WhereScope scope(x.where(), "mish");
  return x * Tanh(Softplus(x));
}

Variable Softsign(const Operand& x) {
  const WhereScope scope(x.where(), "softsign");
  return x / (1 + Abs(x));
}

Variable HardTanh(const Operand& x, double low, double high) {
  const WhereScope scope(x.where(), "hard_tanh");
  return Clip(x, low, high);
}

Variable HardSigmoid(const Operand& x) {
  const WhereScope scope(x.where(), "hard_sigmoid");
  return Clip(x / 6 + 0.5, 0, 1);
}

Variable Lerp(const Operand& a, const Operand& b, const Operand& weight) {
  const WhereScope scope(a.where(), "lerp");
  return a + weight * (b - a);
}

Variable LogicalNot(const Operand& x) {
  const WhereScope scope(x.where(), "logical_not");
  return Equal(x, 0);
}

Variable IsNan(const Operand& x) {
  const WhereScope scope(x.where(), "is_nan");
  return NotEqual(x, x);
}

Variable IsInf(const Operand& x) {
  const WhereScope scope(x.where(), "is_inf");
  return Equal(Abs(x), std::numeric_limits<double>::infinity());
}

Variable IsFinite(const Operand& x) {
  const WhereScope scope(x.where(), "is_finite");
  return Less(Abs(x), std::numeric_limits<double>::infinity());
}

}  // namespace wengert
