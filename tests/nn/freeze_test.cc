// Frozen parameters: part of the forward pass, but not of training, until they are thawed; and
// parameters that stand in two places.
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/state_update.h"
#include "gtest/gtest.h"
#include "nn/gradient_norms.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/normalization.h"
#include "nn/optimizers.h"
#include "nn/save.h"
#include "nn/sequential.h"
#include "nn/summary.h"
#include "ops/ops.h"
#include "tests/data/test_files.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using Floats = std::vector<float>;
Floats Values(const Variable& v) { return v.value().ToVector<float>(); }

struct Net {
  nn::Dense backbone, head;
  explicit Net(Generator& rng)
      : backbone({.in = 3, .out = 4}, rng), head({.in = 4, .out = 2}, rng) {}
  Variable operator()(const Variable& x) const { return head(Tanh(backbone(x))); }
  template <class V>
  void Visit(V&& v) {
    v("backbone", backbone), v("head", head);
  }
};

class FreezeTest : public ::testing::Test {
 protected:
  void Train(Net& net) {
    Adam adam(Parameters(net), {.learning_rate = 0.1});
    const auto loss = [&] { return Mean(Square(net(x_) - 1)); };
    for (int i = 0; i < 3; ++i) adam.Step(ValueAndGrad(loss, adam.parameters()).gradients);
  }

  Generator rng_{1};
  Net net_{rng_};
  const Tensor x_ = Normal({5, 3}, rng_).value();
};

TEST_F(FreezeTest, TrainingLeavesFrozenParametersAsTheyAre) {
  const Floats weight = Values(net_.backbone.weight), head = Values(net_.head.weight);
  const Floats y = Values(net_(x_));
  Freeze(net_.backbone);
  EXPECT_EQ(Values(net_(x_)), y);
  EXPECT_TRUE(net_.backbone.weight.frozen());
  EXPECT_FALSE(net_.backbone.weight.trained());
  EXPECT_FALSE(net_.backbone.weight.variable().requires_grad());
  EXPECT_EQ(Parameters(net_).size(), 2u);
  EXPECT_EQ(NamedParameters(net_).size(), 4u);
  Train(net_);
  EXPECT_EQ(Values(net_.backbone.weight), weight);
  EXPECT_EQ(Values(net_.backbone.bias), Floats(4, 0));
  EXPECT_NE(Values(net_.head.weight), head);

  Unfreeze(net_);
  EXPECT_TRUE(net_.backbone.weight.trained());
  EXPECT_EQ(Parameters(net_).size(), 4u);
  Train(net_);
  EXPECT_NE(Values(net_.backbone.weight), weight);
}

TEST_F(FreezeTest, AnOptimizerMadeBeforeSaysSo) {
  Adam adam(Parameters(net_));
  const std::vector<Variable> gradients =
      ValueAndGrad([&] { return Mean(Square(net_(x_))); }, adam.parameters()).gradients;
  Freeze(net_.backbone);
  const Floats head = Values(net_.head.weight);
  const std::string text = ThrownMessage([&] { adam.Step(gradients); });
  EXPECT_NE(text.find("backbone/weight was frozen"), std::string::npos) << text;
  EXPECT_EQ(Values(net_.head.weight), head);
  EXPECT_EQ(adam.steps(), 0);
}

TEST_F(FreezeTest, NothingBelowIsDifferentiated) {
  Freeze(net_.backbone);
  EXPECT_FALSE(net_.backbone(x_).requires_grad());
  EXPECT_TRUE(net_(x_).requires_grad());
  Freeze(net_);
  EXPECT_FALSE(net_(x_).requires_grad());
  // A gradient with respect to the input still goes through.
  const Variable x = DifferentiableLeaf(x_);
  Unfreeze(net_);
  const Floats expected = Values(Grad(Sum(net_(x)), x));
  Freeze(net_);
  EXPECT_EQ(Values(Grad(Sum(net_(x)), x)), expected);
}

TEST_F(FreezeTest, TakesPartsParametersAndLists) {
  Freeze(net_.head.weight);
  EXPECT_EQ(Parameters(net_).size(), 3u);
  EXPECT_FALSE(net_.head.bias.frozen());
  std::vector<nn::Dense> layers = {net_.backbone, net_.head};  // copies share their parameters
  Freeze(layers);
  EXPECT_TRUE(Parameters(net_).empty());
  Unfreeze(layers);
  EXPECT_EQ(Parameters(net_).size(), 4u);
  nn::Dense no_bias({.in = 1, .out = 1, .use_bias = false}, rng_);
  Freeze(no_bias);
  EXPECT_TRUE(Parameters(no_bias).empty());
}

TEST_F(FreezeTest, KeepsNamesAndCanBeSetAndLoaded) {
  NamedParameters(net_, "net");
  const std::string path = TestFolder() + "/frozen.safetensors";
  ASSERT_TRUE(Save(net_, path).ok());
  Freeze(net_.backbone);
  EXPECT_EQ(net_.backbone.weight.name(), "backbone/weight");  // as Save named it
  const Floats saved = Values(net_.backbone.weight);
  net_.backbone.weight.Set(Tensor::Ones({3, 4}));
  EXPECT_FALSE(net_.backbone.weight.variable().requires_grad());
  ASSERT_TRUE(Load(net_, path).ok());
  EXPECT_EQ(Values(net_.backbone.weight), saved);
  EXPECT_TRUE(net_.backbone.weight.frozen());
  EXPECT_FALSE(net_.backbone.weight.variable().requires_grad());
  ASSERT_TRUE(Save(net_, path).ok());
  Net other(rng_);
  ASSERT_TRUE(Load(other, path).ok());
  EXPECT_FALSE(other.backbone.weight.frozen());  // a file has values only
}

TEST_F(FreezeTest, AnOptimizerOfBeforeIsToldToLeaveThemOut) {
  Adam adam(Parameters(net_));
  Freeze(net_.backbone);
  const std::string line = std::to_string(__LINE__ + 2);
  const std::string text =
      ThrownMessage([&] { ValueAndGrad([&] { return Sum(net_(x_)); }, adam.parameters()); });
  EXPECT_EQ(
      text,
      "[grad] parameter 0, float32[3,4] backbone/weight, is not trained: frozen, or a "
      "layer's state. Parameters(model) leaves such parameters out (tests/nn/freeze_test.cc:" +
          line + ")");
}

TEST_F(FreezeTest, AFrozenBatchNormInfers) {
  nn::BatchNorm norm({.size = 3});
  norm.running_mean.Set(Tensor::FromVector<float>({1, 2, 3}));
  const Floats inferred = Values(norm(x_));
  Freeze(norm);
  {
    const TrainingScope training(rng_);
    EXPECT_EQ(Values(norm(x_)), inferred);
    EXPECT_EQ(Values(norm.running_mean), (Floats{1, 2, 3}));
    EXPECT_EQ(norm(Tensor::Ones({0, 3})).shape(), Shape({0, 3}));
  }
  Unfreeze(norm);
  EXPECT_FALSE(norm.running_mean.trained());  // thawed, but still no gradient trains it
  EXPECT_EQ(Parameters(norm).size(), 2u);
  const TrainingScope training(rng_);
  EXPECT_NE(Values(norm(x_)), inferred);
  EXPECT_NE(Values(norm.running_mean), (Floats{1, 2, 3}));
}

TEST_F(FreezeTest, FrozenStateDoesNotMove) {
  Parameter count = Parameter::Untrained(Tensor::Zeros({1}));
  const NextState add = [](const Tensor& state, const Tensor& observed) {
    return (Variable(state) + observed).value();
  };
  UpdateState(count, Tensor::Ones({1}), add);
  Freeze(count);
  UpdateState(count, Tensor::Ones({1}), add);
  EXPECT_EQ(Values(count), (Floats{1}));
  Unfreeze(count);
  UpdateState(count, Tensor::Ones({1}), add);
  EXPECT_EQ(Values(count), (Floats{2}));
}

TEST_F(FreezeTest, TheSummaryTellsWhatIsTrained) {
  EXPECT_EQ(Summary(net_, {1, 3}).trained_parameters, 16 + 10);
  EXPECT_EQ(Summary(net_, {1, 3}).ToString().find("trained"), std::string::npos);
  Freeze(net_.backbone);
  const ModelSummary summary = Summary(net_, {1, 3});
  EXPECT_EQ(summary.parameters, 16 + 10);
  EXPECT_EQ(summary.trained_parameters, 10);
  EXPECT_NE(summary.ToString().find("trained"), std::string::npos) << summary.ToString();
  nn::BatchNorm norm({.size = 3});
  EXPECT_EQ(Summary(norm, {2, 3}).parameters, 12);
  EXPECT_EQ(Summary(norm, {2, 3}).trained_parameters, 6);
}

// y = (x w) w^T: an autoencoder with tied weights.
struct Tied {
  Parameter encoder{Tensor::FromVector<float>({1, 2}, {2, 1})}, decoder = encoder;
  Variable operator()(const Variable& x) const {
    return MatMul(MatMul(x, encoder), Transpose(decoder));
  }
  template <class V>
  void Visit(V&& v) {
    v("encoder", encoder), v("decoder", decoder);
  }
};

TEST(SharingTest, ATiedParameterIsOneParameter) {
  Tied tied;
  ASSERT_EQ(NamedParameters(tied).size(), 1u);
  EXPECT_EQ(NamedParameters(tied)[0].name, "encoder");
  EXPECT_EQ(Summary(tied, {1, 2}).parameters, 2);
  EXPECT_EQ(Summary(tied, {1, 2}).trained_parameters, 2);
  const std::string path = TestFolder() + "/tied.safetensors";
  ASSERT_TRUE(Save(tied, path).ok());
  Tied other;
  other.encoder.Set(Tensor::Zeros({2, 1}));
  ASSERT_TRUE(Load(other, path).ok());
  EXPECT_EQ(Values(other.decoder), (Floats{1, 2}));
  Freeze(tied.decoder);
  EXPECT_TRUE(tied.encoder.frozen());
  EXPECT_TRUE(Parameters(tied).empty());
}

TEST(SharingTest, ItIsUpdatedOnceByTheGradientOfBothPlaces) {
  Tied tied;
  Sgd sgd(Parameters(tied), {.learning_rate = 0.5});
  const Tensor x = Tensor::FromVector<float>({3, 5}, {1, 2});
  // sum(y) = (3 w0 + 5 w1) (w0 + w1): by w0, 3 (w0 + w1) + (3 w0 + 5 w1) = 22; by w1, 15 + 13.
  const ValueAndGradients step = ValueAndGrad([&] { return Sum(tied(x)); }, sgd.parameters());
  ASSERT_EQ(step.gradients.size(), 1u);
  EXPECT_EQ(Values(step.gradients[0]), (Floats{22, 28}));
  sgd.Step(step.gradients);
  EXPECT_EQ(Values(tied.encoder), (Floats{1 - 11, 2 - 14}));
  EXPECT_EQ(Values(tied.decoder), Values(tied.encoder));
}

TEST(GradientNormsTest, NamesTheNormOfEachGradient) {
  Generator rng(1);
  Net net(rng);
  Freeze(net.backbone);
  const std::vector<Variable> gradients = {
      Tensor::FromVector<float>({3, 0, 0, 0, 4, 0, 0, 0}, {4, 2}),
      Tensor::FromVector<float>({3e30f, 4e30f})};  // squares overflow in float32
  const std::vector<GradientNorm> norms = GradientNorms(net, gradients);
  ASSERT_EQ(norms.size(), 2u);
  EXPECT_EQ(norms[0].name, "head/weight");
  EXPECT_DOUBLE_EQ(norms[0].norm, 5);
  EXPECT_EQ(norms[1].name, "head/bias");
  EXPECT_NEAR(norms[1].norm, 5e30, 5e24);
  const std::vector<Parameter> parameters = Parameters(net, "net");
  EXPECT_EQ(GradientNorms(parameters, gradients)[0].name, "net/head/weight");
  EXPECT_TRUE(GradientNorms(std::vector<Parameter>(), {}).empty());
  const std::vector<GradientNorm> small = GradientNorms(
      {{Parameter(Tensor::Ones({2}))}}, {Tensor::FromVector<float>({3e-30f, 4e-30f})});
  EXPECT_NEAR(small[0].norm, 5e-30, 5e-36);
}

TEST(GradientNormsTest, RefusesGradientsOfOtherParameters) {
  Generator rng(1);
  nn::Dense dense({.in = 3, .out = 2}, rng);
  EXPECT_EQ(ThrownMessage([&] {
              GradientNorms(dense, {Tensor::Ones({3, 2})});
            }),
            "[gradient_norms] 1 gradients for 2 parameters");
  EXPECT_EQ(ThrownMessage([&] {
              GradientNorms(dense, {Tensor::Ones({3, 2}), Tensor::Ones({3})});
            }),
            "[gradient_norms] gradient [3] for bias [2]");
}

}  // namespace
}  // namespace wengert
