// MultiHeadAttention against loops over heads and positions; what causal hides; gradients; errors.
#include "nn/attention.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "gtest/gtest.h"
#include "nn/module.h"
#include "ops/ops.h"
#include "tests/nn/in_float64.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using Layer = nn::MultiHeadAttention;

Layer Random(const Layer::Options& options) {
  Generator rng(1);
  Layer layer = InFloat64(Layer(options, rng));
  for (Parameter& p : Parameters(layer)) p.Set(Normal(p.shape(), rng, 0, 0.5, DType::kFloat64));
  return layer;
}
Variable Numbers(const Shape& shape, uint64_t seed) {
  Generator rng(seed);
  return Normal(shape, rng, 0, 1, DType::kFloat64);
}

// y[n][i] of Vaswani et al., equations of section 3.2, one position and one head at a time.
std::vector<double> Expected(const Layer& layer, const Variable& x, const Variable& source) {
  const int64_t n = x.shape()[0], steps = x.shape()[1], size = x.shape()[2];
  const int64_t width = size / layer.heads, others = source.shape()[1];
  const Tensor q = layer.query(x).value(), k = layer.key(source).value(),
               v = layer.value(source).value();
  Tensor heads = Tensor::Zeros({n, steps, size}, DType::kFloat64);
  for (int64_t b = 0; b < n; ++b) {
    for (int64_t h = 0; h < layer.heads; ++h) {
      for (int64_t t = 0; t < steps; ++t) {
        std::vector<double> weights(layer.causal ? t + 1 : others);
        double total = 0;
        for (size_t s = 0; s < weights.size(); ++s) {
          double score = 0;
          for (int64_t i = h * width; i < (h + 1) * width; ++i) {
            score += q.at<double>({b, t, i}) * k.at<double>({b, static_cast<int64_t>(s), i});
          }
          total += weights[s] = std::exp(score / std::sqrt(width));
        }
        for (int64_t i = h * width; i < (h + 1) * width; ++i) {
          double sum = 0;
          for (size_t s = 0; s < weights.size(); ++s) {
            sum += weights[s] / total * v.at<double>({b, static_cast<int64_t>(s), i});
          }
          heads.mutable_data<double>()[(b * steps + t) * size + i] = sum;
        }
      }
    }
  }
  return layer.output(heads).value().ToVector<double>();
}

void ExpectAsByLoops(const Layer& layer, const Variable& x, const Variable& source) {
  const Variable y = layer(x, source);
  EXPECT_EQ(y.shape(), x.shape());
  const std::vector<double> values = y.value().ToVector<double>();
  const std::vector<double> expected = Expected(layer, x, source);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-12) << i;
}

TEST(AttentionTest, IsTheSumOverPositionsOfEachHead) {
  for (const int64_t heads : {1, 2, 6}) {
    const Layer layer = Random({.size = 6, .heads = heads});
    const Variable x = Numbers({2, 5, 6}, 2);
    ExpectAsByLoops(layer, x, x);
    ExpectAsByLoops(layer, x, Numbers({2, 3, 6}, 3));
  }
  const Layer plain = Random({.size = 4, .heads = 2, .use_bias = false});
  const Variable x = Numbers({1, 3, 4}, 2);
  ExpectAsByLoops(plain, x, x);
  EXPECT_FALSE(plain.query.bias.defined());
}

TEST(AttentionTest, CausalSeesNothingThatComesLater) {
  const Layer layer = Random({.size = 4, .heads = 2, .causal = true});
  const Variable x = Numbers({2, 5, 4}, 2);
  ExpectAsByLoops(layer, x, x);
  Tensor changed = x.value().Clone();
  changed.Narrow(1, 3, 2).Fill(7);
  const Tensor before = layer(x).value(), after = layer(changed).value();
  EXPECT_TRUE(
      BitwiseEqual(before.Narrow(1, 0, 3).Contiguous(), after.Narrow(1, 0, 3).Contiguous()));
  EXPECT_NE(before.at<double>({0, 3, 0}), after.at<double>({0, 3, 0}));
}

TEST(AttentionTest, GradientsAreRight) {
  for (const bool causal : {false, true}) {
    Layer layer = Random({.size = 4, .heads = 2, .causal = causal});
    std::vector<Parameter> inputs = Parameters(layer);
    EXPECT_EQ(inputs.size(), 8u);
    const Parameter x(Numbers({2, 3, 4}, 2).value());
    inputs.push_back(x);
    const GradientReport report = CheckGradients([&] { return layer(x); }, inputs);
    EXPECT_TRUE(report.ok) << report.text;
  }
}

TEST(AttentionTest, RefusesWhatDoesNotFit) {
  Generator rng(1);
  EXPECT_EQ(ThrownMessage([&] { Layer({.size = 6, .heads = 4}, rng); }),
            "[multi_head_attention] 4 heads do not divide size = 6");
  EXPECT_EQ(ThrownMessage([&] { Layer({.size = 6, .heads = 0}, rng); }),
            "[multi_head_attention] heads = 0, but must be positive");
  const Layer layer({.size = 6, .heads = 2}, rng);
  const std::string text = ThrownMessage([&] { layer(Tensor::Ones({2, 3, 5})); });
  EXPECT_EQ(text, "[multi_head_attention] x is [2,3,5], not [N, T, 6] (" + std::string(__FILE__) +
                      ":" + std::to_string(__LINE__ - 2) + ")");
  EXPECT_EQ(ThrownMessage([&] {
              layer(Tensor::Ones({2, 3, 6}), Tensor::Ones({2, 6}));
            }).substr(0, 60),
            "[multi_head_attention] source is [2,6], not [N, T, 6] (" +
                std::string(__FILE__).substr(0, 5));
}

}  // namespace
}  // namespace wengert
