#include "ops/updates.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/composite.h"
#include "ops/ops.h"

namespace wengert {
namespace {

#define WENGERT_UPDATE_INLINE inline
#include "ops/kernels/update_formulas.inc"
#undef WENGERT_UPDATE_INLINE

// Inputs: parameter, states, gradient; outputs: parameter, states.
template <class Formula>
struct UpdateOp : Composite<UpdateOp<Formula>> {
  static constexpr std::string_view kName = Formula::kName;
  static constexpr bool kDifferentiable = false;
  static constexpr bool kDonates = true;
  static constexpr int kValues = Formula::kValues;
  Formula formula;
  Regularization regularization;

  Specs Infer(VariableSpan x) const {
    for (const Variable& input : x) {
      if (!(input.shape() == x[0].shape())) {
        throw Error(kName, absl::StrCat("shapes differ: parameter ", ToString(x[0].shape()),
                                        ", state or gradient ", ToString(input.shape())));
      }
    }
    return Specs(kValues, {x[0].shape(), x[0].dtype()});
  }
  std::vector<Variable> Definition(VariableSpan x) const {
    Variable values[kValues];
    for (int i = 0; i < kValues; ++i) values[i] = x[i];
    Variable gradient = x[kValues];
    Regularize(regularization, values[0], gradient);
    formula(values, gradient);
    return std::vector<Variable>(values, values + kValues);
  }
  bool HasKernel(VariableSpan x) const {
    bool all = true;
    for (const Variable& input : x) all &= input.dtype() == DType::kFloat32;
    return all;
  }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    const Tensor gradient = x[kValues].Contiguous();
    Tensor inputs[kValues];
    const float* in[kValues];
    float* out[kValues];
    for (int i = 0; i < kValues; ++i) {
      inputs[i] = x[i].Contiguous();
      in[i] = inputs[i].template data<float>();
      out[i] = y[i].template mutable_data<float>();
    }
    UpdateKernel(formula, regularization, in, gradient.data<float>(), out, gradient.size());
  }
  // One step, in the table's float64: runs the Definition.
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{7}, Shape{17}, Shape{3, 4}, Shape{0, 3},
                               Shape{2, 3, 5}, Shape{2, 1, 3, 2}}) {
      for (const bool regularized : {false, true}) {
        const UpdateOp op{.formula = {Formula::Sample()},
                          .regularization = regularized
                                                ? Regularization{.l1 = 0.2, .l2 = 0.3, .decay = 0.1}
                                                : Regularization{}};
        std::vector<Sample> samples(kValues + 1, Sample{.shape = shape});
        for (int i = 1; i < kValues; ++i) samples[i].low = 0.1;  // running squares are positive
        cases.push_back({.name = absl::StrCat(ToString(shape), regularized ? " regularized" : ""),
                         .inputs = samples,
                         .f = [op](VariableSpan x) { return ApplyComposite(op, x); }});
      }
    }
    return cases;
  }
};

template <class Formula>
std::vector<Variable> Record(const Formula& formula, std::vector<Variable> values,
                             const Variable& gradient, const Regularization& regularization) {
  if (values.size() != Formula::kValues) {
    throw Error(Formula::kName, absl::StrCat(values.size(), " values, expected the parameter and ",
                                             Formula::kValues - 1, " states"));
  }
  values.push_back(gradient);
  const NoGradGuard no_grad;
  // The handles go into the node, so that it may take the buffers over.
  const std::vector<Variable> inputs = std::move(values);
  return ApplyComposite(UpdateOp<Formula>{.formula = formula, .regularization = regularization},
                        inputs);
}

}  // namespace

#define UPDATE(op, Name, numbers, values, sample, text)                                    \
  std::vector<Variable> ApplyUpdate(const Name##Update& update, std::vector<Variable> all, \
                                    const Variable& gradient,                              \
                                    const Regularization& regularization) {                \
    return Record(Name##Formula{update}, std::move(all), gradient, regularization);        \
  }
#include "ops/kernels/update_rows.inc"
#undef UPDATE

}  // namespace wengert
