#include "nn/recurrent.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "nn/initializers.h"
#include "nn/layers.h"

namespace wengert::nn {
namespace {

RecurrentParameters ParametersOf(const RecurrentWeights& cell) {
  return {.weight_ih = cell.weight_ih, .weight_hh = cell.weight_hh, .bias = cell.bias};
}

}  // namespace

RecurrentWeights::RecurrentWeights(std::string_view cell, int64_t gates, const CellOptions& o,
                                   Generator& generator) {
  CheckPositive(cell, {{"in", o.in}, {"hidden", o.hidden}});
  weight_ih = Parameter(GlorotUniform({o.in, gates * o.hidden}, generator));
  weight_hh = Parameter(Orthogonal({o.hidden, gates * o.hidden}, generator));
  bias = Parameter(Tensor::Zeros({gates * o.hidden}));
  if (o.layer_norm) {
    norm_ih = LayerNorm({.size = gates * o.hidden, .use_bias = false});
    norm_hh = LayerNorm({.size = gates * o.hidden, .use_bias = false});
  }
}

Variable RecurrentWeights::InputGates(const Variable& x) const {
  const Variable product = MatMul(x, weight_ih);
  return (norm_ih.weight.defined() ? norm_ih(product) : product) + bias;
}

Variable RecurrentWeights::HiddenGates(const Variable& h) const {
  const Variable product = MatMul(h, weight_hh);
  return norm_hh.weight.defined() ? norm_hh(product) : product;
}

Variable RecurrentWeights::Zeros(int64_t n) const {
  return Tensor::Zeros({n, hidden()}, weight_hh.dtype());
}

RnnCell::RnnCell(const CellOptions& options, const Variant& variant, Generator& generator)
    : RecurrentWeights(kName, 1, options, generator), variant(variant) {}

Variable RnnCell::Step(const Variable& x_gates, const Variable& h) const {
  const Variable sum = x_gates + HiddenGates(h);
  return variant.activation == RnnActivation::kTanh ? Tanh(sum) : Relu(sum);
}

HiddenState RnnCell::operator()(const Variable& x, const State& state, SourceLocation where) const {
  const WhereScope scope(where, "rnn_cell");
  return {Step(InputGates(x), state.h)};
}

Unrolled<HiddenState> RnnCell::Run(const Variable& x, const State& initial,
                                   const ScanOptions& options, SourceLocation where) const {
  const WhereScope scope(where, "rnn_cell");
  Scanned run = norm_hh.weight.defined()
                    ? Scan(
                          InputGates(ClearPadding(x, options.lengths)), {initial.h},
                          [&](const Variable& x_t, const std::vector<Variable>& state) {
                            return std::vector<Variable>{Step(x_t, state[0])};
                          },
                          options)
                    : RnnSequence(x, ParametersOf(*this), variant.activation, initial.h, options);
  return {std::move(run.outputs), {std::move(run.state[0])}};
}

LstmCell::LstmCell(const CellOptions& options, const Variant&, Generator& generator)
    : RecurrentWeights(kName, 4, options, generator) {
  const int64_t h = options.hidden;
  Tensor initial = Tensor::Zeros({4 * h});
  for (int64_t i = h; i < 2 * h; ++i) initial.mutable_data<float>()[i] = 1;
  bias = Parameter(std::move(initial));
  if (options.layer_norm) norm_c = LayerNorm({.size = h});
}

LstmState LstmCell::Step(const Variable& x_gates, const State& state) const {
  const Variable gates = x_gates + HiddenGates(state.h);
  State next = LstmStep(gates, state.c);
  if (norm_c.weight.defined()) {
    // The h that was recorded is not asked for, and so not computed.
    next.h = Sigmoid(Chunk<4>(gates, -1)[3]) * Tanh(norm_c(next.c));
  }
  return next;
}

LstmState LstmCell::operator()(const Variable& x, const State& state, SourceLocation where) const {
  const WhereScope scope(where, "lstm_cell");
  return Step(InputGates(x), state);
}

Unrolled<LstmState> LstmCell::Run(const Variable& x, const State& initial,
                                  const ScanOptions& options, SourceLocation where) const {
  const WhereScope scope(where, "lstm_cell");
  Scanned run = norm_hh.weight.defined()
                    ? Scan(
                          InputGates(ClearPadding(x, options.lengths)), {initial.h, initial.c},
                          [&](const Variable& x_t, const std::vector<Variable>& state) {
                            State next = Step(x_t, {state[0], state[1]});
                            return std::vector<Variable>{next.h, next.c};
                          },
                          options)
                    : LstmSequence(x, ParametersOf(*this), initial, options);
  return {std::move(run.outputs), {std::move(run.state[0]), std::move(run.state[1])}};
}

GruCell::GruCell(const CellOptions& options, const Variant& variant, Generator& generator)
    : RecurrentWeights(kName, 3, options, generator) {
  if (variant.reset_after) {
    bias_hn = Parameter(Tensor::Zeros({options.hidden}));
  } else if (options.layer_norm) {
    // Reset before the product leaves no h weight_hh to normalize.
    throw Error(kName, "layer_norm needs reset_after: it normalizes h weight_hh");
  }
}

Variable GruCell::Step(const Variable& x_gates, const Variable& h) const {
  if (!bias_hn.defined()) return GruStepResetBefore(x_gates, h, weight_hh);
  const auto [r, z, n] = Chunk<3>(HiddenGates(h), -1);
  return GruStep(x_gates, Concat(std::vector<Variable>{r, z, n + bias_hn}, -1), h);
}

HiddenState GruCell::operator()(const Variable& x, const State& state, SourceLocation where) const {
  const WhereScope scope(where, "gru_cell");
  return {Step(InputGates(x), state.h)};
}

Unrolled<HiddenState> GruCell::Run(const Variable& x, const State& initial,
                                   const ScanOptions& options, SourceLocation where) const {
  const WhereScope scope(where, "gru_cell");
  Scanned run =
      norm_hh.weight.defined()
          ? Scan(
                InputGates(ClearPadding(x, options.lengths)), {initial.h},
                [&](const Variable& x_t, const std::vector<Variable>& state) {
                  return std::vector<Variable>{Step(x_t, state[0])};
                },
                options)
          : GruSequence(x, ParametersOf(*this), bias_hn.defined() ? bias_hn.variable() : Variable(),
                        initial.h, options);
  return {std::move(run.outputs), {std::move(run.state[0])}};
}

template <class Cell>
Recurrent<Cell>::Recurrent(const Options& o, Generator& generator) : options(o) {
  CheckPositive(Cell::kName, {{"in", o.in}, {"hidden", o.hidden}, {"layers", o.layers}});
  if (o.bidirectional && o.reverse) {
    throw Error(Cell::kName, "bidirectional runs in reverse too; reverse is for one direction");
  }
  if (!(o.dropout >= 0 && o.dropout < 1)) {
    throw Error(Cell::kName, absl::StrCat("dropout = ", o.dropout, ", but must be in [0, 1)"));
  }
  const int64_t directions = o.bidirectional ? 2 : 1;
  for (int64_t i = 0; i < o.layers * directions; ++i) {
    const int64_t in = i < directions ? o.in : directions * o.hidden;
    const CellOptions cell{.in = in, .hidden = o.hidden, .layer_norm = o.layer_norm};
    cells.push_back(Cell(cell, o.variant, generator));
  }
}

template <class Cell>
typename Recurrent<Cell>::Output Recurrent<Cell>::operator()(const Variable& x, const Call& call,
                                                             SourceLocation where) const {
  const WhereScope scope(where, Cell::kName);
  const auto refuse = [&](const std::string& message) {
    internal::ThrowAt(Cell::kName, message, cells[0].weight_ih.variable(), where);
  };
  if (x.rank() != 3 || x.dim(2) != options.in) {
    refuse(absl::StrCat("wants [N, T, ", options.in, "], not ", ToString(x.shape())));
  }
  if (!call.initial.empty() && call.initial.size() != cells.size()) {
    refuse(absl::StrCat(call.initial.size(), " initial states for ", cells.size(), " cells"));
  }
  const int64_t n = x.dim(0);
  const size_t directions = options.bidirectional ? 2 : 1;
  Output out{.sequence = x};
  for (size_t first = 0; first < cells.size(); first += directions) {
    if (first > 0 && options.dropout > 0) {
      Variable& h = out.sequence;
      h = options.variational
              ? h * wengert::Dropout(Tensor::Ones({n, 1, h.dim(2)}, h.dtype()), options.dropout)
              : wengert::Dropout(h, options.dropout);
    }
    std::vector<Variable> outputs, last;
    for (size_t i = first; i < first + directions; ++i) {
      const ScanOptions scan{.reverse = options.reverse || i > first, .lengths = call.lengths};
      Unrolled<State> run = cells[i].Run(
          out.sequence, call.initial.empty() ? cells[i].Zero(n) : call.initial[i], scan);
      outputs.push_back(std::move(run.outputs));
      last.push_back(run.state.h);
      out.states.push_back(std::move(run.state));
    }
    out.sequence = directions == 1 ? outputs[0] : Concat(outputs, 2);
    out.last = directions == 1 ? last[0] : Concat(last, 1);
  }
  return out;
}

template struct Recurrent<RnnCell>;
template struct Recurrent<LstmCell>;
template struct Recurrent<GruCell>;

}  // namespace wengert::nn
