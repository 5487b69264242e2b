// Recurrent layers: the whole sequence at once against the same cells called step by step, carried
// states and padding.
#include "nn/recurrent.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "gtest/gtest.h"
#include "nn/module.h"
#include "nn/optimizers.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using nn::Gru, nn::Lstm, nn::Rnn;

std::vector<Variable> Parts(const nn::HiddenState& state) { return {state.h}; }
std::vector<Variable> Parts(const LstmState& state) { return {state.h, state.c}; }
void Assign(nn::HiddenState& state, const std::vector<Variable>& parts) { state = {parts[0]}; }
void Assign(LstmState& state, const std::vector<Variable>& parts) { state = {parts[0], parts[1]}; }

double Length(const Variable& v) { return Norm(Cast(v, DType::kFloat64)).item<double>(); }
void ExpectNear(const std::vector<Variable>& a, const std::vector<Variable>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].shape(), b[i].shape());
    EXPECT_LE(Length(a[i] - b[i]), 1e-5 * (Length(b[i]) + 0.01)) << "result " << i;
  }
}

// What the layer is to give, from calls of its cells with one step of all rows.
template <class Layer>
typename Layer::Output Unroll(const Layer& layer, Variable x, const typename Layer::Call& call) {
  typename Layer::Output out;
  const int64_t n = x.dim(0), steps = x.dim(1);
  const size_t directions = layer.options.bidirectional ? 2 : 1;
  std::vector<Variable> last;
  for (size_t first = 0; first < layer.cells.size(); first += directions) {
    std::vector<Variable> sequences;
    last.clear();
    for (size_t i = first; i < first + directions; ++i) {
      auto state = call.initial.empty() ? layer.cells[i].Zero(n) : call.initial[i];
      std::vector<Variable> sequence(static_cast<size_t>(steps));
      for (int64_t k = 0; k < steps; ++k) {
        const int64_t t = layer.options.reverse || i > first ? steps - 1 - k : k;
        const auto next = layer.cells[i](Squeeze(Narrow(x, 1, t, 1), 1), state);
        Variable& h = sequence[static_cast<size_t>(t)];
        h = next.h;
        if (!call.lengths.defined()) {
          state = next;
          continue;
        }
        const Variable has_step = Unsqueeze(Variable(call.lengths) > t, 1);
        h = Where(has_step, h, 0);
        std::vector<Variable> parts = Parts(state);
        for (size_t p = 0; p < parts.size(); ++p) {
          parts[p] = Where(has_step, Parts(next)[p], parts[p]);
        }
        Assign(state, parts);
      }
      sequences.push_back(Stack(sequence, 1));
      last.push_back(state.h);
      out.states.push_back(state);
    }
    x = Concat(sequences, 2);
  }
  out.sequence = x;
  out.last = Concat(last, 1);
  return out;
}

enum class Ask { kSequence, kLast, kStates, kAll };

// Values and gradients of x, the initial states and all weights.
template <class Layer>
std::vector<Variable> Results(Layer& layer, const typename Layer::Output& out, Ask ask,
                              const Variable& x, const typename Layer::Call& call) {
  std::vector<Variable> values;
  if (ask == Ask::kSequence || ask == Ask::kAll) values.push_back(out.sequence);
  if (ask == Ask::kLast || ask == Ask::kAll) values.push_back(out.last);
  if (ask == Ask::kStates || ask == Ask::kAll) {
    for (const auto& state : out.states) {
      for (const Variable& part : Parts(state)) values.push_back(part);
    }
  }
  Generator rng(5);
  std::vector<Variable> cotangents, inputs = {x};
  for (const Variable& v : values) cotangents.push_back(Normal(v.shape(), rng, 0, 1, v.dtype()));
  for (const auto& state : call.initial) {
    for (const Variable& part : Parts(state)) inputs.push_back(part);
  }
  for (const Parameter& p : Parameters(layer)) inputs.push_back(p);
  for (Variable& g : Grad(values, inputs, {.cotangents = cotangents, .unused = Unused::kZero})) {
    values.push_back(std::move(g));
  }
  Evaluate(values);
  return values;
}

Tensor SomeLengths(int64_t n, int64_t steps) {
  std::vector<int32_t> lengths;
  for (int64_t i = 0; i < n; ++i)
    lengths.push_back(static_cast<int32_t>(1 + (i * (i + 3) / 2 + steps - 1) % steps));
  return Tensor::FromVector(lengths);
}

template <class Layer>
typename Layer::Call MakeCall(const Layer& layer, int64_t n, int64_t steps, bool with_lengths,
                              bool with_initial, Generator& rng) {
  typename Layer::Call call;
  if (with_lengths) call.lengths = SomeLengths(n, steps);
  for (const auto& cell : layer.cells) {
    if (!with_initial) break;
    auto state = cell.Zero(n);
    std::vector<Variable> parts = Parts(state);
    for (Variable& part : parts) {
      part = DifferentiableLeaf(Normal({n, layer.options.hidden}, rng, 0, 1, part.dtype()).value());
    }
    Assign(state, parts);
    call.initial.push_back(state);
  }
  return call;
}

template <class Layer>
void ExpectUnrolled(Layer& layer, int64_t n, int64_t steps, bool with_lengths, bool with_initial,
                    Ask ask) {
  const auto& o = layer.options;
  SCOPED_TRACE(absl::StrCat(n, " rows, ", steps, " steps, ", o.in, " to ", o.hidden, ", ", o.layers,
                            " layers, ", o.bidirectional ? "both ways" : "",
                            o.reverse ? "back" : "", with_lengths ? ", lengths" : "",
                            with_initial ? ", initial" : "", ", asked ", static_cast<int>(ask)));
  Generator rng(9);
  for (Parameter& p : Parameters(layer)) {  // biases too
    p.Set(Normal(p.shape(), rng, 0, 1 / std::sqrt(static_cast<double>(o.hidden + 1))));
  }
  const Variable x = DifferentiableLeaf(Normal({n, steps, o.in}, rng).value());
  const typename Layer::Call call = MakeCall(layer, n, steps, with_lengths, with_initial, rng);
  const std::vector<Variable> results = Results(layer, layer(x, call), ask, x, call);
  ExpectNear(results, Results(layer, Unroll(layer, x, call), ask, x, call));
}

template <class L, class Variants>
void ExpectUnrolledInAllSizes(const Variants& variants) {
  Generator rng(3);
  int turn = 0;
  for (const int64_t hidden : {1, 7, 16, 17, 33, 64, 100}) {
    for (const int64_t n : {1, 2, 5, 17, 40}) {
      for (const int64_t steps : {1, 2, 9}) {
        ++turn;
        L layer({.in = 1 + turn % 5,
                 .hidden = hidden,
                 .layers = 1 + turn % 7 / 5,
                 .bidirectional = turn % 4 == 1,
                 .reverse = turn % 4 == 2,
                 .variant = variants[static_cast<size_t>(turn) % variants.size()]},
                rng);
        ExpectUnrolled(layer, n, steps, turn % 3 == 0, turn % 2 == 0,
                       static_cast<Ask>(turn % 5 % 4));
      }
    }
  }
}

template <class L>
void ExpectUnrolledWithAllOptions(const typename L::Options& base) {
  Generator rng(3);
  for (const int64_t layers : {1, 3}) {
    for (const int direction : {0, 1, 2}) {
      typename L::Options options = base;
      options.layers = layers;
      options.bidirectional = direction == 1;
      options.reverse = direction == 2;
      L layer(options, rng);
      for (const bool with_lengths : {false, true}) {
        for (const bool with_initial : {false, true}) {
          for (const Ask ask : {Ask::kSequence, Ask::kLast, Ask::kStates, Ask::kAll}) {
            ExpectUnrolled(layer, 4, 5, with_lengths, with_initial, ask);
          }
        }
      }
    }
  }
}

TEST(RecurrentTest, LstmIsItsCellStepByStep) {
  ExpectUnrolledInAllSizes<Lstm>(std::vector<nn::LstmCell::Variant>{{}});
  ExpectUnrolledWithAllOptions<Lstm>({.in = 3, .hidden = 6});
  ExpectUnrolledWithAllOptions<Lstm>({.in = 3, .hidden = 6, .layer_norm = true});
}

TEST(RecurrentTest, GruIsItsCellStepByStep) {
  ExpectUnrolledInAllSizes<Gru>(std::vector<nn::GruCell::Variant>{{}});
  ExpectUnrolledWithAllOptions<Gru>({.in = 3, .hidden = 6});
  ExpectUnrolledWithAllOptions<Gru>({.in = 3, .hidden = 6, .variant = {.reset_after = false}});
  ExpectUnrolledWithAllOptions<Gru>({.in = 3, .hidden = 6, .layer_norm = true});
}

TEST(RecurrentTest, RnnIsItsCellStepByStep) {
  const nn::RnnCell::Variant relu = {.activation = RnnActivation::kRelu};
  ExpectUnrolledInAllSizes<Rnn>(std::vector<nn::RnnCell::Variant>{{}, relu});
  ExpectUnrolledWithAllOptions<Rnn>({.in = 3, .hidden = 6});
  ExpectUnrolledWithAllOptions<Rnn>({.in = 3, .hidden = 6, .variant = relu});
  ExpectUnrolledWithAllOptions<Rnn>({.in = 3, .hidden = 6, .layer_norm = true});
}

// Not through layers alone: a cell's own Run keeps padding out of its weights' gradients too.
TEST(RecurrentTest, PaddingMayBeNan) {
  const int64_t n = 4, steps = 5;
  const Tensor lengths = SomeLengths(n, steps);
  const auto expect_same = [&](auto layer) {
    Generator rng(4);
    Parameters(layer);  // gives the names, after which the leaves are others
    const Tensor clean = Normal({n, steps, 3}, rng).value();
    const Tensor dirty =
        Where(Unsqueeze(SequenceMask(lengths, steps), 2), clean, std::nan("")).value();
    std::vector<std::vector<Variable>> results, of_a_cell;
    for (const Tensor& t : {clean, dirty}) {
      const Variable x = DifferentiableLeaf(t);
      const typename decltype(layer)::Call call{.lengths = lengths};
      results.push_back(Results(layer, layer(x, call), Ask::kAll, x, call));
      const auto& cell = layer.cells[0];
      const Variable h = cell.Run(x, cell.Zero(n), {.lengths = lengths}).outputs;
      of_a_cell.push_back({h, Grad(Sum(Square(h)), cell.weight_ih)});
    }
    for (const auto& list : {results, of_a_cell}) {
      for (size_t i = 0; i < list[0].size(); ++i) {
        EXPECT_TRUE(AllFinite(list[1][i].value())) << i;
        EXPECT_TRUE(BitwiseEqual(list[0][i].value(), list[1][i].value())) << i;
      }
    }
  };
  for (const bool layer_norm : {false, true}) {
    Generator rng(2);
    expect_same(Lstm(
        {.in = 3, .hidden = 4, .layers = 2, .bidirectional = true, .layer_norm = layer_norm}, rng));
    expect_same(Gru({.in = 3, .hidden = 4, .layers = 2, .layer_norm = layer_norm}, rng));
    expect_same(Rnn({.in = 3, .hidden = 4, .reverse = true, .layer_norm = layer_norm}, rng));
  }
  Generator rng(2);
  expect_same(Gru({.in = 3, .hidden = 4, .variant = {.reset_after = false}}, rng));
}

TEST(RecurrentTest, CarriedStatesContinueASequence) {
  const auto expect_whole = [](auto layer) {
    Generator rng(6);
    const Variable x = DifferentiableLeaf(Normal({3, 7, 2}, rng).value());
    const auto whole = layer(x);
    const auto first = layer(Narrow(x, 1, 0, 4));
    const auto second = layer(Narrow(x, 1, 4, 3), {.initial = nn::Detach(first.states)});
    ExpectNear({Concat(std::vector<Variable>{first.sequence, second.sequence}, 1), second.last},
               {whole.sequence, whole.last});
    // The cut: nothing flows back to the first half.
    const Variable dx = Grad(Sum(second.sequence), x);
    EXPECT_EQ(Length(Narrow(dx, 1, 0, 4)), 0);
    EXPECT_GT(Length(Narrow(dx, 1, 4, 3)), 0);
    const auto uncut = layer(Narrow(x, 1, 4, 3), {.initial = first.states});
    ExpectNear({Grad(Sum(uncut.sequence), x)}, {Grad(Sum(Narrow(whole.sequence, 1, 4, 3)), x)});
  };
  Generator rng(1);
  expect_whole(Lstm({.in = 2, .hidden = 5, .layers = 2}, rng));
  expect_whole(Gru({.in = 2, .hidden = 5, .layers = 2}, rng));
  expect_whole(Rnn({.in = 2, .hidden = 5, .layers = 2}, rng));
}

TEST(RecurrentTest, TrainingOverManyCutsKeepsMemoryFlat) {
  Generator rng(1);
  Lstm lstm({.in = 2, .hidden = 4, .layers = 2}, rng);
  Sgd sgd(Parameters(lstm), {.learning_rate = 0.1});
  std::vector<LstmState> states;
  std::vector<int64_t> live;
  double first = 0, last = 0;
  for (int step = 0; step < 30; ++step) {
    const Variable x = Tensor::Full({3, 5, 2}, 0.5);
    const auto [loss, gradients] = ValueAndGrad(
        [&] {
          const Lstm::Output out = lstm(x, {.initial = states});
          states = nn::Detach(out.states);
          return Mean(Square(out.sequence - 0.25));
        },
        sgd.parameters());
    sgd.Step(gradients);
    if (step == 1) first = loss.item<float>();
    if (step == 29) last = loss.item<float>();
    live.push_back(LiveNodes());
  }
  EXPECT_EQ(live[29], live[3]);
  EXPECT_LT(last, first / 2);  // and it learns
}

}  // namespace
}  // namespace wengert
