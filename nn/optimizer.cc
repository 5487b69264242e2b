#include "nn/optimizer.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "ops/ops.h"

namespace wengert {

namespace internal {
namespace {

void CheckNumber(bool good, std::string_view op, std::string_view what, double value,
                 std::string_view expected) {
  if (good) return;
  throw Error(op,
              absl::StrCat(std::string(what), " is ", value, ", expected ", std::string(expected)));
}

}  // namespace

void CheckAtLeastZero(std::string_view op, std::string_view what, double value) {
  CheckNumber(std::isfinite(value) && value >= 0, op, what, value, "a finite number, 0 or above");
}
void CheckAboveZero(std::string_view op, std::string_view what, double value) {
  CheckNumber(std::isfinite(value) && value > 0, op, what, value, "a finite number above 0");
}
void CheckBelowOne(std::string_view op, std::string_view what, double value) {
  CheckNumber(value >= 0 && value < 1, op, what, value, "from 0 to below 1");
}

}  // namespace internal

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

Optimizer::Optimizer(ParameterGroups parameters, double learning_rate, double weight_decay,
                     absl::FunctionRef<int(const Parameter&)> states, double initial_state)
    : steps_(Parameter::Untrained(Tensor::Zeros({}, DType::kInt64))),
      learning_rate_(Parameter::Untrained(Tensor::Zeros({}, DType::kFloat64))) {
  set_learning_rate(learning_rate);
  for (const ParameterGroup& group : parameters.groups()) {
    const Settings settings{.rate_factor = group.rate_factor,
                            .weight_decay = group.weight_decay.value_or(weight_decay),
                            .l1 = group.l1,
                            .l2 = group.l2};
    internal::CheckAtLeastZero("optimizer", "rate_factor", settings.rate_factor);
    internal::CheckAtLeastZero("optimizer", "weight_decay", settings.weight_decay);
    internal::CheckAtLeastZero("optimizer", "l1", settings.l1);
    internal::CheckAtLeastZero("optimizer", "l2", settings.l2);
    for (const Parameter& parameter : group.parameters) {
      if (!parameter.defined()) {
        throw Error("optimizer", absl::StrCat("parameter ", parameters_.size(), " was never set"));
      }
      for (size_t k = 0; k < parameters_.size(); ++k) {
        if (parameter.SharesWith(parameters_[k])) {
          throw Error("optimizer",
                      absl::StrCat("parameter ", parameters_.size(), " ",
                                   std::string(parameter.name()), " is parameter ", k, " again"));
        }
      }
      parameters_.push_back(parameter);
      settings_.push_back(settings);
      std::vector<Parameter>& kept = states_.emplace_back();
      for (int i = states(parameter); i > 0; --i) {
        kept.push_back(Parameter::Untrained(
            Tensor::Full(parameter.shape(), initial_state, parameter.dtype())));
      }
    }
  }
}

void Optimizer::set_learning_rate(double rate) {
  internal::CheckAtLeastZero("optimizer", "learning_rate", rate);
  learning_rate_.Set(Tensor::Full({}, rate, DType::kFloat64));
}

void Optimizer::Step(const std::vector<Variable>& gradients) {
  if (gradients.size() != parameters_.size()) {
    throw Error("optimizer", absl::StrCat(gradients.size(), " gradients for ", parameters_.size(),
                                          " parameters"));
  }
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Variable& gradient = gradients[i];
    const Parameter& parameter = parameters_[i];
    if (parameter.frozen()) {
      throw Error("optimizer", absl::StrCat(std::string(parameter.name()),
                                            " was frozen after the optimizer was made; make one of "
                                            "Parameters(model) again"));
    }
    if (!(gradient.shape() == parameter.shape()) || gradient.dtype() != parameter.dtype()) {
      throw Error(
          "optimizer",
          absl::StrCat("gradient ", std::string(Name(gradient.dtype())), ToString(gradient.shape()),
                       " for ", std::string(parameter.name()), " ",
                       std::string(Name(parameter.dtype())), ToString(parameter.shape())));
    }
  }
  Evaluate(gradients);  // so that only the updates are left to run
  const int64_t step = steps() + 1;
  SetSteps(step);
  const double learning_rate = this->learning_rate();
  // The only handles to parameters and states go into the updates, whose nodes may then take the
  // buffers over. What runs as several ops is held here in case they fail.
  std::vector<std::vector<Variable>> updated, held(parameters_.size());
  std::vector<Variable> all, taken;
  try {
    const EagerGuard together(false);
    const LiftPendingLimits unbounded;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Settings& settings = settings_[i];
      const double rate = learning_rate * settings.rate_factor;
      const Rates rates{
          .rate = rate,
          .step = step,
          .regularization = {
              .l1 = settings.l1, .l2 = settings.l2, .decay = rate * settings.weight_decay}};
      const bool hold = parameters_[i].dtype() != DType::kFloat32 || !IsOneUpdate(parameters_[i]);
      taken.reserve(1 + states_[i].size());
      taken.push_back(parameters_[i].Take());
      for (Parameter& state : states_[i]) taken.push_back(state.Take());
      if (hold) held[i] = taken;
      updated.push_back(Update(taken, gradients[i], rates));
      taken.clear();
      all.insert(all.end(), updated.back().begin(), updated.back().end());
    }
    Evaluate(all);
  } catch (...) {
    if (updated.size() < parameters_.size()) SetSteps(step - 1);
    if (!taken.empty()) Store(updated.size(), std::move(taken));
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

void Optimizer::SetSteps(int64_t steps) {
  steps_.Set(Tensor::Full({}, static_cast<double>(steps), DType::kInt64));
}

void Optimizer::Store(size_t i, std::vector<Variable> values) {
  parameters_[i].Set(values[0]);
  for (size_t s = 0; s < states_[i].size(); ++s) states_[i][s].Set(values[s + 1]);
}

double Optimizer::Penalty() const {
  const NoGradGuard no_grad;
  std::vector<Variable> parts;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Variable w = Cast(parameters_[i], DType::kFloat64);
    const Settings& s = settings_[i];
    if (s.l1 != 0) parts.push_back(Sum(Abs(w)) * s.l1);
    if (s.l2 != 0) parts.push_back(Sum(Square(w)) * s.l2);
  }
  Evaluate(parts);
  double sum = 0;
  for (const Variable& part : parts) sum += part.item<double>();
  return sum;
}

}  // namespace wengert
