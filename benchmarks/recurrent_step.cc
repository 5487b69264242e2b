#include "benchmarks/recurrent_step.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using States = std::vector<Variable>;

// The cells' sequences as any user would write them.
Variable Composed(const nn::LstmCell& cell, const Variable& x, const LstmState& initial) {
  const auto step = [&](const Variable& x_t, const States& state) -> States {
    const LstmState next = LstmStep(x_t + cell.HiddenGates(state[0]), state[1]);
    return {next.h, next.c};
  };
  return Scan(cell.InputGates(x), {initial.h, initial.c}, step).outputs;
}
Variable Composed(const nn::GruCell& cell, const Variable& x, const nn::HiddenState& initial) {
  const auto step = [&](const Variable& x_t, const States& state) -> States {
    return {GruStep(x_t, cell.HiddenGates(state[0]), state[0])};
  };
  return Scan(cell.InputGates(x), {initial.h}, step).outputs;
}
Variable Composed(const nn::RnnCell& cell, const Variable& x, const nn::HiddenState& initial) {
  const auto step = [&](const Variable& x_t, const States& state) -> States {
    return {Tanh(x_t + cell.HiddenGates(state[0]))};
  };
  return Scan(cell.InputGates(x), {initial.h}, step).outputs;
}

}  // namespace

std::string NameOf(const RecurrentShape& s) {
  return absl::StrCat(s.in, "x", s.hidden, "/T", s.steps, "/N", s.batch);
}

template <class Cell>
RecurrentStep<Cell>::RecurrentStep(const RecurrentShape& s, RecurrentPath path)
    : cell({.in = s.in, .hidden = s.hidden}, generator), initial(cell.Zero(s.batch)), path_(path) {
  x = Normal({s.batch, s.steps, s.in}, generator).value();
  dy = Normal({s.batch, s.steps, s.hidden}, generator).value();
}

template <class Cell>
double RecurrentStep<Cell>::Run() {
  const Variable input = DifferentiableLeaf(x);
  const Variable outputs = path_ == RecurrentPath::kFused ? cell.Run(input, initial).outputs
                                                          : Composed(cell, input, initial);
  const Variable inputs[] = {input, cell.weight_ih, cell.weight_hh, cell.bias};
  const Variable results[] = {outputs};
  std::vector<Variable> gradients = Grad(results, inputs, {.cotangents = {dy}});
  gradients.push_back(outputs);
  Evaluate(gradients);
  return gradients[0].value().data<float>()[0];
}

template class RecurrentStep<nn::RnnCell>;
template class RecurrentStep<nn::LstmCell>;
template class RecurrentStep<nn::GruCell>;

}  // namespace wengert
