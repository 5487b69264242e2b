// The snippets on checks, ops and composites of one's own, run; see concepts_test.cc.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "wengert.h"

namespace wengert {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }

TEST(Extending, CheckGradients) {
  const auto my_loss = [](const Variable& a, const Variable& b) { return Sum(Tanh(a) * Exp(b)); };
  // [check_gradients]
  Generator rng(1);
  const Variable a = Normal({3, 4}, rng, 0, 1, DType::kFloat64);
  const Variable b = Normal({4}, rng, 0, 1, DType::kFloat64);
  const GradientReport report =
      CheckGradients([&](VariableSpan x) { return my_loss(x[0], x[1]); }, {{a, b}});
  EXPECT_TRUE(report.ok) << report.text;
  // [/check_gradients]
  EXPECT_EQ(report.orders.size(), 2u);
}

// [op]
// y[..., i] = x[..., 0] + ... + x[..., i]; reversed: x[..., i] + ... to the end.
struct CumSumOp : Op<CumSumOp> {
  static constexpr std::string_view kName = "cum_sum";
  static constexpr Uses kUses = Uses::None();  // the rule reads neither x nor y
  bool reversed;

  Spec Infer(VariableSpan x) const {
    if (x[0].rank() == 0) throw Error(kName, "a scalar has no axis: []");
    return {x[0].shape(), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    const Tensor in = x[0].Contiguous();  // inputs may be strided; y is row-major
    const int64_t length = in.dim(-1), rows = length ? in.size() / length : 0;
    DispatchDType(in.dtype(), [&]<class T>() {
      for (int64_t row = 0; row < rows; ++row) {
        double sum = 0;
        for (int64_t i = 0; i < length; ++i) {
          const int64_t at = row * length + (reversed ? length - 1 - i : i);
          sum += static_cast<double>(in.data<T>()[at]);
          y.mutable_data<T>()[at] = static_cast<T>(sum);
        }
      }
    });
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {Apply(CumSumOp{.reversed = !reversed}, {dy})};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const Shape& shape : {Shape{1}, {7}, {0}, {4, 1}, {3, 4}, {0, 3}, {3, 0}, {2, 3, 5}}) {
      cases.push_back(OpCase::Linear(ToString(shape), {shape}, [](VariableSpan x) {
        return Apply(CumSumOp{.reversed = false}, {x[0]});
      }));
    }
    return cases;
  }
};

Variable CumSum(const Variable& x, SourceLocation where = SourceLocation::current()) {
  return Apply(CumSumOp{.reversed = false}, {x}, where);
}
// [/op]

TEST(Extending, AnOpIsAStruct) {
  const Variable x = DifferentiableLeaf(Tensor::FromVector(Doubles{1, 2, 3, 4}, {2, 2}));
  EXPECT_EQ(Values(CumSum(x)), (Doubles{1, 3, 3, 7}));
  EXPECT_EQ(Values(Grad(Sum(CumSum(x)), x)), (Doubles{2, 1, 2, 1}));
  const GradientReport report =
      CheckGradients([](VariableSpan v) { return CumSum(Square(v[0])); }, {&x, 1});
  EXPECT_TRUE(report.ok) << report.text;
  for (const OpCase& of : CumSumOp::Cases()) {
    const Variable zeros = Tensor::Zeros(of.inputs[0].shape);
    EXPECT_EQ(of.f({&zeros, 1})[0].value().shape(), of.inputs[0].shape) << of.name;
  }
}

// [composite]
// The sum of squares, in one pass.
struct SquaredNormOp : Composite<SquaredNormOp> {
  static constexpr std::string_view kName = "squared_norm";
  static constexpr std::string_view kGradientName = "squared_norm_gradient";

  std::vector<Variable> Definition(VariableSpan x) const { return {Sum(Square(x[0]))}; }
  bool HasKernel(VariableSpan x) const { return x[0].dtype() == DType::kFloat32; }
  Spec Infer(VariableSpan x) const { return {Shape(), x[0].dtype()}; }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    const Tensor in = x[0].Contiguous();
    double sum = 0;
    for (int64_t i = 0; i < in.size(); ++i) {
      sum += static_cast<double>(in.data<float>()[i]) * in.data<float>()[i];
    }
    y[0].Fill(sum);
  }
  void GradientKernel(TensorSpan x, TensorSpan, TensorSpan dy, Needs, absl::Span<Tensor> dx) const {
    const Tensor in = x[0].Contiguous();
    const float factor = 2 * dy[0].item<float>();
    float* out = dx[0].mutable_data<float>();
    for (int64_t i = 0; i < in.size(); ++i) out[i] = factor * in.data<float>()[i];
  }
};

Variable SquaredNorm(const Variable& x, SourceLocation where = SourceLocation::current()) {
  return ApplyComposite(SquaredNormOp(), {&x, 1}, where)[0];
}
// [/composite]

TEST(Extending, ACompositeHasEveryOrder) {
  const Variable x = DifferentiableLeaf(Tensor::FromVector(Floats{1, 2, 3}));
  const Variable y = SquaredNorm(x);
  EXPECT_EQ(y.item<float>(), 14);
  const Variable first = Grad(y, x, {.create_graph = true});
  EXPECT_EQ(Values(first), (Doubles{2, 4, 6}));
  EXPECT_EQ(Values(Grad(Sum(first * first), x)), (Doubles{8, 16, 24}));
}

}  // namespace
}  // namespace wengert
