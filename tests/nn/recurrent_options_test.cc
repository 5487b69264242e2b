// Recurrent layers: dropout between them, names and initial values of their parameters, shapes of
// what they give, and errors.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "nn/module.h"
#include "nn/recurrent.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using nn::Gru, nn::Lstm, nn::Rnn;

std::vector<float> Values(const Variable& v) { return v.value().ToVector<float>(); }

// Layers that give what they get: of ones, the outputs are the mask.
Rnn MaskProbe(bool variational, int64_t layers = 2) {
  Generator rng(1);
  Rnn rnn({.in = 8,
           .hidden = 8,
           .layers = layers,
           .dropout = 0.5,
           .variational = variational,
           .variant = {.activation = RnnActivation::kRelu}},
          rng);
  Tensor identity = Tensor::Zeros({8, 8});
  for (int64_t i = 0; i < 8; ++i) identity.mutable_data<float>()[9 * i] = 1;
  for (nn::RnnCell& cell : rnn.cells) {
    cell.weight_ih.Set(identity);
    cell.weight_hh.Set(Tensor::Zeros({8, 8}));
  }
  return rnn;
}

TEST(RecurrentDropoutTest, DropsBetweenLayersInTrainingOnly) {
  const Variable x = Tensor::Ones({4, 6, 8});
  const std::vector<float> ones(4 * 6 * 8, 1);
  for (const bool variational : {false, true}) {
    EXPECT_EQ(Values(MaskProbe(variational)(x).sequence), ones);
    Generator rng(2);
    const TrainingScope training(rng);
    // Not after the last layer, nor before the first.
    EXPECT_EQ(Values(MaskProbe(variational, 1)(x).sequence), ones);
    const std::vector<float> mask = Values(MaskProbe(variational)(x).sequence);
    int64_t zeros = 0;
    for (const float v : mask) {
      EXPECT_TRUE(v == 0 || v == 2) << v;
      zeros += v == 0;
    }
    EXPECT_GT(zeros, static_cast<int64_t>(mask.size() / 4));
    EXPECT_LT(zeros, static_cast<int64_t>(mask.size() * 3 / 4));
  }
}

TEST(RecurrentDropoutTest, VariationalMasksAreTheSameAtAllSteps) {
  const Variable x = Tensor::Ones({4, 6, 8});
  for (const bool variational : {false, true}) {
    Generator rng(2);
    const TrainingScope training(rng);
    const Rnn rnn = MaskProbe(variational);
    const Tensor mask = rnn(x).sequence.value();
    const auto step = [&](int64_t t) { return Values(mask.Narrow(1, t, 1).Contiguous()); };
    for (int64_t t = 1; t < 6; ++t) EXPECT_EQ(step(t) == step(0), variational) << t;
    // But not in all rows, nor at the next call.
    const auto row = [&](int64_t n) { return Values(mask.Narrow(0, n, 1).Contiguous()); };
    EXPECT_NE(row(0), row(1));
    EXPECT_NE(Values(mask), Values(rnn(x).sequence));
  }
}

TEST(RecurrentOptionsTest, GiveShapesAndNames) {
  Generator rng(1);
  Gru gru({.in = 3, .hidden = 4, .layers = 2, .bidirectional = true}, rng);
  const Gru::Output out = gru(Tensor::Ones({5, 7, 3}));
  EXPECT_EQ(out.sequence.shape(), Shape({5, 7, 8}));
  EXPECT_EQ(out.last.shape(), Shape({5, 8}));
  EXPECT_EQ(out.states.size(), 4u);
  EXPECT_EQ(out.states[3].h.shape(), Shape({5, 4}));
  EXPECT_EQ(gru.cells[2].in(), 8);
  // A row's last output of the forward cell, and the first of the other.
  EXPECT_EQ(Values(Narrow(out.last, 1, 0, 4)),
            Values(Narrow(Squeeze(Narrow(out.sequence, 1, 6, 1), 1), 1, 0, 4)));
  EXPECT_EQ(Values(Narrow(out.last, 1, 4, 4)),
            Values(Narrow(Squeeze(Narrow(out.sequence, 1, 0, 1), 1), 1, 4, 4)));
  EXPECT_EQ(gru(Tensor::Ones({0, 7, 3})).sequence.shape(), Shape({0, 7, 8}));
  std::string names;
  for (const NamedParameter& p : NamedParameters(gru, "gru")) {
    absl::StrAppend(&names, p.name, ToString(p.parameter.shape()), " ");
  }
  EXPECT_EQ(names,
            "gru/cells/0/weight_ih[3,12] gru/cells/0/weight_hh[4,12] gru/cells/0/bias[12] "
            "gru/cells/0/bias_hn[4] "
            "gru/cells/1/weight_ih[3,12] gru/cells/1/weight_hh[4,12] gru/cells/1/bias[12] "
            "gru/cells/1/bias_hn[4] "
            "gru/cells/2/weight_ih[8,12] gru/cells/2/weight_hh[4,12] gru/cells/2/bias[12] "
            "gru/cells/2/bias_hn[4] "
            "gru/cells/3/weight_ih[8,12] gru/cells/3/weight_hh[4,12] gru/cells/3/bias[12] "
            "gru/cells/3/bias_hn[4] ");
  nn::LstmCell normalized({.in = 2, .hidden = 1, .layer_norm = true}, rng);
  names.clear();
  for (const NamedParameter& p : NamedParameters(normalized)) absl::StrAppend(&names, p.name, " ");
  EXPECT_EQ(names,
            "weight_ih weight_hh bias norm_ih/weight norm_hh/weight norm_c/weight norm_c/bias ");
}

TEST(RecurrentOptionsTest, GiveInitialValues) {
  Generator rng(1);
  nn::LstmCell lstm({.in = 2, .hidden = 2}, rng);
  EXPECT_EQ(Values(lstm.bias), (std::vector<float>{0, 0, 1, 1, 0, 0, 0, 0}));  // forget gate
  const Tensor product = MatMul(lstm.weight_hh, Transpose(lstm.weight_hh)).value();
  EXPECT_NEAR(product.at<float>({0, 0}), 1, 1e-6);
  EXPECT_NEAR(product.at<float>({0, 1}), 0, 1e-6);
  nn::GruCell gru({.in = 2, .hidden = 2}, {.reset_after = false}, rng);
  EXPECT_FALSE(gru.bias_hn.defined());
  EXPECT_EQ(Values(gru.bias), std::vector<float>(6));
  EXPECT_EQ(Values(gru.Zero(3).h), std::vector<float>(6));
}

// Ba et al. (2016), equations 20 to 22, here with gains on both products and a bias after them.
TEST(RecurrentOptionsTest, LayerNormNormalizesBothProductsAndTheCell) {
  Generator rng(1);
  nn::LstmCell cell({.in = 3, .hidden = 4, .layer_norm = true}, rng);
  nn::GruCell gru({.in = 3, .hidden = 4, .layer_norm = true}, rng);
  for (Parameter& p : Parameters(cell)) p.Set(Normal(p.shape(), rng));
  for (Parameter& p : Parameters(gru)) p.Set(Normal(p.shape(), rng));
  const Variable x = Normal({5, 3}, rng), h = Normal({5, 4}, rng), c = Normal({5, 4}, rng);
  const auto normal = [](const Variable& v) {
    const Variable centered = v - Mean(v, 1, kKeepDims);
    return centered / Sqrt(Mean(centered * centered, 1, kKeepDims) + 1e-5);
  };
  const auto expect_near = [](const Variable& a, const Variable& b) {
    const std::vector<float> left = Values(a), right = Values(b);
    ASSERT_EQ(left.size(), right.size());
    for (size_t i = 0; i < left.size(); ++i) EXPECT_NEAR(left[i], right[i], 1e-5);
  };
  const auto part = [](const Variable& v, int64_t gate) { return Narrow(v, -1, 4 * gate, 4); };
  const Variable gates = normal(MatMul(x, cell.weight_ih)) * cell.norm_ih.weight +
                         normal(MatMul(h, cell.weight_hh)) * cell.norm_hh.weight + cell.bias;
  const LstmState next = cell(x, {h, c});
  const Variable new_c =
      Sigmoid(part(gates, 1)) * c + Sigmoid(part(gates, 0)) * Tanh(part(gates, 2));
  expect_near(next.c, new_c);
  expect_near(next.h, Sigmoid(part(gates, 3)) *
                          Tanh(normal(new_c) * cell.norm_c.weight + cell.norm_c.bias));

  const Variable from_x = normal(MatMul(x, gru.weight_ih)) * gru.norm_ih.weight + gru.bias;
  const Variable from_h = normal(MatMul(h, gru.weight_hh)) * gru.norm_hh.weight;
  const Variable r = Sigmoid(part(from_x, 0) + part(from_h, 0));
  const Variable z = Sigmoid(part(from_x, 1) + part(from_h, 1));
  const Variable n = Tanh(part(from_x, 2) + r * (part(from_h, 2) + gru.bias_hn));
  expect_near(gru(x, {h}).h, (1 - z) * n + z * h);
}

void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
}
// What the statement throws says `part`, names this line and the layer.
#define EXPECT_REFUSED(statement, part)                                 \
  do {                                                                  \
    const std::string text = ThrownMessage([&] { (void)(statement); }); \
    ExpectHas(text, part);                                              \
    ExpectHas(text, absl::StrCat("(", __FILE__, ":", __LINE__, ", "));  \
    ExpectHas(text, "reading net/cells/0/");                            \
  } while (false)

TEST(RecurrentErrorsTest, NameShapesTheLineAndTheLayer) {
  Generator rng(1);
  Lstm lstm({.in = 3, .hidden = 4, .layers = 2}, rng);
  NamedParameters(lstm, "net");
  const Variable x = Tensor::Ones({2, 5, 3}), state = Tensor::Zeros({2, 4});
  EXPECT_REFUSED(lstm(Tensor::Ones({2, 3})), "[lstm] wants [N, T, 3], not [2,3]");
  EXPECT_REFUSED(lstm(Tensor::Ones({2, 5, 4})), "[lstm] wants [N, T, 3], not [2,5,4]");
  EXPECT_REFUSED(lstm(Tensor::Ones({2, 0, 3})), "with T >= 1, not [2,0,3]");
  EXPECT_REFUSED(lstm(x, {.initial = {{state, state}}}), "[lstm] 1 initial states for 2 cells");
  const LstmState wide = {Tensor::Zeros({2, 5}), state}, one_row = {state, Tensor::Zeros({1, 4})};
  EXPECT_REFUSED(lstm(x, {.initial = {wide, wide}}),
                 "the initial state must be float32[2,4], not float32[2,5]");
  EXPECT_REFUSED(lstm(x, {.initial = {one_row, one_row}}), "not float32[1,4]");
  EXPECT_REFUSED(lstm(x, {.initial = {{state, {}}, {state, {}}}}),
                 "the initial state is undefined");
  const auto lengths = [](std::vector<int64_t> of) { return Tensor::FromVector(of); };
  EXPECT_REFUSED(lstm(x, {.lengths = lengths({5, 0})}), "lengths[1] is 0, but must be 1 to 5");
  EXPECT_REFUSED(lstm(x, {.lengths = lengths({6, 1})}), "lengths[0] is 6, but must be 1 to 5");
  EXPECT_REFUSED(lstm(x, {.lengths = lengths({1, 2, 3})}),
                 "lengths must be integers [2], not int64[3]");
  EXPECT_REFUSED(lstm(x, {.lengths = lengths({1})}), "not int64[1]");
  EXPECT_REFUSED(lstm(x, {.lengths = Tensor::Ones({2})}), "not float32[2]");
  // A cell's step, by the ops inside it.
  EXPECT_REFUSED(lstm.cells[0](Tensor::Ones({2, 4}), {state, state}), "[matmul]");
  EXPECT_REFUSED(lstm.cells[0].Run(Tensor::Ones({2, 5, 2}), {state, state}),
                 "[lstm_sequence] wants x [N, T, F]");
  Gru normalized({.in = 3, .hidden = 4, .layer_norm = true}, rng);
  NamedParameters(normalized, "net");
  const std::string text = ThrownMessage([&] {
    normalized(x, {.initial = {{Tensor::Zeros({1, 4})}}});
  });
  ExpectHas(text, "[scan] state 0 is [1,4], but must have the 2 rows of [2,5,12]");
  ExpectHas(text, absl::StrCat(__FILE__, ":", __LINE__ - 3));
}

TEST(RecurrentErrorsTest, RefuseBadOptions) {
  Generator rng(1);
  const auto lstm = [&](const Lstm::Options& options) {
    return ThrownMessage([&] { Lstm(options, rng); });
  };
  EXPECT_EQ(lstm({.in = 0, .hidden = 4}), "[lstm] in = 0, but must be positive");
  EXPECT_EQ(lstm({.in = 3, .hidden = -1}), "[lstm] hidden = -1, but must be positive");
  EXPECT_EQ(lstm({.in = 3, .hidden = 4, .layers = 0}), "[lstm] layers = 0, but must be positive");
  EXPECT_EQ(lstm({.in = 3, .hidden = 4, .bidirectional = true, .reverse = true}),
            "[lstm] bidirectional runs in reverse too; reverse is for one direction");
  EXPECT_EQ(lstm({.in = 3, .hidden = 4, .dropout = 1}),
            "[lstm] dropout = 1, but must be in [0, 1)");
  ExpectHas(lstm({.in = 3, .hidden = 4, .dropout = -0.5}), "dropout = -0.5");
  EXPECT_EQ(ThrownMessage([&] {
              Gru({.in = 3, .hidden = 4, .layer_norm = true, .variant = {.reset_after = false}},
                  rng);
            }),
            "[gru] layer_norm needs reset_after: it normalizes h weight_hh");
  EXPECT_EQ(ThrownMessage([&] { nn::RnnCell({.in = 3, .hidden = 0}, rng); }),
            "[rnn] hidden = 0, but must be positive");
}

}  // namespace
}  // namespace wengert
