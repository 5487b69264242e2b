#include "nn/optimizers.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "ops/updates.h"

namespace wengert {

namespace {

// While it lives, recording evaluates nothing.
class LiftPendingLimits {
 public:
  LiftPendingLimits() : limits_(GetPendingLimits()) {
    constexpr int64_t kNone = int64_t{1} << 60;
    SetPendingLimits({.nodes = kNone, .bytes = kNone});
  }
  ~LiftPendingLimits() { SetPendingLimits(limits_); }
  LiftPendingLimits(const LiftPendingLimits&) = delete;

 private:
  PendingLimits limits_;
};

}  // namespace

Optimizer::Optimizer(std::vector<Parameter> parameters, double learning_rate, int states)
    : parameters_(std::move(parameters)), learning_rate_(learning_rate) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = parameters_[i];
    for (size_t k = 0; k < i; ++k) {
      if (parameter.SharesWith(parameters_[k])) {
        throw Error("optimizer", absl::StrCat("parameter ", i, " ", std::string(parameter.name()),
                                              " is parameter ", k, " again"));
      }
    }
    std::vector<Variable>& state = states_.emplace_back();
    for (int i = 0; i < states; ++i) {
      state.push_back(Tensor::Zeros(parameter.shape(), parameter.dtype()));
    }
  }
}

void Optimizer::Step(const std::vector<Variable>& gradients) {
  if (gradients.size() != parameters_.size()) {
    throw Error("optimizer", absl::StrCat(gradients.size(), " gradients for ", parameters_.size(),
                                          " parameters"));
  }
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Variable& gradient = gradients[i];
    const Parameter& parameter = parameters_[i];
    if (!(gradient.shape() == parameter.shape()) || gradient.dtype() != parameter.dtype()) {
      throw Error(
          "optimizer",
          absl::StrCat("gradient ", std::string(Name(gradient.dtype())), ToString(gradient.shape()),
                       " for ", std::string(parameter.name()), " ",
                       std::string(Name(parameter.dtype())), ToString(parameter.shape())));
    }
  }
  Evaluate(gradients);  // so that only the updates are left to run
  ++steps_;
  // The only handles to parameters and states go into the updates, whose nodes may then take the
  // buffers over. What is not float32 runs as plain ops, and is held here in case they fail.
  std::vector<std::vector<Variable>> updated, held;
  std::vector<Variable> all;
  {
    const EagerGuard together(false);
    const LiftPendingLimits unbounded;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      std::vector<Variable> values{parameters_[i].Take()};
      for (Variable& state : states_[i]) values.push_back(std::move(state));
      held.emplace_back();
      if (parameters_[i].dtype() != DType::kFloat32) held.back() = values;
      updated.push_back(Update(std::move(values), gradients[i]));
      all.insert(all.end(), updated.back().begin(), updated.back().end());
    }
  }
  try {
    Evaluate(all);
  } catch (...) {
    for (size_t i = 0; i < updated.size(); ++i) {
      const Node* node = updated[i][0].node();
      if (!held[i].empty()) {
        updated[i] = held[i];
      } else if (!updated[i][0].output().defined()) {
        updated[i].assign(node->inputs().begin(), node->inputs().end() - 1);
      }
      Store(i, std::move(updated[i]));
    }
    throw;
  }
  all.clear();
  for (size_t i = 0; i < parameters_.size(); ++i) Store(i, std::move(updated[i]));
}

void Optimizer::Store(size_t i, std::vector<Variable> values) {
  parameters_[i].Set(values[0]);
  for (size_t s = 0; s < states_[i].size(); ++s) states_[i][s] = values[s + 1].value();
}

std::vector<Variable> Sgd::Update(std::vector<Variable> values, const Variable& gradient) {
  if (momentum_ == 0) return {SgdUpdate(std::move(values[0]), gradient, learning_rate())};
  return MomentumUpdate(std::move(values[0]), std::move(values[1]), gradient, learning_rate(),
                        momentum_);
}

std::vector<Variable> RmsProp::Update(std::vector<Variable> values, const Variable& gradient) {
  return RmsPropUpdate(std::move(values[0]), std::move(values[1]), gradient, learning_rate(),
                       options_.rho, options_.epsilon);
}

std::vector<Variable> Adam::Update(std::vector<Variable> values, const Variable& gradient) {
  // Both bias corrections in one number.
  const double t = static_cast<double>(steps());
  const double rate = learning_rate() * std::sqrt(1 - std::pow(options_.beta2, t)) /
                      (1 - std::pow(options_.beta1, t));
  return AdamUpdate(std::move(values[0]), std::move(values[1]), std::move(values[2]), gradient,
                    rate, options_.beta1, options_.beta2, options_.epsilon);
}

}  // namespace wengert
