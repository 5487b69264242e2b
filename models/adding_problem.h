// The adding problem (Hochreiter and Schmidhuber 1997, section 5.4): two numbers, far apart in a
// long sequence, are to be remembered and added up.
#ifndef WENGERT_MODELS_ADDING_PROBLEM_H_
#define WENGERT_MODELS_ADDING_PROBLEM_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "autograd/grad.h"
#include "data/loader.h"
#include "models/last_state.h"
#include "ops/ops.h"

namespace wengert::adding {

// `count` sequences: inputs [count, length, 2] of a value, uniform in [-1, 1], and a marker, which
// is 1 at two steps, one in each half, and else 0; targets [count, 1], 0.5 + (the sum of the two
// marked values) / 4. Seed and length say which sequence is the n-th; these begin with number
// `first`, which is the batch's index.
Batch Sequences(int64_t count, int64_t length, uint64_t seed, int64_t first);

// Solved when 2,000 sequences in a row had errors below 0.04, each before it was learned from.
class Criterion {
 public:
  static constexpr int kInARow = 2000;
  static constexpr double kError = 0.04;

  void Add(double error) {
    if (solved()) return;
    ++sequences_;
    in_a_row_ = std::abs(error) < kError ? in_a_row_ + 1 : 0;
  }
  bool solved() const { return in_a_row_ == kInARow; }
  int64_t sequences() const { return sequences_; }  // until it was solved
  int in_a_row() const { return in_a_row_; }

 private:
  int64_t sequences_ = 0;
  int in_a_row_ = 0;
};

// How much the loss depends on the state after each step.
struct StateGradients {
  std::vector<double> h;  // |dL / dh_t| over the batch, t = 1 ... T
  std::vector<double> c;  // the same of an LSTM's c; else empty
};
template <class Layer>
StateGradients GradientsOverTime(const LastState<Layer>& network, const Batch& batch) {
  using State = typename Layer::State;
  constexpr bool kHasC = requires(State state) { state.c; };
  const auto& cell = network.recurrent.cells[0];
  const Variable x = batch.inputs;
  std::vector<Variable> states;  // every h, then every c
  std::vector<Variable> cs;
  State state = cell.Zero(x.dim(0));
  for (int64_t t = 0; t < x.dim(1); ++t) {
    state = cell(Squeeze(Narrow(x, 1, t, 1), 1), state);
    states.push_back(state.h);
    if constexpr (kHasC) cs.push_back(state.c);
  }
  states.insert(states.end(), cs.begin(), cs.end());
  const Variable loss = MeanSquaredError(network.head(state.h), batch.targets);
  std::vector<double> norms;
  for (const Variable& gradient : Grad({&loss, 1}, states)) {
    // In float64: squares of what vanishes are below float32's range.
    const Variable exact = gradient.value().To(DType::kFloat64);
    norms.push_back(Sqrt(Sum(Square(exact))).template item<double>());
  }
  const auto end_of_h = norms.begin() + x.dim(1);
  return {.h = {norms.begin(), end_of_h}, .c = {end_of_h, norms.end()}};
}

}  // namespace wengert::adding

#endif  // WENGERT_MODELS_ADDING_PROBLEM_H_
