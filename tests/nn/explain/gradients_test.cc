#include "nn/explain/gradients.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "autograd/grad.h"
#include "nn/module.h"
#include "nn/optimizers.h"
#include "nn/sequential.h"
#include "tests/nn/explain/models.h"
#include "tests/nn/in_float64.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using explain::IntegratedGradients;
using explain::PathRule;
using explain::Target;
using Doubles = std::vector<double>;

constexpr PathRule kRules[] = {PathRule::kFitted, PathRule::kMidpoint, PathRule::kTrapezoid,
                               PathRule::kGaussLegendre};

const Linear kLinear{Tensor::FromVector<double>({1, -2, 3, 4, -5, 6}, {3, 2})};
const Tensor kX = Tensor::FromVector<double>({1, 2, -3, 0.5, -1, 0}, {2, 3});
const Tensor kBaseline = Tensor::FromVector<double>({1, -1, 2});

// Scores of the rows of kX: -5, 36 less 7: {1+6+15, -2+8-18} = {22, -12}; {-2.5, -5}. The largest
// is class 0 in both.
TEST(SaliencyTest, OfALinearModel) {
  EXPECT_EQ(explain::Saliency(kLinear, kX).ToVector<double>(), (Doubles{1, 3, 5, 1, 3, 5}));
  EXPECT_EQ(explain::Saliency(kLinear, kX, 1).ToVector<double>(), (Doubles{2, 4, 6, 2, 4, 6}));
  EXPECT_EQ(explain::Saliency(kLinear, kX, Target::PerRow({1, 0})).ToVector<double>(),
            (Doubles{2, 4, 6, 1, 3, 5}));
}

TEST(SaliencyTest, OfOneScorePerRowAndUnderNoGrad) {
  const NoGradGuard no_grad;
  const auto squares = [](const Variable& x) { return Sum(Square(x), 1); };
  EXPECT_EQ(explain::Saliency(squares, kX).ToVector<double>(), (Doubles{2, 4, 6, 1, 2, 0}));
  EXPECT_EQ(explain::Saliency(squares, kX, 0).ToVector<double>(), (Doubles{2, 4, 6, 1, 2, 0}));
}

TEST(InputTimesGradientTest, OfALinearModel) {
  EXPECT_EQ(explain::InputTimesGradient(kLinear, kX, 1).ToVector<double>(),
            (Doubles{-2, 8, -18, -1, -4, 0}));
}

TEST(SmoothGradTest, OfALinearModelTheGradient) {
  Generator rng(1);
  ExpectNear(explain::SmoothGrad(kLinear, kX, 0, rng, {.samples = 7}),
             Tensor::FromVector<double>({1, 3, -5, 1, 3, -5}, {2, 3}), 1e-12);
}

// Of x^3 the mean gradient is 3 (x^2 + sigma^2), with sigma = 0.2 * (3 - 1).
TEST(SmoothGradTest, OfACubeItsSmoothedGradient) {
  const auto cubes = [](const Variable& x) { return Sum(x * x * x, 1); };
  const Tensor x = Tensor::FromVector<double>({1, 3}, {1, 2});
  Generator rng(3);
  const Tensor found =
      explain::SmoothGrad(cubes, x, {}, rng, {.samples = 20000, .noise_level = 0.2});
  const double variance = 0.16;
  // The standard deviation of 3 (x + e)^2 is about 6 x sigma: 2.4 and 7.2, over sqrt(20000).
  EXPECT_NEAR(found.at<double>({0, 0}), 3 * (1 + variance), 5 * 2.4 / 141);
  EXPECT_NEAR(found.at<double>({0, 1}), 3 * (9 + variance), 5 * 7.2 / 141);
}

TEST(SmoothGradTest, DependsOnTheSeedAndNotOnTheBatchSize) {
  Generator weights(1);
  const SmallCnn cnn(weights);
  const Tensor x = Random({2, 8, 8, 2}, 2, DType::kFloat32);
  const auto run = [&](uint64_t seed, int64_t batch_size) {
    Generator rng(seed);
    return explain::SmoothGrad(cnn, x, {}, rng, {.samples = 9, .batch_size = batch_size});
  };
  const Tensor found = run(5, 64);
  EXPECT_TRUE(BitwiseEqual(found, run(5, 64)));
  ExpectNear(found, run(5, 1), 1e-6);
  EXPECT_FALSE(BitwiseEqual(found, run(6, 64)));
  EXPECT_EQ(found.dtype(), DType::kFloat32);
}

// The scores of zeros are 7.
TEST(CompletenessGapTest, IsWhatIsMissing) {
  const Tensor some = Tensor::FromVector<double>({1, 2, 3, 0, 0, 0.5}, {2, 3});
  const Tensor zeros = explain::CompletenessGap(kLinear, kX, some, 0);
  EXPECT_EQ(explain::CompletenessGap(kLinear, kX, some, 0, kX).ToVector<double>(),
            (Doubles{-6, -0.5}));
  const Doubles of_x = Narrow(kLinear(kX), 1, 0, 1).value().ToVector<double>();
  EXPECT_EQ(zeros.ToVector<double>(), (Doubles{of_x[0] - 7 - 6, of_x[1] - 7 - 0.5}));
}

TEST(IntegratedGradientsTest, OfALinearModel) {
  for (const PathRule rule : kRules) {
    ExpectNear(
        IntegratedGradients(kLinear, kX, 1, {.baseline = kBaseline, .steps = 5, .rule = rule}),
        Tensor::FromVector<double>({0, 12, -30, 1, 0, -12}, {2, 3}), 1e-12);
  }
}

// Of a polynomial of degree d, the gradient has degree d - 1: n points of Gauss-Legendre integrate
// 2 n - 1 exactly. F = x^4 y^2 on the way from (0, 0) to (2, 3): the gradient in x at t is
// 4 x^3 y^2 t^5, so it has 4 / 6 of 144, and y the rest.
TEST(IntegratedGradientsTest, GaussLegendreIsExactOfPolynomials) {
  const auto f = [](const Variable& x) {
    const Variable a = Narrow(x, 1, 0, 1), b = Narrow(x, 1, 1, 1);
    return Square(Square(a)) * Square(b);
  };
  const Tensor x = Tensor::FromVector<double>({2, 3}, {1, 2});
  for (const int64_t steps : {3, 4, 7, 20, 101}) {
    ExpectNear(IntegratedGradients(f, x, 0, {.steps = steps, .rule = PathRule::kGaussLegendre}),
               Tensor::FromVector<double>({96, 48}, {1, 2}), 1e-10);
  }
  // Two points are one short. The others converge with the square of the steps.
  EXPECT_GT(std::abs(IntegratedGradients(f, x, 0, {.steps = 2, .rule = PathRule::kGaussLegendre})
                         .at<double>({0, 0}) -
                     96),
            0.1);
  for (const PathRule rule : {PathRule::kMidpoint, PathRule::kTrapezoid}) {
    const auto error = [&](int64_t steps) {
      return std::abs(
          IntegratedGradients(f, x, 0, {.steps = steps, .rule = rule}).at<double>({0, 0}) - 96);
    };
    EXPECT_LT(error(201), 0.01);
    EXPECT_NEAR(error(101) / error(201), 4, 0.2);
  }
}

// The rows' attributions less what they should add up to.
template <class Model>
Doubles Gaps(const Model& model, const Tensor& x, const Tensor& baseline, const Tensor& found) {
  const Tensor wide = baseline.Expand(x.shape());
  const Doubles of_x = Narrow(model(x), 1, 2, 1).value().template ToVector<double>(),
                of_baseline = Narrow(model(wide), 1, 2, 1).value().template ToVector<double>(),
                sums = Sum(Cast(Reshape(found, {x.dim(0), -1}), DType::kFloat64), 1)
                           .value()
                           .template ToVector<double>();
  Doubles gaps;
  for (size_t i = 0; i < sums.size(); ++i) {
    EXPECT_GT(std::abs(of_x[i] - of_baseline[i]), 0.01);
    gaps.push_back(std::abs(sums[i] - (of_x[i] - of_baseline[i])));
  }
  return gaps;
}

double Worst(const Doubles& gaps) { return *std::max_element(gaps.begin(), gaps.end()); }

TEST(IntegratedGradientsTest, CompleteInFloat32) {
  Generator rng(1);
  const nn::Sequential net(nn::Conv2d({.in = 2, .out = 4, .kernel = 3}, rng), Silu, nn::Flatten(),
                           nn::Dense({.in = 144, .out = 3}, rng));
  const auto model = [&](const Variable& x) { return net(x); };
  const Tensor x = Random({3, 8, 8, 2}, 2, DType::kFloat32),
               baseline = Random({8, 8, 2}, 3, DType::kFloat32);
  for (const PathRule rule : kRules) {
    const Tensor found =
        IntegratedGradients(model, x, 2, {.baseline = baseline, .steps = 200, .rule = rule});
    EXPECT_EQ(found.dtype(), DType::kFloat32);
    const Doubles gaps = Gaps(model, x, baseline, found);
    EXPECT_LT(Worst(gaps), 1e-3);
    const Tensor told = explain::CompletenessGap(model, x, found, 2, baseline);
    ExpectNear(Abs(told).value(), Tensor::FromVector(gaps), 1e-6);
  }
}

// The gradient of relu and max-pooling jumps, many times between two images of noise. Fixed weights
// then err by 1 / steps; fitted ones do not.
TEST(IntegratedGradientsTest, CompleteWhereTheGradientJumps) {
  Generator rng(1);
  const SmallCnn cnn(rng);
  const Tensor x = Random({3, 8, 8, 2}, 2, DType::kFloat32),
               baseline = Random({8, 8, 2}, 3, DType::kFloat32);
  const auto attribute = [&](int64_t steps, PathRule rule) {
    return IntegratedGradients(cnn, x, 2, {.baseline = baseline, .steps = steps, .rule = rule});
  };
  const auto worst = [&](int64_t steps, PathRule rule) {
    return Worst(Gaps(cnn, x, baseline, attribute(steps, rule)));
  };
  EXPECT_LT(worst(200, PathRule::kMidpoint), 1e-2);
  EXPECT_LT(worst(4000, PathRule::kMidpoint), 1e-3);
  EXPECT_LT(worst(200, PathRule::kFitted), 1e-5);
  // It is the integral that they come nearer to, not its sum alone.
  const Tensor limit = attribute(20000, PathRule::kMidpoint);
  const auto error = [&](PathRule rule) {
    return Sum(Square(Variable(attribute(200, rule)) - limit)).item<float>();
  };
  EXPECT_LT(error(PathRule::kFitted), error(PathRule::kMidpoint));
}

// Images of a bar, upright or lying, or of none, in noise.
Tensor Bars(int64_t count) {
  Tensor images = Random({count, 16, 16, 1}, 8, DType::kFloat32);
  images = (Variable(images) * 0.3).value().Clone();
  for (int64_t i = 0; i < count; ++i) {
    if (i % 3 == 2) continue;
    images.Narrow(0, i, 1).Narrow(i % 3 + 1, 2 + i % 11, 2).Fill(1);
  }
  return images;
}

TEST(IntegratedGradientsTest, CompleteForATrainedNetOfReluAndMaxPooling) {
  Generator rng(1);
  nn::Sequential net(nn::Conv2d({.in = 1, .out = 8, .kernel = 3}, rng), Relu, nn::MaxPool2d(),
                     nn::Conv2d({.in = 8, .out = 16, .kernel = 3}, rng), Relu, nn::MaxPool2d(),
                     nn::Flatten(), nn::Dense({.in = 64, .out = 3}, rng));
  const Tensor x = Bars(48), baseline = Tensor::Zeros({16, 16, 1});
  std::vector<int64_t> labels(48);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i % 3);
  Adam adam(Parameters(net), {.learning_rate = 0.01});
  double loss = 1;
  for (int step = 0; step < 60; ++step) {
    const auto [value, gradients] = ValueAndGrad(
        [&] { return SoftmaxCrossEntropy(net(x), Tensor::FromVector(labels)); }, adam.parameters());
    adam.Step(gradients);
    loss = value.item<float>();
  }
  EXPECT_LT(loss, 0.1);
  const auto model = [&](const Variable& images) { return net(images); };
  // Worst of the 48: 7e-5. Midpoint 2.5e-2, trapezoid 3.8e-2, Gauss-Legendre 3.1e-2.
  const auto worst = [&](PathRule rule) {
    const Tensor found =
        IntegratedGradients(model, x, 2, {.steps = 200, .rule = rule, .batch_size = 960});
    return Worst(Gaps(model, x, baseline, found));
  };
  EXPECT_LT(worst(PathRule::kFitted), 1e-3);
  EXPECT_GT(worst(PathRule::kMidpoint), 1e-3);
}

TEST(IntegratedGradientsTest, CompleteInFloat64) {
  Generator rng(1);
  const auto net = InFloat64(nn::Sequential(nn::Conv2d({.in = 2, .out = 4, .kernel = 3}, rng), Tanh,
                                            nn::Flatten(), nn::Dense({.in = 144, .out = 3}, rng)));
  const auto model = [&](const Variable& x) { return net(x); };
  const Tensor x = Random({3, 8, 8, 2}, 2), baseline = Random({8, 8, 2}, 3);
  const auto worst = [&](PathRule rule, int64_t steps) {
    const Tensor found =
        IntegratedGradients(model, x, 2, {.baseline = baseline, .steps = steps, .rule = rule});
    return Worst(Gaps(model, x, baseline, found));
  };
  EXPECT_LT(worst(PathRule::kGaussLegendre, 60), 1e-10);
  EXPECT_LT(worst(PathRule::kMidpoint, 2000), 1e-6);
  EXPECT_LT(worst(PathRule::kTrapezoid, 2000), 1e-6);
  EXPECT_GT(worst(PathRule::kMidpoint, 3), 1e-6);
}

// The class is chosen at x and kept along the path.
TEST(IntegratedGradientsTest, TheLargestScoreIsThatOfX) {
  Generator rng(1);
  const SmallCnn cnn(rng);
  const Tensor x = Random({4, 8, 8, 2}, 5, DType::kFloat32);
  const Target chosen = Target::PerRow(ArgMax(cnn(x), 1).value().ToVector<int64_t>());
  EXPECT_TRUE(BitwiseEqual(IntegratedGradients(cnn, x), IntegratedGradients(cnn, x, chosen)));
  ExpectNear(IntegratedGradients(cnn, x), IntegratedGradients(cnn, x, {}, {.batch_size = 1}), 1e-6);
}

void ExpectError(absl::FunctionRef<void()> call, const char* text) {
  const std::string thrown = ThrownMessage(call);
  EXPECT_TRUE(absl::StrContains(thrown, text)) << thrown;
}

TEST(ExplainErrorsTest, NameWhatIsWrongAndTheLine) {
  Generator rng(1);
  const auto linear = [](const Target& target) { explain::Saliency(kLinear, kX, target); };
  ExpectError([&] { linear(2); },
              "[saliency] class 2 is not one of the 2 that the model gives (tests/nn/explain/");
  ExpectError([&] { linear(-1); }, "class -1 is not one of the 2");
  ExpectError([&] { linear(Target::PerRow({0})); },
              "the target has 1 classes for the 2 rows of x [2,3]");
  ExpectError([&] { explain::Saliency(kLinear, Tensor()); }, "[saliency] x is undefined");
  ExpectError(
      [&] {
        explain::Saliency(kLinear, Tensor::Zeros({2, 3}, DType::kInt64));
      },
      "[saliency] x is int64[2,3], expected floats");
  ExpectError(
      [&] {
        explain::InputTimesGradient(kLinear, Tensor::Zeros({0, 3}));
      },
      "[input_times_gradient] x is [0,3], expected [N, ...] with elements");
  ExpectError([&] { explain::Saliency([](const Variable& x) { return Sum(x); }, kX); },
              "the model gives [] for inputs [2,3], expected [2, classes] or [2]");
  ExpectError([&] { explain::Saliency([](const Variable& x) { return Floor(x.Detach()); }, kX); },
              "depend");
  ExpectError([&] { explain::SmoothGrad(kLinear, kX, {}, rng, {.samples = 0}); },
              "[smooth_grad] samples is 0, expected at least 1");
  ExpectError([&] { explain::SmoothGrad(kLinear, kX, {}, rng, {.noise_level = -1}); },
              "[smooth_grad] noise_level is -1");
  ExpectError([&] { IntegratedGradients(kLinear, kX, {}, {.baseline = Tensor::Zeros({2})}); },
              "[integrated_gradients] the baseline [2] does not expand to x [2,3]");
  ExpectError(
      [&] { IntegratedGradients(kLinear, kX, {}, {.steps = 1, .rule = PathRule::kTrapezoid}); },
      "steps is 1, expected at least 2");
  ExpectError([&] { explain::CompletenessGap(kLinear, kX, Tensor::Zeros({2})); },
              "[completeness_gap] the attributions are [2], not [2,3] (tests/nn/explain/");
  ExpectError([&] { IntegratedGradients(kLinear, kX, {}, {.batch_size = 0}); },
              "batch_size is 0, expected at least 1");
}

}  // namespace
}  // namespace wengert
