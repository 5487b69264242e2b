// Muon: momentum whose matrices are made orthogonal.
#ifndef WENGERT_NN_MUON_H_
#define WENGERT_NN_MUON_H_

#include <functional>
#include <utility>
#include <vector>

#include "nn/optimizer.h"

namespace wengert {

// The orthogonal matrix nearest to `matrix` [m, n], roughly: `steps` steps of the quintic
// Newton-Schulz iteration that Muon uses, X <- a X + (b X X' + c (X X')^2) X from X = matrix / its
// Frobenius norm. Singular values end between 0.7 and 1.2, unless they were almost 0. A composition
// of MatMul. Throws Error unless the matrix has rank 2.
Variable Orthogonalize(const Variable& matrix, int steps = 5,
                       SourceLocation where = SourceLocation::current());

// Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". For a matrix
// [in, out]: momentum_sum = momentum * momentum_sum + gradient, and
// parameter -= rate * sqrt(max(1, out / in)) * Orthogonalize(gradient + momentum * momentum_sum).
// Other parameters are trained by Adam. Its products make it dearer than a fused pass: 15 products
// of the matrix's size per step, which batches that are large against the layer hide.
class Muon : public Optimizer {
 public:
  struct Options {
    double learning_rate = 0.02;
    double momentum = 0.95;
    bool nesterov = true;  // false: Orthogonalize(momentum_sum)
    int steps = 5;         // of the iteration
    double weight_decay = 0;
    // Which parameters are orthogonalized; null: all of rank 2. The authors leave embeddings and
    // the last layer to Adam. Throws Error where it takes a parameter of another rank.
    std::function<bool(const Parameter&)> orthogonalize = nullptr;
    // Adam's, for the others: its rate is rate_factor * learning_rate, in their decay too.
    double rate_factor = 0.015;
    double beta1 = 0.9;
    double beta2 = 0.95;
    double epsilon = 1e-10;
  };
  explicit Muon(ParameterGroups parameters) : Muon(std::move(parameters), Options()) {}
  Muon(ParameterGroups parameters, const Options& options);

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& gradient,
                               const Rates& rates) override;
  bool IsOneUpdate(const Parameter& parameter) const override;
  Options options_;
};

}  // namespace wengert

#endif  // WENGERT_NN_MUON_H_
