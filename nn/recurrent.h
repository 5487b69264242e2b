// Recurrent cells and layers. A cell is its composition of ops and takes one step; a layer runs
// cells over [N, T, in], stacked or in both directions, each over the whole sequence as one op.
#ifndef WENGERT_NN_RECURRENT_H_
#define WENGERT_NN_RECURRENT_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "autograd/parameter.h"
#include "nn/normalization.h"
#include "ops/ops.h"

namespace wengert::nn {

struct CellOptions {
  int64_t in, hidden;
  // Normalizes x weight_ih and h weight_hh by row, each with a gain of its own, before they are
  // added up (Ba et al. 2016). Such cells run op by op.
  bool layer_norm = false;
};

// What all cells have. Of a weight's gates, each `hidden` wide, the cell's comment gives the order.
struct RecurrentWeights {
  Parameter weight_ih;  // [in, gates * hidden], GlorotUniform at first
  Parameter weight_hh;  // [hidden, gates * hidden], Orthogonal as one matrix
  Parameter bias;       // [gates * hidden], zeros
  LayerNorm norm_ih, norm_hh;

  int64_t in() const { return weight_ih.shape()[0]; }
  int64_t hidden() const { return weight_hh.shape()[0]; }
  // What x, one step or all of them, and h give to the gates: [..., in] or [..., hidden] ->
  // [..., gates * hidden].
  Variable InputGates(const Variable& x) const;
  Variable HiddenGates(const Variable& h) const;
  template <class V>
  void Visit(V&& v) {
    v("weight_ih", weight_ih), v("weight_hh", weight_hh), v("bias", bias);
    v("norm_ih", norm_ih), v("norm_hh", norm_hh);
  }

 protected:
  RecurrentWeights(std::string_view cell, int64_t gates, const CellOptions& options,
                   Generator& generator);
  Variable Zeros(int64_t n) const;
};

// A cell's state after all steps, and its h after each.
template <class State>
struct Unrolled {
  Variable outputs;  // [N, T, hidden]
  State state;
};

// The state of RnnCell and GruCell. That of LstmCell is LstmState, {h, c}.
struct HiddenState {
  Variable h;  // [N, hidden]
  HiddenState Detach() const { return {h.Detach()}; }
};

// Every cell can be called with one step, x: [N, in], and Run over all, x: [N, T, in].

// h' = tanh(x weight_ih + h weight_hh + bias), or relu.
struct RnnCell : RecurrentWeights {
  using State = HiddenState;
  static constexpr std::string_view kName = "rnn";
  struct Variant {
    RnnActivation activation = RnnActivation::kTanh;
  };
  Variant variant;

  RnnCell(const CellOptions& options, Generator& generator) : RnnCell(options, {}, generator) {}
  RnnCell(const CellOptions& options, const Variant& variant, Generator& generator);
  State operator()(const Variable& x, const State& state,
                   SourceLocation where = SourceLocation::current()) const;
  Unrolled<State> Run(const Variable& x, const State& initial, const ScanOptions& options = {},
                      SourceLocation where = SourceLocation::current()) const;
  State Zero(int64_t n) const { return {Zeros(n)}; }

 private:
  Variable Step(const Variable& x_gates, const Variable& h) const;
};

// Gates i, f, g, o (input, forget, candidate, output):
//   c' = sigmoid(f) c + sigmoid(i) tanh(g),  h' = sigmoid(o) tanh(c').
// The forget gate's bias starts at 1 (Jozefowicz et al. 2015). With layer_norm c' is normalized,
// with gain and bias, before its tanh.
struct LstmCell : RecurrentWeights {
  using State = LstmState;
  static constexpr std::string_view kName = "lstm";
  struct Variant {};
  LayerNorm norm_c;

  LstmCell(const CellOptions& options, Generator& generator) : LstmCell(options, {}, generator) {}
  LstmCell(const CellOptions& options, const Variant& variant, Generator& generator);
  State operator()(const Variable& x, const State& state,
                   SourceLocation where = SourceLocation::current()) const;
  Unrolled<State> Run(const Variable& x, const State& initial, const ScanOptions& options = {},
                      SourceLocation where = SourceLocation::current()) const;
  State Zero(int64_t n) const { return {Zeros(n), Zeros(n)}; }
  template <class V>
  void Visit(V&& v) {
    RecurrentWeights::Visit(v), v("norm_c", norm_c);
  }

 private:
  State Step(const Variable& x_gates, const State& state) const;
};

// Gates r, z, n (reset, update, candidate):
//   h' = n + z (h - n),  n = tanh(x_n + r (h weight_n + bias_hn)),
// or n = tanh(x_n + (r h) weight_n), reset before the product, as Cho et al. (2014) have it.
struct GruCell : RecurrentWeights {
  using State = HiddenState;
  static constexpr std::string_view kName = "gru";
  struct Variant {
    bool reset_after = true;  // layer_norm needs it
  };
  Parameter bias_hn;  // [hidden], zeros; unset when it resets before

  GruCell(const CellOptions& options, Generator& generator) : GruCell(options, {}, generator) {}
  GruCell(const CellOptions& options, const Variant& variant, Generator& generator);
  State operator()(const Variable& x, const State& state,
                   SourceLocation where = SourceLocation::current()) const;
  Unrolled<State> Run(const Variable& x, const State& initial, const ScanOptions& options = {},
                      SourceLocation where = SourceLocation::current()) const;
  State Zero(int64_t n) const { return {Zeros(n)}; }
  template <class V>
  void Visit(V&& v) {
    RecurrentWeights::Visit(v), v("bias_hn", bias_hn);
  }

 private:
  Variable Step(const Variable& x_gates, const Variable& h) const;
};

// A recurrent layer, or a stack of them:
//
//   nn::Lstm lstm({.in = 28, .hidden = 128, .layers = 2, .dropout = 0.2}, rng);
//   const auto out = lstm(x, {.lengths = lengths});   // x: [N, T, 28]
//   Variable logits = head(out.last);                 // or head(out.sequence)
//
// Back-propagation through time is cut between two calls by
// lstm(x, {.initial = nn::Detach(out.states)}).
template <class Cell>
struct Recurrent {
  using State = typename Cell::State;
  struct Options {
    int64_t in, hidden;
    int64_t layers = 1;
    bool bidirectional = false;  // a second cell runs in reverse; their outputs stand side by side
    bool reverse = false;        // the only cell runs in reverse
    // Drops outputs of every layer but the last, in a TrainingScope; variational: one mask for all
    // steps (Gal and Ghahramani 2016).
    double dropout = 0;
    bool variational = false;
    bool layer_norm = false;
    typename Cell::Variant variant = {};
  };
  struct Call {
    std::vector<State> initial = {};  // of each cell; empty: zeros
    Tensor lengths = {};              // [N], 1 to T: see ScanOptions
  };
  struct Output {
    Variable sequence;          // [N, T, directions * hidden]; 0 past a row's length
    Variable last;              // [N, directions * hidden]: h of the last layer after its last step
    std::vector<State> states;  // of each cell after its last step
  };
  std::vector<Cell> cells;  // of each layer: forward, then reverse if bidirectional
  Options options;

  Recurrent(const Options& options, Generator& generator);
  // x: [N, T, in].
  Output operator()(const Variable& x, const Call& call = {},
                    SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("cells", cells);
  }
};
using Rnn = Recurrent<RnnCell>;
using Lstm = Recurrent<LstmCell>;
using Gru = Recurrent<GruCell>;

// The states as constants, for the next call.
template <class State>
std::vector<State> Detach(const std::vector<State>& states) {
  std::vector<State> detached;
  for (const State& state : states) detached.push_back(state.Detach());
  return detached;
}

}  // namespace wengert::nn

#endif  // WENGERT_NN_RECURRENT_H_
