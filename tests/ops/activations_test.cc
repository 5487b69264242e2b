// Gelu, its approximation and the normal distribution: values and slopes from PyTorch 2.15 in
// float64, float32 near them, derivatives to second order, other dtypes, errors.
#include <cmath>
#include <numbers>
#include <string>
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
