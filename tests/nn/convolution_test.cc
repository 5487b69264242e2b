// The convolution and pooling layers: shapes, values in closed form, names, initial values,
// gradients, errors.
#include "nn/convolution.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "gtest/gtest.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "tests/nn/in_float64.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

std::vector<float> Values(const Variable& v) { return v.value().ToVector<float>(); }
template <class Layer>
std::vector<std::string> Names(Layer& layer) {
  std::vector<std::string> names;
  for (const NamedParameter& named : NamedParameters(layer)) names.push_back(named.name);
  return names;
}
bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ConvolutionLayersTest, ParametersHaveKerasShapes) {
  Generator rng(1);
  nn::Conv1d conv({.in = 4, .out = 6, .kernel = 3, .groups = 2}, rng);
  EXPECT_EQ(conv.weight.shape(), Shape({3, 2, 6}));
  EXPECT_EQ(Names(conv), (std::vector<std::string>{"weight", "bias"}));
  nn::DepthwiseConv2d depthwise({.in = 4, .kernel = 3, .multiplier = 2}, rng);
  EXPECT_EQ(depthwise.weight.shape(), Shape({3, 3, 4, 2}));
  EXPECT_EQ(Values(depthwise.bias), std::vector<float>(8));
  nn::ConvTranspose2d transposed({.in = 4, .out = 6, .kernel = 3, .use_bias = false}, rng);
  EXPECT_EQ(transposed.weight.shape(), Shape({3, 3, 6, 4}));
  EXPECT_EQ(Names(transposed), (std::vector<std::string>{"weight"}));
  nn::ConvTranspose1d line({.in = 4, .out = 6, .kernel = 5, .groups = 2}, rng);
  EXPECT_EQ(line.weight.shape(), Shape({5, 3, 4}));
  EXPECT_EQ(Values(line.bias), std::vector<float>(6));
}

// Glorot's limit with the fans that Keras counts: kernel area times the last two axes.
TEST(ConvolutionLayersTest, WeightsAreGlorotUniform) {
  Generator rng(1);
  const nn::DepthwiseConv2d depthwise({.in = 40, .kernel = 3, .multiplier = 20}, rng);
  const double limit = std::sqrt(6.0 / (9 * (40 + 20)));
  const std::vector<float> values = Values(depthwise.weight);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*low, -limit);
  EXPECT_LT(*low, -0.99 * limit);
  EXPECT_LE(*high, limit);
  EXPECT_GT(*high, 0.99 * limit);
}

TEST(ConvolutionLayersTest, OfOnesCountWhatTheKernelCovers) {
  Generator rng(1);
  nn::Conv1d conv({.in = 2, .out = 1, .kernel = 3, .padding = Padding::Causal()}, rng);
  conv.weight.Set(Tensor::Ones({3, 2, 1}));
  conv.bias.Set(Tensor::Full({1}, 10));
  EXPECT_EQ(Values(conv(Tensor::Ones({1, 4, 2}))), (std::vector<float>{12, 14, 16, 16}));

  nn::DepthwiseConv2d depthwise({.in = 2, .kernel = 2}, rng);
  depthwise.weight.Set(Tensor::FromVector<float>({1, 2, 1, 2, 1, 2, 1, 2}, {2, 2, 2, 1}));
  EXPECT_EQ(Values(depthwise(Tensor::Ones({1, 2, 2, 2}))), (std::vector<float>{4, 8}));

  nn::ConvTranspose2d transposed({.in = 1, .out = 1, .kernel = 2}, rng);
  transposed.weight.Set(Tensor::Ones({2, 2, 1, 1}));
  transposed.bias.Set(Tensor::Full({1}, 5));
  EXPECT_EQ(Values(transposed(Tensor::Ones({1, 2, 2, 1}))),
            (std::vector<float>{6, 7, 6, 7, 9, 7, 6, 7, 6}));

  nn::ConvTranspose1d line({.in = 1, .out = 1, .kernel = 2}, rng);
  line.weight.Set(Tensor::Ones({2, 1, 1}));
  EXPECT_EQ(Values(line(Tensor::Ones({1, 2, 1}))), (std::vector<float>{1, 2, 1}));
}

TEST(PoolingLayersTest, AreTheOps) {
  const Tensor x = Tensor::Arange(0, 32, 1, DType::kFloat32).Reshape({1, 4, 4, 2});
  const Tensor steps = x.Reshape({1, 16, 2});
  EXPECT_EQ(Values(nn::MaxPool1d{}(steps)), Values(MaxPool1d(steps)));
  EXPECT_EQ(Values(nn::AvgPool1d{{.window = 4}}(steps)), Values(AvgPool1d(steps, {.window = 4})));
  EXPECT_EQ(Values(nn::AdaptiveMaxPool2d{3, 2}(x)), Values(AdaptiveMaxPool2d(x, 3, 2)));
  EXPECT_EQ(Values(nn::AdaptiveAvgPool2d{}(x)), Values(AdaptiveAvgPool2d(x, 1, 1)));
  EXPECT_EQ(Values(nn::GlobalMaxPool2d{}(x)), Values(GlobalMaxPool2d(x)));
  EXPECT_EQ(nn::GlobalAvgPool2d{.keep_dims = true}(x).shape(), Shape({1, 1, 1, 2}));
  EXPECT_EQ(Values(nn::GlobalMaxPool1d{}(steps)), Values(GlobalMaxPool1d(steps)));
  EXPECT_EQ(Values(nn::GlobalAvgPool1d{}(steps)), Values(GlobalAvgPool1d(steps)));
  EXPECT_EQ(Values(nn::Resize{.height = 3, .width = 6}(x)), Values(Resize(x, 3, 6)));
  EXPECT_EQ(Values(nn::Upsample{}(x)), Values(Resize(x, 8, 8, Interpolation::kNearest)));
  EXPECT_EQ(nn::Upsample{.factor = 3}(x).shape(), Shape({1, 12, 12, 2}));
}

// An encoder, a bottleneck and a decoder, as one Sequential.
TEST(ConvolutionLayersTest, DerivativesOfANetAreRight) {
  Generator rng(1);
  auto net = InFloat64(nn::Sequential(
      nn::DepthwiseConv2d({.in = 2, .kernel = 3, .multiplier = 2, .padding = Padding::Same()}, rng),
      Tanh, nn::AvgPool2d{}, nn::Conv2d({.in = 4, .out = 3, .kernel = 1}, rng), Tanh,
      nn::ConvTranspose2d({.in = 3, .out = 2, .kernel = 3, .stride = 2, .padding = Padding::Same()},
                          rng),
      nn::Upsample{.interpolation = Interpolation::kBilinear}, nn::AdaptiveAvgPool2d{3, 2}));
  const Tensor x = Normal({2, 4, 6, 2}, rng, 0, 1, DType::kFloat64).value();
  ASSERT_EQ(net(x).shape(), Shape({2, 3, 2, 2}));
  const GradientReport report =
      CheckGradients([&] { return Square(net(x)); }, Parameters(net), {.directions = 1});
  EXPECT_TRUE(report.ok) << report.text;

  auto line = InFloat64(nn::Sequential(
      nn::Conv1d({.in = 2, .out = 3, .kernel = 3, .dilation = 2, .padding = Padding::Causal()},
                 rng),
      Tanh, nn::ConvTranspose1d({.in = 3, .out = 2, .kernel = 3, .stride = 2}, rng),
      nn::GlobalAvgPool1d{}));
  const Tensor steps = Normal({2, 5, 2}, rng, 0, 1, DType::kFloat64).value();
  const GradientReport of_line =
      CheckGradients([&] { return Square(line(steps)); }, Parameters(line), {.directions = 1});
  EXPECT_TRUE(of_line.ok) << of_line.text;
}

TEST(ConvolutionLayersTest, ErrorsNameTheOptionAndTheLine) {
  Generator rng(1);
  EXPECT_TRUE(Has(ThrownMessage([&] { nn::Conv1d({.in = 0, .out = 1, .kernel = 1}, rng); }),
                  "[conv1d] in = 0, but must be positive"));
  EXPECT_TRUE(Has(ThrownMessage([&] { nn::DepthwiseConv2d({.in = 1, .kernel = 0}, rng); }),
                  "[depthwise_conv2d] kernel = 0, but must be positive"));
  EXPECT_TRUE(Has(ThrownMessage([&] {
                    nn::ConvTranspose2d({.in = 4, .out = 3, .kernel = 1, .groups = 2}, rng);
                  }),
                  "[conv_transpose2d] 2 groups do not divide in = 4 and out = 3"));
  const nn::ConvTranspose2d layer({.in = 2, .out = 1, .kernel = 2}, rng);
  const std::string text = ThrownMessage([&] { layer(Tensor::Zeros({1, 2, 2, 3})); });
  EXPECT_TRUE(Has(text, "[conv_transpose2d] x [1,2,2,3] has 3 channels")) << text;
  EXPECT_TRUE(Has(text, "convolution_test.cc:")) << text;
  const std::string upsample = ThrownMessage([&] {
    nn::Upsample{.factor = 0}(Tensor::Zeros({1, 2, 2, 3}));
  });
  EXPECT_TRUE(Has(upsample, "[upsample] factor 0 is not in [1, 2^30]")) << upsample;
  EXPECT_TRUE(Has(upsample, "convolution_test.cc:")) << upsample;
}

}  // namespace
}  // namespace wengert
