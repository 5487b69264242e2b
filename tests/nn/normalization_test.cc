// GroupNorm and RmsNorm against loops in float64, and what all normalizations leave out on request.
#include "nn/normalization.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/check_gradients.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "nn/module.h"
#include "nn/sequential.h"
#include "nn/summary.h"
#include "ops/ops.h"
#include "tests/nn/in_float64.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using Doubles = std::vector<double>;
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }
void ExpectNear(const Variable& v, const Doubles& expected, double tolerance) {
  const Doubles values = Values(v);
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << i;
}
template <class Layer>
void FillParameters(Layer& layer, Generator& rng) {
  for (Parameter& p : Parameters(layer)) p.Set(Normal(p.shape(), rng, 0, 1, p.dtype()));
}
template <class Layer>
void ExpectRightGradients(const Layer& layer, const Shape& shape) {
  Layer norm = InFloat64(layer);
  Generator rng(1);
  FillParameters(norm, rng);
  std::vector<Parameter> inputs = Parameters(norm);
  const Parameter x(Normal(shape, rng, 0.5, 1, DType::kFloat64).value());
  inputs.push_back(x);
  const GradientReport report = CheckGradients([&] { return norm(x); }, inputs);
  EXPECT_TRUE(report.ok) << ToString(shape) << "\n" << report.text;
}

// Straight from the paper: for every example and group, the mean and the variance of its elements.
Doubles GroupNormOf(const Doubles& x, int64_t examples, int64_t positions, int64_t channels,
                    int64_t groups, double epsilon, const Doubles& weight, const Doubles& bias) {
  Doubles y(x.size());
  const int64_t width = channels / groups;
  for (int64_t n = 0; n < examples; ++n) {
    for (int64_t g = 0; g < groups; ++g) {
      const auto each = [&](auto f) {
        for (int64_t p = 0; p < positions; ++p) {
          for (int64_t c = g * width; c < (g + 1) * width; ++c) {
            f((n * positions + p) * channels + c, c);
          }
        }
      };
      double mean = 0, variance = 0;
      const double count = static_cast<double>(positions * width);
      each([&](int64_t i, int64_t) { mean += x[i] / count; });
      each([&](int64_t i, int64_t) { variance += (x[i] - mean) * (x[i] - mean) / count; });
      each([&](int64_t i, int64_t c) {
        y[i] = (x[i] - mean) / std::sqrt(variance + epsilon) * weight[c] + bias[c];
      });
    }
  }
  return y;
}

TEST(GroupNormTest, NormalizesGroupsOfEachExample) {
  Generator rng(4);
  for (const Shape& shape : {Shape{3, 6}, {2, 5, 6}, {2, 3, 4, 6}, {1, 1, 1, 6}, {2, 1, 3, 2, 6}}) {
    for (const int64_t groups : {1, 2, 3, 6}) {
      SCOPED_TRACE(absl::StrCat(ToString(shape), " in ", groups));
      nn::GroupNorm norm({.size = 6, .groups = groups, .epsilon = 1e-3});
      FillParameters(norm, rng);
      const Variable x = Normal(shape, rng, 3, 2);
      const Variable y = norm(x);
      EXPECT_EQ(y.shape(), shape);
      const Doubles expected = GroupNormOf(Values(x), shape[0], x.size() / shape[0] / 6, 6, groups,
                                           1e-3, Values(norm.weight), Values(norm.bias));
      ExpectNear(y, expected, 2e-5);
      nn::GroupNorm exact = InFloat64(norm);
      ExpectNear(exact(x.value().To(DType::kFloat64)), expected, 1e-12);
    }
  }
}

TEST(GroupNormTest, OfAsManyGroupsAsChannelsIsInstanceNorm) {
  const nn::GroupNorm norm({.size = 2, .groups = 2, .epsilon = 0.75});
  // Channel 0 of the first example is 1, 2, 2, 7: mean 3, variance 5.5, and the root of 5.5 + 0.75
  // is 2.5. All others are constant.
  const Tensor x =
      Tensor::FromVector<double>({1, 5, 2, 5, 2, 5, 7, 5, 4, 4, 4, 4, 4, 4, 4, 4}, {2, 2, 2, 2});
  ExpectNear(norm(x), {-0.8, 0, -0.4, 0, -0.4, 0, 1.6, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1e-12);
}

TEST(GroupNormTest, DoesNotDependOnTheModeNorOnTheOtherExamples) {
  Generator rng(5);
  const nn::GroupNorm norm({.size = 4, .groups = 2});
  const Tensor x = Normal({3, 2, 2, 4}, rng).value();
  const Doubles all = Values(norm(x));
  const TrainingScope training(rng);
  EXPECT_EQ(Values(norm(x)), all);
  ExpectNear(norm(x.Narrow(0, 1, 1)), Doubles(all.begin() + 16, all.begin() + 32), 1e-6);
  EXPECT_EQ(norm(Tensor::Ones({0, 3, 4})).shape(), Shape({0, 3, 4}));
  EXPECT_EQ(Values(norm(Tensor::Ones({2, 0, 4}))), Doubles());
}

TEST(GroupNormTest, GradientsAreRight) {
  ExpectRightGradients(nn::GroupNorm({.size = 6, .groups = 2}), {2, 2, 3, 6});
  ExpectRightGradients(nn::GroupNorm({.size = 3, .groups = 3}), {2, 4, 3});
  ExpectRightGradients(nn::GroupNorm({.size = 4, .groups = 1, .use_bias = false}), {3, 4});
}

TEST(GroupNormTest, RefusesWhatItCannotGroup) {
  EXPECT_EQ(ThrownMessage([] { nn::GroupNorm({.size = 6, .groups = 4}); }),
            "[group_norm] 4 groups do not divide size = 6");
  EXPECT_EQ(ThrownMessage([] { nn::GroupNorm({.size = 6, .groups = 0}); }),
            "[group_norm] groups = 0, but must be positive");
  nn::GroupNorm norm({.size = 6, .groups = 2});
  NamedParameters(norm, "net/norm");
  const auto of = [&](const Shape& shape) {
    return ThrownMessage([&] { norm(Tensor::Ones(shape)); });
  };
  const std::string place =
      absl::StrCat(" (", __FILE__, ":", __LINE__ - 3, ", reading net/norm/weight)");
  EXPECT_EQ(of({2, 3, 5}), "[group_norm] x is [2,3,5], not [N, ..., 6]" + place);
  EXPECT_EQ(of({6}), "[group_norm] x is [6], not [N, ..., 6]" + place);
  EXPECT_EQ(of({}), "[group_norm] x is [], not [N, ..., 6]" + place);
}

TEST(RmsNormTest, DividesRowsByTheirRootMeanSquare) {
  nn::RmsNorm norm({.size = 4, .epsilon = 0.75});
  norm.weight.Set(Tensor::FromVector<float>({1, 1, 2, -1}));
  // The mean square of 1, 1, 2, 4 is 5.5, and the root of 5.5 + 0.75 is 2.5.
  ExpectNear(norm(Tensor::FromVector<float>({1, 1, 2, 4}, {1, 4})), {0.4, 0.4, 1.6, -1.6}, 1e-6);
  ExpectNear(norm(Tensor::FromVector<float>({1, 1, 2, 4})), {0.4, 0.4, 1.6, -1.6}, 1e-6);
  EXPECT_EQ(Values(norm(Tensor::Zeros({2, 1, 4}))), Doubles(8, 0));
  EXPECT_EQ(norm(Tensor::Ones({0, 4})).shape(), Shape({0, 4}));
  EXPECT_EQ(nn::RmsNorm({.size = 2}).epsilon, 1e-6);

  Generator rng(2);
  const Variable x = Normal({2, 3, 8}, rng, 1, 3);
  const Doubles in = Values(x);
  Doubles expected(in.size());
  for (size_t row = 0; row < 6; ++row) {
    double squares = 0;
    for (size_t i = 0; i < 8; ++i) squares += in[row * 8 + i] * in[row * 8 + i];
    for (size_t i = 0; i < 8; ++i) {
      expected[row * 8 + i] = in[row * 8 + i] / std::sqrt(squares / 8 + 1e-6);
    }
  }
  ExpectNear(nn::RmsNorm({.size = 8})(x), expected, 1e-5);
}

TEST(RmsNormTest, GradientsAreRight) {
  ExpectRightGradients(nn::RmsNorm({.size = 5}), {2, 3, 5});
  ExpectRightGradients(nn::RmsNorm({.size = 4, .use_weight = false}), {3, 4});
}

TEST(RmsNormTest, RefusesRowsOfAnotherSize) {
  const nn::RmsNorm norm({.size = 4});
  const std::string text = ThrownMessage([&] { norm(Tensor::Ones({2, 1})); });
  EXPECT_EQ(text, absl::StrCat("[rms_norm] x is [2,1], not [..., 4] (", __FILE__, ":", __LINE__ - 1,
                               ")"));
  EXPECT_EQ(ThrownMessage([] { nn::RmsNorm({.size = -1}); }),
            "[rms_norm] size = -1, but must be positive");
}

// Ones and zeros change nothing, so a layer without them gives what a new layer gives.
template <class Layer, class Options>
void ExpectPlain(Options options, const Variable& x, size_t parameters) {
  const Layer with(options);
  options.use_weight = false;
  Layer without(options);
  if constexpr (requires { options.use_bias; }) {
    Layer centered(options);
    EXPECT_EQ(Parameters(centered).size(), 1u);
    EXPECT_EQ(NamedParameters(centered)[0].name, "bias");
    options.use_bias = false;
    without = Layer(options);
  }
  EXPECT_EQ(Parameters(without).size(), 0u);
  EXPECT_EQ(NamedParameters(without).size(), parameters);
  EXPECT_EQ(Values(without(x)), Values(with(x)));
  Generator rng(1);
  const TrainingScope training(rng);
  EXPECT_EQ(Values(without(x)), Values(with(x)));
}

TEST(NormalizationTest, MayGoWithoutWeightAndBias) {
  Generator rng(1);
  const Variable x = Normal({5, 2, 4}, rng);
  ExpectPlain<nn::LayerNorm>(nn::LayerNorm::Options{.size = 4}, x, 0);
  ExpectPlain<nn::RmsNorm>(nn::RmsNorm::Options{.size = 4}, x, 0);
  ExpectPlain<nn::GroupNorm>(nn::GroupNorm::Options{.size = 4, .groups = 2}, x, 0);
  ExpectPlain<nn::BatchNorm>(nn::BatchNorm::Options{.size = 4}, x, 2);
  const std::string text =
      ThrownMessage([&] { nn::LayerNorm({.size = 3, .use_weight = false, .use_bias = false})(x); });
  EXPECT_NE(text.find("[layer_norm] x is [5,2,4], not [..., 3]"), std::string::npos) << text;
}

TEST(NormalizationTest, StandsInASequential) {
  nn::Sequential model(nn::GroupNorm({.size = 4, .groups = 2}), nn::RmsNorm({.size = 4}),
                       nn::LayerNorm({.size = 4}), nn::BatchNorm({.size = 4}));
  std::vector<std::string> names;
  for (const NamedParameter& named : NamedParameters(model)) names.push_back(named.name);
  EXPECT_EQ(names, (std::vector<std::string>{"0/weight", "0/bias", "1/weight", "2/weight", "2/bias",
                                             "3/weight", "3/bias", "3/running_mean",
                                             "3/running_variance"}));
  const ModelSummary summary = Summary(model, {2, 3, 4});
  EXPECT_EQ(summary.parameters, 9 * 4);
  EXPECT_EQ(summary.layers.back().output, Shape({2, 3, 4}));
}

}  // namespace
}  // namespace wengert
