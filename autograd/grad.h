// Differentiation: Grad records the gradient of recorded values with the same ops, so derivatives
// of any order exist and are evaluated, fused and freed as every other value is.
#ifndef WENGERT_AUTOGRAD_GRAD_H_
#define WENGERT_AUTOGRAD_GRAD_H_

#include <functional>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autograd/parameter.h"
#include "autograd/variable.h"

namespace wengert {

enum class Unused { kError, kZero };

struct GradOptions {
  // One per output, of its shape. Empty: ones, and then every output must have one element.
  std::vector<Variable> cotangents = {};
  // Gradients can themselves be differentiated. Without it, differentiating one is an error.
  bool create_graph = false;
  // What an input that no output depends on gives.
  Unused unused = Unused::kError;
};

// The vjp: sum over outputs of cotangent * d output / d input, one per input, of the input's shape.
// Inputs are leaves (parameters) or any recorded values that require gradients.
std::vector<Variable> Grad(VariableSpan outputs, VariableSpan inputs,
                           const GradOptions& options = {},
                           SourceLocation where = SourceLocation::current());
inline Variable Grad(const Variable& output, const Variable& input, const GradOptions& options = {},
                     SourceLocation where = SourceLocation::current()) {
  return Grad(VariableSpan(&output, 1), VariableSpan(&input, 1), options, where)[0];
}

struct ValueAndGradients {
  Variable value;
  std::vector<Variable> gradients;  // in the order of the parameters; zero where unused
};

// Records f(), which gives a scalar loss, takes its gradients and computes all of it in one pass.
// What is returned holds no tape: the graph is freed, and the parameters' buffers are free to be
// updated in place. Throws Error naming a parameter that is untrained or frozen.
ValueAndGradients ValueAndGrad(absl::FunctionRef<Variable()> f,
                               absl::Span<const Parameter> parameters,
                               SourceLocation where = SourceLocation::current());

// A function of several variables, for the transforms below. They differentiate it inside a
// NoGradGuard too, and throw Error naming the caller's line unless the inputs are floats.
using Function = std::function<Variable(VariableSpan)>;

// Directional derivative: {f(x), df(x)[tangents]}. Made of two vjps, so no op carries a second
// rule.
std::pair<Variable, Variable> Jvp(const Function& f, VariableSpan x, VariableSpan tangents,
                                  SourceLocation where = SourceLocation::current());
// Hessian of the scalar f times `vector`: one result per input.
std::vector<Variable> Hvp(const Function& f, VariableSpan x, VariableSpan vector,
                          SourceLocation where = SourceLocation::current());
// d f(x) / d x, of shape f(x).shape + x.shape. One vjp per element of f(x).
Variable Jacobian(const std::function<Variable(const Variable&)>& f, const Variable& x,
                  SourceLocation where = SourceLocation::current());
// Second derivatives of the scalar f, of shape x.shape + x.shape.
Variable Hessian(const std::function<Variable(const Variable&)>& f, const Variable& x,
                 SourceLocation where = SourceLocation::current());

// f(inputs), keeping only the inputs for the backward pass, which computes f once more. f may read
// parameters by capture: they get their gradients. Random ops inside draw the same numbers both
// times.
Variable Checkpoint(const Function& f, std::vector<Variable> inputs,
                    SourceLocation where = SourceLocation::current());

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_GRAD_H_
