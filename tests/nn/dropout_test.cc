// SpatialDropout and AlphaDropout: what drops together, what stays of the moments, gradients.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "nn/layers.h"
#include "nn/sequential.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using Doubles = std::vector<double>;
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }
void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
}
// The derivative at x: the generator starts anew at each call, so that f is a function.
GradientReport CheckInTraining(const std::function<Variable(const Variable&)>& f, const Shape& x) {
  Generator rng(1);
  const Variable at = Normal(x, rng, 0, 1, DType::kFloat64);
  return CheckGradients(
      [&](VariableSpan in) {
        Generator same(2);
        const TrainingScope training(same);
        return f(in[0]);
      },
      {&at, 1});
}

TEST(SpatialDropoutTest, DropsWholeChannels) {
  const nn::SpatialDropout dropout{.rate = 0.25};
  constexpr int64_t kExamples = 200, kPositions = 6, kChannels = 100;
  for (const Shape& shape :
       {Shape{kExamples, kPositions, kChannels}, {kExamples, 2, 3, kChannels}}) {
    const Variable x = Tensor::Full(shape, 3);
    EXPECT_EQ(Values(dropout(x)), Values(x));
    Generator rng(5);
    Doubles y, second;
    {
      const TrainingScope training(rng);
      y = Values(dropout(x));
      second = Values(dropout(x));
    }
    EXPECT_NE(y, second);
    int64_t dropped = 0;
    for (int64_t n = 0; n < kExamples; ++n) {
      for (int64_t c = 0; c < kChannels; ++c) {
        const double first = y[n * kPositions * kChannels + c];
        EXPECT_TRUE(first == 0 || std::abs(first - 4) < 1e-5) << first;
        dropped += first == 0;
        for (int64_t p = 1; p < kPositions; ++p) {
          ASSERT_EQ(y[(n * kPositions + p) * kChannels + c], first);
        }
      }
    }
    // Standard deviation of the count: sqrt(2e4 * 0.25 * 0.75) = 61.
    EXPECT_NEAR(static_cast<double>(dropped), 5'000, 5 * 61);
  }
}

TEST(SpatialDropoutTest, GradientsAreRight) {
  const nn::SpatialDropout dropout{.rate = 0.5};
  for (const Shape& shape : {Shape{3, 4, 5}, {2, 3, 2, 4}, {2, 0, 3}}) {
    const GradientReport report = CheckInTraining(dropout, shape);
    EXPECT_TRUE(report.ok) << report.text;
  }
}

TEST(SpatialDropoutTest, RefusesWhatHasNoPositions) {
  Generator rng(1);
  const TrainingScope training(rng);
  const nn::SpatialDropout half{.rate = 0.5};
  const std::string text = ThrownMessage([&] { half(Tensor::Ones({2, 3})); });
  EXPECT_EQ(text, absl::StrCat("[spatial_dropout] x is [2,3], not [N, ..., C] of rank 3 or more (",
                               __FILE__, ":", __LINE__ - 2, ")"));
  for (const double rate : {-0.1, 1.0, std::nan("")}) {
    ExpectHas(ThrownMessage([&] {
                nn::SpatialDropout{rate}(Tensor::Ones({2, 3, 4}));
              }),
              "[dropout] rate must be in [0, 1)");
  }
  EXPECT_EQ(Values(nn::SpatialDropout{0}(Tensor::Ones({1, 2, 2}))), Doubles(4, 1));
}

TEST(AlphaDropoutTest, KeepsMeanAndVariance) {
  Generator rng(6);
  constexpr int64_t kCount = 400'000;
  const Variable x = Normal({kCount}, rng, 0, 1, DType::kFloat64);
  for (const double rate : {0.05, 0.2, 0.5}) {
    const nn::AlphaDropout dropout{.rate = rate};
    EXPECT_EQ(Values(dropout(x)), Values(x));
    const TrainingScope training(rng);
    const Doubles y = Values(dropout(x));
    double mean = 0, variance = 0;
    for (const double v : y) mean += v / kCount;
    for (const double v : y) variance += (v - mean) * (v - mean) / kCount;
    EXPECT_NEAR(mean, 0, 5 / std::sqrt(static_cast<double>(kCount)));
    EXPECT_NEAR(variance, 1, 0.015);
  }
}

TEST(AlphaDropoutTest, SetsElementsToTheLimitOfSelu) {
  // By hand, at rate 1/2: alpha' = -1.0507009873554805 * 1.6732632423543772, a = (1/2 + alpha'^2 /
  // 4)^(-1/2) = 0.8864049, b = -a alpha' / 2 = 0.7791939.
  Generator rng(7);
  const TrainingScope training(rng);
  const Doubles y = Values(nn::AlphaDropout{.rate = 0.5}(Tensor::Full({10'000}, 2)));
  int64_t dropped = 0;
  for (const double v : y) {
    const bool low = v < 0;
    EXPECT_NEAR(v, low ? -0.7791939 : 2 * 0.8864049 + 0.7791939, 1e-6);
    dropped += low;
  }
  EXPECT_NEAR(static_cast<double>(dropped), 5'000, 5 * 50);
}

TEST(AlphaDropoutTest, GradientsAreRight) {
  for (const Shape& shape : {Shape{}, {7}, {3, 4}, {0, 2}}) {
    const GradientReport report = CheckInTraining(nn::AlphaDropout{.rate = 0.3}, shape);
    EXPECT_TRUE(report.ok) << report.text;
  }
}

TEST(AlphaDropoutTest, RefusesOtherRates) {
  for (const double rate : {-0.1, 1.0, std::nan("")}) {
    const std::string text = ThrownMessage([&] { nn::AlphaDropout{rate}(Tensor::Ones({2})); });
    ExpectHas(text, "[alpha_dropout] rate must be in [0, 1): ");
    ExpectHas(text, absl::StrCat(__FILE__, ":", __LINE__ - 2));
  }
  Generator rng(1);
  const TrainingScope training(rng);
  EXPECT_EQ(Values(nn::AlphaDropout{0}(Tensor::Ones({2}))), Doubles(2, 1));
}

TEST(DropoutLayersTest, StandInASequentialAndRepeatWithTheSeed) {
  const nn::Sequential model(nn::SpatialDropout{.rate = 0.3}, nn::AlphaDropout{.rate = 0.3});
  const Variable x = Tensor::Ones({4, 5, 6});
  EXPECT_EQ(Values(model(x)), Values(x));
  const auto run = [&](uint64_t seed) {
    Generator rng(seed);
    const TrainingScope training(rng);
    return Values(model(x));
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  // A Checkpoint draws the same numbers when it computes the model again.
  const Variable leaf = DifferentiableLeaf(x.value());
  const auto gradient = [&](bool checkpoint) {
    Generator rng(3);
    const TrainingScope training(rng);
    const auto f = [&](VariableSpan in) { return Square(model(in[0])); };
    return Values(Grad(Sum(checkpoint ? Checkpoint(f, {leaf}) : f({&leaf, 1})), leaf));
  };
  EXPECT_EQ(gradient(true), gradient(false));
}

}  // namespace
}  // namespace wengert
