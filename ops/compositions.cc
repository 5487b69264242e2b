// Element-wise functions that are special cases or compositions of the rows.
#include <limits>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "ops/elementwise.h"
#include "ops/ops.h"

namespace wengert {

Variable Pow(const Operand& a, const Operand& b) {
  if (b.is_number() && !a.is_number() && a.variable().defined() &&
      IsFloating(a.variable().dtype())) {
    if (b.number() == 2) return Square(a);
    if (b.number() == 0.5) return Sqrt(a);
    if (b.number() == -1) return Reciprocal(a);
  }
  return GeneralPow(a, b);
}

Variable LeakyRelu(const Operand& x, double slope) { return LeakyReluOfNumbers(x, slope, 0); }

Variable Elu(const Operand& x, double alpha) { return EluOfNumbers(x, alpha, 1); }

// The constants that keep a mean of 0 and a variance of 1.
Variable Selu(const Operand& x) { return EluOfNumbers(x, 1.6732632423543772, 1.0507009873554805); }

Variable Clip(const Operand& x, double low, double high) {
  if (!(low <= high))
    internal::ThrowAt("clip", absl::StrCat("low ", low, " above high ", high), x.where());
  return ClipOfNumbers(x, low, high);
}

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
