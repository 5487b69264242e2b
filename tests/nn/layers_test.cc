// Layers: shapes, values in closed form, parameter names, gradients of a small CNN, and errors that
// name the caller's line and the layer.
#include "nn/layers.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/check_gradients.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "nn/initializers.h"
#include "nn/module.h"
#include "nn/sequential.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

std::vector<float> Values(const Variable& v) { return v.value().ToVector<float>(); }
Tensor Range(const Shape& shape) {  // 0, 1, 2, ...
  return Tensor::Arange(0, static_cast<double>(NumElements(shape)), 1, DType::kFloat32)
      .Reshape(shape);
}
std::string Here(int line) { return absl::StrCat(__FILE__, ":", line); }
void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
}

TEST(DenseTest, IsAnAffineMapOfTheLastAxis) {
  Generator rng(1);
  nn::Dense dense({.in = 2, .out = 3}, rng);
  dense.weight.Set(Range({2, 3}));
  dense.bias.Set(Tensor::FromVector<float>({10, 20, 30}));
  const Variable y = dense(Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2}));
  EXPECT_EQ(y.shape(), Shape({2, 3}));
  EXPECT_EQ(Values(y), (std::vector<float>{16, 29, 42, 22, 39, 56}));
  EXPECT_EQ(dense(Tensor::Ones({4, 5, 2})).shape(), Shape({4, 5, 3}));
  EXPECT_EQ(dense(Tensor::Ones({0, 2})).shape(), Shape({0, 3}));
}

TEST(DenseTest, MayGoWithoutABias) {
  Generator rng(1);
  nn::Dense dense({.in = 2, .out = 1, .use_bias = false, .initializer = &nn::HeUniform}, rng);
  EXPECT_FALSE(dense.bias.defined());
  dense.weight.Set(Tensor::FromVector<float>({3, 4}, {2, 1}));
  EXPECT_EQ(Values(dense(Tensor::Ones({1, 2}))), (std::vector<float>{7}));
  const std::vector<NamedParameter> named = NamedParameters(dense, "head");
  EXPECT_EQ(named.size(), 1u);
  EXPECT_EQ(named[0].name, "head/weight");
}

TEST(Conv2dTest, OfOnesCountsWhatTheKernelCovers) {
  Generator rng(1);
  nn::Conv2d conv({.in = 2, .out = 3, .kernel = 3, .padding = Padding::Same()}, rng);
  EXPECT_EQ(conv.weight.shape(), Shape({3, 3, 2, 3}));
  conv.weight.Set(Tensor::Ones({3, 3, 2, 3}));
  conv.bias.Set(Tensor::FromVector<float>({0, 100, 200}));
  const Tensor y = conv(Tensor::Ones({2, 4, 5, 2})).value();
  EXPECT_EQ(y.shape(), Shape({2, 4, 5, 3}));
  EXPECT_EQ(y.at<float>({0, 0, 0, 0}), 2 * 4);  // a corner
  EXPECT_EQ(y.at<float>({1, 0, 2, 1}), 2 * 6 + 100);
  EXPECT_EQ(y.at<float>({1, 1, 2, 2}), 2 * 9 + 200);
}

TEST(Conv2dTest, ShapesFollowTheOptions) {
  Generator rng(1);
  const Variable x = Tensor::Ones({2, 11, 9, 4});
  const auto shape = [&](const nn::Conv2d::Options& options) {
    return nn::Conv2d(options, rng)(x).shape();
  };
  // floor((size + padding - dilation (kernel - 1) - 1) / stride) + 1.
  EXPECT_EQ(shape({.in = 4, .out = 6, .kernel = 3}), Shape({2, 9, 7, 6}));
  EXPECT_EQ(shape({.in = 4, .out = 6, .kernel = 3, .stride = 2}), Shape({2, 5, 4, 6}));
  EXPECT_EQ(shape({.in = 4, .out = 6, .kernel = 3, .dilation = 3}), Shape({2, 5, 3, 6}));
  EXPECT_EQ(shape({.in = 4, .out = 6, .kernel = 1}), Shape({2, 11, 9, 6}));
  const Padding same = Padding::Same();
  EXPECT_EQ(shape({.in = 4, .out = 6, .kernel = 5, .stride = 2, .padding = same}),
            Shape({2, 6, 5, 6}));
  EXPECT_EQ(nn::Conv2d({.in = 4, .out = 6, .kernel = 3, .groups = 2}, rng).weight.shape(),
            Shape({3, 3, 2, 6}));
}

TEST(Conv2dTest, GroupsSeeOnlyTheirChannels) {
  Generator rng(1);
  nn::Conv2d conv({.in = 4, .out = 2, .kernel = 1, .groups = 2, .use_bias = false}, rng);
  conv.weight.Set(Tensor::Ones({1, 1, 2, 2}));
  EXPECT_EQ(Values(conv(Tensor::FromVector<float>({1, 2, 30, 40}, {1, 1, 1, 4}))),
            (std::vector<float>{3, 70}));
}

TEST(Pool2dTest, TakesTheMaximumOrTheMeanOfEachWindow) {
  const Variable x = Range({1, 4, 4, 1});
  EXPECT_EQ(Values(nn::MaxPool2d()(x)), (std::vector<float>{5, 7, 13, 15}));
  EXPECT_EQ(Values(nn::AvgPool2d()(x)), (std::vector<float>{2.5, 4.5, 10.5, 12.5}));
  EXPECT_EQ(nn::MaxPool2d()(x).shape(), Shape({1, 2, 2, 1}));
  const nn::MaxPool2d overlapping{{.window = 3, .stride = 1}};
  EXPECT_EQ(Values(overlapping(x)), (std::vector<float>{10, 11, 14, 15}));
  const nn::AvgPool2d same{{.window = 3, .stride = 2, .padding = Padding::Same()}};
  // Padding does not count: the last window covers 10, 11, 14, 15.
  EXPECT_EQ(Values(same(x)), (std::vector<float>{5, 6.5, 11, 12.5}));
}

TEST(FlattenTest, KeepsTheFirstAxis) {
  const nn::Flatten flatten;
  EXPECT_EQ(flatten(Tensor::Ones({2, 3, 4, 5})).shape(), Shape({2, 60}));
  EXPECT_EQ(flatten(Tensor::Ones({3})).shape(), Shape({3, 1}));
  EXPECT_EQ(flatten(Tensor::Ones({})).shape(), Shape({1, 1}));
  EXPECT_EQ(flatten(Tensor::Ones({0, 2, 3})).shape(), Shape({0, 6}));
  EXPECT_EQ(Values(flatten(Range({1, 2, 2}))), (std::vector<float>{0, 1, 2, 3}));
}

TEST(UnflattenTest, GivesTheRestItsShape) {
  const nn::Unflatten unflatten{{2, 3}};
  const Tensor x = Range({2, 6});
  EXPECT_EQ(unflatten(x).shape(), Shape({2, 2, 3}));
  EXPECT_EQ(Values(unflatten(x)), Values(x));
  EXPECT_EQ(unflatten(Tensor::Ones({0, 6})).shape(), Shape({0, 2, 3}));
  EXPECT_EQ((nn::Unflatten{{-1, 3}}(Tensor::Ones({5, 2, 6})).shape()), Shape({5, 4, 3}));
  EXPECT_EQ(nn::Unflatten{}(Tensor::Ones({5, 1})).shape(), Shape({5}));
  std::string text = ThrownMessage([&] { unflatten(Tensor::Ones({2, 5})); });
  ExpectHas(text, "[2,5]");
  ExpectHas(text, "[2,2,3]");
  ExpectHas(text, Here(__LINE__ - 3));
  text = ThrownMessage([&] { unflatten(Tensor::Ones({})); });
  EXPECT_EQ(text, "[unflatten] x is [], not [N, ...] (" + Here(__LINE__ - 1) + ")");
}

TEST(ActivationTest, WrapsAFunctionThatMayChange) {
  nn::Activation activation{Relu};
  const Tensor x = Tensor::FromVector<float>({-2, 3}, {1, 2});
  EXPECT_EQ(Values(activation(x)), (std::vector<float>{0, 3}));
  activation = {[](const Variable& v) { return LeakyRelu(v, 0.5); }};
  EXPECT_EQ(Values(nn::Sequential(activation, nn::Activation{Neg})(x)),
            (std::vector<float>{1, -3}));
  activation = {[](const Variable& v) { return Narrow(v, 1, 5, 1); }};
  ExpectHas(ThrownMessage([&] { activation(x); }), Here(__LINE__));
  EXPECT_EQ(ThrownMessage([&] { nn::Activation{}(x); }),
            "[activation] no function was given (" + Here(__LINE__ - 1) + ")");
}

TEST(DropoutTest, DropsOnlyInTrainingAndKeepsTheMean) {
  const nn::Dropout dropout{.rate = 0.25};
  const Variable x = Tensor::Ones({100, 1000});
  EXPECT_EQ(Values(dropout(x)), Values(x));
  Generator rng(5);
  std::vector<float> first, second;
  {
    const TrainingScope training(rng);
    first = Values(dropout(x));
    second = Values(dropout(x));
  }
  EXPECT_NE(first, second);
  int64_t zeros = 0;
  for (const float v : first) {
    EXPECT_TRUE(v == 0 || std::abs(v - 1 / 0.75f) < 1e-6f) << v;
    zeros += v == 0;
  }
  // Standard deviation of the count: sqrt(1e5 * 0.25 * 0.75) = 137.
  EXPECT_NEAR(static_cast<double>(zeros), 25'000, 5 * 137);
  Generator same(5);
  const TrainingScope training(same);
  EXPECT_EQ(Values(dropout(x)), first);
}

TEST(SequentialTest, CallsItsLayersInOrder) {
  Generator rng(1);
  nn::Sequential model(
      nn::Dense({.in = 3, .out = 2}, rng), [](const Variable& x) { return -x; }, nn::Dropout(),
      nn::Sequential(nn::Dense({.in = 2, .out = 1}, rng)));
  const std::vector<NamedParameter> named = NamedParameters(model);
  EXPECT_EQ(named.size(), 4u);
  EXPECT_EQ(named[0].name, "0/weight");
  EXPECT_EQ(named[1].name, "0/bias");
  EXPECT_EQ(named[2].name, "3/0/weight");
  EXPECT_EQ(named[3].name, "3/0/bias");
  for (const NamedParameter& p : named) {
    Parameter parameter = p.parameter;
    parameter.Set(Tensor::Ones(parameter.shape()));
  }
  // -(1 + 1 + 1 + 1) twice, summed, plus 1.
  EXPECT_EQ(Values(model(Tensor::Ones({1, 3}))), (std::vector<float>{-7}));
}

struct Block {
  nn::Dense first, second;
  template <class V>
  void Visit(V&& v) {
    v("first", first), v("second", second);
  }
};
struct Tower {
  std::vector<Block> blocks;
  nn::MaxPool2d pool;
  Parameter scale;
  template <class V>
  void Visit(V&& v) {
    v("blocks", blocks), v("pool", pool), v("scale", scale);
  }
};

TEST(NamedParametersTest, GivesPathsInOrderAndTiedParametersOnce) {
  Generator rng(1);
  const auto dense = [&] { return nn::Dense({.in = 2, .out = 2}, rng); };
  Tower tower{.blocks = {{dense(), dense()}, {dense(), dense()}},
              .pool = {},
              .scale = Parameter(Tensor::Ones({2}))};
  tower.blocks[1].first.weight = tower.blocks[0].second.weight;
  std::vector<std::string> names;
  for (const NamedParameter& p : NamedParameters(tower, "tower")) {
    names.push_back(p.name);
    EXPECT_EQ(p.parameter.name(), p.name);
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"tower/blocks/0/first/weight", "tower/blocks/0/first/bias",
                                      "tower/blocks/0/second/weight", "tower/blocks/0/second/bias",
                                      "tower/blocks/1/first/bias", "tower/blocks/1/second/weight",
                                      "tower/blocks/1/second/bias", "tower/scale"}));
  EXPECT_EQ(tower.blocks[1].first.weight.name(), "tower/blocks/0/second/weight");
  EXPECT_EQ(Parameters(tower).size(), 8u);
}

TEST(NamedParametersTest, ACopiedModelSharesItsParameters) {
  Generator rng(1);
  nn::Dense dense({.in = 1, .out = 1}, rng);
  const nn::Dense copy = dense;
  dense.weight.Set(Tensor::Full({1, 1}, 6));
  EXPECT_EQ(Values(copy(Tensor::Ones({1, 1}))), (std::vector<float>{6}));
}

struct SmallCnn {
  nn::Conv2d conv1, conv2;
  nn::Dense fc;

  explicit SmallCnn(Generator& rng)
      : conv1({.in = 2, .out = 3, .kernel = 3, .padding = Padding::Same()}, rng),
        conv2({.in = 3, .out = 4, .kernel = 2, .initializer = &nn::HeNormal}, rng),
        fc({.in = 16, .out = 3}, rng) {}
  Variable operator()(const Variable& x) const {
    Variable h = nn::MaxPool2d()(Tanh(conv1(x)));
    h = nn::AvgPool2d{{.window = 2, .stride = 1}}(Sigmoid(conv2(h)));
    return fc(nn::Flatten()(h));
  }
  template <class V>
  void Visit(V&& v) {
    v("conv1", conv1), v("conv2", conv2), v("fc", fc);
  }
};

TEST(LayerGradientsTest, OfASmallCnnAreRight) {
  Generator rng(2);
  SmallCnn model(rng);
  const auto to_float64 = [](Parameter& p) { p = Parameter(p.value().To(DType::kFloat64)); };
  for (nn::Conv2d* conv : {&model.conv1, &model.conv2}) {
    to_float64(conv->weight);
    conv->bias = Parameter(Tensor::Full(conv->bias.shape(), 0.1, DType::kFloat64));
  }
  to_float64(model.fc.weight), to_float64(model.fc.bias);
  const Variable x = Normal({2, 8, 8, 2}, rng, 0, 1, DType::kFloat64).value();
  const Variable labels = Tensor::FromVector<int64_t>({2, 0});
  const GradientReport report =
      CheckGradients([&] { return SoftmaxCrossEntropy(model(x), labels); }, Parameters(model));
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(LayerErrorsTest, NameTheCallersLineAndTheLayer) {
  Generator rng(1);
  SmallCnn model(rng);
  NamedParameters(model, "net");
  std::string text = ThrownMessage([&] { model.conv1(Tensor::Ones({1, 8, 8, 5})); });
  ExpectHas(text, "[conv2d]");
  ExpectHas(text, "[1,8,8,5]");
  ExpectHas(text, "(" + Here(__LINE__ - 3) + ", reading net/conv1/weight)");
  text = ThrownMessage([&] { model.fc(Tensor::Ones({2, 15})); });
  ExpectHas(text, "[matmul] inner dimensions differ: [2,15] x [16,3]");
  ExpectHas(text, "(" + Here(__LINE__ - 2) + ", in dense, reading net/fc/weight)");
  text = ThrownMessage([&] { nn::MaxPool2d()(Tensor::Ones({4, 4})); });
  ExpectHas(text, Here(__LINE__ - 1));
  text = ThrownMessage([&] { nn::AvgPool2d{{.window = 9}}(Tensor::Ones({1, 4, 4, 1})); });
  ExpectHas(text, Here(__LINE__ - 1));
  text = ThrownMessage([&] { nn::Flatten()(Variable()); });
  ExpectHas(text, "undefined");
  nn::Sequential chain(nn::Dense({.in = 3, .out = 2}, rng), nn::Dense({.in = 3, .out = 2}, rng));
  NamedParameters(chain);
  text = ThrownMessage([&] { chain(Tensor::Ones({1, 3})); });
  ExpectHas(text, "(" + Here(__LINE__ - 1) + ", in sequential > dense, reading 1/weight)");
}

TEST(LayerErrorsTest, RefuseBadOptions) {
  Generator rng(1);
  const auto dense = [&](const nn::Dense::Options& options) {
    return ThrownMessage([&] { nn::Dense(options, rng); });
  };
  EXPECT_EQ(dense({.in = 0, .out = 3}), "[dense] in = 0, but must be positive");
  EXPECT_EQ(dense({.in = 3, .out = -1}), "[dense] out = -1, but must be positive");
  const auto conv = [&](const nn::Conv2d::Options& options) {
    return ThrownMessage([&] {
      const nn::Conv2d layer(options, rng);
      layer(Tensor::Ones({1, 8, 8, options.in}));
    });
  };
  EXPECT_EQ(conv({.in = 3, .out = 3, .kernel = 0}), "[conv2d] kernel = 0, but must be positive");
  EXPECT_EQ(conv({.in = 3, .out = 3, .kernel = 3, .groups = 0}),
            "[conv2d] groups = 0, but must be positive");
  EXPECT_EQ(conv({.in = 3, .out = 4, .kernel = 3, .groups = 2}),
            "[conv2d] 2 groups do not divide in = 3 and out = 4");
  ExpectHas(conv({.in = 3, .out = 3, .kernel = 3, .stride = 0}), "stride");
  ExpectHas(conv({.in = 3, .out = 3, .kernel = 3, .dilation = -1}), "dilation");
  ExpectHas(conv({.in = 3, .out = 3, .kernel = 9}), "[conv2d]");
  const TrainingScope training(rng);
  for (const double rate : {-0.1, 1.5, std::nan("")}) {
    const std::string text = ThrownMessage([&] { nn::Dropout{rate}(Tensor::Ones({2})); });
    ExpectHas(text, "[dropout]");
    ExpectHas(text, Here(__LINE__ - 2));
  }
}

}  // namespace
}  // namespace wengert
