// Jvp, Hvp, Jacobian and Hessian, all made of Grad.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/accumulate.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "autograd/slice.h"

namespace wengert {
namespace {

std::vector<Variable> Aliases(VariableSpan x) {
  std::vector<Variable> aliases;
  for (const Variable& v : x) aliases.push_back(internal::Alias(v));
  return aliases;
}

std::string Describe(const Variable& v) {
  return v.defined() ? absl::StrCat(std::string(Name(v.dtype())), ToString(v.shape()))
                     : "undefined";
}

void CheckFloating(std::string_view op, VariableSpan x, SourceLocation where) {
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i].defined() && IsFloating(x[i].dtype())) continue;
    internal::ThrowAt(op,
                      absl::StrCat("input ", i, " is ", Describe(x[i]),
                                   ": derivatives are taken at floats (Cast converts)"),
                      x, where);
  }
}

void CheckDirections(std::string_view op, VariableSpan x, VariableSpan directions,
                     SourceLocation where) {
  CheckFloating(op, x, where);
  if (x.size() != directions.size()) {
    internal::ThrowAt(op, absl::StrCat(directions.size(), " directions for ", x.size(), " inputs"),
                      x, where);
  }
  for (size_t i = 0; i < x.size(); ++i) {
    if (Describe(x[i]) == Describe(directions[i])) continue;
    internal::ThrowAt(op,
                      absl::StrCat("direction ", i, " is ", Describe(directions[i]),
                                   ", but its input is ", Describe(x[i])),
                      x, where);
  }
}

// What f gives.
Variable Checked(std::string_view op, Variable y, SourceLocation where) {
  if (y.defined()) return y;
  internal::ThrowAt(op, "the function returned an undefined Variable", where);
}

// Joins rows into [rows, ...]: the shape change that the result needs, differentiable.
struct StackRowsOp : Op<StackRowsOp> {
  static constexpr std::string_view kName = "stack_rows";
  static constexpr Uses kUses = Uses::None();
  Shape shape;  // of the result

  Spec Infer(VariableSpan x) const { return {shape, x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    const int64_t rows = static_cast<int64_t>(x.size());
    Tensor by_row = y.Reshape({rows, rows ? y.size() / rows : 0});
    for (int64_t i = 0; i < rows; ++i) by_row.Narrow(0, i, 1).CopyFrom(x[i].Reshape({1, -1}));
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs needs) const;
  static std::vector<OpCase> Cases() {
    return OpCase::LinearOverShapes([](const Variable& x) {
      Shape shape = x.shape();
      shape.Insert(0, 2);
      return Apply(StackRowsOp{.shape = shape}, {x, x});
    });
  }
};

// Row i of a stack: the adjoint of putting it there.
struct UnstackRowOp : Op<UnstackRowOp> {
  static constexpr std::string_view kName = "unstack_row";
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kMakesOutputs = true;
  int64_t row, rows;
  Shape shape;  // of the row

  Spec Infer(VariableSpan x) const { return {shape, x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    y = x[0].Reshape({rows, x[0].size() / rows}).Narrow(0, row, 1).Reshape(shape);
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    std::vector<Variable> all(rows, Variable(Tensor::Zeros(shape, dy.dtype())));
    all[row] = dy;
    return {Apply(StackRowsOp{.shape = x[0].shape()}, VariableSpan(all))};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const Shape& row : {Shape{}, Shape{1}, Shape{5}, Shape{0}, Shape{2, 3}, Shape{3, 1, 2},
                             Shape{2, 2, 2}, Shape{1, 2, 1, 3}}) {
      Shape shape = row;
      shape.Insert(0, 3);
      cases.push_back(OpCase::Linear(ToString(shape), {shape}, [row](VariableSpan x) {
        return Apply(UnstackRowOp{.row = 1, .rows = 3, .shape = row}, {x[0]});
      }));
    }
    return cases;
  }
};

Gradients StackRowsOp::Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs needs) const {
  const int64_t rows = static_cast<int64_t>(x.size());
  Gradients gradients;
  for (int64_t i = 0; i < rows; ++i) {
    gradients.push_back(
        needs[i] ? Apply(UnstackRowOp{.row = i, .rows = rows, .shape = x[i].shape()}, {dy})
                 : Variable());
  }
  return gradients;
}

Variable JacobianOf(const Variable& y, const Variable& x) {
  Shape shape = y.shape();
  for (const int64_t dim : x.shape()) shape.Append(dim);
  const int64_t size = y.size();
  if (size == 0 || !y.requires_grad()) return Variable(Tensor::Zeros(shape, x.dtype()));
  std::vector<Variable> rows;
  for (int64_t i = 0; i < size; ++i) {
    Tensor one_hot = Tensor::Zeros(y.shape(), y.dtype());
    one_hot.Reshape({size}).Narrow(0, i, 1).Fill(1);
    rows.push_back(Grad(y, x,
                        {.cotangents = {Variable(std::move(one_hot))},
                         .create_graph = true,
                         .unused = Unused::kZero}));
  }
  return Apply(StackRowsOp{.shape = shape}, VariableSpan(rows));
}

}  // namespace

std::pair<Variable, Variable> Jvp(const Function& f, VariableSpan x, VariableSpan tangents,
                                  SourceLocation where) {
  CheckDirections("jvp", x, tangents, where);
  const NoGradGuard with_grad(/*no_grad=*/false);
  const std::vector<Variable> aliases = Aliases(x);
  Variable y = Checked("jvp", f(aliases), where);
  Variable zero(Tensor::Zeros(y.shape(), y.dtype()));
  if (!y.requires_grad()) return {y, zero};
  // The vjp is linear in its cotangent u; the vjp of that, at the tangents, is the jvp.
  const Variable u = DifferentiableLeaf(Tensor::Zeros(y.shape(), y.dtype()));
  const GradOptions first{.cotangents = {u}, .create_graph = true, .unused = Unused::kZero};
  const std::vector<Variable> vjp = Grad(VariableSpan(&y, 1), aliases, first);
  const GradOptions second{.cotangents = {tangents.begin(), tangents.end()},
                           .create_graph = true,
                           .unused = Unused::kZero};
  return {y, Grad(vjp, VariableSpan(&u, 1), second)[0]};
}

std::vector<Variable> Hvp(const Function& f, VariableSpan x, VariableSpan vector,
                          SourceLocation where) {
  CheckDirections("hvp", x, vector, where);
  const NoGradGuard with_grad(/*no_grad=*/false);
  const std::vector<Variable> aliases = Aliases(x);
  const Variable y = Checked("hvp", f(aliases), where);
  const std::vector<Variable> gradients =
      Grad(VariableSpan(&y, 1), aliases, {.create_graph = true, .unused = Unused::kZero});
  return Grad(gradients, aliases,
              {.cotangents = {vector.begin(), vector.end()},
               .create_graph = true,
               .unused = Unused::kZero});
}

Variable Jacobian(const std::function<Variable(const Variable&)>& f, const Variable& x,
                  SourceLocation where) {
  CheckFloating("jacobian", {&x, 1}, where);
  const NoGradGuard with_grad(/*no_grad=*/false);
  const Variable alias = internal::Alias(x);
  return JacobianOf(Checked("jacobian", f(alias), where), alias);
}

Variable Hessian(const std::function<Variable(const Variable&)>& f, const Variable& x,
                 SourceLocation where) {
  CheckFloating("hessian", {&x, 1}, where);
  const NoGradGuard with_grad(/*no_grad=*/false);
  const Variable alias = internal::Alias(x);
  const Variable y = Checked("hessian", f(alias), where);
  return JacobianOf(Grad(y, alias, {.create_graph = true, .unused = Unused::kZero}), alias);
}

}  // namespace wengert
