// The checks of the gradient table can fail: ops with one mistake each are caught, by the check
// that is there for it.
#include <stdexcept>
#include <string>
#include <vector>

#include "autograd/composite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/gradient_table/checks.h"

namespace wengert::gradient_table {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// The names of the checks that fail.
std::vector<std::string> Failing(const OpCase& of, bool composite = false) {
  const TestedCase tested{.op = "mutant", .differentiable = true, .composite = composite, .of = of};
  std::vector<std::string> failing;
  Figures figures;
  for (const Check& check : kChecks) {
    if (!RunCheck(check, tested, figures).empty()) failing.emplace_back(check.name);
  }
  return failing;
}

Tensor Dense(const Tensor& x) { return x.Contiguous(); }

// What the mutants share: y = factor * x^2 element by element, all right.
template <class Derived>
struct SquareBase : Op<Derived> {
  static constexpr std::string_view kName = "mutant";
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { SquareOf(Dense(x[0]), 1, y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {dy * x[0] * 2};
  }
  static void SquareOf(const Tensor& x, double factor, Tensor& y) {
    DispatchDType(x.dtype(), [&]<class T>() {
      const T* in = x.data<T>();
      T* out = y.mutable_data<T>();
      for (int64_t i = 0; i < x.size(); ++i) out[i] = static_cast<T>(in[i] * in[i] * factor);
    });
  }
};
template <class O>
OpCase CaseOf() {
  return OpCase::Of("[3,4]", {{.shape = {3, 4}}},
                    [](VariableSpan x) { return Apply(O{}, {x[0]}); });
}

struct Right : SquareBase<Right> {};
TEST(Mutants, ARightOpPasses) { EXPECT_THAT(Failing(CaseOf<Right>()), IsEmpty()); }

struct MissingFactor : SquareBase<MissingFactor> {
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {dy * x[0]};
  }
};
TEST(Mutants, MissingFactor) { EXPECT_THAT(Failing(CaseOf<MissingFactor>()), Contains("order 1")); }

struct WrongSign : SquareBase<WrongSign> {
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {dy * x[0] * -2};
  }
};
TEST(Mutants, WrongSign) { EXPECT_THAT(Failing(CaseOf<WrongSign>()), Contains("order 1")); }

// y = a * b + a * a
struct DroppedTerm : SquareBase<DroppedTerm> {
  void Forward(TensorSpan x, Tensor& y) const {
    const NoGradGuard no_grad;
    const Variable a(x[0]), b(x[1]);
    y.CopyFrom((a * b + a * a).value());
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {dy * x[0] * 2, dy * x[0]};  // of dy * (2 a + b)
  }
};
TEST(Mutants, DroppedTerm) {
  const OpCase of = OpCase::Of("[3,4]", {{.shape = {3, 4}}, {.shape = {3, 4}}}, [](VariableSpan x) {
    return Apply(DroppedTerm{}, {x[0], x[1]});
  });
  EXPECT_THAT(Failing(of), Contains("order 1"));
}

TEST(Mutants, DetachedOutput) {
  const OpCase of = OpCase::Of("[3,4]", {{.shape = {3, 4}}},
                               [](VariableSpan x) { return Square(x[0]).Detach(); });
  EXPECT_THAT(Failing(of), Contains("order 1"));
}

struct UndeclaredInput : SquareBase<UndeclaredInput> {
  static constexpr Uses kUses = Uses::None();
};
TEST(Mutants, UndeclaredInput) {
  EXPECT_THAT(Failing(CaseOf<UndeclaredInput>()), Contains("uses"));
}

struct UndeclaredOutput : SquareBase<UndeclaredOutput> {
  Gradients Vjp(VariableSpan x, const Variable& y, const Variable& dy, Needs) const {
    return {dy * y / x[0] * 2};
  }
};
TEST(Mutants, UndeclaredOutput) {
  EXPECT_THAT(Failing(CaseOf<UndeclaredOutput>()), Contains("uses"));
}

TEST(Mutants, DeclaredLinear) {
  // Homogeneous, so that <A x, u> = <x, A' u> holds where A' is taken at x itself.
  const OpCase of = OpCase::Linear("[3,4]", {{3, 4}}, [](VariableSpan x) { return Relu(x[0]); });
  EXPECT_THAT(Failing(of), ElementsAre("adjoint"));
}

// x -> w x with a constant w, and its rule with w where its transpose belongs.
struct TransposedGradient : SquareBase<TransposedGradient> {
  static constexpr Uses kUses = Uses::None();
  void Forward(TensorSpan x, Tensor& y) const {
    y.Fill(0);
    for (int i = 0; i < 2; ++i) y.Narrow(0, i, 1).CopyFrom(x[0].Narrow(0, i + 1, 1));
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {Apply(TransposedGradient{}, {dy})};
  }
};
TEST(Mutants, TransposedGradient) {
  OpCase of = CaseOf<TransposedGradient>();
  of.inputs[0].shape = {3, 3};
  of.linear = true;
  EXPECT_THAT(Failing(of), Contains("adjoint"));
  EXPECT_THAT(Failing(of), Contains("order 1"));
}

// The largest of a vector; the position that the rule reads is one off.
struct WrongResidual : Op<WrongResidual> {
  static constexpr std::string_view kName = "mutant";
  static constexpr Uses kUses = Uses::None();
  static constexpr int kResiduals = 1;
  Specs Infer(VariableSpan x) const { return {{{}, x[0].dtype()}, {{}, DType::kInt64}}; }
  void Forward(TensorSpan x, absl::Span<Tensor> y) const {
    const std::vector<double> in = x[0].ToVector<double>();
    size_t winner = 0;
    for (size_t i = 0; i < in.size(); ++i) winner = in[i] > in[winner] ? i : winner;
    y[0].Fill(in[winner]);
    y[1].Fill(static_cast<double>((winner + 1) % in.size()));
  }
  Gradients Vjp(VariableSpan x, VariableSpan y, VariableSpan dy, Needs) const {
    const Variable positions(Tensor::Arange(0, static_cast<double>(x[0].size())));
    return {Where(Equal(positions, y[1]), dy[0], 0)};
  }
};
TEST(Mutants, WrongResidual) {
  OpCase of = CaseOf<WrongResidual>();
  of.inputs[0].shape = {7};
  EXPECT_THAT(Failing(of), Contains("order 1"));
}

struct CutSecondDerivative : SquareBase<CutSecondDerivative> {
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {dy * x[0].Detach() * 2};
  }
};
TEST(Mutants, CutSecondDerivative) {
  const std::vector<std::string> failing = Failing(CaseOf<CutSecondDerivative>());
  EXPECT_THAT(failing, Contains("order 2"));
  EXPECT_THAT(failing, Not(Contains("order 1")));
}

// A rule that is right at first order and wrong in how it depends on the cotangent.
struct DetachedCotangent : SquareBase<DetachedCotangent> {
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {dy.Detach() * x[0] * 2};
  }
};
TEST(Mutants, DetachedCotangent) {
  const std::vector<std::string> failing = Failing(CaseOf<DetachedCotangent>());
  EXPECT_THAT(failing, Contains("order 2"));
  EXPECT_THAT(failing, Not(Contains("order 1")));
}

// Takes a transposed input for a row-major one.
struct StrideBlind : SquareBase<StrideBlind> {
  void Forward(TensorSpan x, Tensor& y) const {
    const bool transposed = x[0].strides() == Strides{1, x[0].dim(0)};
    const Tensor in =
        transposed ? x[0].WithGeometry(x[0].shape(), y.strides(), x[0].offset()) : Dense(x[0]);
    SquareOf(in, 1, y);
  }
};
TEST(Mutants, StrideBlind) { EXPECT_THAT(Failing(CaseOf<StrideBlind>()), ElementsAre("strides")); }

struct DependsOnThreads : SquareBase<DependsOnThreads> {
  void Forward(TensorSpan x, Tensor& y) const {
    SquareOf(Dense(x[0]), 1 + 1e-12 * NumThreads(), y);
  }
};
TEST(Mutants, DependsOnThreads) {
  EXPECT_THAT(Failing(CaseOf<DependsOnThreads>()), ElementsAre("threads"));
}

struct WrongShape : SquareBase<WrongShape> {
  static constexpr bool kMakesOutputs = true;
  void Forward(TensorSpan x, Tensor& y) const {
    y = Tensor::Empty(x[0].shape(), x[0].dtype());
    SquareOf(Dense(x[0]), 1, y);
    y = y.Reshape({-1});
  }
};
TEST(Mutants, WrongInferredShape) {
  EXPECT_THAT(Failing(CaseOf<WrongShape>()), Contains("inferred"));
}

// Adds to what the buffer held before.
struct Accumulates : SquareBase<Accumulates> {
  void Forward(TensorSpan x, Tensor& y) const {
    // What is left in memory need not be a bool.
    if (!IsFloating(y.dtype())) return SquareOf(Dense(x[0]), 1, y);
    Tensor squares = Tensor::Empty(y.shape(), y.dtype());
    SquareOf(Dense(x[0]), 1, squares);
    y.CopyFrom((Variable(y.Clone()) + Variable(squares)).value());
  }
};
TEST(Mutants, ReadsItsOutput) { EXPECT_THAT(Failing(CaseOf<Accumulates>()), Not(IsEmpty())); }

TEST(Mutants, Leak) {
  static std::vector<Variable>& kept = *new std::vector<Variable>;
  const OpCase of = OpCase::Of("[3,4]", {{.shape = {3, 4}}}, [](VariableSpan x) {
    kept.push_back(Square(x[0]));
    return kept.back();
  });
  EXPECT_THAT(Failing(of), ElementsAre("releases"));
  kept.clear();
}

TEST(Mutants, RuleDependsOnWhatIsComputed) {
  struct Impatient : SquareBase<Impatient> {
    Gradients Vjp(VariableSpan x, const Variable& y, const Variable& dy, Needs) const {
      return {dy * x[0] * (y.output().defined() ? 2 : 2 + 1e-9)};
    }
  };
  EXPECT_THAT(Failing(CaseOf<Impatient>()), Contains("reading"));
}

TEST(Mutants, WrongErrors) {
  const auto failing = [](auto check) {
    return Failing(OpCase::Of("[3,4]", {{.shape = {3, 4}}}, [check](VariableSpan x) {
      check(x[0].shape());
      return Square(x[0]);
    }));
  };
  const Shape good{3, 4};
  EXPECT_THAT(failing([&](const Shape& shape) {
                if (!(shape == good)) throw std::out_of_range("shape");
              }),
              ElementsAre("wrong inputs"));
  EXPECT_THAT(failing([&](const Shape& shape) {  // no shape in the text
                Error error("mutant", "a wrong shape");
                error.AddPlace(SourceLocation::current(), "");
                if (!(shape == good)) throw error;
              }),
              ElementsAre("wrong inputs"));
}

// A composite whose kernels differ from its Definition by `value` and `gradient`.
struct Drifting : Composite<Drifting> {
  static constexpr std::string_view kName = "mutant";
  static constexpr std::string_view kGradientName = "mutant_gradient";
  double value, gradient;

  std::vector<Variable> Definition(VariableSpan x) const { return {Square(x[0])}; }
  bool HasKernel(VariableSpan x) const { return x[0].dtype() == DType::kFloat32; }
  Specs Infer(VariableSpan x) const { return {{x[0].shape(), x[0].dtype()}}; }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    Right::SquareOf(Dense(x[0]), 1 + value, y[0]);
  }
  void GradientKernel(TensorSpan x, TensorSpan, TensorSpan dy, Needs, absl::Span<Tensor> dx) const {
    const Tensor a = Dense(x[0]), b = Dense(dy[0]);
    const float factor = static_cast<float>(2 * (1 + gradient));
    for (int64_t i = 0; i < a.size(); ++i) {
      dx[0].mutable_data<float>()[i] = factor * a.data<float>()[i] * b.data<float>()[i];
    }
  }
};
std::vector<std::string> FailingOf(double value, double gradient) {
  Drifting op;
  op.value = value;
  op.gradient = gradient;
  const OpCase of = OpCase::Of("[3,4]", {{.shape = {3, 4}}},
                               [op](VariableSpan x) { return ApplyComposite(op, x)[0]; });
  return Failing(of, /*composite=*/true);
}
TEST(Mutants, KernelsOfAComposite) {
  EXPECT_THAT(FailingOf(0, 0), IsEmpty());
  EXPECT_THAT(FailingOf(1e-3, 0), ElementsAre("float32", "eager"));
  EXPECT_THAT(FailingOf(0, 1e-3), ElementsAre("float32", "eager"));
}

TEST(Mutants, TooFewCases) {
  RegisteredOp op{.name = "mutant", .differentiable = true, .composite = false, .cases = nullptr};
  EXPECT_EQ(CheckCases(op, CasesOf(op)), "mutant has 0 cases; at least 8 are wanted");
  OpCase single = CaseOf<Right>();
  single.inputs[0].dtype = DType::kFloat32;
  EXPECT_EQ(CheckCases(op, std::vector<OpCase>(8, single)),
            "mutant can be differentiated and has no case in float64");
  EXPECT_EQ(CheckCases(op, std::vector<OpCase>(8, CaseOf<Right>())), "");
}

}  // namespace
}  // namespace wengert::gradient_table
