// The matrix product.
#include "ops/kernels/matmul.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/ops.h"
#include "ops/patterns.h"

namespace wengert {
namespace {

// `leading` and then a matrix of m x n.
Shape MatrixShape(const Shape& leading, int64_t m, int64_t n) {
  Shape shape = leading;
  shape.Append(m);
  shape.Append(n);
  return shape;
}
Shape Leading(const Shape& shape) {
  return Shape(absl::MakeConstSpan(shape.data(), shape.rank() - 2));
}

// What a and b multiply to; throws if they do not.
Shape ProductShape(const Shape& a, const Shape& b) {
  const auto both = [&] { return absl::StrCat(ToString(a), " x ", ToString(b)); };
  const int ra = a.rank(), rb = b.rank();
  if (ra < 2 || rb < 2) {
    throw Error("matmul", absl::StrCat("operands must have rank 2 or more: ", both()));
  }
  if (a[ra - 1] != b[rb - 2]) {
    throw Error("matmul", absl::StrCat("inner dimensions differ: ", both()));
  }
  if (ra == 2 && rb == 2) return {a[0], b[1]};
  const Shape leading_a = Leading(a), leading_b = Leading(b);
  try {
    return MatrixShape(BroadcastShapes(leading_a, leading_b, "matmul"), a[ra - 2], b[rb - 1]);
  } catch (const Error&) {
    throw Error("matmul", absl::StrCat("leading dimensions do not broadcast: ", both()));
  }
}

struct MatMulOp : Op<MatMulOp> {
  static constexpr std::string_view kName = "matmul";
  static constexpr Uses kUses = Uses::Inputs();
  static constexpr auto kSumUp = &internal::SumUpProducts;

  Spec Infer(VariableSpan x) const {
    return {ProductShape(x[0].shape(), x[1].shape()), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { MatMulKernel(x[0], x[1], y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs needs) const {
    return {needs[0] ? SumTo(MatMul(dy, Transpose(x[1])), x[0].shape()) : Variable(),
            needs[1] ? SumTo(MatMul(Transpose(x[0]), dy), x[1].shape()) : Variable()};
  }
  static std::vector<OpCase> Cases();
};

std::vector<OpCase> MatMulOp::Cases() {
  std::vector<OpCase> cases;
  const auto add = [&](std::string name, const Shape& a, const Shape& b,
                       Variable (*f)(VariableSpan)) {
    cases.push_back(OpCase::Of(std::move(name), {{.shape = a}, {.shape = b}}, f));
    cases.back().reorders = true;
  };
  const std::pair<Shape, Shape> shapes[] = {{{3, 4}, {4, 5}},       {{17, 5}, {5, 9}},
                                            {{1, 7}, {7, 6}},       {{6, 7}, {7, 1}},
                                            {{5, 1}, {1, 4}},       {{1, 1}, {1, 1}},
                                            {{3, 0}, {0, 2}},       {{0, 3}, {3, 2}},
                                            {{2, 3, 4}, {2, 4, 3}}, {{2, 3, 4}, {4, 5}},
                                            {{3, 4}, {2, 4, 5}},    {{2, 1, 3, 4}, {3, 4, 2}},
                                            {{1, 3, 2}, {5, 2, 3}}, {{2, 2, 3, 2}, {2, 2, 2, 3}},
                                            {{2, 0, 3}, {3, 2}}};
  for (const auto& [a, b] : shapes) {
    add(absl::StrCat(ToString(a), " x ", ToString(b)), a, b,
        [](VariableSpan x) { return MatMul(x[0], x[1]); });
  }
  add("a transposed", {4, 3}, {4, 5}, [](VariableSpan x) { return MatMul(Transpose(x[0]), x[1]); });
  add("b transposed", {3, 4}, {5, 4}, [](VariableSpan x) { return MatMul(x[0], Transpose(x[1])); });
  add("both transposed", {4, 3}, {5, 4},
      [](VariableSpan x) { return MatMul(Transpose(x[0]), Transpose(x[1])); });
  add("batch of transposed", {2, 3, 4}, {2, 5, 4},
      [](VariableSpan x) { return MatMul(x[0], Transpose(x[1])); });
  return cases;
}

// Integers and bools as what the product computes in.
Variable As(const Variable& x, DType dtype, SourceLocation where) {
  return x.dtype() == dtype ? x : Cast(x, dtype, where);
}

}  // namespace

bool internal::IsMatMul(const Node& node) { return node.op == &kOpTable<MatMulOp>; }

Variable MatMul(const Variable& a, const Variable& b, SourceLocation where) {
  const WhereScope scope(where, "matmul");
  if (a.dtype() != b.dtype() || !IsFloating(a.dtype())) {
    const DType dtype = Promote(Promote(a.dtype(), b.dtype()), DType::kFloat32);
    return MatMul(As(a, dtype, where), As(b, dtype, where), where);
  }
  if (b.rank() != 2 || a.rank() <= 2) return Apply(MatMulOp(), {a, b}, where);
  // The leading dimensions of a become rows, forward and so in the rule too: one large product
  // where there were many, and no sum over the batch in the gradient of b.
  Shape shape;
  try {
    shape = ProductShape(a.shape(), b.shape());
  } catch (Error& error) {
    const Variable inputs[] = {a, b};
    internal::RethrowWithPlace(error, inputs, where);
  }
  const int64_t rows = NumElements(Leading(a.shape())) * a.dim(-2);
  const Variable folded = Reshape(a, {rows, a.dim(-1)}, where);
  return Reshape(Apply(MatMulOp(), {folded, b}, where), shape, where);
}

}  // namespace wengert
