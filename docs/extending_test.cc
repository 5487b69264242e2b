// The snippets on checks, ops and composites of one's own, run; see concepts_test.cc.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
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
// y[..., i] = factor * (the sum over j of x[..., j], less where i & j has an odd number of ones):
// the Walsh-Hadamard transform of the last axis, whose length is a power of 2.
struct HadamardOp : Op<HadamardOp> {
  static constexpr std::string_view kName = "hadamard";
  static constexpr Uses kUses = Uses::None();  // the rule reads neither x nor y
  double factor;

  Spec Infer(VariableSpan x) const {
    if (x[0].rank() == 0 || !std::has_single_bit(static_cast<uint64_t>(x[0].dim(-1)))) {
      throw Error(kName, "the last axis is no power of 2: " + ToString(x[0].shape()));
    }
    return {x[0].shape(), Promote(x[0].dtype(), DType::kFloat32)};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    y.CopyFrom(x[0]);  // inputs may be strided; y is row-major
    const int64_t length = y.dim(-1);
    DispatchDType(y.dtype(), [&]<class T>() {
      T* const out = y.mutable_data<T>();
      for (int64_t half = 1; half < length; half *= 2) {
        for (int64_t i = 0; i < y.size(); ++i) {
          if (i & half) continue;
          const T a = out[i], b = out[i + half];
          out[i] = static_cast<T>(a + b);
          out[i + half] = static_cast<T>(a - b);
        }
      }
      for (int64_t i = 0; i < y.size(); ++i) out[i] = static_cast<T>(factor * out[i]);
    });
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {Apply(HadamardOp{.factor = factor}, {dy})};  // the matrix is symmetric
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const Shape& shape :
         {Shape{1}, {8}, {0, 4}, {4, 1}, {3, 4}, {1, 2}, {2, 0, 2}, {2, 3, 8}}) {
      cases.push_back(OpCase::Linear(ToString(shape), {shape}, [](VariableSpan x) {
        return Apply(HadamardOp{.factor = 0.5}, {x[0]});
      }));
    }
    return cases;
  }
};

Variable Hadamard(const Variable& x, SourceLocation where = SourceLocation::current()) {
  return Apply(HadamardOp{.factor = 1}, {x}, where);
}
// [/op]

TEST(Extending, AnOpIsAStruct) {
  const Variable x =
      DifferentiableLeaf(Tensor::FromVector(Doubles{1, 2, 3, 4, 1, 0, 0, 0}, {2, 4}));
  EXPECT_EQ(Values(Hadamard(x)), (Doubles{10, -2, -4, 0, 1, 1, 1, 1}));
  EXPECT_EQ(Values(Grad(Sum(Hadamard(x)), x)), (Doubles{4, 0, 0, 0, 4, 0, 0, 0}));
  const GradientReport report =
      CheckGradients([](VariableSpan v) { return Hadamard(Square(v[0])); }, {&x, 1});
  EXPECT_TRUE(report.ok) << report.text;
  for (const OpCase& of : HadamardOp::Cases()) {
    const Variable zeros = Tensor::Zeros(of.inputs[0].shape);
    EXPECT_EQ(of.f({&zeros, 1})[0].value().shape(), of.inputs[0].shape) << of.name;
  }
  try {
    Hadamard(Tensor::Ones({2, 3}));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "the last axis is no power of 2: [2,3]");
    EXPECT_TRUE(error.has_place());
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
