// Optimizers: from gradients to new parameter values, in the parameters' own buffers. Formulas and
// defaults as in Keras.
#ifndef WENGERT_NN_OPTIMIZERS_H_
#define WENGERT_NN_OPTIMIZERS_H_

#include <utility>
#include <vector>

#include "autograd/parameter.h"

namespace wengert {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;

  const std::vector<Parameter>& parameters() const { return parameters_; }
  int64_t steps() const { return steps_; }
  double learning_rate() const { return learning_rate_; }
  void set_learning_rate(double rate) { learning_rate_ = rate; }

  // gradients: one per parameter, of its shape, as ValueAndGrad gives them. Updates all parameters
  // in one pass; a buffer is written in place where nothing else refers to it. When it throws,
  // wrong gradients have changed nothing; out of memory leaves each parameter and its state either
  // updated or as they were.
  void Step(const std::vector<Variable>& gradients);

 protected:
  // `states`: tensors of zeros kept per parameter.
  Optimizer(std::vector<Parameter> parameters, double learning_rate, int states);
  // The update of one parameter: `values` is the parameter, then its state; gives the same, new.
  virtual std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient) = 0;

 private:
  void Store(size_t i, std::vector<Variable> values);

  std::vector<Parameter> parameters_;
  std::vector<std::vector<Variable>> states_;  // [parameter][state]
  int64_t steps_ = 0;
  double learning_rate_;
};

// parameter -= rate * gradient; with momentum, by a velocity (see MomentumUpdate).
class Sgd : public Optimizer {
 public:
  struct Options {
    double learning_rate = 0.01;
    double momentum = 0;
  };
  explicit Sgd(std::vector<Parameter> parameters) : Sgd(std::move(parameters), Options()) {}
  Sgd(std::vector<Parameter> parameters, const Options& options)
      : Optimizer(std::move(parameters), options.learning_rate, options.momentum != 0 ? 1 : 0),
        momentum_(options.momentum) {}

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient) override;
  double momentum_;
};

class RmsProp : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double rho = 0.9;
    double epsilon = 1e-7;  // inside the root
  };
  explicit RmsProp(std::vector<Parameter> parameters) : RmsProp(std::move(parameters), Options()) {}
  RmsProp(std::vector<Parameter> parameters, const Options& options)
      : Optimizer(std::move(parameters), options.learning_rate, 1), options_(options) {}

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient) override;
  Options options_;
};

class Adam : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-7;  // outside the root
  };
  explicit Adam(std::vector<Parameter> parameters) : Adam(std::move(parameters), Options()) {}
  Adam(std::vector<Parameter> parameters, const Options& options)
      : Optimizer(std::move(parameters), options.learning_rate, 2), options_(options) {}

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient) override;
  Options options_;
};

}  // namespace wengert

#endif  // WENGERT_NN_OPTIMIZERS_H_
