// How large each parameter's gradient is: what vanishes, what explodes, and where.
#ifndef WENGERT_NN_GRADIENT_NORMS_H_
#define WENGERT_NN_GRADIENT_NORMS_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "autograd/parameter.h"
#include "nn/module.h"

namespace wengert {

struct GradientNorm {
  std::string name;  // of the parameter
  double norm = 0;   // the square root of the sum of the squares of its gradient, in float64
};

// One per parameter, in their order. `gradients`: one per parameter, of its shape, as ValueAndGrad
// gives them for Parameters(model), else Error. Computed in one pass.
std::vector<GradientNorm> GradientNorms(absl::Span<const Parameter> parameters,
                                        const std::vector<Variable>& gradients);
template <internal::HasVisit Model>
std::vector<GradientNorm> GradientNorms(Model& model, const std::vector<Variable>& gradients) {
  return GradientNorms(Parameters(model), gradients);
}

}  // namespace wengert

#endif  // WENGERT_NN_GRADIENT_NORMS_H_
