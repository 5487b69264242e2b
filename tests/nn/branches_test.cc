// Residual and Concatenate: values by hand, parameter names, gradients, saving, errors.
#include "nn/branches.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/check_gradients.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/normalization.h"
#include "nn/save.h"
#include "nn/sequential.h"
#include "nn/summary.h"
#include "tests/data/test_files.h"
#include "tests/nn/in_float64.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using Floats = std::vector<float>;
Floats Values(const Variable& v) { return v.value().ToVector<float>(); }
template <class Model>
std::vector<std::string> Names(Model& model) {
  std::vector<std::string> names;
  for (const NamedParameter& named : NamedParameters(model)) names.push_back(named.name);
  return names;
}
nn::Dense DenseOf(int64_t in, int64_t out, double weight, double bias) {
  Generator rng(1);
  nn::Dense dense({.in = in, .out = out, .initializer = nn::Constant(weight)}, rng);
  dense.bias.Set(Tensor::Full({out}, bias));
  return dense;
}

TEST(ResidualTest, AddsTheInput) {
  nn::Residual block(nn::Sequential(DenseOf(2, 2, 2, 10), Relu));
  // 2 (1 + 3) + 10, and 2 (-20 + 3) + 10 < 0.
  const Variable x = Tensor::FromVector<float>({1, 3, -20, 3}, {2, 2});
  EXPECT_EQ(Values(block(x)), (Floats{1 + 18, 3 + 18, -20, 3}));
  EXPECT_EQ(Names(block), (std::vector<std::string>{"body/0/weight", "body/0/bias"}));
  EXPECT_EQ(Values(nn::Residual(Square)(x)), (Floats{2, 12, 380, 12}));
}

TEST(ResidualTest, ProjectsTheInputToTheShapeOfTheBody) {
  nn::Residual block(DenseOf(2, 3, 1, 0), DenseOf(2, 3, 10, 1));
  EXPECT_EQ(Values(block(Tensor::Ones({1, 2}))), (Floats{23, 23, 23}));
  EXPECT_EQ(Names(block), (std::vector<std::string>{"body/weight", "body/bias", "projection/weight",
                                                    "projection/bias"}));
}

TEST(ResidualTest, RefusesSummandsThatWouldBroadcast) {
  const nn::Residual block(DenseOf(3, 1, 1, 0));
  const std::string text = ThrownMessage([&] { block(Tensor::Ones({2, 3})); });
  EXPECT_EQ(text, absl::StrCat("[residual] the body gives [2,1], the shortcut [2,3] (", __FILE__,
                               ":", __LINE__ - 2, ")"));
}

TEST(ConcatenateTest, JoinsItsBranches) {
  nn::Concatenate layer(-1, DenseOf(2, 1, 1, 0), nn::Identity(), DenseOf(2, 2, 0, 7));
  const Variable x = Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2});
  EXPECT_EQ(Values(layer(x)), (Floats{3, 1, 2, 7, 7, 7, 3, 4, 7, 7}));
  EXPECT_EQ(layer(x).shape(), Shape({2, 5}));
  EXPECT_EQ(Names(layer), (std::vector<std::string>{"0/weight", "0/bias", "2/weight", "2/bias"}));
  EXPECT_EQ(Values(nn::Concatenate(0, Neg, nn::Identity())(x)),
            (Floats{-1, -2, -3, -4, 1, 2, 3, 4}));
}

TEST(ConcatenateTest, RefusesBranchesThatDoNotFit) {
  const nn::Concatenate layer(0, DenseOf(2, 3, 1, 0), nn::Identity());
  const std::string text = ThrownMessage([&] { layer(Tensor::Ones({4, 2})); });
  EXPECT_NE(text.find("[concat]"), std::string::npos) << text;
  EXPECT_NE(text.find("[4,3]"), std::string::npos) << text;
  EXPECT_NE(text.find(absl::StrCat(__FILE__, ":", __LINE__ - 3)), std::string::npos) << text;
}

// A residual network with an inception block, in small.
auto SmallNet(Generator& rng) {
  const nn::Conv2d::Options same = {.in = 4, .out = 4, .kernel = 3, .padding = Padding::Same()};
  return nn::Sequential(
      nn::Concatenate(
          -1, nn::Conv2d({.in = 2, .out = 3, .kernel = 1}, rng),
          nn::Conv2d({.in = 2, .out = 1, .kernel = 3, .padding = Padding::Same()}, rng)),
      nn::Residual(nn::Sequential(nn::BatchNorm({.size = 4}), nn::Activation{Tanh},
                                  nn::Conv2d(same, rng), nn::GroupNorm({.size = 4, .groups = 2}))),
      nn::Residual(nn::Conv2d({.in = 4, .out = 2, .kernel = 1}, rng),
                   nn::Conv2d({.in = 4, .out = 2, .kernel = 1, .use_bias = false}, rng)),
      nn::Flatten());
}

TEST(BranchesTest, GradientsOfASmallNetAreRight) {
  Generator rng(2);
  auto model = InFloat64(SmallNet(rng));
  std::vector<Parameter> inputs = Parameters(model);
  EXPECT_EQ(inputs.size(), 4u + 6 + 3);
  for (Parameter& p : inputs) p.Set(Normal(p.shape(), rng, 0, 1, DType::kFloat64));
  const Parameter x(Normal({2, 3, 2, 2}, rng, 0, 1, DType::kFloat64).value());
  inputs.push_back(x);
  const GradientReport inference = CheckGradients([&] { return model(x); }, inputs);
  EXPECT_TRUE(inference.ok) << inference.text;
  const TrainingScope training(rng);
  const GradientReport report = CheckGradients([&] { return model(x); }, inputs);
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(BranchesTest, AreSavedLoadedAndSummarized) {
  Generator rng(3);
  auto model = SmallNet(rng), other = SmallNet(rng);
  const Tensor x = Normal({2, 5, 5, 2}, rng).value();
  {
    const TrainingScope training(rng);
    model(x).value();  // moves the running statistics
  }
  const Floats expected = Values(model(x));
  EXPECT_NE(Values(other(x)), expected);
  const std::string path = TestFolder() + "/branches.safetensors";
  ASSERT_TRUE(Save(model, path).ok());
  ASSERT_TRUE(Load(other, path).ok());
  EXPECT_EQ(Values(other(x)), expected);

  const ModelSummary summary = Summary(model, {2, 5, 5, 2});
  int64_t parameters = 0;
  for (const NamedParameter& named : NamedParameters(model)) parameters += named.parameter.size();
  EXPECT_EQ(summary.parameters, parameters);
  EXPECT_EQ(summary.layers.back().output, Shape({2, 50}));
  const std::string text = summary.ToString();
  for (const char* part : {"0/1", "1/body/0", "1/body/2", "2/projection"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

}  // namespace
}  // namespace wengert
