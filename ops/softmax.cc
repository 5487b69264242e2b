// Softmax and its logarithm along one axis.
#include "ops/kernels/softmax.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using SoftmaxFunction = Variable (*)(const Variable&, int, SourceLocation);

std::vector<OpCase> SoftmaxCases(SoftmaxFunction f) {
  std::vector<OpCase> cases;
  const struct {
    Shape shape;
    int axis;
  } list[] = {{{1}, 0},           {{7}, 0},       {{3, 4}, 1},     {{3, 4}, 0},
              {{2, 3, 4}, 0},     {{2, 3, 4}, 1}, {{2, 3, 4}, -1}, {{1, 17}, -1},
              {{2, 1, 3, 2}, -3}, {{3, 0}, 1},    {{0, 3}, 1},     {{5, 1}, 1}};
  for (const auto& [shape, axis] : list) {
    cases.push_back(OpCase::Of(
        absl::StrCat(ToString(shape), " axis ", axis), {{.shape = shape}},
        [f, axis = axis](VariableSpan x) { return f(x[0], axis, SourceLocation::current()); }));
  }
  return cases;
}

struct SoftmaxOp : Op<SoftmaxOp> {
  static constexpr std::string_view kName = "softmax";
  static constexpr Uses kUses = Uses::Output();
  int axis;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { SoftmaxKernel(x[0], axis, y); }
  Gradients Vjp(VariableSpan, const Variable& y, const Variable& dy, Needs) const {
    return {y * (dy - Sum(dy * y, axis, kKeepDims))};
  }
  static std::vector<OpCase> Cases() { return SoftmaxCases(&Softmax); }
};

struct LogSoftmaxOp : Op<LogSoftmaxOp> {
  static constexpr std::string_view kName = "log_softmax";
  static constexpr Uses kUses = Uses::Output();
  int axis;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { LogSoftmaxKernel(x[0], axis, y); }
  Gradients Vjp(VariableSpan, const Variable& y, const Variable& dy, Needs) const {
    return {dy - Exp(y) * Sum(dy, axis, kKeepDims)};
  }
  static std::vector<OpCase> Cases() { return SoftmaxCases(&LogSoftmax); }
};

template <class O>
Variable ApplyAlong(const Variable& x, int axis, SourceLocation where) {
  const WhereScope scope(where, O::kName);
  O op;
  try {
    op.axis = NormalizeAxis(axis, x.rank(), O::kName);
  } catch (Error& error) {
    internal::RethrowWithPlace(error, {&x, 1}, where);
  }
  return Apply(op, {IsFloating(x.dtype()) ? x : Cast(x, DType::kFloat32, where)}, where);
}

}  // namespace

Variable Softmax(const Variable& x, int axis, SourceLocation where) {
  return ApplyAlong<SoftmaxOp>(x, axis, where);
}

Variable LogSoftmax(const Variable& x, int axis, SourceLocation where) {
  return ApplyAlong<LogSoftmaxOp>(x, axis, where);
}

}  // namespace wengert
