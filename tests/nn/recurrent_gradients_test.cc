// Recurrent layers in float64: gradients to second order against central differences, and third
// derivatives.
#include <vector>

#include "autograd/check_gradients.h"
#include "gtest/gtest.h"
#include "nn/module.h"
#include "nn/recurrent.h"
#include "ops/ops.h"
#include "tests/nn/in_float64.h"

namespace wengert {
namespace {

std::vector<Variable> Parts(const nn::HiddenState& state) { return {state.h}; }
std::vector<Variable> Parts(const LstmState& state) { return {state.h, state.c}; }

// By all parameters and by x, through outputs and states.
template <class Layer>
void ExpectRight(const Layer& float32, const Tensor& lengths, int64_t steps = 4, int orders = 2) {
  Layer layer = InFloat64(float32);
  Generator rng(7);
  std::vector<Parameter> inputs = Parameters(layer);
  for (Parameter& p : inputs) {
    p.Set(Normal(p.shape(), rng, 0, 0.6, DType::kFloat64));
  }
  const Parameter x(Normal({3, steps, layer.options.in}, rng, 0, 1, DType::kFloat64).value());
  inputs.push_back(x);
  const auto f = [&] {
    const auto out = layer(x, {.lengths = lengths});
    std::vector<Variable> all = {Reshape(out.sequence, {-1}), Reshape(out.last, {-1})};
    for (const auto& state : out.states) {
      for (const Variable& part : Parts(state)) all.push_back(Reshape(part, {-1}));
    }
    return Concat(all, 0);
  };
  const GradientReport report = CheckGradients(f, inputs, {.orders = orders});
  EXPECT_TRUE(report.ok) << report.text;
  EXPECT_EQ(report.orders.size(), static_cast<size_t>(orders));
}

class RecurrentGradientsTest : public ::testing::TestWithParam<bool> {
 protected:
  Generator rng{1};
  const bool layer_norm = GetParam();
  const Tensor lengths = Tensor::FromVector<int64_t>({4, 1, 3});
};
INSTANTIATE_TEST_SUITE_P(LayerNorm, RecurrentGradientsTest, ::testing::Bool());

TEST_P(RecurrentGradientsTest, OfLstmAreRight) {
  for (const int64_t layers : {1, 2}) {
    ExpectRight(nn::Lstm({.in = 2,
                          .hidden = 3,
                          .layers = layers,
                          .bidirectional = true,
                          .layer_norm = layer_norm},
                         rng),
                lengths);
  }
  ExpectRight(nn::Lstm({.in = 2, .hidden = 3, .reverse = true, .layer_norm = layer_norm}, rng), {});
}

TEST_P(RecurrentGradientsTest, OfGruAreRight) {
  ExpectRight(nn::Gru({.in = 2, .hidden = 3, .layers = 2, .layer_norm = layer_norm}, rng), lengths);
  if (layer_norm) return;
  ExpectRight(
      nn::Gru({.in = 2, .hidden = 3, .bidirectional = true, .variant = {.reset_after = false}},
              rng),
      lengths);
}

TEST_P(RecurrentGradientsTest, OfRnnAreRight) {
  ExpectRight(nn::Rnn({.in = 2, .hidden = 3, .bidirectional = true, .layer_norm = layer_norm}, rng),
              lengths);
  ExpectRight(nn::Rnn({.in = 2,
                       .hidden = 3,
                       .layer_norm = layer_norm,
                       .variant = {.activation = RnnActivation::kRelu}},
                      rng),
              lengths);
}

TEST(ThirdDerivativesTest, OfLstmAndGruAreRight) {
  Generator rng(1);
  ExpectRight(nn::Lstm({.in = 2, .hidden = 2}, rng), {}, 3, 3);
  ExpectRight(nn::Gru({.in = 2, .hidden = 2}, rng), Tensor::FromVector<int64_t>({3, 1, 2}), 3, 3);
}

}  // namespace
}  // namespace wengert
