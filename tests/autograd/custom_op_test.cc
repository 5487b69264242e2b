// A user's own op, in a user's own file: attributes, several outputs, residuals, and a composite
// with a fused kernel. All of it differentiates as the library's own ops do.
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/composite.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using Doubles = std::vector<double>;
Variable Leaf(Doubles values) { return DifferentiableLeaf(Tensor::FromVector(values)); }
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }

// y = scale * x^power, with an attribute that owns memory.
struct PowerOp : Op<PowerOp> {
  static constexpr std::string_view kName = "my_power";
  static constexpr Uses kUses = Uses::Inputs();
  int power;
  std::shared_ptr<const Doubles> scales;  // one

  Spec Infer(VariableSpan x) const {
    if (x[0].rank() != 1) throw Error(kName, "rank 1 is needed: " + ToString(x[0].shape()));
    return {x[0].shape(), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    const Tensor in = x[0].Contiguous();
    for (int64_t i = 0; i < y.size(); ++i) {
      y.mutable_data<double>()[i] = (*scales)[0] * std::pow(in.data<double>()[i], power);
    }
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    if (power == 0) return {};  // zero
    auto lower = std::make_shared<const Doubles>(Doubles{(*scales)[0] * power});
    return {dy * Apply(PowerOp{.power = power - 1, .scales = std::move(lower)}, {x[0]})};
  }
};
Variable Power(const Variable& x, int power, double scale,
               SourceLocation where = SourceLocation::current()) {
  auto scales = std::make_shared<const Doubles>(Doubles{scale});
  return Apply(PowerOp{.power = power, .scales = std::move(scales)}, {x}, where);
}

TEST(CustomOpTest, AttributesAndEveryOrder) {
  const Variable x = Leaf({1, -2, 0.5});
  Variable y = Power(x, 3, 2);
  EXPECT_EQ(Values(y), (Doubles{2, -16, 0.25}));
  const GradOptions graph{.create_graph = true};
  y = Grad(Sum(y), x, graph);
  EXPECT_EQ(Values(y), (Doubles{6, 24, 1.5}));
  y = Grad(Sum(y), x, graph);
  EXPECT_EQ(Values(y), (Doubles{12, -24, 6}));
  y = Grad(Sum(y), x, graph);
  EXPECT_EQ(Values(y), (Doubles{12, 12, 12}));
  const GradientReport report =
      CheckGradients([](VariableSpan v) { return Power(v[0], 4, 0.5); }, {x.value()});
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(CustomOpTest, ItsShapeErrorsNameTheUsersLine) {
  const int line = __LINE__ + 2;
  try {
    Power(Tensor::Ones({2, 2}), 3, 1);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "[my_power] rank 1 is needed: [2,2] (" +
                                             std::string(__FILE__) + ":" + std::to_string(line) +
                                             ")");
  }
}

TEST(CustomOpTest, ItsAttributesAreFreedAndCopiedByACheckpoint) {
  const auto scales = std::make_shared<const Doubles>(Doubles{3});
  const Variable x = Leaf({2});
  {
    const Variable y = Checkpoint(
        [&](VariableSpan v) { return Apply(PowerOp{.power = 2, .scales = scales}, {v[0]}); }, {x});
    EXPECT_GT(scales.use_count(), 1);
    EXPECT_EQ(Values(y), (Doubles{12}));
    EXPECT_EQ(Values(Grad(Sum(y), x)), (Doubles{12}));
  }
  EXPECT_EQ(scales.use_count(), 1);
}

// {x^2, x^3} and, for the rule, the residual 3 x^2. Counts its calls.
struct SquareAndCubeOp : Op<SquareAndCubeOp> {
  static constexpr std::string_view kName = "square_and_cube";
  static constexpr Uses kUses = Uses::Input(0);
  static constexpr int kResiduals = 1;
  int* calls;

  Specs Infer(VariableSpan x) const {
    const Spec spec{x[0].shape(), x[0].dtype()};
    return {spec, spec, spec};
  }
  void Forward(TensorSpan x, absl::Span<Tensor> y) const {
    ++*calls;
    const Doubles in = x[0].ToVector<double>();
    for (size_t i = 0; i < in.size(); ++i) {
      y[0].mutable_data<double>()[i] = in[i] * in[i];
      y[1].mutable_data<double>()[i] = in[i] * in[i] * in[i];
      y[2].mutable_data<double>()[i] = 3 * in[i] * in[i];
    }
  }
  // A cotangent is undefined where nobody differentiates that output.
  Gradients Vjp(VariableSpan x, VariableSpan y, VariableSpan dy, Needs) const {
    EXPECT_EQ(y.size(), 3u);
    EXPECT_EQ(dy.size(), 2u);
    Variable dx;
    if (dy[0].defined()) dx = dy[0] * x[0] * 2;
    // The residual has the value but no gradient: where higher orders matter it is written out.
    if (dy[1].defined()) {
      const Variable factor = GradEnabled() ? x[0] * x[0] * 3 : y[2];
      dx = dx.defined() ? dx + dy[1] * factor : dy[1] * factor;
    }
    return {dx};
  }
};

TEST(CustomOpTest, SeveralOutputsAndResiduals) {
  int calls = 0;
  const Variable x = Leaf({2, -3});
  const Variable square = Apply(SquareAndCubeOp{.calls = &calls}, {x});
  ASSERT_EQ(Outputs(square).size(), 2u);  // the residual is not public
  const Variable cube = Output(square, 1);
  EXPECT_EQ(Values(cube), (Doubles{8, -27}));
  EXPECT_EQ(Values(square), (Doubles{4, 9}));
  EXPECT_EQ(Values(Grad(Sum(cube), x)), (Doubles{12, 27}));
  EXPECT_EQ(Values(Grad(Sum(square), x)), (Doubles{4, -6}));
  const Variable both = Grad(Sum(cube) + Sum(square), x, {.create_graph = true});
  EXPECT_EQ(Values(both), (Doubles{16, 21}));
  EXPECT_EQ(Values(Grad(Sum(both), x)), (Doubles{14, -16}));
  EXPECT_EQ(calls, 1);
}

TEST(CustomOpTest, ResidualsOfAnUnreadOpAreComputedForItsRule) {
  int calls = 0;
  const Variable x = Leaf({2, -3});
  Variable gradient;
  {
    const Variable cube = Output(Apply(SquareAndCubeOp{.calls = &calls}, {x * 1}), 1);
    gradient = Grad(Sum(cube), x);
  }
  EXPECT_EQ(Values(gradient), (Doubles{12, 27}));
  EXPECT_EQ(calls, 1);
}

struct Calls {
  int kernel = 0, gradient_kernel = 0, definition = 0;
};

// sum(x^2 * w) with fused kernels; x and w both carry gradients.
struct WeightedSquaresOp : Composite<WeightedSquaresOp> {
  static constexpr std::string_view kName = "weighted_squares";
  static constexpr std::string_view kGradientName = "weighted_squares_gradient";
  static constexpr int kResiduals = 1;  // x^2
  Calls* calls;

  std::vector<Variable> Definition(VariableSpan x) const {
    ++calls->definition;
    return {Sum(Square(x[0]) * x[1])};
  }
  bool HasKernel(VariableSpan x) const { return x[0].dtype() == DType::kFloat64; }
  Specs Infer(VariableSpan x) const {
    return {{Shape(), x[0].dtype()}, {x[0].shape(), x[0].dtype()}};
  }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    ++calls->kernel;
    const Doubles a = x[0].ToVector<double>(), w = x[1].ToVector<double>();
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      sum += (y[1].mutable_data<double>()[i] = a[i] * a[i]) * w[i];
    }
    *y[0].mutable_data<double>() = sum;
  }
  void GradientKernel(TensorSpan x, TensorSpan y, TensorSpan dy, Needs needs,
                      absl::Span<Tensor> dx) const {
    ++calls->gradient_kernel;
    const Doubles a = x[0].ToVector<double>(), w = x[1].ToVector<double>();
    const Doubles squares = y[1].ToVector<double>();
    const double d = dy[0].item<double>();
    int next = 0;
    for (int k = 0; k < 2; ++k) {
      if (!needs[k]) continue;
      double* out = dx[next++].mutable_data<double>();
      for (size_t i = 0; i < a.size(); ++i) out[i] = d * (k ? squares[i] : 2 * a[i] * w[i]);
    }
  }
};
Variable WeightedSquares(const Variable& x, const Variable& w, Calls& calls) {
  return ApplyComposite(WeightedSquaresOp{.calls = &calls}, {{x, w}})[0];
}

TEST(CustomOpTest, ACompositeRunsItsKernels) {
  Calls calls;
  const Variable x = Leaf({1, 2}), w = Leaf({3, 5});
  const Variable y = WeightedSquares(x, w, calls);
  EXPECT_EQ(calls.kernel, 0);  // lazily
  const std::vector<Variable> gradients = Grad({&y, 1}, {{x, w}});
  EXPECT_EQ(y.item<double>(), 23);
  EXPECT_EQ(Values(gradients[0]), (Doubles{6, 20}));
  EXPECT_EQ(Values(gradients[1]), (Doubles{1, 4}));
  EXPECT_EQ(calls.kernel, 1);
  EXPECT_EQ(calls.gradient_kernel, 1);
  EXPECT_EQ(calls.definition, 0);
  EXPECT_EQ(Values(Grad(y, w)), (Doubles{1, 4}));  // only one of the two is wanted
}

TEST(CustomOpTest, ACompositesDefinitionRunsWithoutAKernelAndUnderEagerGuard) {
  Calls calls;
  const Variable x = DifferentiableLeaf(Tensor::Full({2}, 3)), w = Tensor::Ones({2});
  EXPECT_EQ(WeightedSquares(x, w, calls).item<float>(), 18);
  EXPECT_EQ(calls.definition, 1);
  const EagerGuard eager;
  const Variable a = Leaf({1, 2}), y = WeightedSquares(a, Leaf({3, 5}), calls);
  EXPECT_EQ(y.item<double>(), 23);
  EXPECT_EQ(Values(Grad(y, a)), (Doubles{6, 20}));
  EXPECT_EQ(calls.definition, 2);
  EXPECT_EQ(calls.kernel, 0);
  EXPECT_EQ(calls.gradient_kernel, 0);
}

TEST(CustomOpTest, ACompositeHasEveryOrderOfDerivative) {
  Calls calls;
  const GradOptions graph{.create_graph = true};
  const Variable x = Leaf({1, 2}), w = Leaf({3, 5});
  // Against the same in plain ops.
  const auto fused = [&](VariableSpan v) { return Square(WeightedSquares(v[0], v[1], calls)); };
  const auto plain = [](VariableSpan v) { return Square(Sum(Square(v[0]) * v[1])); };
  Variable a = fused({{x, w}}), b = plain({{x, w}});
  for (int order = 1; order <= 3; ++order) {
    const Doubles by_w = Values(Grad(a, w, graph)), expected_w = Values(Grad(b, w, graph));
    const Variable da = Grad(a, x, graph), db = Grad(b, x, graph);
    const Doubles by_x = Values(da), expected_x = Values(db);
    for (int i = 0; i < 2; ++i) {
      EXPECT_NEAR(by_w[i], expected_w[i], 1e-9 * std::abs(expected_w[i])) << order;
      EXPECT_NEAR(by_x[i], expected_x[i], 1e-9 * std::abs(expected_x[i])) << order;
    }
    a = Sum(da * da);
    b = Sum(db * db);
  }
  EXPECT_GT(calls.gradient_kernel, 0);
  const GradientReport report = CheckGradients(fused, {x.value(), w.value()});
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(CustomOpTest, ACompositeOfAConstantInputHasTheWholeSecondDerivative) {
  Calls calls;
  const Variable x = Leaf({1, 2}), w = Tensor::FromVector(Doubles{3, 5});
  const Variable first = Grad(WeightedSquares(x, w, calls), x, {.create_graph = true});
  EXPECT_EQ(Values(Grad(Sum(first), x)), (Doubles{6, 10}));
}

}  // namespace
}  // namespace wengert
