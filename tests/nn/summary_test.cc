// Summary: parameters, shapes and operations of a known model, without computing anything.
#include "nn/summary.h"

#include <string>
#include <vector>

#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "models/digits/classifiers.h"
#include "nn/convolution.h"
#include "nn/layers.h"
#include "nn/sequential.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

LayerSummary Layer(const ModelSummary& summary, const std::string& name) {
  for (const LayerSummary& layer : summary.layers) {
    if (layer.name == name) return layer;
  }
  ADD_FAILURE() << "no layer " << name;
  return {};
}

TEST(SummaryTest, CountsCnn32_64_D128) {
  Generator rng(1);
  mnist::Cnn32_64_D128 model(rng);
  NamedParameters(model);
  const int64_t kernels = KernelCalls();
  const ModelSummary summary = Summary(model, {128, 28, 28, 1});
  EXPECT_EQ(KernelCalls(), kernels);

  EXPECT_EQ(summary.parameters, 225'034);
  const LayerSummary conv1 = Layer(summary, "conv1"), conv2 = Layer(summary, "conv2");
  const LayerSummary fc1 = Layer(summary, "fc1"), fc2 = Layer(summary, "fc2");
  EXPECT_EQ(conv1.parameters, 320);
  EXPECT_EQ(conv2.parameters, 18'496);
  EXPECT_EQ(fc1.parameters, 204'928);
  EXPECT_EQ(fc2.parameters, 1'290);
  EXPECT_EQ(conv1.op, "conv2d");
  EXPECT_EQ(fc1.op, "matmul");
  EXPECT_EQ(conv1.output, Shape({128, 26, 26, 32}));
  EXPECT_EQ(conv2.output, Shape({128, 11, 11, 64}));
  EXPECT_EQ(fc1.output, Shape({128, 128}));
  EXPECT_EQ(fc2.output, Shape({128, 10}));

  // A multiply-add is two; the bias adds one per output.
  EXPECT_EQ(conv1.flops, 128.0 * 26 * 26 * 32 * (2 * 3 * 3 * 1 + 1));
  EXPECT_EQ(conv2.flops, 128.0 * 11 * 11 * 64 * (2 * 3 * 3 * 32 + 1));
  EXPECT_EQ(fc1.flops, 128.0 * 128 * (2 * 1600 + 1));
  EXPECT_EQ(fc2.flops, 128.0 * 10 * (2 * 128 + 1));
  // The product and the sum with the bias, in float32.
  EXPECT_EQ(fc2.activation_bytes, 2 * 4 * 128 * 10);
}

TEST(SummaryTest, TotalsAreTheSumsOfTheRows) {
  Generator rng(1);
  mnist::Cnn32_64_64_D64 model(rng);
  const ModelSummary summary = Summary(model, {2, 28, 28, 1});
  int64_t parameters = 0, bytes = 0;
  double flops = 0;
  for (const LayerSummary& layer : summary.layers) {
    parameters += layer.parameters;
    flops += layer.flops;
    bytes += layer.activation_bytes;
  }
  // (9 * 1 + 1) 32 + (9 * 32 + 1) 64 + (9 * 64 + 1) 64 + (576 + 1) 64 + (64 + 1) 10.
  EXPECT_EQ(parameters, 320 + 18'496 + 36'928 + 36'928 + 650);
  EXPECT_EQ(summary.parameters, parameters);
  EXPECT_EQ(summary.flops, flops);
  EXPECT_EQ(summary.activation_bytes, bytes);
}

TEST(SummaryTest, PrintsATableWithTotals) {
  Generator rng(1);
  mnist::Cnn32_64_D128 model(rng);
  const std::string text = Summary(model, {128, 28, 28, 1}).ToString();
  for (const char* part :
       {"parameters", "FLOPs", "conv1", "conv2d", "[128,11,11,64]", "18,496", "total", "225,034"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

struct Convolutions {
  nn::Conv1d line;
  nn::DepthwiseConv2d depthwise;
  nn::ConvTranspose2d transposed;
  explicit Convolutions(Generator& rng)
      : line({.in = 2, .out = 5, .kernel = 3}, rng),
        depthwise({.in = 5, .kernel = 3}, rng),
        transposed({.in = 5, .out = 4, .kernel = 3, .stride = 2, .use_bias = false}, rng) {}
  Variable operator()(const Variable& x) const {
    return transposed(depthwise(Reshape(line(x), {-1, 4, 4, 5})));
  }
  template <class V>
  void Visit(V&& v) {
    v("line", line), v("depthwise", depthwise), v("transposed", transposed);
  }
};

TEST(SummaryTest, CountsConvolutionsOfAllKinds) {
  Generator rng(1);
  Convolutions model(rng);
  NamedParameters(model);
  const ModelSummary summary = Summary(model, {3, 18, 2});
  ASSERT_EQ(summary.layers.size(), 4u) << summary.ToString();  // with the reshape
  const LayerSummary line = Layer(summary, "line"), depthwise = Layer(summary, "depthwise");
  EXPECT_EQ(line.op, "conv2d");
  EXPECT_EQ(line.output, Shape({3, 16, 5}));
  EXPECT_EQ(line.parameters, 3 * 2 * 5 + 5);
  EXPECT_EQ(line.flops, 3.0 * 16 * 5 * (2 * 3 * 2 + 1));
  EXPECT_EQ(depthwise.op, "conv2d");
  EXPECT_EQ(depthwise.output, Shape({3, 2, 2, 5}));
  EXPECT_EQ(depthwise.parameters, 3 * 3 * 5 + 5);
  EXPECT_EQ(depthwise.flops, 3.0 * 2 * 2 * 5 * (2 * 3 * 3 + 1));
  const LayerSummary transposed = Layer(summary, "transposed");
  EXPECT_EQ(transposed.op, "conv2d_input_gradient");
  EXPECT_EQ(transposed.output, Shape({3, 5, 5, 4}));
  EXPECT_EQ(transposed.flops, 3.0 * 2 * 2 * 5 * 2 * 3 * 3 * 4);
}

struct Tied {
  nn::Dense first, second;
  explicit Tied(Generator& rng) : first({.in = 4, .out = 4}, rng), second(first) {}
  Variable operator()(const Variable& x) const { return second(Tanh(first(x))); }
  template <class V>
  void Visit(V&& v) {
    v("first", first), v("second", second);
  }
};

TEST(SummaryTest, CountsTiedParametersOnce) {
  Generator rng(1);
  Tied model(rng);
  EXPECT_EQ(Summary(model, {1, 4}).parameters, 4 * 4 + 4);
}

TEST(SummaryTest, TakesAnyForwardFunctionAndDtype) {
  const ModelSummary summary =
      SummarizeGraph([](const Variable& x) { return Sum(Tanh(x), 1); }, {3, 5}, DType::kFloat64);
  EXPECT_EQ(summary.parameters, 0);
  EXPECT_EQ(summary.layers.size(), 2u);
  EXPECT_EQ(summary.layers[0].op, "tanh");
  EXPECT_EQ(summary.layers[0].activation_bytes, 8 * 15);
  EXPECT_EQ(summary.layers[1].op, "sum");
  EXPECT_EQ(summary.layers[1].output, Shape({3}));
}

TEST(SummaryTest, IsTheSameUnderEagerExecution) {
  Generator rng(1);
  mnist::Cnn32_64_D128 model(rng);
  const std::string lazy = Summary(model, {4, 28, 28, 1}).ToString();
  const EagerGuard eager;
  const int64_t kernels = KernelCalls();
  EXPECT_EQ(Summary(model, {4, 28, 28, 1}).ToString(), lazy);
  EXPECT_EQ(KernelCalls(), kernels);
}

TEST(SummaryTest, RefusesAModelThatReadsValues) {
  const std::string text = ThrownMessage([] {
    SummarizeGraph([](const Variable& x) { return x.value().at<float>({0}) > 0 ? x : -x; }, {3});
  });
  EXPECT_NE(text.find("a summary computes nothing"), std::string::npos) << text;
}

TEST(SummaryTest, RefusesAnInputThatDoesNotFit) {
  Generator rng(1);
  mnist::Cnn32_64_D128 model(rng);
  const std::string text = ThrownMessage([&] { Summary(model, {128, 20, 28, 1}); });
  EXPECT_NE(text.find("reading fc1/weight"), std::string::npos) << text;
}

TEST(SummaryTest, OfAModelThatHandsItsInputThroughIsEmpty) {
  const ModelSummary summary = SummarizeGraph([](const Variable& x) { return x; }, {3});
  EXPECT_TRUE(summary.layers.empty());
  EXPECT_EQ(summary.flops, 0);
}

}  // namespace
}  // namespace wengert
