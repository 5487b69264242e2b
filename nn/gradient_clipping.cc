#include "nn/gradient_clipping.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "ops/ops.h"

namespace wengert {
namespace {

double GlobalNorm(const std::vector<Variable>& gradients, bool in_float64) {
  std::vector<Variable> sums;
  for (const Variable& gradient : gradients) {
    sums.push_back(Sum(Square(in_float64 ? Cast(gradient, DType::kFloat64) : gradient)));
  }
  Evaluate(sums);
  double sum = 0;
  for (const Variable& part : sums) sum += part.item<double>();
  return std::sqrt(sum);
}

}  // namespace

double ClipByGlobalNorm(std::vector<Variable>& gradients, double max_norm) {
  if (!(max_norm > 0)) {
    throw Error("clip_by_global_norm", absl::StrCat("max_norm is ", max_norm, ", expected > 0"));
  }
  const NoGradGuard no_grad;
  double norm = GlobalNorm(gradients, false);
  if (!std::isfinite(norm)) norm = GlobalNorm(gradients, true);  // squares overflow first
  if (!std::isfinite(norm) || norm <= max_norm) return norm;
  for (Variable& gradient : gradients) gradient = gradient * (max_norm / norm);
  Evaluate(gradients);
  return norm;
}

}  // namespace wengert
