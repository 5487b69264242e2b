#include "nn/muon.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "autograd/thread_state.h"
#include "nn/optimizers.h"
#include "ops/ops.h"

namespace wengert {

namespace {

bool Orthogonalizes(const Muon::Options& options, const Parameter& parameter) {
  const bool is_matrix = parameter.shape().rank() == 2;
  return options.orthogonalize ? options.orthogonalize(parameter) : is_matrix;
}

}  // namespace

Variable Orthogonalize(const Variable& matrix, int steps, SourceLocation where) {
  const WhereScope scope(where, "orthogonalize");
  // Of the iteration x <- a x + b x^3 + c x^5 on singular values: as steep at 0 as leaves those of
  // 1 between 0.7 and 1.2 (Jordan et al. 2024).
  constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
  if (matrix.rank() != 2 || steps < 0) {
    internal::ThrowAt("orthogonalize",
                      steps < 0 ? absl::StrCat(steps, " steps")
                                : absl::StrCat("expected a matrix, not ", ToString(matrix.shape())),
                      matrix, where);
  }
  const bool tall = matrix.shape()[0] > matrix.shape()[1];
  Variable x = matrix / (Sqrt(Sum(Square(matrix))) + 1e-7);
  if (tall) x = Transpose(x);  // the smaller of the two Gram matrices
  for (int i = 0; i < steps; ++i) {
    const Variable gram = MatMul(x, Transpose(x));
    x = x * a + MatMul(gram * b + MatMul(gram, gram) * c, x);
  }
  return tall ? Transpose(x) : x;
}

Muon::Muon(ParameterGroups parameters, const Options& options)
    : Optimizer(std::move(parameters), options.learning_rate, options.weight_decay,
                [&](const Parameter& parameter) {
                  const bool orthogonal = Orthogonalizes(options, parameter);
                  if (orthogonal && parameter.shape().rank() != 2) {
                    throw Error("muon", absl::StrCat("to be orthogonalized, but not a matrix: ",
                                                     std::string(parameter.name()), " ",
                                                     ToString(parameter.shape())));
                  }
                  return orthogonal ? 1 : 2;
                }),
      options_(options) {
  internal::CheckBelowOne("muon", "momentum", options.momentum);
  internal::CheckAtLeastZero("muon", "steps", options.steps);
  internal::CheckAtLeastZero("muon", "rate_factor", options.rate_factor);
  internal::CheckBelowOne("muon", "beta1", options.beta1);
  internal::CheckBelowOne("muon", "beta2", options.beta2);
  internal::CheckAboveZero("muon", "epsilon", options.epsilon);
}

bool Muon::IsOneUpdate(const Parameter& parameter) const {
  return !Orthogonalizes(options_, parameter);
}

std::vector<Variable> Muon::Update(std::vector<Variable> values, const Variable& gradient,
                                   const Rates& rates) {
  if (values.size() == 3) {  // the parameter and Adam's two states
    Regularization regularization = rates.regularization;
    regularization.decay *= options_.rate_factor;
    return ApplyUpdate(internal::AdamNumbers(rates.rate * options_.rate_factor, rates.step,
                                             options_.beta1, options_.beta2, options_.epsilon),
                       std::move(values), gradient, regularization);
  }
  const NoGradGuard no_grad;
  const Regularization& r = rates.regularization;
  const Variable& w = values[0];
  Variable g = gradient;
  if (r.l2 != 0) g = g + w * (2 * r.l2);
  if (r.l1 != 0) g = g + Sign(w) * r.l1;
  const Variable momentum_sum = values[1] * options_.momentum + g;
  const Variable direction = Orthogonalize(
      options_.nesterov ? g + momentum_sum * options_.momentum : momentum_sum, options_.steps);
  const double in = static_cast<double>(w.shape()[0]), out = static_cast<double>(w.shape()[1]);
  const double scale = in > 0 ? std::sqrt(std::max(1.0, out / in)) : 1;
  Variable updated =
      ApplyUpdate(SgdUpdate{.rate = rates.rate * scale}, {w}, direction, {.decay = r.decay})[0];
  return {std::move(updated), momentum_sum};
}

}  // namespace wengert
