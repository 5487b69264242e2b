// Activation functions that are compositions of the element-wise ops.
#include <numbers>

#include "autograd/modes.h"
#include "ops/ops.h"

namespace wengert {

Variable Gelu(const Operand& x) {
  const WhereScope scope(x.where());
  return NormalCdf(x) * x;
}

// (1 + tanh(u)) / 2 = sigmoid(2 u), which does not cancel where u is far below 0.
Variable GeluTanh(const Operand& x) {
  constexpr double kTwice = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  const WhereScope scope(x.where());
  return Sigmoid((Square(x) * (kTwice * 0.044715) + kTwice) * x) * x;
}

}  // namespace wengert
