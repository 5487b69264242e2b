// Handles, leaves and Detach.
#include "autograd/variable.h"

#include <ostream>
#include <utility>

#include "autograd/op.h"
#include "autograd/record.h"
#include "autograd/thread_state.h"

namespace wengert {
namespace {

Variable MakeLeaf(Tensor value, uint8_t flags, std::shared_ptr<const std::string> name) {
  if (!value.defined()) throw Error("variable", "the tensor is undefined");
  Node* node = internal::NewNode(nullptr, 0, 1, 1, sizeof(LeafAttributes), {});
  node->flags = Node::kLeaf | flags;
  new (node->outputs()) Tensor(std::move(value));
  new (node->attributes()) LeafAttributes{std::move(name)};
  return Variable::Adopt(node);
}

struct DetachOp : Op<DetachOp> {
  static constexpr std::string_view kName = "detach";
  static constexpr bool kDifferentiable = false;
  static constexpr bool kMakesOutputs = true;
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { y = x[0]; }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases =
        OpCase::LinearOverShapes([](const Variable& x) { return Apply(DetachOp{}, {x}); });
    for (OpCase& c : cases) c.linear = false;  // no gradient to be its adjoint
    return cases;
  }
};

}  // namespace

Variable::Variable(Tensor value) : Variable(MakeLeaf(std::move(value), 0, nullptr)) {}

Variable DifferentiableLeaf(Tensor value, std::shared_ptr<const std::string> name) {
  if (!IsFloating(value.dtype())) {
    throw Error("variable", "only floating-point values can be differentiated, not " +
                                std::string(Name(value.dtype())) + " " + ToString(value.shape()));
  }
  return MakeLeaf(std::move(value), Node::kRequiresGrad, std::move(name));
}

Variable NamedConstant(Tensor value, std::shared_ptr<const std::string> name) {
  return MakeLeaf(std::move(value), 0, std::move(name));
}

void Variable::ThrowUndefined() {
  // The function that asks for the shape has opened a scope, which knows its name and its caller.
  const WhereScope* scope = internal::thread_state.where_scope;
  const bool in_function = scope && !scope->function().empty();
  Error error(in_function ? scope->function() : "variable",
              "an undefined Variable is used: one that was never given a value");
  if (internal::thread_state.has_where) internal::RethrowWithPlace(error, {}, {});
  throw error;
}

Tensor Variable::value() const {
  if (!output().defined()) internal::Run({this, 1}, /*final=*/false);
  return output();
}

Variable Variable::Detach(SourceLocation where) const {
  if (defined() && output().defined()) return Variable(output());
  return Apply(DetachOp{}, {*this}, where);
}

Variable Operand::LargeInteger(int64_t value) {
  return Variable(Tensor::FromVector(std::vector<int64_t>{value}, {}));
}

void Evaluate(VariableSpan variables) { internal::Run(variables, /*final=*/false); }

std::ostream& operator<<(std::ostream& stream, const Variable& variable) {
  return stream << variable.value();
}

}  // namespace wengert
