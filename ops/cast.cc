// Conversion between dtypes.
#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/ops.h"

namespace wengert {
namespace {

struct CastOp : Op<CastOp> {
  static constexpr std::string_view kName = "cast";
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kMakesOutputs = true;
  DType dtype;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), dtype}; }
  void Forward(TensorSpan x, Tensor& y) const { y = x[0].To(dtype); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {Cast(dy, x[0].dtype())};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{19}, Shape{2, 3}, Shape{0, 2},
                               Shape{2, 1, 3}, Shape{2, 2, 2, 2}, Shape{2, 1, 2, 1, 3}}) {
      OpCase widening = OpCase::Linear(ToString(shape), {shape},
                                       [](VariableSpan x) { return Cast(x[0], DType::kFloat64); });
      widening.inputs[0].dtype = DType::kFloat32;
      cases.push_back(std::move(widening));
    }
    // Narrowing rounds, which finite differences do not bear; its rule is the same line.
    cases.push_back(OpCase::Linear("not at all", {{3}},
                                   [](VariableSpan x) { return Cast(x[0], DType::kFloat64); }));
    return cases;
  }
};

}  // namespace

Variable Cast(const Variable& x, DType dtype, SourceLocation where) {
  const WhereScope scope(where, "cast");
  if (x.dtype() == dtype) return x;
  return Apply(CastOp{.dtype = dtype}, {x}, where);
}

}  // namespace wengert
