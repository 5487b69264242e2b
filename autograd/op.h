// How an op is written: one struct with attributes, Infer, Forward, Vjp, and Apply to record it.
//
//   struct ScaleOp : Op<ScaleOp> {
//     static constexpr std::string_view kName = "scale";
//     static constexpr Uses kUses = Uses::None();       // the rule reads neither x nor y
//     double factor;
//     Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
//     void Forward(TensorSpan x, Tensor& y) const;      // y is allocated, row-major
//     Gradients Vjp(VariableSpan x, const Variable& y, const Variable& dy, Needs needs) const {
//       return {Apply(ScaleOp{.factor = factor}, {dy})};
//     }
//     static std::vector<OpCase> Cases();               // what the gradient table checks
//   };
//
// An op with several outputs takes and returns spans in place of y and dy. A user's own op, in a
// user's own file, is written the same way.
#ifndef WENGERT_AUTOGRAD_OP_H_
#define WENGERT_AUTOGRAD_OP_H_

#include <initializer_list>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "autograd/registry.h"
#include "autograd/variable.h"

namespace wengert {

// Shape and dtype of an output.
struct Spec {
  Shape shape;
  DType dtype = DType::kFloat32;
};
using Specs = absl::InlinedVector<Spec, 2>;

// For Infer: throws Error naming both shapes unless the input has the one that the op's attributes
// call for. Kernels trust the attributes, so an op that has a geometry checks it.
void CheckInputShape(std::string_view op, const Variable& input, const Shape& expected);

// The cotangents that a rule returns, one per input; undefined means zero (or not needed).
class Gradients {
 public:
  Gradients() = default;
  template <class... V>
  requires(std::is_convertible_v<V, Variable>&&...)
      Gradients(V&&... gradients) {  // NOLINT(google-explicit-constructor)
    static_assert(sizeof...(V) <= kInline);
    ((inline_[size_++] = std::forward<V>(gradients)), ...);
  }
  void push_back(Variable gradient) { Append() = std::move(gradient); }
  // Another one, undefined; the reference is good until the next.
  Variable& Append() {
    if (size_ < kInline) return inline_[size_++];
    ++size_;
    if (!more_) more_ = std::make_unique<std::vector<Variable>>();
    return more_->emplace_back();
  }
  size_t size() const { return size_; }
  Variable& operator[](size_t i) { return i < kInline ? inline_[i] : (*more_)[i - kInline]; }

 private:
  static constexpr size_t kInline = 3;
  Variable inline_[kInline];
  size_t size_ = 0;
  std::unique_ptr<std::vector<Variable>> more_;
};

// Which inputs' cotangents are wanted; a rule may return the others undefined.
class Needs {
 public:
  explicit Needs(absl::Span<const bool> needs) : needs_(needs) {}
  bool operator[](size_t i) const { return needs_[i]; }
  size_t size() const { return needs_.size(); }

 private:
  absl::Span<const bool> needs_;
};

// Every op that can be called derives from this (CRTP) and gives kName, Infer, Forward, and Vjp
// unless kDifferentiable is false.
template <class Derived>
struct Op {
  static constexpr Uses kUses = Uses::Inputs();
  static constexpr bool kDifferentiable = true;
  static constexpr bool kMakesOutputs = false;  // Forward sets `out` itself, mostly to views
  // Output o may overwrite input o. Forward must not throw once it has written.
  static constexpr bool kDonates = false;
  static constexpr Grouping kGrouping = Grouping::kNone;
  static constexpr int kResiduals = 0;  // outputs at the end that only the rule reads
  static constexpr decltype(OpTable::run_group) kRunGroup = nullptr;
  static constexpr decltype(OpTable::match) kMatch = nullptr;  // see pattern.h
  static constexpr decltype(OpTable::sum_up) kSumUp = nullptr;
};

namespace internal {

// Records a node. Attributes are constructed by the caller, in place.
struct Recording {
  Node* node;
  void* attributes;
  uint8_t more_flags = 0;  // of the node, besides those that it has from its inputs
};
Recording BeginRecord(const OpTable* op, VariableSpan inputs, absl::Span<const Spec> outputs,
                      int residuals, SourceLocation where);
// Links it to the pending work: limits, eager mode.
Variable EndRecord(const Recording& recording);
// Throws Error if one of the inputs is undefined.
[[noreturn]] void ThrowUndefined(std::string_view op, VariableSpan inputs, SourceLocation where);
inline void CheckDefined(std::string_view op, VariableSpan inputs, SourceLocation where) {
  for (const Variable& input : inputs) {
    if (!input.defined()) [[unlikely]] {
      ThrowUndefined(op, inputs, where);
    }
  }
}
// Adds the line, the functions around it and the layer path to an Error in flight.
[[noreturn]] void RethrowWithPlace(Error& error, VariableSpan inputs, SourceLocation where);
// Throws an Error with the place.
[[noreturn]] void ThrowAt(std::string_view op, std::string_view message, VariableSpan inputs,
                          SourceLocation where);
[[noreturn]] inline void ThrowAt(std::string_view op, std::string_view message, const Variable& x,
                                 SourceLocation where) {
  ThrowAt(op, message, VariableSpan(&x, 1), where);
}
[[noreturn]] inline void ThrowAt(std::string_view op, std::string_view message,
                                 SourceLocation where) {
  ThrowAt(op, message, VariableSpan(), where);
}

template <class O>
struct Traits {
  static void Forward(const Node& node, TensorSpan in, absl::Span<Tensor> out) {
    const O& op = node.attributes_as<O>();
    if constexpr (requires { op.Forward(in, out[0]); }) {
      op.Forward(in, out[0]);
    } else {
      op.Forward(in, out);
    }
  }
  static Gradients Vjp(const Node& node, VariableSpan x, VariableSpan y, VariableSpan dy,
                       Needs needs) {
    const O& op = node.attributes_as<O>();
    if constexpr (requires { op.Vjp(x, y[0], dy[0], needs); }) {
      return op.Vjp(x, y[0], dy[0], needs);
    } else {
      return op.Vjp(x, y, dy, needs);
    }
  }
  static constexpr auto VjpFunction() {
    if constexpr (O::kDifferentiable) {
      return &Vjp;
    } else {
      return static_cast<decltype(OpTable::vjp)>(nullptr);
    }
  }
  static void Copy(void* to, const void* from) { new (to) O(*static_cast<const O*>(from)); }
  static constexpr auto ReducedAxes() {
    if constexpr (O::kGrouping == Grouping::kSum) {
      return +[](const Node& node) { return node.attributes_as<O>().ReducedAxes(); };
    } else {
      return static_cast<uint32_t (*)(const Node&)>(nullptr);
    }
  }
  static constexpr auto Destroy() {
    if constexpr (std::is_trivially_destructible_v<O>) {
      return static_cast<void (*)(void*)>(nullptr);
    } else {
      return +[](void* attributes) { static_cast<O*>(attributes)->~O(); };
    }
  }
};

}  // namespace internal

template <class O>
inline constexpr OpTable kOpTable = {
    .name = O::kName,
    .uses = O::kUses,
    .differentiable = O::kDifferentiable,
    .makes_outputs = O::kMakesOutputs,
    .donates = O::kDonates,
    .grouping = O::kGrouping,
    .forward = &internal::Traits<O>::Forward,
    .vjp = internal::Traits<O>::VjpFunction(),
    .run_group = O::kRunGroup,
    .reduced_axes = internal::Traits<O>::ReducedAxes(),
    .match = O::kMatch,
    .sum_up = O::kSumUp,
    .attribute_bytes = sizeof(O),
    .copy_attributes = &internal::Traits<O>::Copy,
    .destroy_attributes = internal::Traits<O>::Destroy(),
};

namespace internal {

template <class O>
Specs InferAll(const O& op, VariableSpan inputs) {
  if constexpr (std::is_same_v<decltype(op.Infer(inputs)), Spec>) {
    return {op.Infer(inputs)};
  } else {
    return op.Infer(inputs);
  }
}

template <class O>
concept IsComposite = requires {
  O::kIsComposite;
};
template <class O>
concept HasCases = requires {
  O::Cases();
};

template <class O>
bool RegisterFromStruct() {
  RegisteredOp op;
  op.name = O::kName;
  op.differentiable = O::kDifferentiable;
  op.composite = IsComposite<O>;
  if constexpr (HasCases<O>) op.cases = &O::Cases;
  return RegisterOp(std::move(op));
}

// Initialized at program start because Apply<O> refers to it.
template <class O>
struct Registered {
  static const bool value;
};
template <class O>
const bool Registered<O>::value = RegisterFromStruct<O>();

}  // namespace internal

// Records `op` on `inputs`: checks shapes and dtypes now (throws Error at `where`), computes later.
// Returns output 0; the others are Output(y, i).
template <class O>
Variable Apply(O op, VariableSpan inputs, SourceLocation where = SourceLocation::current()) {
  static_assert(alignof(O) <= 8);
  static_cast<void>(&internal::Registered<O>::value);
  internal::CheckDefined(O::kName, inputs, where);
  Specs outputs;
  try {
    outputs = internal::InferAll(op, inputs);
  } catch (Error& error) {
    internal::RethrowWithPlace(error, inputs, where);
  }
  const internal::Recording recording = internal::BeginRecord(
      &kOpTable<O>, inputs, absl::MakeConstSpan(outputs), O::kResiduals, where);
  new (recording.attributes) O(std::move(op));
  return internal::EndRecord(recording);
}
template <class O>
Variable Apply(O op, std::initializer_list<Variable> inputs,
               SourceLocation where = SourceLocation::current()) {
  return Apply(std::move(op), VariableSpan(inputs.begin(), inputs.size()), where);
}

// Another output of the node behind `y`.
inline Variable Output(const Variable& y, int index) { return Variable::Share(y.node(), index); }
std::vector<Variable> Outputs(const Variable& y);  // the public ones

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_OP_H_
