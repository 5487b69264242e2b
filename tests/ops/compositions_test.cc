// Activations, rounding, logic and what else is made of the element-wise rows: against the formulas
// in float64 (gelu: values and slopes from PyTorch 2.15), float32 near them, derivatives to second
// order, other dtypes, errors.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using Doubles = std::vector<double>;
using Activation = Variable (*)(const Operand&);

const Doubles kX = {-6, -2, -0.5, 0, 1, 3.5};

void Expect(Activation f, const Doubles& values, const Doubles& slopes) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const double tolerance = dtype == DType::kFloat32 ? 4e-7 : 1e-15;
    const Variable x = DifferentiableLeaf(Tensor::FromVector(kX).To(dtype));
    const Variable y = f(x);
    const Variable slope = Grad(Sum(y), x);
    EXPECT_EQ(y.dtype(), dtype);
    for (size_t i = 0; i < kX.size(); ++i) {
      EXPECT_NEAR(y.value().ToVector<double>()[i], values[i], tolerance) << kX[i];
      EXPECT_NEAR(slope.value().ToVector<double>()[i], slopes[i], tolerance) << kX[i];
    }
  }
  Generator rng(1);
  const Variable x = Uniform({3, 5}, rng, -3, 3, DType::kFloat64);
  const GradientReport report =
      CheckGradients([&](VariableSpan v) { return f(v[0]); }, std::vector<Variable>{x});
  EXPECT_TRUE(report.ok) << report.text;
}

using Formula = double (*)(double);
void Expect(Activation f, Formula value, Formula slope) {
  Doubles values, slopes;
  for (const double x : kX) {
    values.push_back(value(x));
    slopes.push_back(slope(x));
  }
  Expect(f, values, slopes);
}

double SigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }
double SoftplusOf(double x) { return std::log1p(std::exp(x)); }

TEST(ActivationsTest, AreTheirFormulas) {
  Expect(
      &Silu, [](double x) { return x * SigmoidOf(x); },
      [](double x) { return SigmoidOf(x) * (1 + x * (1 - SigmoidOf(x))); });
  Expect(
      &Mish, [](double x) { return x * std::tanh(SoftplusOf(x)); },
      [](double x) {
        const double t = std::tanh(SoftplusOf(x));
        return t + x * (1 - t * t) * SigmoidOf(x);
      });
  Expect(
      &Softsign, [](double x) { return x / (1 + std::abs(x)); },
      [](double x) { return 1 / ((1 + std::abs(x)) * (1 + std::abs(x))); });
  Expect([](const Operand& x) { return HardTanh(x); },
         [](double x) { return std::clamp(x, -1., 1.); },
         [](double x) { return x >= -1 && x <= 1 ? 1. : 0.; });
  Expect(
      &HardSigmoid, [](double x) { return std::clamp(x / 6 + 0.5, 0., 1.); },
      [](double x) { return x >= -3 && x <= 3 ? 1. / 6 : 0.; });
  Expect([](const Operand& x) { return Elu(x, 0.7); },
         [](double x) { return x > 0 ? x : 0.7 * std::expm1(x); },
         [](double x) { return x > 0 ? 1 : 0.7 * std::exp(x); });
}

// Klambauer et al. 2017: a fixed point of mean 0 and variance 1.
TEST(ActivationsTest, SeluKeepsMeanAndVariance) {
  Generator rng(3);
  const Variable y = Selu(Normal({1'000'000}, rng));
  const auto [mean, variance] = Moments(y);
  EXPECT_NEAR(mean.item<float>(), 0, 5e-3);
  EXPECT_NEAR(variance.item<float>(), 1, 5e-3);
}

TEST(RoundingTest, IsTheCLibrarys) {
  const Doubles x = {-2.5, -1.5, -0.5, -0.2, 0, 0.5, 1.5, 2.5, 2.7, 1e9};
  for (const auto& [f, formula] : {std::pair<Activation, Formula>{&Floor, &std::floor},
                                   {&Ceil, &std::ceil},
                                   {&Round, &std::nearbyint},
                                   {&Trunc, &std::trunc}}) {
    const Variable leaf = DifferentiableLeaf(Tensor::FromVector(x));
    const Variable y = f(leaf);
    Doubles expected;
    for (const double v : x) expected.push_back(formula(v));
    EXPECT_EQ(y.value().ToVector<double>(), expected);
    EXPECT_EQ(Grad(Sum(y), leaf, {.unused = Unused::kZero}).value().ToVector<double>(),
              Doubles(x.size()));
    EXPECT_EQ(f(Tensor::FromVector<int64_t>({-3, 4})).value().ToVector<int64_t>(),
              (std::vector<int64_t>{-3, 4}));
  }
}

TEST(LogicTest, IsTruthOfNumbers) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  using Bools = std::vector<bool>;
  const auto bools = [](const Variable& v) {
    EXPECT_EQ(v.dtype(), DType::kBool);
    return v.value().ToVector<bool>();
  };
  const Tensor a = Tensor::FromVector<double>({0, 0, 2, nan}),
               b = Tensor::FromVector<int64_t>({0, 5, 1, 1});
  EXPECT_EQ(bools(LogicalAnd(a, b)), (Bools{false, false, true, true}));
  EXPECT_EQ(bools(LogicalOr(a, b)), (Bools{false, true, true, true}));
  EXPECT_EQ(bools(LogicalXor(a, b)), (Bools{false, true, false, false}));
  EXPECT_EQ(bools(LogicalNot(a)), (Bools{true, true, false, false}));
  EXPECT_EQ(bools(LogicalNot(LogicalAnd(a, 1))), (Bools{true, true, false, false}));
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const Tensor x = Tensor::FromVector<double>({1, nan, infinity, -infinity}).To(dtype);
    EXPECT_EQ(bools(IsNan(x)), (Bools{false, true, false, false}));
    EXPECT_EQ(bools(IsInf(x)), (Bools{false, false, true, true}));
    EXPECT_EQ(bools(IsFinite(x)), (Bools{true, false, false, false}));
  }
  EXPECT_EQ(bools(IsFinite(b)), Bools(4, true));
}

TEST(Atan2Test, IsTheCLibrarysInEveryQuadrant) {
  const double infinity = std::numeric_limits<double>::infinity();
  Doubles ys, xs, expected;
  for (const double y : {0.0, -0.0, 1.0, -1.0, 1e-30, 3e30, infinity, -infinity}) {
    for (const double x : {0.0, -0.0, 2.0, -2.0, 1e30, -1e-30, infinity, -infinity}) {
      ys.push_back(y);
      xs.push_back(x);
      expected.push_back(std::atan2(y, x));
    }
  }
  const Tensor y = Tensor::FromVector(ys), x = Tensor::FromVector(xs);
  EXPECT_EQ(Atan2(y, x).value().ToVector<double>(), expected);
  const std::vector<float> got =
      Atan2(y.To(DType::kFloat32), x.To(DType::kFloat32)).value().ToVector<float>();
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], 4e-7) << ys[i] << " " << xs[i];
    EXPECT_EQ(std::signbit(got[i]), std::signbit(expected[i])) << ys[i] << " " << xs[i];
  }
  EXPECT_TRUE(std::isnan(Atan2(Tensor::FromVector<float>({NAN}), 1).item<float>()));
}

TEST(FmodTest, HasTheSignOfTheDividend) {
  const Tensor a = Tensor::FromVector<double>({5.5, -5.5, 5.5, 1e17});
  const Tensor b = Tensor::FromVector<double>({2, 2, -2, 3});
  EXPECT_EQ(Fmod(a, b).value().ToVector<double>(), (Doubles{1.5, -1.5, 1.5, std::fmod(1e17, 3)}));
}

TEST(LerpTest, WeighsTheEnds) {
  const Tensor a = Tensor::FromVector<double>({1, 2}), b = Tensor::FromVector<double>({3, -2});
  EXPECT_EQ(Lerp(a, b, 0.25).value().ToVector<double>(), (Doubles{1.5, 1}));
}

TEST(GeluTest, IsPyTorchs) {
  Expect(&Gelu,
         {-5.919525869479969e-09, -0.04550026389635842, -0.15426876936299344, 0, 0.841344746068543,
          3.4991857982233756},
         {-3.546870945402639e-08, -0.08523180107819692, 0.13250487534383712, 0.5,
          1.0833154705876864, 1.0028217603536247});
}

TEST(GeluTest, ApproximationIsPyTorchs) {
  Expect(&GeluTanh,
         {-8.43964897967453e-11, -0.04540230591222494, -0.15428599017485606, 0, 0.8411919906082768,
          3.499383802344626},
         {-7.709976012836329e-10, -0.0860992566236183, 0.13263009646535764, 0.5, 1.0829640838457826,
          1.0024226437601167});
}

TEST(NormalCdfTest, IsThatOfTheErrorFunction) {
  Doubles values, slopes;
  for (const double x : kX) {
    values.push_back(std::erfc(-x / std::sqrt(2.0)) / 2);
    slopes.push_back(std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi));
  }
  Expect(&NormalCdf, values, slopes);
}

TEST(GeluTest, TakesIntegersAndRefusesNumbers) {
  for (const Activation f : {&Gelu, &GeluTanh}) {
    const Variable y = f(Tensor::FromVector<int32_t>({-2, 0}));
    EXPECT_EQ(y.dtype(), DType::kFloat32);
    EXPECT_NEAR(y.value().ToVector<float>()[0], -0.0455, 1e-4);
    const std::string text = ThrownMessage([&] { f(1.5); });
    EXPECT_NE(text.find("is an op of a Variable, not of a number"), std::string::npos) << text;
    EXPECT_NE(text.find(std::string(__FILE__) + ":" + std::to_string(__LINE__ - 2)),
              std::string::npos)
        << text;
  }
}

}  // namespace
}  // namespace wengert
