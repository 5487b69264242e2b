// Element-wise ops. Operands broadcast as in NumPy; a C++ number is an operand too. For what all
// ops have in common see ops/ops.h.
#ifndef WENGERT_OPS_MATH_H_
#define WENGERT_OPS_MATH_H_

#include "autograd/variable.h"

namespace wengert {

Variable Neg(const Operand& x);     // -x
Variable Abs(const Operand& x);     // derivative 0 at 0
Variable Sign(const Operand& x);    // -1, 0 or 1; derivative 0
Variable Square(const Operand& x);  // x x
Variable Exp(const Operand& x);     // e^x, and the natural logarithm
Variable Log(const Operand& x);
Variable Expm1(const Operand& x);  // e^x - 1, and log(1 + x): accurate where x is small
Variable Log1p(const Operand& x);
Variable Sqrt(const Operand& x);        // NaN below 0
Variable Rsqrt(const Operand& x);       // 1 / sqrt(x)
Variable Reciprocal(const Operand& x);  // 1 / x
Variable Sin(const Operand& x);         // of radians
Variable Cos(const Operand& x);
Variable Tan(const Operand& x);
Variable Asin(const Operand& x);  // NaN outside [-1, 1]; derivative infinite at -1 and 1
Variable Acos(const Operand& x);
Variable Atan(const Operand& x);
Variable Sinh(const Operand& x);
Variable Cosh(const Operand& x);
Variable Tanh(const Operand& x);
Variable Sigmoid(const Operand& x);                  // 1 / (1 + exp(-x))
Variable Softplus(const Operand& x);                 // log(1 + exp(x)), without overflow
Variable Relu(const Operand& x);                     // max(x, 0); derivative 0 at 0
Variable LeakyRelu(const Operand& x, double slope);  // slope * x below 0
// alpha (e^x - 1) below 0, x above (Clevert et al. 2016); derivative alpha at 0. Selu: with the
// constants of Klambauer et al. 2017.
Variable Elu(const Operand& x, double alpha = 1);
Variable Selu(const Operand& x);
Variable Clip(const Operand& x, double low, double high);  // derivative 1 on the bounds
Variable HardTanh(const Operand& x, double low = -1, double high = 1);
Variable HardSigmoid(const Operand& x);  // x / 6 + 1/2, clipped to [0, 1]
Variable Softsign(const Operand& x);     // x / (1 + |x|)
Variable Silu(const Operand& x);         // x sigmoid(x), also called swish
Variable Mish(const Operand& x);         // x tanh(softplus(x)) (Misra 2019)
// Towards minus infinity, plus infinity, the nearest integer (the even one of two), zero;
// derivative 0.
Variable Floor(const Operand& x);
Variable Ceil(const Operand& x);
Variable Round(const Operand& x);
Variable Trunc(const Operand& x);
Variable Erf(const Operand& x);   // 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x
Variable Erfc(const Operand& x);  // 1 - erf(x), accurate where that is small
// The probability that a standard normal number is below x. Its error is absolute, 6e-8 in float32
// and 1e-16 in float64: its logarithm is lost where x is far below 0.
Variable NormalCdf(const Operand& x);
// x NormalCdf(x) (Hendrycks and Gimpel 2016), and the paper's approximation of it:
// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
Variable Gelu(const Operand& x);
Variable GeluTanh(const Operand& x);

// Of two operands, which broadcast: a + b, a - b, a b.
Variable Add(const Operand& a, const Operand& b);
Variable Sub(const Operand& a, const Operand& b);
Variable Mul(const Operand& a, const Operand& b);
Variable Div(const Operand& a, const Operand& b);    // true division, of integers too
Variable Pow(const Operand& a, const Operand& b);    // a^b
Variable Fmod(const Operand& a, const Operand& b);   // a - b trunc(a / b): the sign is a's
Variable Atan2(const Operand& a, const Operand& b);  // the angle of the point (b, a), -pi to pi
Variable Lerp(const Operand& a, const Operand& b, const Operand& weight);  // a + weight (b - a)
// a b + c, rounded once, as C's fma: the product of floats is exact. The gradients are those of
// a * b + c, rounded twice.
Variable MulAdd(const Operand& a, const Operand& b, const Operand& c);
Variable Maximum(const Operand& a, const Operand& b);  // a tie's gradient goes to a
Variable Minimum(const Operand& a, const Operand& b);
// a times the derivative of relu, tanh or sigmoid where its result is b.
Variable WherePositive(const Operand& a, const Operand& b);  // a where b > 0, else 0
Variable TanhGradient(const Operand& a, const Operand& b);
Variable SigmoidGradient(const Operand& a, const Operand& b);
// a times the derivative of erf or of the normal distribution at b.
Variable ErfGradient(const Operand& a, const Operand& b);
Variable NormalCdfGradient(const Operand& a, const Operand& b);

// The same, as operators.
inline Variable operator+(const Operand& a, const Operand& b) { return Add(a, b); }
inline Variable operator-(const Operand& a, const Operand& b) { return Sub(a, b); }
inline Variable operator*(const Operand& a, const Operand& b) { return Mul(a, b); }
inline Variable operator/(const Operand& a, const Operand& b) { return Div(a, b); }
inline Variable operator-(const Operand& x) { return Neg(x); }

// Comparisons give bool.
Variable Equal(const Operand& a, const Operand& b);
Variable NotEqual(const Operand& a, const Operand& b);
Variable Less(const Operand& a, const Operand& b);
Variable LessEqual(const Operand& a, const Operand& b);
Variable Greater(const Operand& a, const Operand& b);
Variable GreaterEqual(const Operand& a, const Operand& b);
inline Variable operator<(const Operand& a, const Operand& b) { return Less(a, b); }
inline Variable operator<=(const Operand& a, const Operand& b) { return LessEqual(a, b); }
inline Variable operator>(const Operand& a, const Operand& b) { return Greater(a, b); }
inline Variable operator>=(const Operand& a, const Operand& b) { return GreaterEqual(a, b); }

// Of truth values: every number but 0 is true, NaN too.
Variable LogicalAnd(const Operand& a, const Operand& b);
Variable LogicalOr(const Operand& a, const Operand& b);
Variable LogicalXor(const Operand& a, const Operand& b);
Variable LogicalNot(const Operand& x);
Variable IsNan(const Operand& x);
Variable IsInf(const Operand& x);
Variable IsFinite(const Operand& x);  // neither NaN nor infinite

// a where the bool `condition` is true, else b. A branch that is not taken still computes: the
// gradient of Where(x > 0, Log(x), 0) at x = 0 is 0 * inf = NaN. Write
// Log(Where(x > 0, x, 1)) instead, so that the forbidden value is never formed.
Variable Where(const Variable& condition, const Operand& a, const Operand& b);
// Converts as static_cast does. The gradient is converted back; none flows through integers.
Variable Cast(const Variable& x, DType dtype, SourceLocation where = SourceLocation::current());

}  // namespace wengert

#endif  // WENGERT_OPS_MATH_H_
