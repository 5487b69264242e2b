// The optimizers that are one formula per element (ops/kernels/update_rows.inc). Formulas and
// defaults as in Keras; weight_decay is decoupled, and L1 and L2 penalties belong to the groups
// (see optimizer.h). Options out of range throw Error.
#ifndef WENGERT_NN_OPTIMIZERS_H_
#define WENGERT_NN_OPTIMIZERS_H_

#include <utility>
#include <vector>

#include "nn/optimizer.h"

namespace wengert {

// parameter -= rate * gradient. With momentum: velocity = momentum * velocity - rate * gradient;
// parameter += velocity, or with Nesterov's, parameter += momentum * velocity - rate * gradient.
class Sgd : public Optimizer {
 public:
  struct Options {
    double learning_rate = 0.01;
    double momentum = 0;
    bool nesterov = false;
    double weight_decay = 0;
  };
  explicit Sgd(ParameterGroups parameters) : Sgd(std::move(parameters), Options()) {}
  Sgd(ParameterGroups parameters, const Options& options);

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                               const Rates& rates) override;
  Options options_;
};

// Tieleman and Hinton 2012.
class RmsProp : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double rho = 0.9;
    double epsilon = 1e-7;  // inside the root
    double weight_decay = 0;
  };
  explicit RmsProp(ParameterGroups parameters) : RmsProp(std::move(parameters), Options()) {}
  RmsProp(ParameterGroups parameters, const Options& options);

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                               const Rates& rates) override;
  Options options_;
};

// Kingma and Ba 2015. With weight_decay this is AdamW.
class Adam : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-7;  // outside the root, before the correction of the bias
    double weight_decay = 0;
  };
  explicit Adam(ParameterGroups parameters) : Adam(std::move(parameters), Options()) {}
  Adam(ParameterGroups parameters, const Options& options);

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                               const Rates& rates) override;
  Options options_;
};

// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
class AdamW : public Adam {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-7;
    double weight_decay = 4e-3;
  };
  explicit AdamW(ParameterGroups parameters) : AdamW(std::move(parameters), Options()) {}
  AdamW(ParameterGroups parameters, const Options& options)
      : Adam(std::move(parameters), {.learning_rate = options.learning_rate,
                                     .beta1 = options.beta1,
                                     .beta2 = options.beta2,
                                     .epsilon = options.epsilon,
                                     .weight_decay = options.weight_decay}) {}
};

// Adam with Nesterov's momentum (Dozat 2016). The momentum of step t is beta1 (1 - 0.96^t / 2).
class Nadam : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-7;  // outside the root
    double weight_decay = 0;
  };
  explicit Nadam(ParameterGroups parameters) : Nadam(std::move(parameters), Options()) {}
  Nadam(ParameterGroups parameters, const Options& options);

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                               const Rates& rates) override;
  Options options_;
  // The product of the momenta of the steps before the next one, and how many those are.
  double product_ = 1;
  int64_t product_steps_ = 0;
};

// Adam by the largest of the decaying gradients (Kingma and Ba 2015, section 7.1).
class Adamax : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-7;
    double weight_decay = 0;
  };
  explicit Adamax(ParameterGroups parameters) : Adamax(std::move(parameters), Options()) {}
  Adamax(ParameterGroups parameters, const Options& options);

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                               const Rates& rates) override;
  Options options_;
};

// parameter -= rate * gradient / sqrt(sum of squared gradients) (Duchi et al. 2011).
class Adagrad : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double initial_sum = 0.1;
    double epsilon = 1e-7;  // inside the root
    double weight_decay = 0;
  };
  explicit Adagrad(ParameterGroups parameters) : Adagrad(std::move(parameters), Options()) {}
  Adagrad(ParameterGroups parameters, const Options& options);

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                               const Rates& rates) override;
  Options options_;
};

// Zeiler 2012, whose rate is 1; Keras's default is 1e-3.
class Adadelta : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double rho = 0.95;
    double epsilon = 1e-7;  // inside the roots
    double weight_decay = 0;
  };
  explicit Adadelta(ParameterGroups parameters) : Adadelta(std::move(parameters), Options()) {}
  Adadelta(ParameterGroups parameters, const Options& options);

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                               const Rates& rates) override;
  Options options_;
};

// Steps of the sign of the momentum (Chen et al. 2023): use a rate 3 to 10 times below Adam's, and
// a weight decay as many times above AdamW's.
class Lion : public Optimizer {
 public:
  struct Options {
    double learning_rate = 1e-3;
    double beta1 = 0.9;   // of the momentum and the gradient, in the step
    double beta2 = 0.99;  // of the momentum that is kept
    double weight_decay = 0;
  };
  explicit Lion(ParameterGroups parameters) : Lion(std::move(parameters), Options()) {}
  Lion(ParameterGroups parameters, const Options& options);

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                               const Rates& rates) override;
  Options options_;
};

namespace internal {
// Adam's numbers for a step, from 1: both bias corrections are in the rate.
AdamUpdate AdamNumbers(double rate, int64_t step, double beta1, double beta2, double epsilon);
}  // namespace internal

}  // namespace wengert

#endif  // WENGERT_NN_OPTIMIZERS_H_
