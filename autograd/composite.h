// Composite ops: fast and differentiable without a second mathematics. A composite has a Definition
// written in other ops, and kernels for its value and its first derivative:
//
//   struct SoftmaxCrossEntropyOp : Composite<SoftmaxCrossEntropyOp> {
//     static constexpr std::string_view kName = "softmax_cross_entropy";
//     static constexpr std::string_view kGradientName = "softmax_cross_entropy_gradient";
//     // In ops.
//     std::vector<Variable> Definition(VariableSpan x) const;
//     // False where the Definition is to be recorded instead.
//     bool HasKernel(VariableSpan x) const;
//     // Residuals last.
//     Specs Infer(VariableSpan x) const;
//     void Kernel(TensorSpan x, absl::Span<Tensor> y) const;
//     // y: its public outputs are undefined unless kUses has them. dx: of the inputs that are
//     // needed, in order.
//     void GradientKernel(TensorSpan x, TensorSpan y, TensorSpan dy, Needs needs,
//                         absl::Span<Tensor> dx) const;
//   };
//
// Evaluating it runs Kernel. Its vjp records a second composite whose kernel is GradientKernel and
// whose meaning is the vjp of the Definition: that is what is differentiated when a higher
// derivative is asked for. So no fused kernel can lose an order of derivative.
#ifndef WENGERT_AUTOGRAD_COMPOSITE_H_
#define WENGERT_AUTOGRAD_COMPOSITE_H_

#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "autograd/accumulate.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "autograd/pattern.h"
#include "autograd/thread_state.h"

namespace wengert {

template <class C>
struct Composite : Op<C> {
  static constexpr bool kIsComposite = true;
  // Inputs that no derivative is taken by (labels, masks).
  static constexpr uint32_t kConstantInputs = 0;  // bit i: input i
  void Forward(TensorSpan x, absl::Span<Tensor> y) const { self().Kernel(x, y); }
  Gradients Vjp(VariableSpan x, VariableSpan y, VariableSpan dy, Needs needs) const;

 private:
  const C& self() const { return static_cast<const C&>(*this); }
};

namespace internal {

// Which inputs of a composite a derivative is taken by, one bit each.
template <class C>
uint32_t WantedBits(Needs needs) {
  uint32_t wanted = 0;
  for (size_t i = 0; i < needs.size(); ++i) {
    if (needs[i] && !(C::kConstantInputs >> i & 1)) wanted |= 1u << i;
  }
  return wanted;
}

// The fused first derivative. Inputs: x, then what its kernel reads of y (residuals, and the public
// outputs if C declares to read them: others need not be kept for it), then dy. Outputs: the wanted
// dx.
template <class C>
struct CompositeGradientOp : Op<CompositeGradientOp<C>> {
  static constexpr std::string_view kName = C::kGradientName;
  static constexpr Uses kUses = Uses::Inputs();  // the rule replays the Definition on x and dy

  C composite;
  uint32_t wanted;
  uint32_t num_x, num_y;

  Specs Infer(VariableSpan in) const {
    Specs specs;
    for (uint32_t i = 0; i < num_x; ++i) {
      if (wanted >> i & 1) specs.push_back({in[i].shape(), in[i].dtype()});
    }
    return specs;
  }

  void Forward(TensorSpan in, absl::Span<Tensor> dx) const {
    bool needs[32];
    for (uint32_t i = 0; i < num_x; ++i) needs[i] = wanted >> i & 1;
    const TensorSpan dy = in.subspan(num_x + num_y, in.size() - num_x - num_y);
    const Tensor unread;
    absl::InlinedVector<const Tensor*, 8> y(C::kUses.output ? 0 : dy.size(), &unread);
    for (uint32_t i = 0; i < num_y; ++i) y.push_back(&in[num_x + i]);
    composite.GradientKernel(in.subspan(0, num_x), {y.data(), y.size()}, dy,
                             Needs(absl::MakeConstSpan(needs, num_x)), dx);
  }

  Gradients Vjp(VariableSpan in, VariableSpan, VariableSpan ddx, Needs needs) const {
    // The vjp of (x, dy) -> Grad(Definition(x), x, dy), on aliases that require gradients: without
    // them terms would vanish where an input is a constant.
    std::vector<Variable> x, dy, wanted_x, cotangents;
    for (uint32_t i = 0; i < num_x; ++i) {
      const bool constant = C::kConstantInputs >> i & 1;
      x.push_back(constant ? in[i] : Alias(in[i]));
      if (wanted >> i & 1) wanted_x.push_back(x[i]);
    }
    for (size_t i = num_x + num_y; i < in.size(); ++i) dy.push_back(Alias(in[i]));
    const bool create_graph = GradEnabled();
    const NoGradGuard with_grad(/*no_grad=*/false);
    // Were a composite found in its own Definition, this would have no end.
    const AsWritten as_written;
    const std::vector<Variable> y = composite.Definition(x);
    std::vector<Variable> first =
        Grad(y, wanted_x, {.cotangents = dy, .create_graph = true, .unused = Unused::kZero});
    std::vector<Variable> outputs;
    for (size_t i = 0; i < first.size(); ++i) {
      if (!ddx[i].defined()) continue;
      outputs.push_back(first[i]);
      cotangents.push_back(ddx[i]);
    }
    std::vector<Variable> inputs;
    for (uint32_t i = 0; i < num_x; ++i) {
      if (!(C::kConstantInputs >> i & 1)) inputs.push_back(x[i]);
    }
    inputs.insert(inputs.end(), dy.begin(), dy.end());
    const std::vector<Variable> found =
        Grad(outputs, inputs,
             {.cotangents = cotangents, .create_graph = create_graph, .unused = Unused::kZero});
    Gradients gradients;
    size_t next = 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const bool is_y = i >= num_x && i < num_x + num_y;
      const bool constant = i < num_x && (C::kConstantInputs >> i & 1);
      // What y and the residuals carry is already counted: the replay is a function of x and dy.
      Variable gradient = is_y || constant ? Variable() : found[next++];
      gradients.push_back(needs[i] ? std::move(gradient) : Variable());
    }
    return gradients;
  }
};

}  // namespace internal

template <class C>
Gradients Composite<C>::Vjp(VariableSpan x, VariableSpan y, VariableSpan dy, Needs needs) const {
  const uint32_t wanted = internal::WantedBits<C>(needs);
  if (wanted == 0) return {};
  std::vector<Variable> inputs(x.begin(), x.end());
  const VariableSpan read = C::kUses.output ? y : y.subspan(dy.size());
  inputs.insert(inputs.end(), read.begin(), read.end());
  for (size_t i = 0; i < dy.size(); ++i) {
    inputs.push_back(dy[i].defined() ? dy[i] : Variable(Tensor::Zeros(y[i].shape(), y[i].dtype())));
  }
  const Variable first =
      Apply(internal::CompositeGradientOp<C>{.composite = self(),
                                             .wanted = wanted,
                                             .num_x = static_cast<uint32_t>(x.size()),
                                             .num_y = static_cast<uint32_t>(read.size())},
            VariableSpan(inputs));
  Gradients gradients;
  int next = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    gradients.push_back(wanted >> i & 1 ? Output(first, next++) : Variable());
  }
  return gradients;
}

// Records the composite; or its Definition where there is no kernel for these inputs, or under
// EagerGuard, which runs what is written and nothing cleverer.
template <class C>
std::vector<Variable> ApplyComposite(const C& composite, VariableSpan x,
                                     SourceLocation where = SourceLocation::current()) {
  const WhereScope scope(where, C::kName);
  if (!internal::Eager() && composite.HasKernel(x)) return Outputs(Apply(composite, x, where));
  std::vector<Variable> outputs = composite.Definition(x);
  // As those of the op, outputs are not computed from each other, whatever the Definition does.
  if (outputs.size() > 1) {
    for (Variable& y : outputs) y = y.requires_grad() ? internal::Alias(y) : y;
  }
  return outputs;
}

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_COMPOSITE_H_
