// Grad: several outputs and inputs, given cotangents, every order of derivative, and an Error where
// a silent zero would be wrong.
#include "autograd/grad.h"

#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/modes.h"
#include "autograd/op.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

Variable Leaf(std::vector<double> values) { return DifferentiableLeaf(Tensor::FromVector(values)); }
Variable Scalar(double value) {
  return DifferentiableLeaf(Tensor::Full({}, value, DType::kFloat64));
}
Variable Constant(std::vector<double> values) { return Tensor::FromVector(values); }
std::vector<double> Values(const Variable& v) { return v.value().ToVector<double>(); }
using Doubles = std::vector<double>;

// The text of the Error that `f` throws; empty if it throws none.
bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(GradTest, SeveralInputsInTheirOrder) {
  const Variable a = Leaf({1, 2}), b = Leaf({3, 4});
  const Variable y = Sum(a * a * b);
  const std::vector<Variable> gradients = Grad({&y, 1}, {{b, a}});
  ASSERT_EQ(gradients.size(), 2u);
  EXPECT_EQ(Values(gradients[0]), (Doubles{1, 4}));
  EXPECT_EQ(Values(gradients[1]), (Doubles{6, 16}));
}

TEST(GradTest, SeveralOutputsAddUp) {
  const Variable a = Scalar(3);
  const std::vector<Variable> outputs = {Square(a), a * 10, Square(a)};
  EXPECT_EQ(Grad(outputs, {&a, 1})[0].item<double>(), 6 + 10 + 6);
}

TEST(GradTest, CotangentsWeighTheOutputs) {
  const Variable a = Leaf({1, 2, 3});
  const std::vector<Variable> outputs = {a * a, Sum(a)};
  const Variable seven = Tensor::Full({}, 7, DType::kFloat64);
  const GradOptions options{.cotangents = {Constant({1, 10, 100}), seven}};
  EXPECT_EQ(Values(Grad(outputs, {&a, 1}, options)[0]), (Doubles{2 + 7, 40 + 7, 600 + 7}));
}

TEST(GradTest, DifferentiatesThroughItsCotangents) {
  const Variable a = Leaf({1, 2}), u = Leaf({5, 7});
  const Variable vjp = Grad(a * a * a, a, {.cotangents = {u}, .create_graph = true});
  EXPECT_EQ(Values(vjp), (Doubles{15, 84}));
  EXPECT_EQ(Values(Grad(Sum(vjp), u)), (Doubles{3, 12}));
  EXPECT_EQ(Values(Grad(Sum(vjp), a)), (Doubles{30, 84}));
}

TEST(GradTest, CreateGraphToOrderThree) {
  const Variable x = Leaf({0.5, -1.25});
  const GradOptions graph{.create_graph = true};
  const Variable first = Grad(Sum(Exp(x * 2) * x), x, graph);
  const Variable second = Grad(Sum(first), x, graph);
  const Variable third = Grad(Sum(second), x);
  for (int i = 0; i < 2; ++i) {
    const double v = Values(x)[i], e = std::exp(2 * v);
    EXPECT_NEAR(Values(first)[i], e * (1 + 2 * v), 1e-12);
    EXPECT_NEAR(Values(second)[i], e * (4 + 4 * v), 1e-12);
    EXPECT_NEAR(Values(third)[i], e * (12 + 8 * v), 1e-12);
  }
}

TEST(GradTest, EveryOrderOfAPolynomial) {
  const Variable x = Scalar(2);
  Variable y = x * x * x * x * x;
  for (const double expected : {80., 160., 240., 240., 120.}) {
    y = Grad(y, x, {.create_graph = true});
    EXPECT_EQ(y.item<double>(), expected);
  }
}

TEST(GradTest, AnUnusedInputIsAnErrorOrZero) {
  const Variable a = Scalar(3), b = Leaf({1, 2});
  const Variable y = Square(a);
  const std::string text = ThrownMessage([&] { Grad({&y, 1}, {{a, b}}); });
  EXPECT_TRUE(Has(text, "[grad] no output depends on input 1, float64[2]")) << text;
  const std::vector<Variable> gradients = Grad({&y, 1}, {{a, b}}, {.unused = Unused::kZero});
  EXPECT_EQ(gradients[0].item<double>(), 6);
  EXPECT_EQ(Values(gradients[1]), (Doubles{0, 0}));
  // Reached, but only where no gradient flows.
  EXPECT_EQ(Values(Grad(Sum(b.Detach() * 2) + y, b, {.unused = Unused::kZero})), (Doubles{0, 0}));
}

TEST(GradTest, InteriorValuesAreInputsToo) {
  const Variable w = Scalar(2);
  const Variable h = w * w, k = h * 3;
  const Variable y = h * k;
  const std::vector<Variable> gradients = Grad({&y, 1}, {{w, h, k}});
  EXPECT_EQ(gradients[0].item<double>(), 3 * 4 * 8);  // 3 w^4
  EXPECT_EQ(gradients[1].item<double>(), 12 + 3 * 4);
  EXPECT_EQ(gradients[2].item<double>(), 4);
  EXPECT_EQ(Grad(h, h).item<double>(), 1);
  EXPECT_EQ(Grad(w, w).item<double>(), 1);
}

TEST(GradTest, AnInteriorInputSparesWhatLiesBelow) {
  const Variable w = Scalar(3);
  const Variable w1 = w - Grad(Square(w), w) * 0.1;  // no create_graph: constant in the update
  EXPECT_NEAR(Grad(Square(w1), w1).item<double>(), 2 * 2.4, 1e-12);
}

TEST(GradTest, TheSameInputAndOutputTwice) {
  const Variable a = Scalar(5);
  const Variable h = a * 1, y = Square(h);
  for (const Variable& gradient : Grad({{y, y}}, {{a, a, a}})) {
    EXPECT_EQ(gradient.item<double>(), 20);
  }
  for (const Variable& gradient : Grad({{y, y}}, {{h, a, h}})) {
    EXPECT_EQ(gradient.item<double>(), 20);
  }
  EXPECT_EQ(Grad(a * a, a).item<double>(), 10);  // one op reads it twice
}

TEST(GradTest, EachOutputOfAnOpHasItsOwnCotangent) {
  const Variable x = Leaf({1, 2, 3, 4, 5, 6});
  const std::vector<Variable> parts = Split(x, {{1, 2, 3}}, 0);
  const Variable y = Sum(parts[2] * parts[2]) + Sum(parts[0]) * 10;
  EXPECT_EQ(Values(Grad(y, x)), (Doubles{10, 0, 0, 8, 10, 12}));
}

TEST(GradTest, AHundredThousandReadersOfOneValue) {
  constexpr int kReaders = 100'000;
  const double total = kReaders * (kReaders - 1.0) / 2;
  for (const bool interior : {false, true}) {
    const Variable w = Scalar(2);
    const Variable h = interior ? Square(w) : w;
    std::vector<Variable> readers;
    for (int i = 0; i < kReaders; ++i) readers.push_back(h * i);
    EXPECT_EQ(Grad(readers, {&h, 1})[0].item<double>(), total);
    EXPECT_EQ(Grad(readers, {&w, 1})[0].item<double>(), total * (interior ? 4 : 1));
  }
}

TEST(GradTest, ErrorsSayWhatIsWrong) {
  const Variable a = Leaf({1, 2}), c = Constant({1, 2});
  const auto error = [](std::function<void()> f) { return ThrownMessage(f); };
  const std::string not_scalar = error([&] { Grad(a * 2, a); });
  EXPECT_TRUE(Has(not_scalar, "output [2] is not a scalar: give its cotangent")) << not_scalar;
  const std::string constant = error([&] { Grad(Sum(a * c), c); });
  EXPECT_TRUE(Has(constant, "input float64[2] does not require gradients")) << constant;
  const std::string shape = error([&] { Grad(a * 2, a, {.cotangents = {Constant({1})}}); });
  EXPECT_TRUE(Has(shape, "cotangent float64[1] for output float64[2]")) << shape;
  const Variable ones = Tensor::Ones({2});
  const std::string dtype = error([&] { Grad(a * 2, a, {.cotangents = {ones}}); });
  EXPECT_TRUE(Has(dtype, "cotangent float32[2] for output float64[2]")) << dtype;
  const std::string count = error([&] { Grad(a * 2, a, {.cotangents = {c, c}}); });
  EXPECT_TRUE(Has(count, "2 cotangents for 1 outputs")) << count;
  const std::string undefined = error([&] { Grad(a * 2, a, {.cotangents = {Variable()}}); });
  EXPECT_TRUE(Has(undefined, "undefined")) << undefined;
  EXPECT_TRUE(Has(error([&] { Grad(Variable(), a); }), "an output is undefined"));
  EXPECT_TRUE(Has(error([&] { Grad(Sum(a), Variable()); }), "an input is undefined"));
  EXPECT_TRUE(Has(error([&] { Grad(VariableSpan(), {&a, 1}); }), "no outputs"));
  EXPECT_TRUE(Has(error([&] { Grad({&a, 1}, VariableSpan()); }), "no inputs"));
  EXPECT_TRUE(Has(error([&] { DifferentiableLeaf(Tensor::Ones({2}, DType::kInt32)); }), "int32"));
}

TEST(GradTest, AGradientWithoutCreateGraphIsNeverASilentZero) {
  for (const Unused unused : {Unused::kError, Unused::kZero}) {
    const Variable w = Scalar(2);
    const GradOptions options{.unused = unused};
    const Variable gradient = Grad(w * w * w, w);
    for (const Variable& y : {gradient, gradient * 2, Square(gradient) + Square(w)}) {
      const std::string text = ThrownMessage([&] { Grad(y, w, options); });
      EXPECT_TRUE(Has(text, "taken without create_graph")) << text;
    }
    gradient.value();
    const std::string computed = ThrownMessage([&] { Grad(Exp(gradient), w, options); });
    EXPECT_TRUE(Has(computed, "taken without create_graph")) << computed;
    // Meant as a constant, it is one.
    EXPECT_EQ(Grad(gradient.Detach() * w, w, options).item<double>(), 12);
  }
}

TEST(GradTest, ValueAndGradGivesBothAndZerosForTheUnused) {
  const Parameter a(Tensor::Full({2}, 3)), unused(Tensor::Ones({4}));
  const std::vector<Parameter> parameters = {a, unused};
  const auto [value, gradients] = ValueAndGrad([&] { return Sum(Square(a)); }, parameters);
  EXPECT_EQ(value.item<float>(), 18);
  EXPECT_EQ(Values(gradients[0]), (Doubles{6, 6}));
  EXPECT_EQ(Values(gradients[1]), (Doubles{0, 0, 0, 0}));
  EXPECT_FALSE(value.requires_grad());
  EXPECT_FALSE(gradients[0].requires_grad());
}

TEST(GradTest, AGraphThatValueAndGradFreedIsAnError) {
  const Parameter p(Tensor::Full({}, 3));
  Variable kept;
  const auto [value, gradients] = ValueAndGrad(
      [&] {
        const Variable loss = Square(p);
        kept = loss * 2;
        return loss;
      },
      {&p, 1});
  EXPECT_EQ(kept.item<float>(), 18);
  for (const Unused unused : {Unused::kError, Unused::kZero}) {
    for (const Variable& y : {kept, value}) {
      const std::string text = ThrownMessage([&] { Grad(y, p, {.unused = unused}); });
      EXPECT_TRUE(Has(text, "this graph was freed: ValueAndGrad lets go")) << text;
    }
    const std::string text =
        ThrownMessage([&, &g = gradients[0]] { Grad(g, p, {.unused = unused}); });
    EXPECT_TRUE(Has(text, "without create_graph")) << text;
  }
}

TEST(GradTest, TheSumOfSliceCotangentsHasTheSameBitsComputedOrNot) {
  const Tensor values = Tensor::Arange(0.1, 1.3, 0.1, DType::kFloat64);
  Doubles expected;
  for (const bool compute_first : {false, true}) {
    const Variable x = DifferentiableLeaf(values);
    const Variable h = x / 3;
    const Variable low = Narrow(h, 0, 0, 8), high = Narrow(h, 0, 4, 8), all = Tanh(h);
    std::vector<Variable> ones(3);
    for (int i = 0; i < 2; ++i) ones[i] = Tensor::Full({8}, 0.3 + i, DType::kFloat64);
    ones[2] = Tensor::Ones({12}, DType::kFloat64);
    if (compute_first) Evaluate({{low, high, all}});
    const Doubles found = Values(Grad({{low, high, all}}, {&x, 1}, {.cotangents = ones})[0]);
    if (!compute_first) expected = found;
    EXPECT_EQ(found, expected);
  }
}

}  // namespace
}  // namespace wengert
