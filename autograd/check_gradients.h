// CheckGradients: are the derivatives of a function what its values say? For a layer or a loss of
// one's own, in one line of a test:
//
//   const GradientReport report =
//       CheckGradients([&](VariableSpan x) { return MyLayer(x[0], x[1]); }, {x, weight});
//   EXPECT_TRUE(report.ok) << report.text;
#ifndef WENGERT_AUTOGRAD_CHECK_GRADIENTS_H_
#define WENGERT_AUTOGRAD_CHECK_GRADIENTS_H_

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autograd/grad.h"
#include "autograd/parameter.h"

namespace wengert {

struct CheckGradientsOptions {
  double tolerance = 1e-6;  // of the relative error
  int orders = 2;           // 1: first derivatives only
  int directions = 2;       // random directions per order; every element takes part in each
  // Central differences of fourth order move each input by this much of its root mean square. Where
  // they disagree, steps of 1/10, 1/100 and 1/1000 of it are tried before the derivative is called
  // wrong: a kink (relu) may lie within a longer step.
  double step = 1e-3;
  // How many elements are checked one by one to name the worst. Of more, halves are discarded by
  // directional checks until so few are left.
  int64_t max_elements = 256;
  uint64_t seed = 0;
};

// The largest disagreement found at one order of derivative. Errors are relative to the larger of
// the two numbers, but to no less than 1e-4 of the function's magnitude: below, differences are
// rounding.
struct GradientError {
  double relative_error = 0;  // along the worst direction

  // The worst element; looked for only when relative_error exceeds the tolerance.
  int input = -1;                // -1: not looked for
  std::string name;              // of the parameter; "cotangent" where it is u, at order 2
  std::vector<int64_t> element;  // its index
  double analytic = 0, numeric = 0;
  double element_error = 0;
};

struct GradientReport {
  bool ok = true;
  // orders[0]: the gradient of sum(u * f) with a random u. orders[1]: the derivatives of a random
  // combination of that gradient's elements, by the inputs and by u.
  std::vector<GradientError> orders;
  // A line per order, such as "order 1: input 0 (cnn/conv1/weight) element [2,1,0,3]: analytic
  // 0.4312, numeric 0.4127, relative error 0.043 > 1e-06".
  std::string text;
};
std::ostream& operator<<(std::ostream& stream, const GradientReport& report);  // its text

// Compares derivatives of f at `inputs` with central differences, which need float64: an input of
// float32 is an Error. Integer inputs (labels, indices) are passed on as they are. f may give any
// shape; it must give the same values when it is called twice, else Error.
GradientReport CheckGradients(const Function& f, VariableSpan inputs,
                              const CheckGradientsOptions& options = {});
// The same of a function with several results; those that are not floating are ignored.
using VectorFunction = std::function<std::vector<Variable>(VariableSpan)>;
GradientReport CheckGradients(const VectorFunction& f, VariableSpan inputs,
                              const CheckGradientsOptions& options = {});

// The same of f(), which reads `parameters` (a model, or a loss of it). They are Set while it runs
// and hold their old values afterwards.
GradientReport CheckGradients(absl::FunctionRef<Variable()> f,
                              absl::Span<const Parameter> parameters,
                              const CheckGradientsOptions& options = {});

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_CHECK_GRADIENTS_H_
