// What every optimizer is: from gradients to new parameter values, in the parameters' own buffers.
#ifndef WENGERT_NN_OPTIMIZER_H_
#define WENGERT_NN_OPTIMIZER_H_

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autograd/parameter.h"
#include "ops/updates.h"

namespace wengert {

// Parameters that are trained alike.
struct ParameterGroup {
  std::vector<Parameter> parameters;
  double rate_factor = 1;                             // times the optimizer's learning rate
  std::optional<double> weight_decay = std::nullopt;  // in place of the optimizer's
  // Penalties as Keras's regularizers: training minimizes loss + l1 * sum |w| + l2 * sum w^2. Their
  // gradients, l1 * sign(w) + 2 * l2 * w, are added to those given to Step (after any clipping);
  // the loss that a user computes does not contain them: see Optimizer::Penalty.
  double l1 = 0, l2 = 0;
};

// What an optimizer trains: parameters, {p, q}, or groups, {{.parameters = ...}, {...}}.
class ParameterGroups {
 public:
  ParameterGroups() = default;
  ParameterGroups(std::vector<Parameter> parameters)  // NOLINT(google-explicit-constructor)
      : groups_{ParameterGroup{.parameters = std::move(parameters)}} {}
  ParameterGroups(std::initializer_list<Parameter> parameters)
      : ParameterGroups(std::vector<Parameter>(parameters)) {}
  ParameterGroups(std::vector<ParameterGroup> groups)  // NOLINT(google-explicit-constructor)
      : groups_(std::move(groups)) {}
  ParameterGroups(std::initializer_list<ParameterGroup> groups) : groups_(groups) {}

  const std::vector<ParameterGroup>& groups() const { return groups_; }

 private:
  std::vector<ParameterGroup> groups_;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;

  const std::vector<Parameter>& parameters() const { return parameters_; }  // of all groups
  int64_t steps() const { return steps_.value().item<int64_t>(); }
  double learning_rate() const { return learning_rate_.value().item<double>(); }
  // Throws Error unless it is a finite number, 0 or above.
  void set_learning_rate(double rate);

  // gradients: one per parameter, of its shape, as ValueAndGrad gives them. Updates all parameters
  // in one pass; a buffer is written in place where nothing else refers to it. When it throws,
  // wrong gradients have changed nothing; out of memory leaves each parameter and its state either
  // updated or as they were. Throws Error if a parameter was frozen meanwhile.
  void Step(const std::vector<Variable>& gradients);

  // The sum of the groups' L1 and L2 penalties now, to be shown with the loss.
  double Penalty() const;

  // What it keeps between steps, the learning rate too: Save(optimizer, path) and Load (nn/save.h)
  // take it, alone or as a member of what else is saved. Training that goes on from what was loaded
  // gives the same bits.
  template <class V>
  void Visit(V&& v) {
    v("steps", steps_);
    v("learning_rate", learning_rate_);
    v("states", states_);  // "states/3/0": of parameter 3
  }

 protected:
  // How one parameter is to be updated in this step.
  struct Rates {
    double rate;   // the learning rate, times the group's factor
    int64_t step;  // from 1
    Regularization regularization;
  };

  // states: how many tensors of `initial_state` are kept per parameter. weight_decay: of groups
  // that have none of their own. Each step takes rate * weight_decay of a parameter from it,
  // whatever the gradient (decoupled: Loshchilov and Hutter 2019). Throws Error on negative rates,
  // decays or penalties, and on parameters that stand twice.
  Optimizer(ParameterGroups parameters, double learning_rate, double weight_decay,
            absl::FunctionRef<int(const Parameter&)> states, double initial_state = 0);
  Optimizer(ParameterGroups parameters, double learning_rate, double weight_decay, int states,
            double initial_state = 0)
      : Optimizer(
            std::move(parameters), learning_rate, weight_decay,
            [states](const Parameter&) { return states; }, initial_state) {}
  // The update of one parameter: `values` is the parameter, then its state; gives the same, new.
  virtual std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                                       const Rates& rates) = 0;
  // Whether Update is one ApplyUpdate. The values of others are held until the step is complete.
  virtual bool IsOneUpdate(const Parameter&) const { return true; }

 private:
  struct Settings {  // of one parameter
    double rate_factor, weight_decay, l1, l2;
  };
  void SetSteps(int64_t steps);
  void Store(size_t i, std::vector<Variable> values);

  std::vector<Parameter> parameters_;
  std::vector<Settings> settings_;
  std::vector<std::vector<Parameter>> states_;  // [parameter][state]
  Parameter steps_, learning_rate_;
};

namespace internal {
// Throw Error: "[adam] beta1 is 2, expected from 0 to below 1".
void CheckAtLeastZero(std::string_view op, std::string_view what, double value);
void CheckAboveZero(std::string_view op, std::string_view what, double value);
void CheckBelowOne(std::string_view op, std::string_view what, double value);
}  // namespace internal

}  // namespace wengert

#endif  // WENGERT_NN_OPTIMIZER_H_
