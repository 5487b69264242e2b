#include "nn/lbfgs.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

// The extended Rosenbrock function of n variables (Nocedal and Wright, exercise 7.1): each pair
// from
// (-1.2, 1), minimum 0 at 1.
Variable Rosenbrock(const Variable& x) {
  const int64_t half = x.shape()[0] / 2;
  const Variable a = Narrow(x, 0, 0, half, 2), b = Narrow(x, 0, 1, half, 2);
  return Sum(Square(1 - a) + Square(b - Square(a)) * 100);
}
Tensor Start(int64_t n, DType dtype) {
  std::vector<double> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(i % 2 ? 1 : -1.2);
  return Tensor::FromVector(values).To(dtype);
}

TEST(LbfgsTest, Rosenbrock) {
  for (const int64_t n : {2, 100}) {
    const Parameter x(Start(n, DType::kFloat64));
    Lbfgs lbfgs({x});
    int64_t calls = 0;
    const Lbfgs::Result result = lbfgs.Step([&] {
      ++calls;
      return ValueAndGrad([&] { return Rosenbrock(x); }, lbfgs.parameters());
    });
    EXPECT_TRUE(result.converged);
    EXPECT_EQ(result.evaluations, calls);
    EXPECT_LT(result.iterations, 60) << n;  // steepest descent takes thousands
    EXPECT_LT(result.evaluations, 90) << n;
    EXPECT_LT(result.loss, 1e-15);
    EXPECT_NEAR(result.loss, Rosenbrock(x).item<double>(), 1e-20);
    for (const double v : x.value().ToVector<double>()) EXPECT_NEAR(v, 1, 1e-7);
  }
}

TEST(LbfgsTest, Float32GoesAsFarAsItsNumbersDo) {
  const Parameter x(Start(10, DType::kFloat32));
  Lbfgs lbfgs({x});
  lbfgs.Step([&] { return ValueAndGrad([&] { return Rosenbrock(x); }, lbfgs.parameters()); });
  EXPECT_LT(Rosenbrock(x).item<double>(), 1e-8);
}

// Two parameters; sum of lambda x^2 / 2 with lambda from 1 to 1e4, and a shift.
TEST(LbfgsTest, AQuadraticOfCondition10000) {
  const Parameter a(Tensor::Zeros({2, 2}, DType::kFloat64)), b(Tensor::Zeros({}, DType::kFloat64));
  const Tensor lambda = Tensor::FromVector<double>({1, 10, 100, 1000}, {2, 2});
  Lbfgs lbfgs({a, b});
  const auto loss = [&] { return (Sum(lambda * Square(a - 3)) + Square(b + 2) * 1e4) * 0.5; };
  const Lbfgs::Result result = lbfgs.Step([&] { return ValueAndGrad(loss, lbfgs.parameters()); });
  EXPECT_TRUE(result.converged);
  EXPECT_LT(result.iterations, 40);
  for (const double v : a.value().ToVector<double>()) EXPECT_NEAR(v, 3, 1e-6);
  EXPECT_NEAR(b.value().item<double>(), -2, 1e-6);
  EXPECT_LE(result.largest_gradient, 1e-6);
}

TEST(LbfgsTest, EachStepMeetsTheStrongWolfeConditions) {
  constexpr double kC1 = 1e-4, kC2 = 0.9;
  const Parameter x(Start(6, DType::kFloat64));
  Lbfgs lbfgs({x}, {.max_iterations = 1});
  const auto both = [&] { return ValueAndGrad([&] { return Rosenbrock(x); }, lbfgs.parameters()); };
  for (int step = 0; step < 45; ++step) {
    const Tensor before = x.value();
    const ValueAndGradients from = both();
    const Lbfgs::Result result = lbfgs.Step(both);
    if (result.iterations == 0) break;
    const Variable moved = x.value() - before;
    const ValueAndGradients to = both();
    const double slope = Sum(moved * from.gradients[0]).item<double>();
    EXPECT_LT(slope, 0);
    EXPECT_LE(to.value.item<double>(), from.value.item<double>() + kC1 * slope + 1e-15);
    EXPECT_LE(std::abs(Sum(moved * to.gradients[0]).item<double>()), -kC2 * slope + 1e-15);
  }
  EXPECT_LT(Rosenbrock(x).item<double>(), 1e-6);
}

// The history goes on: ten steps of one iteration are one step of ten.
TEST(LbfgsTest, StepsGoOn) {
  const Parameter once(Start(4, DType::kFloat64)), often(Start(4, DType::kFloat64));
  Lbfgs one({once}, {.max_iterations = 10}), ten({often}, {.max_iterations = 1});
  one.Step([&] { return ValueAndGrad([&] { return Rosenbrock(once); }, one.parameters()); });
  for (int i = 0; i < 10; ++i) {
    ten.Step([&] { return ValueAndGrad([&] { return Rosenbrock(often); }, ten.parameters()); });
  }
  EXPECT_TRUE(BitwiseEqual(once.value(), often.value()));
}

// -log x is not finite where a full step would go.
TEST(LbfgsTest, StepsBackFromWhatIsNotFinite) {
  const Parameter x(Tensor::Full({1}, 0.02, DType::kFloat64));
  Lbfgs lbfgs({x});
  const auto loss = [&] { return Sum(x * 5 - Log(x)); };
  const Lbfgs::Result result = lbfgs.Step([&] { return ValueAndGrad(loss, lbfgs.parameters()); });
  EXPECT_TRUE(result.converged);
  EXPECT_NEAR(x.value().item<double>(), 0.2, 1e-6);
}

TEST(LbfgsTest, Misuse) {
  const Parameter x(Tensor::Ones({2}));
  EXPECT_EQ(ThrownMessage([&] { Lbfgs({x, x}); }), "[lbfgs] parameter 1  is parameter 0 again");
  EXPECT_EQ(ThrownMessage([&] { Lbfgs({x}, {.history = 0}); }),
            "[lbfgs] history is 0, expected a finite number above 0");
  EXPECT_EQ(ThrownMessage([&] { Lbfgs({x}, {.c1 = 0.95}); }),
            "[lbfgs] c1 and c2 are 0.95 and 0.9, expected 0 < c1 < c2 < 1");
  Lbfgs lbfgs({x});
  EXPECT_EQ(ThrownMessage([&] {
              lbfgs.Step([&] { return ValueAndGradients{Tensor::Ones({}), {}}; });
            }),
            "[lbfgs] 0 gradients for 1 parameters");
  EXPECT_EQ(ThrownMessage([&] {
              lbfgs.Step([&] {
                return ValueAndGradients{Tensor::Full({}, std::nan("")), {Tensor::Ones({2})}};
              });
            }),
            "[lbfgs] the loss is nan, or a gradient is not finite");
}

TEST(LbfgsTest, WhatTheClosureThrowsLeavesAnAcceptedPoint) {
  const Parameter x(Start(2, DType::kFloat64));
  Lbfgs lbfgs({x});
  int calls = 0;
  const std::string text = ThrownMessage([&] {
    lbfgs.Step([&] {
      if (++calls == 2) throw Error("test", "no more");
      return ValueAndGrad([&] { return Rosenbrock(x); }, lbfgs.parameters());
    });
  });
  EXPECT_EQ(text, "[test] no more");
  EXPECT_TRUE(BitwiseEqual(x.value(), Start(2, DType::kFloat64)));
}

}  // namespace
}  // namespace wengert
