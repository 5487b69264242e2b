#include "nn/gradient_norms.h"

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "ops/ops.h"

namespace wengert {

std::vector<GradientNorm> GradientNorms(absl::Span<const Parameter> parameters,
                                        const std::vector<Variable>& gradients) {
  if (gradients.size() != parameters.size()) {
    throw Error("gradient_norms", absl::StrCat(gradients.size(), " gradients for ",
                                               parameters.size(), " parameters"));
  }
  const NoGradGuard no_grad;
  std::vector<Variable> roots;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!(gradients[i].shape() == parameters[i].shape())) {
      throw Error("gradient_norms", absl::StrCat("gradient ", ToString(gradients[i].shape()),
                                                 " for ", std::string(parameters[i].name()), " ",
                                                 ToString(parameters[i].shape())));
    }
    roots.push_back(Sqrt(Sum(Square(Cast(gradients[i], DType::kFloat64)))));
  }
  Evaluate(roots);
  std::vector<GradientNorm> norms;
  for (size_t i = 0; i < parameters.size(); ++i) {
    norms.push_back({std::string(parameters[i].name()), roots[i].item<double>()});
  }
  return norms;
}

}  // namespace wengert
