// The snippets of docs/sequences.md, run; see concepts_test.cc.
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "wengert.h"

namespace wengert {
namespace {

// [classifier]
struct Classifier {
  nn::Embedding embedding;
  nn::Lstm lstm;
  nn::Dense head;
  explicit Classifier(Generator& rng)
      : embedding({.count = 1000, .size = 32}, rng),
        lstm({.in = 32, .hidden = 64, .layers = 2, .bidirectional = true, .dropout = 0.2}, rng),
        head({.in = 2 * 64, .out = 5}, rng) {}
  Variable operator()(const Variable& words, const Tensor& lengths) const {  // words: [N, T]
    return head(lstm(embedding(words), {.lengths = lengths}).last);
  }
  template <class V>
  void Visit(V&& v) {
    v("embedding", embedding), v("lstm", lstm), v("head", head);
  }
};
// [/classifier]

TEST(Sequences, Classifier) {
  Generator rng(1);
  const Classifier model(rng);
  const Tensor words = Tensor::FromVector<int64_t>({7, 8, 9, 3, 0, 0}, {2, 3});
  const Variable logits = model(words, Tensor::FromVector<int64_t>({3, 1}));
  EXPECT_EQ(logits.shape(), Shape({2, 5}));
  const Variable alone = model(words.Narrow(0, 1, 1).Narrow(1, 0, 1), Tensor());
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(alone.value().at<float>({0, i}), logits.value().at<float>({1, i}), 1e-6);
  }
}

TEST(Sequences, Step) {
  const Tensor x = Tensor::Ones({4, 6, 3});
  // [cell]
  Generator rng(1);
  const nn::LstmCell cell({.in = 3, .hidden = 8}, rng);
  LstmState state = cell.Zero(4);  // h and c, [4, 8] each
  for (int64_t t = 0; t < 6; ++t) {
    state = cell(Squeeze(Narrow(x, 1, t, 1), 1), state);  // x: [4, 6, 3]
  }
  const Variable h = cell.Run(x, cell.Zero(4)).state.h;  // the same, as one op
  // [/cell]
  for (int64_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(h.value().at<float>({0, i}), state.h.value().at<float>({0, i}), 1e-6);
  }
}

TEST(Sequences, Lengths) {
  Generator rng(1);
  const nn::Gru gru({.in = 3, .hidden = 8}, rng);
  const Tensor x = Tensor::Ones({2, 5, 3});
  // [lengths]
  const Tensor lengths = Tensor::FromVector<int64_t>({5, 2});  // the second row ends after 2 steps
  const auto [sequence, last, states] = gru(x, {.lengths = lengths});
  const Variable mask = Unsqueeze(SequenceMask(lengths, 5), 2);  // [2, 5, 1]: t < lengths[n]
  const Variable mean = Sum(sequence, 1) / Sum(mask, 1);         // over each row's own steps
  // [/lengths]
  EXPECT_EQ(last.value().at<float>({1, 0}), sequence.value().at<float>({1, 1, 0}));
  EXPECT_EQ(sequence.value().at<float>({1, 2, 0}), 0);
  EXPECT_NEAR(mean.value().at<float>({1, 3}),
              (sequence.value().at<float>({1, 0, 3}) + sequence.value().at<float>({1, 1, 3})) / 2,
              1e-6);
}

TEST(Sequences, CarriedState) {
  Generator rng(1);
  nn::Lstm lstm({.in = 1, .hidden = 8}, rng);
  nn::Dense head({.in = 8, .out = 1}, rng);
  std::vector<Parameter> parameters = Parameters(lstm);
  for (const Parameter& p : Parameters(head)) parameters.push_back(p);
  Adam adam(parameters, {.learning_rate = 0.02});
  const auto piece = [](int64_t i) {  // of a sine, each where the last one ended
    const Tensor t = Tensor::Arange(20. * static_cast<double>(i), 20. * static_cast<double>(i) + 21,
                                    1, DType::kFloat64);
    std::vector<float> values;
    for (const double v : t.ToVector<double>()) values.push_back(static_cast<float>(std::sin(v)));
    return Tensor::FromVector(values, {1, 21, 1});
  };
  std::vector<float> losses;
  // [carried]
  std::vector<LstmState> states;  // empty: zeros
  for (int64_t i = 0; i < 200; ++i) {
    const Tensor wave = piece(i);  // [1, 21, 1]
    const auto [loss, gradients] = ValueAndGrad(
        [&] {
          const nn::Lstm::Output out = lstm(wave.Narrow(1, 0, 20), {.initial = states});
          states = nn::Detach(out.states);
          return MeanSquaredError(head(out.sequence), wave.Narrow(1, 1, 20));
        },
        adam.parameters());
    adam.Step(gradients);
    losses.push_back(loss.item<float>());
  }
  // [/carried]
  EXPECT_LT(losses.back(), losses.front() / 20);
}

// [own_cell]
// Minimal gated unit (Zhou et al. 2016): one gate f; x and h side by side, times their weights.
struct MguCell {
  nn::Dense gate, candidate;
  Variable operator()(const Variable& x, const Variable& h) const {
    const Variable f = Sigmoid(gate(Concat({{x, h}}, 1)));
    return h + f * (Tanh(candidate(Concat({{x, f * h}}, 1))) - h);
  }
  template <class V>
  void Visit(V&& v) {
    v("gate", gate), v("candidate", candidate);
  }
};
// [/own_cell]

TEST(Sequences, OwnCell) {
  Generator rng(1);
  const Variable x = Normal({2, 5, 3}, rng);
  const Tensor lengths = Tensor::FromVector<int64_t>({5, 2});
  // [scan]
  const MguCell cell{nn::Dense({.in = 3 + 8, .out = 8}, rng),
                     nn::Dense({.in = 3 + 8, .out = 8}, rng)};
  const Scanned run = Scan(x, {Tensor::Zeros({2, 8})},
                           [&](const Variable& x_t, const std::vector<Variable>& state) {
                             return std::vector<Variable>{cell(x_t, state[0])};
                           },
                           {.lengths = lengths});  // run.outputs: [2, 5, 8], run.state[0]: [2, 8]
  // [/scan]
  EXPECT_EQ(run.outputs.shape(), Shape({2, 5, 8}));
  EXPECT_EQ(run.state[0].value().at<float>({1, 4}), run.outputs.value().at<float>({1, 1, 4}));
}

TEST(Sequences, Layouts) {
  const Tensor weight_ih_l0 = Tensor::Full({32, 3}, 0.1), weight_hh_l0 = Tensor::Full({32, 8}, 0.1);
  const Tensor bias_ih_l0 = Tensor::Full({32}, 0.1), bias_hh_l0 = Tensor::Full({32}, 0.1);
  // [layouts]
  Generator rng(1);
  nn::Lstm lstm({.in = 3, .hidden = 8}, rng);
  ImportWeights(lstm.cells[0], nn::WeightLayout::kPyTorch,  // of a torch.nn.LSTM(3, 8)
                {.weight_ih = weight_ih_l0,
                 .weight_hh = weight_hh_l0,
                 .bias = bias_ih_l0,
                 .bias_hh = bias_hh_l0});
  const nn::ForeignWeights w = ExportWeights(lstm.cells[0], nn::WeightLayout::kOnnx);
  // w.weight_ih: W [1, 32, 3], w.weight_hh: R [1, 32, 8], w.bias: B [1, 64]
  // [/layouts]
  EXPECT_EQ(w.weight_ih.shape(), Shape({1, 32, 3}));
  EXPECT_EQ(w.weight_hh.shape(), Shape({1, 32, 8}));
  EXPECT_EQ(w.bias.shape(), Shape({1, 64}));
  EXPECT_NEAR(lstm.cells[0].bias.value().at<float>({0}), 0.2, 1e-6);
}

}  // namespace
}  // namespace wengert
