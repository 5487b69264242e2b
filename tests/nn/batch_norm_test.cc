// BatchNorm: in training and in inference, its gradients, and when its running statistics move:
// once a step, whatever records or repeats the step, saved with the model but not trained.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "autograd/node.h"
#include "data/loader.h"
#include "gtest/gtest.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/normalization.h"
#include "nn/optimizers.h"
#include "nn/save.h"
#include "nn/train/fit.h"
#include "ops/ops.h"
#include "tests/data/test_files.h"
#include "tests/nn/in_float64.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using Floats = std::vector<float>;
Floats Values(const Variable& v) { return v.value().ToVector<float>(); }
void ExpectNear(const Variable& v, const Floats& expected) {
  const Floats values = Values(v);
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 2e-6) << i;
}

class BatchNormTest : public ::testing::Test {
 protected:
  // Feature 0 is 1, 2, 2, 7: mean 3, variance 5.5, and the root of 5.5 + 0.75 is 2.5. Feature 1 is
  // constant.
  const Tensor x_ = Tensor::FromVector<float>({1, 5, 2, 5, 2, 5, 7, 5}, {4, 2});
  nn::BatchNorm norm_{{.size = 2, .momentum = 0.75, .epsilon = 0.75}};
  Generator rng_{1};
};

TEST_F(BatchNormTest, NormalizesFeaturesByHand) {
  norm_.weight.Set(Tensor::FromVector<float>({2, 1}));
  norm_.bias.Set(Tensor::FromVector<float>({10, 20}));
  const TrainingScope training(rng_);
  const Floats expected = {10 - 1.6, 20, 10 - 0.8, 20, 10 - 0.8, 20, 10 + 3.2, 20};
  ExpectNear(norm_(x_), expected);
  ExpectNear(norm_(x_.Reshape({2, 1, 2, 2})), expected);
  EXPECT_EQ(norm_(x_.Reshape({2, 1, 2, 2})).shape(), Shape({2, 1, 2, 2}));
}

TEST_F(BatchNormTest, InfersByTheRunningStatisticsAndLeavesThem) {
  norm_.running_mean.Set(Tensor::FromVector<float>({1, 3}));
  norm_.running_variance.Set(Tensor::FromVector<float>({0.25, 3.25}));
  ExpectNear(norm_(x_), {0, 1, 1, 1, 1, 1, 6, 1});
  EXPECT_EQ(norm_(Tensor::Ones({0, 2})).shape(), Shape({0, 2}));
  EXPECT_EQ(Values(norm_.running_mean), (Floats{1, 3}));
  EXPECT_EQ(Values(norm_.running_variance), (Floats{0.25, 3.25}));
}

TEST_F(BatchNormTest, RunningStatisticsMoveByTheBiasedOnesOfEachStep) {
  const auto f = [&] { return Sum(Square(norm_(x_))); };
  {
    const TrainingScope training(rng_);
    f();  // recorded only: it moves them all the same
  }
  ExpectNear(norm_.running_mean, {0.75, 1.25});       // 0.25 of 3, 5
  ExpectNear(norm_.running_variance, {2.125, 0.75});  // 0.75 + 0.25 of 5.5, 0
  const TrainingScope training(rng_);
  ValueAndGrad(f, Parameters(norm_));
  ExpectNear(norm_.running_mean, {1.3125, 2.1875});
  ExpectNear(norm_.running_variance, {2.96875, 0.5625});
  // Two uses in one step are two moves.
  ValueAndGrad([&] { return f() + f(); }, Parameters(norm_));
  ExpectNear(norm_.running_mean, {3 - 0.5625f * 1.6875f, 5 - 0.5625f * 2.8125f});
}

TEST_F(BatchNormTest, AStepLeavesNoGraphBehind) {
  const std::vector<Parameter> parameters = Parameters(norm_);
  const TrainingScope training(rng_);
  int64_t live = 0;
  for (int step = 0; step < 4; ++step) {
    ValueAndGrad([&] { return Sum(Square(norm_(x_))); }, parameters);
    if (step == 0) live = LiveNodes();
    EXPECT_EQ(LiveNodes(), live);
  }
}

TEST_F(BatchNormTest, AStepThatThrowsMovesNothing) {
  const TrainingScope training(rng_);
  const auto f = [&] {
    norm_(x_);
    return Sum(Gather(norm_.weight, Variable(Tensor::FromVector<int64_t>({7}))));
  };
  EXPECT_NE(ThrownMessage([&] { ValueAndGrad(f, Parameters(norm_)); }), "");
  EXPECT_EQ(Values(norm_.running_mean), (Floats{0, 0}));
  norm_(x_);  // and later ones move again
  ExpectNear(norm_.running_mean, {0.75, 1.25});
}

TEST_F(BatchNormTest, ACheckpointMovesThemOnce) {
  nn::BatchNorm plain({.size = 2, .momentum = 0.75, .epsilon = 0.75});
  const Parameter scale(Tensor::FromVector<float>({0.5, -1}));
  const auto step = [&](const nn::BatchNorm& norm, bool checkpoint) {
    const auto block = [&](VariableSpan in) { return Tanh(norm(in[0] * scale)) * in[0]; };
    return ValueAndGrad(
        [&] {
          const Variable x = x_;
          return Sum(checkpoint ? Checkpoint(block, {x}) : block({&x, 1}));
        },
        std::vector<Parameter>{norm.weight, norm.bias, scale});
  };
  const TrainingScope training(rng_);
  for (int i = 0; i < 2; ++i) {
    const ValueAndGradients expected = step(plain, false), found = step(norm_, true);
    EXPECT_EQ(Values(found.value), Values(expected.value));
    for (size_t k = 0; k < 3; ++k) ExpectNear(found.gradients[k], Values(expected.gradients[k]));
    EXPECT_EQ(Values(norm_.running_mean), Values(plain.running_mean));
    EXPECT_EQ(Values(norm_.running_variance), Values(plain.running_variance));
  }
  EXPECT_NE(Values(norm_.running_mean)[0], 0);
  {  // Without gradients it is computed once, and with them outside ValueAndGrad too.
    const NoGradGuard no_grad;
    Checkpoint([&](VariableSpan in) { return norm_(in[0]); }, {x_});
    plain(x_);
  }
  const Variable y = Checkpoint([&](VariableSpan in) { return norm_(in[0] * scale); }, {x_});
  plain(Variable(x_) * scale);
  Grad(Sum(Square(y)), scale).value();
  ExpectNear(norm_.running_mean, Values(plain.running_mean));
}

TEST_F(BatchNormTest, GradientsAreRightInTrainingAndInference) {
  nn::BatchNorm norm = InFloat64(nn::BatchNorm({.size = 3}));
  std::vector<Parameter> inputs = Parameters(norm);
  ASSERT_EQ(inputs.size(), 2u);
  for (Parameter& p : inputs) p.Set(Normal(p.shape(), rng_, 0, 1, DType::kFloat64));
  norm.running_mean.Set(Normal({3}, rng_, 0, 1, DType::kFloat64));
  const Parameter x(Normal({2, 3, 2, 3}, rng_, 0, 1, DType::kFloat64).value());
  inputs.push_back(x);
  const GradientReport inference = CheckGradients([&] { return norm(x); }, inputs);
  EXPECT_TRUE(inference.ok) << inference.text;
  const TrainingScope training(rng_);
  const GradientReport report = CheckGradients([&] { return norm(x); }, inputs);
  EXPECT_TRUE(report.ok) << report.text;
  EXPECT_EQ(norm.running_mean.dtype(), DType::kFloat64);
}

TEST_F(BatchNormTest, NoGradientReachesTheRunningStatistics) {
  EXPECT_FALSE(norm_.running_mean.trained());
  EXPECT_FALSE(norm_.running_mean.variable().requires_grad());
  norm_.running_mean.Set(Variable(norm_.weight) * 2);  // nor what they are set to
  EXPECT_FALSE(norm_.running_mean.variable().requires_grad());
  std::vector<std::string> names;
  for (const NamedParameter& named : NamedParameters(norm_, "bn")) names.push_back(named.name);
  EXPECT_EQ(names, (std::vector<std::string>{"bn/weight", "bn/bias", "bn/running_mean",
                                             "bn/running_variance"}));
  EXPECT_EQ(Parameters(norm_).size(), 2u);
  EXPECT_FALSE(norm_.running_mean.variable().requires_grad());  // named, and still a constant
  EXPECT_EQ(norm_.running_mean.name(), "running_mean");
}

TEST_F(BatchNormTest, TheyAreSavedAndLoaded) {
  {
    const TrainingScope training(rng_);
    norm_(x_);
  }
  const std::string path = TestFolder() + "/batch_norm.safetensors";
  ASSERT_TRUE(Save(norm_, path).ok());
  nn::BatchNorm other({.size = 2});
  ASSERT_TRUE(Load(other, path).ok());
  EXPECT_EQ(Values(other.running_mean), Values(norm_.running_mean));
  EXPECT_EQ(Values(other.running_variance), Values(norm_.running_variance));
  ExpectNear(other.running_variance, {2.125, 0.75});
}

struct Classifier {
  nn::BatchNorm norm{{.size = 2, .momentum = 0.5}};
  nn::Dense dense;
  explicit Classifier(Generator& rng) : dense({.in = 2, .out = 2}, rng) {}
  Variable operator()(const Variable& x) const { return dense(norm(x)); }
  template <class V>
  void Visit(V&& v) {
    v("norm", norm), v("dense", dense);
  }
};

TEST_F(BatchNormTest, FitKeepsThoseOfTheBestEpoch) {
  const Loader loader(x_, Tensor::FromVector<int32_t>({0, 1, 0, 1}), {.batch_size = 2});
  Classifier model(rng_);
  Sgd sgd(Parameters(model), {.learning_rate = 0.1});
  std::vector<Floats> means;
  const auto validate = [&] {
    means.push_back(Values(model.norm.running_mean));
    return Metrics{.loss = means.size() == 2 ? 0.0 : 1.0};
  };
  Fit(Classification(model), sgd, loader, rng_,
      {.epochs = 4, .quiet = true, .validate = validate, .keep_best = true});
  EXPECT_EQ(Values(model.norm.running_mean), means[1]);
  EXPECT_NE(means[1], means[3]);
}

TEST_F(BatchNormTest, AStepThatIsNotFiniteMovesNothing) {
  Tensor x = x_.Clone();
  x.mutable_data<float>()[3] = std::numeric_limits<float>::infinity();
  const Loader loader(x, Tensor::FromVector<int32_t>({0, 1, 0, 1}), {.batch_size = 4});
  Classifier model(rng_);
  Sgd sgd(Parameters(model));
  EXPECT_NE(ThrownMessage([&] { Fit(Classification(model), sgd, loader, rng_, {.quiet = true}); }),
            "");
  EXPECT_EQ(Values(model.norm.running_mean), (Floats{0, 0}));
  EXPECT_EQ(Values(model.norm.running_variance), (Floats{1, 1}));
}

TEST_F(BatchNormTest, RefusesWhatItCannotNormalize) {
  const auto of = [&](const Shape& shape) {
    return ThrownMessage([&] { norm_(Tensor::Ones(shape)); });
  };
  const std::string place = " (" + std::string(__FILE__) + ":" + std::to_string(__LINE__ - 2);
  EXPECT_EQ(of({2}), "[batch_norm] x is [2], not [..., 2]" + place + ")");
  EXPECT_EQ(of({4, 1}), "[batch_norm] x is [4,1], not [..., 2]" + place + ")");
  EXPECT_EQ(ThrownMessage([] { nn::BatchNorm({.size = 0}); }),
            "[batch_norm] size = 0, but must be positive");
  EXPECT_EQ(ThrownMessage([] { nn::BatchNorm({.size = 1, .momentum = 1.5}); }),
            "[batch_norm] momentum = 1.5, but must be in [0, 1]");
  const TrainingScope training(rng_);
  EXPECT_EQ(of({0, 2}), "[batch_norm] x is [0,2]: no rows to train on" + place + ")");
}

}  // namespace
}  // namespace wengert
