#include "nn/optimizers.h"

#include <cmath>

namespace wengert {

using internal::CheckAboveZero;
using internal::CheckAtLeastZero;
using internal::CheckBelowOne;

Sgd::Sgd(ParameterGroups parameters, const Options& options)
    : Optimizer(std::move(parameters), options.learning_rate, options.weight_decay,
                options.momentum != 0 ? 1 : 0),
      options_(options) {
  CheckBelowOne("sgd", "momentum", options.momentum);
  if (options.nesterov && options.momentum == 0) {
    throw Error("sgd", "nesterov without a momentum");
  }
}
std::vector<Variable> Sgd::Update(std::vector<Variable> values, const Variable& gradient,
                                  const Rates& rates) {
  if (options_.momentum == 0) {
    return ApplyUpdate(SgdUpdate{.rate = rates.rate}, std::move(values), gradient,
                       rates.regularization);
  }
  if (options_.nesterov) {
    return ApplyUpdate(NesterovUpdate{.rate = rates.rate, .momentum = options_.momentum},
                       std::move(values), gradient, rates.regularization);
  }
  return ApplyUpdate(MomentumUpdate{.rate = rates.rate, .momentum = options_.momentum},
                     std::move(values), gradient, rates.regularization);
}

RmsProp::RmsProp(ParameterGroups parameters, const Options& options)
    : Optimizer(std::move(parameters), options.learning_rate, options.weight_decay, 1),
      options_(options) {
  CheckBelowOne("rmsprop", "rho", options.rho);
  CheckAboveZero("rmsprop", "epsilon", options.epsilon);
}
std::vector<Variable> RmsProp::Update(std::vector<Variable> values, const Variable& gradient,
                                      const Rates& rates) {
  return ApplyUpdate(
      RmsPropUpdate{.rate = rates.rate, .rho = options_.rho, .epsilon = options_.epsilon},
      std::move(values), gradient, rates.regularization);
}

AdamUpdate internal::AdamNumbers(double rate, int64_t step, double beta1, double beta2,
                                 double epsilon) {
  const double t = static_cast<double>(step);
  return {.rate = rate * std::sqrt(1 - std::pow(beta2, t)) / (1 - std::pow(beta1, t)),
          .beta1 = beta1,
          .beta2 = beta2,
          .epsilon = epsilon};
}

Adam::Adam(ParameterGroups parameters, const Options& options)
    : Optimizer(std::move(parameters), options.learning_rate, options.weight_decay, 2),
      options_(options) {
  CheckBelowOne("adam", "beta1", options.beta1);
  CheckBelowOne("adam", "beta2", options.beta2);
  CheckAboveZero("adam", "epsilon", options.epsilon);
}
std::vector<Variable> Adam::Update(std::vector<Variable> values, const Variable& gradient,
                                   const Rates& rates) {
  return ApplyUpdate(internal::AdamNumbers(rates.rate, rates.step, options_.beta1, options_.beta2,
                                           options_.epsilon),
                     std::move(values), gradient, rates.regularization);
}

Nadam::Nadam(ParameterGroups parameters, const Options& options)
    : Optimizer(std::move(parameters), options.learning_rate, options.weight_decay, 2),
      options_(options) {
  CheckBelowOne("nadam", "beta1", options.beta1);
  CheckBelowOne("nadam", "beta2", options.beta2);
  CheckAboveZero("nadam", "epsilon", options.epsilon);
}
std::vector<Variable> Nadam::Update(std::vector<Variable> values, const Variable& gradient,
                                    const Rates& rates) {
  const double t = static_cast<double>(rates.step);
  const auto momentum = [&](double step) {
    return options_.beta1 * (1 - 0.5 * std::pow(0.96, step));
  };
  if (product_steps_ >= rates.step) product_ = 1, product_steps_ = 0;  // another state was loaded
  while (product_steps_ < rates.step - 1) {
    product_ *= momentum(static_cast<double>(++product_steps_));
  }
  const double product = product_ * momentum(t), next = product * momentum(t + 1);
  return ApplyUpdate(NadamUpdate{.rate_m = rates.rate * momentum(t + 1) / (1 - next),
                                 .rate_g = rates.rate * (1 - momentum(t)) / (1 - product),
                                 .beta1 = options_.beta1,
                                 .beta2 = options_.beta2,
                                 .scale_v = 1 / (1 - std::pow(options_.beta2, t)),
                                 .epsilon = options_.epsilon},
                     std::move(values), gradient, rates.regularization);
}

Adamax::Adamax(ParameterGroups parameters, const Options& options)
    : Optimizer(std::move(parameters), options.learning_rate, options.weight_decay, 2),
      options_(options) {
  CheckBelowOne("adamax", "beta1", options.beta1);
  CheckBelowOne("adamax", "beta2", options.beta2);
  CheckAboveZero("adamax", "epsilon", options.epsilon);
}
std::vector<Variable> Adamax::Update(std::vector<Variable> values, const Variable& gradient,
                                     const Rates& rates) {
  const double correction = 1 - std::pow(options_.beta1, static_cast<double>(rates.step));
  return ApplyUpdate(AdamaxUpdate{.rate = rates.rate / correction,
                                  .beta1 = options_.beta1,
                                  .beta2 = options_.beta2,
                                  .epsilon = options_.epsilon},
                     std::move(values), gradient, rates.regularization);
}

Adagrad::Adagrad(ParameterGroups parameters, const Options& options)
    : Optimizer(std::move(parameters), options.learning_rate, options.weight_decay, 1,
                options.initial_sum),
      options_(options) {
  CheckAtLeastZero("adagrad", "initial_sum", options.initial_sum);
  CheckAboveZero("adagrad", "epsilon", options.epsilon);
}
std::vector<Variable> Adagrad::Update(std::vector<Variable> values, const Variable& gradient,
                                      const Rates& rates) {
  return ApplyUpdate(AdagradUpdate{.rate = rates.rate, .epsilon = options_.epsilon},
                     std::move(values), gradient, rates.regularization);
}

Adadelta::Adadelta(ParameterGroups parameters, const Options& options)
    : Optimizer(std::move(parameters), options.learning_rate, options.weight_decay, 2),
      options_(options) {
  CheckBelowOne("adadelta", "rho", options.rho);
  CheckAboveZero("adadelta", "epsilon", options.epsilon);
}
std::vector<Variable> Adadelta::Update(std::vector<Variable> values, const Variable& gradient,
                                       const Rates& rates) {
  return ApplyUpdate(
      AdadeltaUpdate{.rate = rates.rate, .rho = options_.rho, .epsilon = options_.epsilon},
      std::move(values), gradient, rates.regularization);
}

Lion::Lion(ParameterGroups parameters, const Options& options)
    : Optimizer(std::move(parameters), options.learning_rate, options.weight_decay, 1),
      options_(options) {
  CheckBelowOne("lion", "beta1", options.beta1);
  CheckBelowOne("lion", "beta2", options.beta2);
}
std::vector<Variable> Lion::Update(std::vector<Variable> values, const Variable& gradient,
                                   const Rates& rates) {
  return ApplyUpdate(
      LionUpdate{.rate = rates.rate, .beta1 = options_.beta1, .beta2 = options_.beta2},
      std::move(values), gradient, rates.regularization);
}

}  // namespace wengert
