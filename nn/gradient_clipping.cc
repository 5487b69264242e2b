#include "nn/gradient_clipping.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "ops/ops.h"

namespace wengert {
namespace {

void CheckBound(const char* op, const char* what, double bound) {
  if (bound > 0) return;
  throw Error(op, absl::StrCat(what, " is ", bound, ", expected > 0"));
}

// Of each tensor. In float64 where the squares are too large for the gradients' own dtype.
std::vector<double> SumsOfSquares(const std::vector<Variable>& gradients, bool in_float64) {
  std::vector<Variable> sums;
  for (const Variable& gradient : gradients) {
    sums.push_back(Sum(Square(in_float64 ? Cast(gradient, DType::kFloat64) : gradient)));
  }
  Evaluate(sums);
  std::vector<double> values;
  for (const Variable& sum : sums) values.push_back(sum.item<double>());
  return values;
}

double GlobalNorm(const std::vector<Variable>& gradients, bool in_float64) {
  double sum = 0;
  for (const double part : SumsOfSquares(gradients, in_float64)) sum += part;
  return std::sqrt(sum);
}

}  // namespace

void ClipByValue(std::vector<Variable>& gradients, double limit) {
  CheckBound("clip_by_value", "limit", limit);
  const NoGradGuard no_grad;
  for (Variable& gradient : gradients) gradient = Clip(gradient, -limit, limit);
  Evaluate(gradients);
}

void ClipByNorm(std::vector<Variable>& gradients, double max_norm) {
  CheckBound("clip_by_norm", "max_norm", max_norm);
  const NoGradGuard no_grad;
  const std::vector<double> squares = SumsOfSquares(gradients, false);
  for (size_t i = 0; i < gradients.size(); ++i) {
    double norm = std::sqrt(squares[i]);
    if (!std::isfinite(norm)) norm = GlobalNorm({gradients[i]}, true);
    if (std::isfinite(norm) && norm > max_norm) gradients[i] = gradients[i] * (max_norm / norm);
  }
  Evaluate(gradients);
}

double ClipByGlobalNorm(std::vector<Variable>& gradients, double max_norm) {
  CheckBound("clip_by_global_norm", "max_norm", max_norm);
  const NoGradGuard no_grad;
  double norm = GlobalNorm(gradients, false);
  if (!std::isfinite(norm)) norm = GlobalNorm(gradients, true);  // squares overflow first
  if (!std::isfinite(norm) || norm <= max_norm) return norm;
  for (Variable& gradient : gradients) gradient = gradient * (max_norm / norm);
  Evaluate(gradients);
  return norm;
}

}  // namespace wengert
