#include "nn/explain/lime.h"

#include <cmath>

#include "absl/strings/match.h"
#include "tests/nn/explain/models.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using explain::Lime;
using explain::LimeExplanation;

// The regression finds w (x - baseline), and F(baseline) as the intercept.
TEST(LimeTest, OfALinearModel) {
  const Linear linear{Tensor::FromVector<double>({1, -2, 3, 4, -5, 6}, {3, 2})};
  const Tensor x = Tensor::FromVector<double>({1, 2, -3, 0.5, -1, 0}, {2, 3});
  const Tensor baseline = Tensor::FromVector<double>({1, -1, 2});
  Generator rng(1);
  const LimeExplanation found =
      Lime(linear, x, 1, rng, {.baseline = baseline, .samples = 50, .ridge = 0});
  ExpectNear(found.weights, Tensor::FromVector<double>({0, 12, -30, 1, 0, -12}, {2, 3}), 1e-9);
  ExpectNear(found.intercept, Tensor::Full({2}, 7 - 2 - 4 + 12), 1e-9);
  ExpectNear(found.r_squared, Tensor::Ones({2}), 1e-12);
  EXPECT_EQ(found.weights.dtype(), DType::kFloat64);
}

// With one segment, kept in k of the samples, the regression has a closed form: samples weigh 1
// where it is kept and e = exp(-1 / width^2) where not; the centered sum of squares is
// S = k m e / (k + m e) with m = samples - k, and the weight S / (S + ridge) of what is gained.
TEST(LimeTest, RidgeOfOneSegmentInClosedForm) {
  const auto sum = [](const Variable& x) { return Sum(x, 1) * 3; };
  const Tensor x = Tensor::Ones({1, 2}, DType::kFloat64);
  const Tensor one = Tensor::Zeros({2}, DType::kInt64);
  Generator rng(4), same(4);
  const double ridge = 2, width = 0.8, e = std::exp(-1 / (width * width));
  const LimeExplanation found = Lime(
      sum, x, {}, rng, {.segments = one, .samples = 40, .kernel_width = width, .ridge = ridge});
  const std::vector<double> drawn =
      Bernoulli({40, 1}, same, 0.5, DType::kFloat64).value().ToVector<double>();
  double k = 1;  // x itself
  for (size_t i = 1; i < drawn.size(); ++i) k += drawn[i];
  const double m = 40 - k, s = k * m * e / (k + m * e), weight = 6 * s / (s + ridge);
  EXPECT_NEAR(found.weights.item<double>(), weight, 1e-12);
  EXPECT_NEAR(found.intercept.item<double>(), (6 - weight) * k / (k + m * e), 1e-12);
  const double left = 1 - weight / 6;
  EXPECT_NEAR(found.r_squared.item<double>(), 1 - left * left, 1e-12);
}

// Only one quarter of the image matters to a function without a gradient: whether it has a bright
// pixel.
TEST(LimeTest, FindsTheSuperPixel) {
  const auto any = [](const Variable& x) {
    return Max(Narrow(Narrow(x, 1, 0, 4), 2, 4, 4), {1, 2, 3}) > 0.5;
  };
  const Tensor x = Tensor::Ones({1, 8, 8, 3});
  Generator rng(1);
  const LimeExplanation found =
      Lime(any, x, {}, rng, {.segments = explain::GridSegments(8, 8, 2, 2), .ridge = 0});
  ExpectNear(found.weights, Tensor::FromVector<double>({0, 1, 0, 0}, {1, 4}), 1e-9);
  const Tensor map = Gather(found.weights, explain::GridSegments(8, 8, 2, 2), 1).value();
  EXPECT_EQ(map.shape(), (Shape{1, 8, 8}));
  EXPECT_NEAR(map.at<double>({0, 3, 4}), 1, 1e-9);
}

TEST(LimeTest, OfAConstant) {
  const auto constant = [](const Variable& x) { return Sum(x * 0, 1) + 5; };
  Generator rng(1);
  const LimeExplanation found = Lime(constant, Tensor::Ones({1, 3}), {}, rng);
  ExpectNear(found.weights, Tensor::Zeros({1, 3}), 1e-12);
  ExpectNear(found.intercept, Tensor::Full({1}, 5), 1e-12);
  ExpectNear(found.r_squared, Tensor::Ones({1}), 0);
}

TEST(LimeTest, OfANetworkTheSeedDecides) {
  Generator weights(1);
  const SmallCnn cnn(weights);
  const Tensor x = Random({2, 8, 8, 2}, 2, DType::kFloat32);
  const auto run = [&](uint64_t seed, int64_t batch_size) {
    Generator rng(seed);
    return Lime(
        cnn, x, {}, rng,
        {.segments = explain::GridSegments(8, 8, 4, 4), .samples = 200, .batch_size = batch_size});
  };
  const LimeExplanation found = run(5, 64);
  EXPECT_TRUE(BitwiseEqual(found.weights, run(5, 64).weights));
  ExpectNear(found.weights, run(5, 7).weights, 1e-5);
  EXPECT_FALSE(BitwiseEqual(found.weights, run(6, 64).weights));
  for (const double r : found.r_squared.ToVector<double>()) {
    EXPECT_GT(r, 0.5);
    EXPECT_LT(r, 1);
  }
}

TEST(LimeTest, Errors) {
  const auto sum = [](const Variable& x) { return Sum(x, 1); };
  const Tensor x = Tensor::Ones({1, 4});
  Generator rng(1);
  const auto expect = [&](const explain::LimeOptions& options, const char* text) {
    const std::string thrown = ThrownMessage([&] { Lime(sum, x, {}, rng, options); });
    EXPECT_TRUE(absl::StrContains(thrown, text)) << thrown;
    EXPECT_TRUE(absl::StrContains(thrown, "lime_test.cc:")) << thrown;
  };
  expect({.samples = 1}, "[lime] samples is 1, expected at least 2");
  expect({.keep_probability = 1}, "keep_probability is 1, expected a number between 0 and 1");
  expect({.kernel_width = 0}, "kernel_width is 0, expected a finite number above 0");
  expect({.ridge = -1}, "ridge is -1, expected a finite number 0 or above");
  expect({.samples = 4, .ridge = 0}, "4 samples do not determine the weights of 4 segments");
  expect({.segments = Tensor::Zeros({3}, DType::kInt64)}, "the segments are [3] for x [1,4]");
  expect({.baseline = Tensor::Zeros({3})}, "the baseline [3] does not expand to x [1,4]");
}

}  // namespace
}  // namespace wengert
