// For tests of patterns: ops that count how often their kernels run, a composite of them, and a
// fixture.
#ifndef WENGERT_TESTS_AUTOGRAD_PATTERN_OPS_H_
#define WENGERT_TESTS_AUTOGRAD_PATTERN_OPS_H_

#include <vector>

#include "autograd/composite.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/pattern.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace wengert {

using Doubles = std::vector<double>;

// How often each kernel ran.
struct Calls {
  int triple = 0, square = 0, fused = 0, fused_gradient = 0;
};

template <class F>
void Map(const Tensor& x, Tensor& y, F f) {
  const Doubles in = x.ToVector<double>();
  for (size_t i = 0; i < in.size(); ++i) y.mutable_data<double>()[i] = f(in[i], i);
}

// 3 x
struct TripleOp : Op<TripleOp> {
  static constexpr std::string_view kName = "triple";
  static constexpr Uses kUses = Uses::None();
  Calls* calls;
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    ++calls->triple;
    Map(x[0], y, [](double v, size_t) { return 3 * v; });
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const { return {dy * 3}; }
};

// -x, but its rule is a triple.
struct OddOp : Op<OddOp> {
  static constexpr std::string_view kName = "odd";
  static constexpr Uses kUses = Uses::None();
  Calls* calls;
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    Map(x[0], y, [](double v, size_t) { return -v; });
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {Apply(TripleOp{.calls = calls}, {dy})};
  }
};

void MatchSquareOfTriple(internal::Chain& chain);

// x^2 + b, whose rule reads a residual, 2 x.
struct SquareOp : Op<SquareOp> {
  static constexpr std::string_view kName = "square_plus";
  static constexpr Uses kUses = Uses::Input(0);
  static constexpr int kResiduals = 1;
  static constexpr auto kMatch = &MatchSquareOfTriple;
  Calls* calls;
  Specs Infer(VariableSpan x) const {
    return {{x[0].shape(), x[0].dtype()}, {x[0].shape(), x[0].dtype()}};
  }
  void Forward(TensorSpan x, absl::Span<Tensor> y) const {
    ++calls->square;
    const Doubles b = x[1].ToVector<double>();
    Map(x[0], y[0], [&](double v, size_t i) { return v * v + b[i]; });
    Map(x[0], y[1], [](double v, size_t) { return 2 * v; });
  }
  Gradients Vjp(VariableSpan x, VariableSpan y, VariableSpan dy, Needs) const {
    // The residual where only the first order is asked for, as its own derivative is unknown.
    return {GradEnabled() ? dy[0] * x[0] * 2 : dy[0] * y[1], dy[0]};
  }
};

// 9 x^2 + b in one kernel.
struct FusedOp : Composite<FusedOp> {
  static constexpr std::string_view kName = "nine_squares";
  static constexpr std::string_view kGradientName = "nine_squares_gradient";
  Calls* calls;
  std::vector<Variable> Definition(VariableSpan x) const {
    return {Apply(SquareOp{.calls = calls}, {Apply(TripleOp{.calls = calls}, {x[0]}), x[1]})};
  }
  bool HasKernel(VariableSpan x) const { return x[0].dtype() == DType::kFloat64; }
  Specs Infer(VariableSpan x) const { return {{x[0].shape(), x[0].dtype()}}; }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    ++calls->fused;
    const Doubles b = x[1].ToVector<double>();
    if (b[0] < 0) throw Error(kName, "b is negative");
    Map(x[0], y[0], [&](double v, size_t i) { return 9 * v * v + b[i]; });
  }
  void GradientKernel(TensorSpan x, TensorSpan y, TensorSpan dy, Needs needs,
                      absl::Span<Tensor> dx) const {
    ++calls->fused_gradient;
    EXPECT_FALSE(y[0].defined());  // kUses does not ask for it
    const Doubles d = dy[0].ToVector<double>();
    if (needs[0]) Map(x[0], dx[0], [&](double v, size_t i) { return 18 * v * d[i]; });
    if (needs[1]) Map(dy[0], dx[needs[0]], [](double v, size_t) { return v; });
  }
};

inline void MatchSquareOfTriple(internal::Chain& chain) {
  const Variable b = chain.node().inputs()[1];
  if (!chain.Down(0) || chain.node().op != &kOpTable<TripleOp>) return;
  FusedOp op;
  op.calls = chain.node().attributes_as<TripleOp>().calls;
  const Variable inputs[] = {chain.node().inputs()[0], b};
  chain.Replace(op, inputs);
}

class PatternTest : public ::testing::Test {
 protected:
  static Variable Leaf(Doubles values) { return DifferentiableLeaf(Tensor::FromVector(values)); }
  static Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }
  Variable Triple(const Variable& v, SourceLocation where = SourceLocation::current()) {
    return Apply(TripleOp{.calls = &calls}, {v}, where);
  }
  Variable Square(const Variable& v, SourceLocation where = SourceLocation::current()) {
    return Apply(SquareOp{.calls = &calls}, {v, b}, where);
  }
  // {kernels of the ops, kernels of the composite, its gradient's}
  std::vector<int> Ran() const {
    EXPECT_EQ(calls.triple, calls.square);
    return {calls.square, calls.fused, calls.fused_gradient};
  }

  Calls calls;
  Variable x = Leaf({1, -2}), b = Leaf({0.5, 0.25});
};

inline const std::vector<int> kNothing = {0, 0, 0}, kAsWritten = {1, 0, 0}, kFound = {0, 1, 0},
                              kFoundWithGradient = {0, 1, 1};

}  // namespace wengert

#endif  // WENGERT_TESTS_AUTOGRAD_PATTERN_OPS_H_
