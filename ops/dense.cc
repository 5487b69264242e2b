// The product of a dense layer with its bias and activation: one op, which is found where a program
// writes Relu(MatMul(x, w) + b), or the like, on results that are large enough. It has the bits of
// the ops one by one, and their rules.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/kernels/matmul.h"
#include "ops/ops.h"
#include "ops/patterns.h"

namespace wengert {
namespace {

// dy before the last op, a bias or an activation, of whose result y it is the gradient.
Variable BeforeLast(Row last, const Variable& dy, const Variable& y) {
  switch (last) {
    case Row::kRelu:
      return WherePositive(dy, y);
    case Row::kTanh:
      return TanhGradient(dy, y);
    case Row::kSigmoid:
      return SigmoidGradient(dy, y);
    default:
      return dy;
  }
}

// (x [m, k], w [k, n], b [n]) -> x w + b, or an activation of it
template <class Derived>
struct DenseOp : Op<Derived> {
  Row last;  // kAdd of the bias, or the activation after it

  Spec Infer(VariableSpan x) const {
    const Shape& a = x[0].shape();
    const Shape& b = x[1].shape();
    if (a.rank() != 2 || b.rank() != 2 || a[1] != b[0]) {
      throw Error(Derived::kName, absl::StrCat("not a product: ", ToString(a), " x ", ToString(b)));
    }
    CheckInputShape(Derived::kName, x[2], {b[1]});
    const DType dtype = x[0].dtype();
    if (!IsFloating(dtype) || x[1].dtype() != dtype || x[2].dtype() != dtype) {
      throw Error(Derived::kName, "the operands must be of one floating dtype");
    }
    return {{a[0], b[1]}, x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    if (y.size() == 0) return;
    const Tensor bias = x[2].Contiguous();
    const DType dtype = y.dtype();
    const BlockKernel add = GetBlockKernel(Row::kAdd, dtype, /*scalars=*/0);
    const BlockKernel activate =
        last == Row::kAdd ? nullptr : GetBlockKernel(last, dtype, /*scalars=*/0);
    const auto finish = [&](int64_t row, int64_t rows, int64_t column, int64_t columns) {
      const auto size = static_cast<int64_t>(SizeOf(dtype));
      const std::byte* const b = bias.raw() + column * size;
      for (int64_t i = row; i < row + rows; ++i) {
        std::byte* const out = y.raw() + (i * y.dim(1) + column) * size;
        const void* const terms[] = {out, b};
        constexpr double kNoNumbers[2] = {};
        add(terms, out, columns, kNoNumbers);
        if (activate) activate(terms, out, columns, kNoNumbers);
      }
    };
    const FinishTile finish_tile = finish;
    MatMulKernel(x[0], x[1], y, &finish_tile);
  }
  // As the rules of the ops, so that a gradient has their bits.
  Gradients Vjp(VariableSpan x, const Variable& y, const Variable& dy, Needs needs) const {
    const Variable dz = BeforeLast(last, dy, y);
    return {needs[0] ? MatMul(dz, Transpose(x[1])) : Variable(),
            needs[1] ? MatMul(Transpose(x[0]), dz) : Variable(),
            needs[2] ? SumTo(dz, x[2].shape()) : Variable()};
  }
};

// They differ in what their rules read.
struct MatMulBiasOp : DenseOp<MatMulBiasOp> {
  static constexpr std::string_view kName = "matmul_bias";
  static constexpr Uses kUses = Uses::Input(0) | Uses::Input(1);
  static std::vector<OpCase> Cases();
};
struct MatMulBiasActivationOp : DenseOp<MatMulBiasActivationOp> {
  static constexpr std::string_view kName = "matmul_bias_activation";
  static constexpr Uses kUses = Uses::Input(0) | Uses::Input(1) | Uses::Output();
  static std::vector<OpCase> Cases();
};

// ---- Cases ----

template <class O>
void AddCases(Row last, const std::string& name, std::vector<OpCase>& cases) {
  const struct {
    int64_t m, k, n;
  } sizes[] = {{3, 4, 5}, {17, 5, 9}, {1, 7, 6}, {6, 7, 1},
               {5, 1, 4}, {1, 1, 1},  {3, 0, 2}, {0, 3, 2}};
  O op;
  op.last = last;
  for (const auto& [m, k, n] : sizes) {
    cases.push_back(OpCase::Of(absl::StrCat(name, m, " x ", k, " x ", n),
                               {{.shape = {m, k}}, {.shape = {k, n}}, {.shape = {n}}},
                               [op](VariableSpan x) { return Apply(op, x); }));
    cases.back().reorders = true;
  }
}

std::vector<OpCase> MatMulBiasOp::Cases() {
  std::vector<OpCase> cases;
  AddCases<MatMulBiasOp>(Row::kAdd, "", cases);
  return cases;
}
std::vector<OpCase> MatMulBiasActivationOp::Cases() {
  std::vector<OpCase> cases;
  AddCases<MatMulBiasActivationOp>(Row::kRelu, "relu, ", cases);
  AddCases<MatMulBiasActivationOp>(Row::kTanh, "tanh, ", cases);
  AddCases<MatMulBiasActivationOp>(Row::kSigmoid, "sigmoid, ", cases);
  return cases;
}

}  // namespace

namespace internal {

void ReplaceByDense(Chain& chain, const BlockEnd& end) {
  const VariableSpan factors = chain.node().inputs();
  if (!end.bias || end.pool || end.bias->shape() != Shape{factors[1].dim(-1)}) return;
  const Variable inputs[] = {factors[0], factors[1], *end.bias};
  if (end.activation == Row::kAdd) {
    MatMulBiasOp op;
    op.last = end.activation;
    chain.Replace(op, inputs);
  } else {
    MatMulBiasActivationOp op;
    op.last = end.activation;
    chain.Replace(op, inputs);
  }
}

}  // namespace internal
}  // namespace wengert
