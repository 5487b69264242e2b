#include "autograd/check_gradients.h"

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "autograd/op.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

Tensor Ramp(const Shape& shape, double low = -1.3, double high = 1.7) {
  std::vector<double> values(NumElements(shape));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = low + (high - low) * static_cast<double>(i * 7 % values.size()) /
                          static_cast<double>(values.size());
  }
  return Tensor::FromVector(values, shape);
}

// x^3 element by element, with a mistake in the gradient of one element: `factor` in place of 3.
struct Cube : Op<Cube> {
  static constexpr std::string_view kName = "cube";
  int64_t wrong = -1;
  double factor = 3;
  bool detach = false;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    std::vector<double> values = x[0].ToVector<double>();
    for (double& value : values) value = value * value * value;
    y.CopyFrom(Tensor::FromVector(values, x[0].shape()));
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    std::vector<double> factors(x[0].size(), 3);
    if (wrong >= 0) factors[wrong] = factor;
    const Variable base = detach ? x[0].Detach() : x[0];
    return {dy * base * base * Variable(Tensor::FromVector(factors, x[0].shape()))};
  }
};

TEST(CheckGradients, AcceptsRightDerivatives) {
  const GradientReport report = CheckGradients(
      [](VariableSpan x) { return Tanh(x[0] * x[1]) + Exp(x[0]); }, {Ramp({3, 4}), Ramp({4})});
  EXPECT_TRUE(report.ok) << report.text;
  ASSERT_EQ(report.orders.size(), 2);
  EXPECT_LT(report.orders[0].relative_error, 1e-9);
  EXPECT_LT(report.orders[1].relative_error, 1e-9);
  EXPECT_EQ(report.orders[0].input, -1);
  EXPECT_THAT(report.text, StartsWith("order 1: relative error "));
  std::ostringstream printed;
  printed << report;
  EXPECT_EQ(printed.str(), report.text);
}

TEST(CheckGradients, NamesTheWorstElement) {
  const GradientReport report = CheckGradients(
      [](VariableSpan x) { return x[0] + Apply(Cube{.wrong = 7, .factor = 3.1}, {x[1]}); },
      {Ramp({3, 4}), Ramp({3, 4})}, {.orders = 1});
  EXPECT_FALSE(report.ok);
  const GradientError& error = report.orders[0];
  EXPECT_EQ(error.input, 1);
  EXPECT_THAT(error.element, ElementsAre(1, 3));
  EXPECT_NEAR(error.analytic / error.numeric, 3.1 / 3, 1e-6);
  EXPECT_NEAR(error.element_error, 0.1 / 3.1, 1e-6);
  EXPECT_THAT(report.text, StartsWith("order 1: input 1 element [1,3]: analytic "));
  EXPECT_THAT(report.text, HasSubstr(" > 1e-06"));
}

TEST(CheckGradients, FindsOneElementAmongMany) {
  const GradientReport report = CheckGradients(
      [](VariableSpan x) { return Apply(Cube{.wrong = 4321, .factor = 3.001}, {x[0]}); },
      {Ramp({100, 100})}, {.orders = 1, .max_elements = 10});
  EXPECT_FALSE(report.ok);
  EXPECT_THAT(report.orders[0].element, ElementsAre(43, 21));
}

TEST(CheckGradients, SeesASecondDerivativeThatIsCut) {
  const auto f = [](VariableSpan x) { return Apply(Cube{.detach = true}, {x[0]}); };
  EXPECT_TRUE(CheckGradients(f, {Ramp({5})}, {.orders = 1}).ok);
  const GradientReport report = CheckGradients(f, {Ramp({5})});
  EXPECT_FALSE(report.ok);
  EXPECT_LT(report.orders[0].relative_error, 1e-6);
  EXPECT_GT(report.orders[1].relative_error, 0.1);
}

TEST(CheckGradients, AKinkWithinTheStepIsNotAnError) {
  const GradientReport report =
      CheckGradients([](VariableSpan x) { return Relu(x[0]); },
                     {Tensor::FromVector(std::vector<double>{1e-4, -2e-4, 1, -1})});
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(CheckGradients, SmallAndLargeNumbers) {
  for (const double scale : {1e-6, 1e6}) {
    const GradientReport report = CheckGradients(
        [&](VariableSpan x) { return Exp(x[0] / scale) * scale; }, {Ramp({6}, -scale, 2 * scale)});
    EXPECT_TRUE(report.ok) << report.text;
  }
}

TEST(CheckGradients, NanIsAnError) {
  const GradientReport report =
      CheckGradients([](VariableSpan x) { return Where(x[0] > 0, Sqrt(x[0]), 0); },
                     {Tensor::FromVector(std::vector<double>{1, -1})}, {.orders = 1});
  EXPECT_FALSE(report.ok);
  EXPECT_THAT(report.orders[0].element, ElementsAre(1));
  EXPECT_TRUE(std::isnan(report.orders[0].analytic));
}

TEST(CheckGradients, IntegersArePassedOn) {
  const Tensor mask = Tensor::FromVector(std::vector<bool>{true, false, true});
  const GradientReport report = CheckGradients(
      [](VariableSpan x) { return Where(x[0], Square(x[1]), x[1]); }, {mask, Ramp({3})});
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(CheckGradients, SeveralResultsAndUnusedInputs) {
  const GradientReport report = CheckGradients(
      [](VariableSpan x) {
        return std::vector<Variable>{Square(x[0]), x[0] > 0, Exp(x[0])};
      },
      {Ramp({3}), Ramp({2})});
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(CheckGradients, OfParametersNamesAndRestoresThem) {
  Parameter weight(Ramp({2, 3})), bias(Ramp({3}));
  weight.SetName("fc/weight");
  bias.SetName("fc/bias");
  const Tensor before = weight.value().Clone();
  const auto loss = [&] {
    return Square(weight.variable() + Apply(Cube{.wrong = 2, .factor = 2}, {bias.variable()}));
  };
  const GradientReport report = CheckGradients(loss, {weight, bias}, {.orders = 1});
  EXPECT_FALSE(report.ok);
  EXPECT_THAT(report.text, StartsWith("order 1: input 1 (fc/bias) element [2]: analytic "));
  EXPECT_TRUE(BitwiseEqual(weight.value(), before));
  EXPECT_EQ(weight.name(), "fc/weight");

  const auto right = [&] { return Tanh(weight.variable() * bias.variable()); };
  EXPECT_TRUE(CheckGradients(right, {weight, bias, weight}).ok);  // tied ones count once
}

TEST(CheckGradients, RestoresParametersAfterAnException) {
  Parameter weight(Ramp({3}));
  const Tensor before = weight.value().Clone();
  int calls = 0;
  const auto loss = [&] {
    if (++calls == 3) throw Error("loss", "no");
    return Square(weight.variable());
  };
  EXPECT_THROW(CheckGradients(loss, {weight}), Error);
  EXPECT_TRUE(BitwiseEqual(weight.value(), before));
}

TEST(CheckGradients, Float32IsAnError) {
  const auto square = [](VariableSpan x) { return Square(x[0]); };
  EXPECT_THAT(
      [&] {
        CheckGradients(square, {Tensor::Ones({2, 3})});
      },
      ThrowsMessage<Error>(StartsWith("[check_gradients] input 0 is float32[2,3]: "
                                      "differences are precise enough in float64 only")));
  Parameter weight(Tensor::Ones({4}));
  weight.SetName("cell/weight");
  EXPECT_THAT([&] { CheckGradients([&] { return Square(weight.variable()); }, {weight}); },
              ThrowsMessage<Error>(HasSubstr("parameter cell/weight is float32[4]")));
  EXPECT_THAT(
      [&] {
        CheckGradients([](VariableSpan x) { return Cast(x[0], DType::kFloat32); }, {Ramp({2})});
      },
      ThrowsMessage<Error>(HasSubstr("the function's result is float32[2]")));
}

TEST(CheckGradients, AFunctionThatChangesIsAnError) {
  int calls = 0;
  EXPECT_THAT([&] { CheckGradients([&](VariableSpan x) { return x[0] * ++calls; }, {Ramp({2})}); },
              ThrowsMessage<Error>(HasSubstr("different values for the same inputs")));
}

}  // namespace
}  // namespace wengert
