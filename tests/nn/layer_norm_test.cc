// LayerNorm, Embedding, and Dense over more than two axes.
#include <cmath>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "gtest/gtest.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/normalization.h"
#include "ops/ops.h"
#include "tests/nn/in_float64.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

std::vector<float> Values(const Variable& v) { return v.value().ToVector<float>(); }
void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
}

TEST(LayerNormTest, NormalizesRowsByHand) {
  nn::LayerNorm norm({.size = 4, .epsilon = 0.75});
  norm.weight.Set(Tensor::FromVector<float>({1, 1, 2, 1}));
  norm.bias.Set(Tensor::FromVector<float>({0, 10, 0, 0}));
  // The mean is 3, the variance (4 + 1 + 1 + 16) / 4 = 5.5, the root of 5.5 + 0.75 is 2.5.
  const std::vector<float> y = Values(norm(Tensor::FromVector<float>({1, 2, 2, 7}, {1, 4})));
  const double expected[] = {-2 / 2.5, -1 / 2.5 + 10, 2 * -1 / 2.5, 4 / 2.5};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(y[i], expected[i], 1e-6);
  // Rows on any leading axes; a constant row is 0 but for the bias.
  const Variable x = Tensor::Full({2, 3, 4}, 5);
  EXPECT_EQ(norm(x).shape(), Shape({2, 3, 4}));
  EXPECT_EQ(Values(Narrow(Reshape(norm(x), {6, 4}), 0, 5, 1)), (std::vector<float>{0, 10, 0, 0}));
}

TEST(LayerNormTest, HasItsOptions) {
  nn::LayerNorm plain({.size = 3}), gain({.size = 3, .use_bias = false});
  EXPECT_EQ(plain.epsilon, 1e-5);
  EXPECT_EQ(Values(plain.weight), std::vector<float>(3, 1));
  EXPECT_EQ(Values(plain.bias), std::vector<float>(3, 0));
  EXPECT_EQ(Parameters(gain).size(), 1u);
  EXPECT_EQ(ThrownMessage([] { nn::LayerNorm({.size = 0}); }),
            "[layer_norm] size = 0, but must be positive");
  const std::string text = ThrownMessage([&] { plain(Tensor::Ones({2, 4})); });
  ExpectHas(text, "[2,4]");
  ExpectHas(text, std::string(__FILE__) + ":" + std::to_string(__LINE__ - 2));
}

TEST(LayerNormTest, GradientsAreRight) {
  nn::LayerNorm norm = InFloat64(nn::LayerNorm({.size = 5}));
  Generator rng(1);
  std::vector<Parameter> inputs = Parameters(norm);
  for (Parameter& p : inputs) p.Set(Normal(p.shape(), rng, 0, 1, DType::kFloat64));
  const Parameter x(Normal({2, 3, 5}, rng, 0, 1, DType::kFloat64).value());
  inputs.push_back(x);
  const GradientReport report = CheckGradients([&] { return norm(x); }, inputs);
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(EmbeddingTest, LooksUpRowsAndGivesTheirGradientsBack) {
  Generator rng(1);
  nn::Embedding embedding({.count = 4, .size = 2}, rng);
  for (const float v : Values(embedding.weight)) EXPECT_LE(std::abs(v), 0.05f);
  embedding.weight.Set(Tensor::FromVector<float>({0, 1, 10, 11, 20, 21, 30, 31}, {4, 2}));
  const Variable y = embedding(Tensor::FromVector<int64_t>({3, 0, 3, 1}, {2, 2}));
  EXPECT_EQ(y.shape(), Shape({2, 2, 2}));
  EXPECT_EQ(Values(y), (std::vector<float>{30, 31, 0, 1, 30, 31, 10, 11}));
  const Tensor cotangent = Tensor::FromVector<float>({1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 2});
  const Variable gradient = Grad(y, embedding.weight, {.cotangents = {cotangent}});
  EXPECT_EQ(Values(gradient), (std::vector<float>{3, 4, 7, 8, 0, 0, 6, 8}));
}

TEST(EmbeddingTest, PaddingIsZeroAndLearnsNothing) {
  Generator rng(1);
  nn::Embedding embedding({.count = 3, .size = 2, .padding_index = 0}, rng);
  embedding.weight.Set(Tensor::FromVector<float>({7, 7, 1, 2, 3, 4}, {3, 2}));
  for (const Tensor& indices : {Tensor::FromVector<int64_t>({2, 0, 1, 0}, {2, 2}),
                                Tensor::FromVector<int32_t>({2, 0, 1, 0}, {2, 2})}) {
    const Variable y = embedding(indices);
    EXPECT_EQ(y.shape(), Shape({2, 2, 2}));
    EXPECT_EQ(Values(y), (std::vector<float>{3, 4, 0, 0, 1, 2, 0, 0}));
    EXPECT_EQ(Values(Grad(Sum(y), embedding.weight)), (std::vector<float>{0, 0, 1, 1, 1, 1}));
  }
  EXPECT_EQ(Values(embedding(Tensor::FromVector<int64_t>({0}).Reshape({}))),
            (std::vector<float>{0, 0}));
  nn::Embedding in_float64 = InFloat64(embedding);
  const Variable indices = Tensor::FromVector<int64_t>({0, 1, 2, 1, 0});
  const GradientReport report = CheckGradients([&] { return Square(in_float64(indices)); },
                                               std::vector<Parameter>{in_float64.weight});
  EXPECT_TRUE(report.ok) << report.text;
  EXPECT_EQ(ThrownMessage([&] { nn::Embedding({.count = 3, .size = 2, .padding_index = 3}, rng); }),
            "[embedding] padding_index = 3, but must be in [0, 3)");
  EXPECT_NE(ThrownMessage([&] { embedding(Tensor::FromVector<int64_t>({3})).value(); }), "");
}

TEST(EmbeddingTest, RefusesWhatIsNoIndex) {
  Generator rng(1);
  nn::Embedding embedding({.count = 4, .size = 2}, rng);
  NamedParameters(embedding, "words");
  EXPECT_EQ(ThrownMessage([&] { nn::Embedding({.count = 0, .size = 2}, rng); }),
            "[embedding] count = 0, but must be positive");
  const std::string place = std::string(__FILE__) + ":" + std::to_string(__LINE__ + 1);
  const auto of = [&](const Tensor& t) { return ThrownMessage([&] { embedding(t).value(); }); };
  for (const int64_t index : {4, -1}) {
    const std::string text = of(Tensor::FromVector<int64_t>({0, index}));
    ExpectHas(text, std::to_string(index));
    ExpectHas(text, place);
    ExpectHas(text, "reading words/weight");
  }
  ExpectHas(of(Tensor::Ones({2})), "float32");
}

TEST(DenseTest, MapsEveryStepOfASequence) {
  Generator rng(1);
  const nn::Dense dense({.in = 3, .out = 2}, rng);
  const Variable x = Normal({4, 5, 3}, rng);
  const Tensor all = dense(x).value();
  EXPECT_EQ(all.shape(), Shape({4, 5, 2}));
  for (int64_t t = 0; t < 5; ++t) {
    const std::vector<float> step = Values(dense(Squeeze(Narrow(x, 1, t, 1), 1)));
    const std::vector<float> same = Values(all.Narrow(1, t, 1));
    for (size_t i = 0; i < step.size(); ++i) EXPECT_NEAR(step[i], same[i], 1e-6);
  }
}

}  // namespace
}  // namespace wengert
