// Jvp, Hvp, Jacobian and Hessian against closed forms, and nested in each other and in Grad.
#include <cmath>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using Doubles = std::vector<double>;
Variable Constant(Doubles values, const Shape& shape) { return Tensor::FromVector(values, shape); }
Variable Constant(Doubles values) { return Tensor::FromVector(values); }
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }
Variable Cube(const Variable& x) { return x * x * x; }

void ExpectNear(const Variable& v, const Doubles& expected) {
  const Doubles values = Values(v);
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(values[i], expected[i], 1e-12 * (1 + std::abs(expected[i]))) << i;
  }
}

const Doubles kX = {1, -2, 0.5};

TEST(TransformsTest, Jvp) {
  const Variable x = Constant(kX), t = Constant({1, 10, 100});
  const auto [y, dy] = Jvp([](VariableSpan v) { return Exp(v[0]); }, {&x, 1}, {&t, 1});
  ExpectNear(y, {std::exp(1), std::exp(-2), std::exp(0.5)});
  ExpectNear(dy, {std::exp(1), 10 * std::exp(-2), 100 * std::exp(0.5)});
}

TEST(TransformsTest, JvpOfSeveralInputsAddsUp) {
  const Variable a = Constant({1, 2, 3, 4}, {2, 2}), b = Constant({5, 6, 7, 8}, {2, 2});
  const Variable ta = Constant({1, 0, 0, 1}, {2, 2}), tb = Constant({0, 1, 1, 0}, {2, 2});
  const auto f = [](VariableSpan v) { return MatMul(v[0], v[1]); };
  const auto [y, dy] = Jvp(f, {{a, b}}, {{ta, tb}});
  ExpectNear(y, Values(MatMul(a, b)));
  ExpectNear(dy, Values(MatMul(ta, b) + MatMul(a, tb)));
}

TEST(TransformsTest, JvpOfALinearFunctionIsTheFunction) {
  const Variable x = Constant(kX), t = Constant({1, 10, 100});
  const auto f = [](VariableSpan v) { return Flip(v[0], 0) * 3; };
  const auto [y, dy] = Jvp(f, {&x, 1}, {&t, 1});
  ExpectNear(dy, {300, 30, 3});
}

TEST(TransformsTest, JvpOfAFunctionThatIgnoresItsInputIsZero) {
  const Variable x = Constant(kX), t = Constant({1, 10, 100}), c = Constant({4, 5});
  const auto [y, dy] = Jvp([&](VariableSpan) { return c * 2; }, {&x, 1}, {&t, 1});
  ExpectNear(y, {8, 10});
  ExpectNear(dy, {0, 0});
}

TEST(TransformsTest, JvpInsideJvp) {
  const Variable x = Constant(kX), t = Constant({1, 2, 3}), s = Constant({5, 7, 11});
  const auto inner = [&](VariableSpan v) {
    return Jvp([](VariableSpan u) { return Cube(u[0]); }, v, {&t, 1}).second;
  };
  const auto [dy, ddy] = Jvp(inner, {&x, 1}, {&s, 1});
  ExpectNear(dy, {3, 3 * 4 * 2, 3 * 0.25 * 3});
  ExpectNear(ddy, {6 * 1 * 1 * 5, 6 * -2 * 2 * 7, 6 * 0.5 * 3 * 11});
}

TEST(TransformsTest, Hvp) {
  const Variable x = Constant(kX), t = Constant({1, 10, 100});
  const auto f = [](VariableSpan v) { return Sum(Cube(v[0])); };
  ExpectNear(Hvp(f, {&x, 1}, {&t, 1})[0], {6, -120, 300});
}

TEST(TransformsTest, HvpOfSeveralInputsHasTheMixedTerms) {
  const Variable a = Constant({2}), b = Constant({3}), ta = Constant({1}), tb = Constant({10});
  const auto f = [](VariableSpan v) { return Sum(v[0] * v[0] * v[1]); };  // a^2 b
  const std::vector<Variable> products = Hvp(f, {{a, b}}, {{ta, tb}});
  ExpectNear(products[0], {2 * 3 * 1 + 2 * 2 * 10});
  ExpectNear(products[1], {2 * 2 * 1});
  const auto linear = [](VariableSpan v) { return Sum(v[0] * 2 + v[1]); };
  for (const Variable& product : Hvp(linear, {{a, b}}, {{ta, tb}})) ExpectNear(product, {0});
}

TEST(TransformsTest, JacobianHasTheShapesOfBoth) {
  const Variable x = Constant({1, 2, 3, 4, 5, 6}, {2, 3});
  const Variable w = Constant({1, 2, 3, 4, 5, 6}, {3, 2});
  const Variable jacobian = Jacobian([&](const Variable& v) { return MatMul(v, w); }, x);
  ASSERT_EQ(jacobian.shape(), (Shape{2, 2, 2, 3}));
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      for (int64_t k = 0; k < 2; ++k) {
        for (int64_t l = 0; l < 3; ++l) {
          EXPECT_EQ(jacobian.value().at<double>({i, j, k, l}),
                    i == k ? w.value().at<double>({l, j}) : 0);
        }
      }
    }
  }
}

TEST(TransformsTest, JacobianOfScalarsConstantsAndNothing) {
  const Variable x = Constant(kX);
  ExpectNear(Jacobian([](const Variable& v) { return Sum(Cube(v)); }, x), {3, 12, 0.75});
  const Variable constant = Jacobian([](const Variable&) { return Constant({1, 2}); }, x);
  EXPECT_EQ(constant.shape(), (Shape{2, 3}));
  ExpectNear(constant, Doubles(6));
  const Variable empty = Jacobian([](const Variable& v) { return Narrow(v, 0, 0, 0); }, x);
  EXPECT_EQ(empty.shape(), (Shape{0, 3}));
  const Variable scalar = Constant({2}, {});
  const Variable derivative = Jacobian(&Cube, scalar);
  EXPECT_EQ(derivative.rank(), 0);
  EXPECT_EQ(derivative.item<double>(), 12);
}

TEST(TransformsTest, HessianOfAQuadraticForm) {
  const Variable a = Constant({1, 2, 3, 4, 5, 6, 7, 8, 9}, {3, 3}), x = Constant(kX, {3, 1});
  const Variable hessian =
      Hessian([&](const Variable& v) { return Sum(MatMul(Transpose(v), MatMul(a, v))); }, x);
  EXPECT_EQ(hessian.shape(), (Shape{3, 1, 3, 1}));
  ExpectNear(hessian, Values(a + Transpose(a)));
}

TEST(TransformsTest, HessianOfLogSumExpIsTheSoftmaxCovariance) {
  const Variable x = Constant(kX);
  const Doubles p = Values(Softmax(x));
  Doubles expected;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) expected.push_back((i == j ? p[i] : 0) - p[i] * p[j]);
  }
  ExpectNear(Hessian([](const Variable& v) { return LogSumExp(v); }, x), expected);
}

TEST(TransformsTest, HessianOfALinearFunctionIsZero) {
  const Variable x = Constant(kX);
  ExpectNear(Hessian([](const Variable& v) { return Sum(v * 2); }, x), Doubles(9));
}

TEST(TransformsTest, NestedJacobiansAndHessians) {
  const Variable x = Constant(kX);
  const auto sum_of_cubes = [](const Variable& v) { return Sum(Cube(v)); };
  const Doubles hessian = {6, 0, 0, 0, -12, 0, 0, 0, 3};
  ExpectNear(Hessian(sum_of_cubes, x), hessian);
  ExpectNear(Jacobian([&](const Variable& v) { return Jacobian(sum_of_cubes, v); }, x), hessian);
  const Variable third = Jacobian([&](const Variable& v) { return Hessian(sum_of_cubes, v); }, x);
  ASSERT_EQ(third.shape(), (Shape{3, 3, 3}));
  Doubles expected(27);
  for (int i = 0; i < 3; ++i) expected[i * 13] = 6;
  ExpectNear(third, expected);
  // d^4 of sum v^4.
  const auto quartic = [](const Variable& v) { return Sum(Square(Square(v))); };
  const Variable fourth =
      Hessian([&](const Variable& v) { return Sum(Hessian(quartic, v)); }, Constant({2, 5}));
  ExpectNear(fourth, {24, 0, 0, 24});
}

TEST(TransformsTest, GradGoesThroughATransform) {
  const Variable w = DifferentiableLeaf(Tensor::FromVector(Doubles{2, 3, 4}));
  const Variable x = Constant(kX), t = Constant({1, 10, 100});
  const auto f = [&](VariableSpan v) { return Sum(Cube(v[0]) * w * w); };
  // f's Hessian is 6 x w^2 on the diagonal.
  ExpectNear(Grad(Sum(Hvp(f, {&x, 1}, {&t, 1})[0]), w),
             {12 * 1 * 2 * 1, 12 * -2 * 3 * 10, 12 * 0.5 * 4 * 100});
  ExpectNear(Grad(Jvp(f, {&x, 1}, {&t, 1}).second, w),
             {6 * 1 * 2 * 1, 6 * 4 * 3 * 10, 6 * 0.25 * 4 * 100});
  // At a point that is itself differentiated, the point's gradient flows on.
  ExpectNear(Grad(Sum(Jacobian(&Cube, w)), w), {12, 18, 24});
}

TEST(TransformsTest, HvpAgreesWithTheHessian) {
  const Variable x = Constant(kX), t = Constant({0.25, -1, 2}), w = Constant({1, -1, 2});
  const auto f = [&](const Variable& v) {
    return Sum(Tanh(v * w)) * Sum(Exp(v)) + MeanSquaredError(v * v, w);
  };
  const Variable product = MatMul(Hessian(f, x), Reshape(t, {3, 1}));
  ExpectNear(Hvp([&](VariableSpan v) { return f(v[0]); }, {&x, 1}, {&t, 1})[0], Values(product));
}

TEST(TransformsTest, ADirectionOfAnotherShapeIsAnError) {
  const Variable x = Constant(kX), t = Constant({1, 2});
  const auto f = [](VariableSpan v) { return Sum(v[0]); };
  for (const bool hvp : {false, true}) {
    try {
      hvp ? static_cast<void>(Hvp(f, {&x, 1}, {&t, 1})) : static_cast<void>(Jvp(f, {&x, 1}, {}));
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.op(), hvp ? "hvp" : "jvp");
      EXPECT_EQ(error.message(), hvp ? "direction 0 is float64[2], but its input is float64[3]"
                                     : "0 directions for 1 inputs");
    }
  }
}

TEST(TransformsTest, UnderNoGradGuardTheDerivativeIsNoSilentZero) {
  const NoGradGuard no_grad;
  const Variable x = Constant(kX), t = Constant({1, 10, 100});
  const auto f = [](VariableSpan v) { return Sum(Cube(v[0])); };
  const Doubles diagonal = {3, 0, 0, 0, 12, 0, 0, 0, 0.75};
  ExpectNear(Jacobian(&Cube, x), diagonal);
  ExpectNear(Hessian(
                 [&](const Variable& v) {
                   return f({&v, 1});
                 },
                 x),
             {6, 0, 0, 0, -12, 0, 0, 0, 3});
  ExpectNear(Hvp(f, {&x, 1}, {&t, 1})[0], {6, -120, 300});
  ExpectNear(Jvp(f, {&x, 1}, {&t, 1}).second, {3 + 120 + 75});
}

}  // namespace
}  // namespace wengert
