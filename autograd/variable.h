// Variable: a value on the tape. Its shape and dtype are known at once, the number is computed when
// it is asked for, and it can be differentiated.
#ifndef WENGERT_AUTOGRAD_VARIABLE_H_
#define WENGERT_AUTOGRAD_VARIABLE_H_

#include <iosfwd>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/node.h"
#include "tensor/tensor.h"

namespace wengert {

// A handle: one output of one node. Copying is cheap and shares. A graph belongs to the thread that
// recorded it; leaves (constants, parameters) may be read by every thread.
class Variable {
 public:
  Variable() = default;    // undefined
  Variable(Tensor value);  // a constant  NOLINT(google-explicit-constructor)

  Variable(const Variable& other) : bits_(other.bits_) {
    if (bits_) node()->Ref();
  }
  Variable(Variable&& other) noexcept : bits_(std::exchange(other.bits_, 0)) {}
  Variable& operator=(const Variable& other) {
    Variable copy(other);
    std::swap(bits_, copy.bits_);
    return *this;
  }
  Variable& operator=(Variable&& other) noexcept {
    Variable taken(std::move(other));
    std::swap(bits_, taken.bits_);
    return *this;
  }
  ~Variable() {
    if (bits_) node()->Unref();
  }

  bool defined() const { return bits_ != 0; }
  const Shape& shape() const { return output().shape(); }
  DType dtype() const { return output().dtype(); }
  int rank() const { return shape().rank(); }
  int64_t dim(int axis) const { return output().dim(axis); }
  int64_t size() const { return output().size(); }
  bool requires_grad() const { return bits_ && node()->requires_grad(); }

  // Computes what is pending below this value, if anything, and returns it. The Tensor shares the
  // node's memory: clone it before writing to it.
  Tensor value() const;
  template <class T>
  T item() const {
    return value().template item<T>();
  }
  // The same value as a constant: no gradient flows through it. Recorded, not computed.
  Variable Detach(SourceLocation where = SourceLocation::current()) const;

  // For the tape and for op rules.
  Node* node() const { return reinterpret_cast<Node*>(bits_ & ~kIndexMask); }
  int index() const { return static_cast<int>(bits_ & kIndexMask); }
  const Tensor& output() const {
    if (!bits_) [[unlikely]] {
      ThrowUndefined();
    }
    return node()->outputs()[index()];
  }
  // Takes over one reference to the node.
  static Variable Adopt(Node* node, int index = 0) {
    Variable v;
    v.bits_ = reinterpret_cast<uintptr_t>(node) | static_cast<uintptr_t>(index);
    return v;
  }
  static Variable Share(Node* node, int index = 0) {
    node->Ref();
    return Adopt(node, index);
  }
  bool SameAs(const Variable& other) const { return bits_ == other.bits_; }

  static constexpr int kMaxOutputs = 64;

 private:
  [[noreturn]] static void ThrowUndefined();
  static constexpr uintptr_t kIndexMask = kMaxOutputs - 1;  // nodes are aligned to 64 bytes

  uintptr_t bits_ = 0;
};

inline VariableSpan Node::inputs() const { return {input_data(), num_inputs}; }
inline void Node::MakeInput(int i, const Variable& input) {
  new (const_cast<Variable*>(input_data()) + i) Variable(input);
}
inline void* Node::attributes() const { return const_cast<Variable*>(input_data() + num_inputs); }

// A leaf that gradients can be taken with respect to.
Variable DifferentiableLeaf(Tensor value, std::shared_ptr<const std::string> name = nullptr);
// A constant that errors name.
Variable NamedConstant(Tensor value, std::shared_ptr<const std::string> name);

// Computes the values of all of these in one pass.
void Evaluate(VariableSpan variables);

std::ostream& operator<<(std::ostream& stream, const Variable& variable);  // evaluates

// An argument of an element-wise op: a Variable, a Tensor or a number, and the source line on which
// it was written (the implicit conversion runs on the user's line; that is how `a * b + 1` knows
// it). A number is an attribute of the op, not a leaf on the tape, and takes the dtype of the other
// operand (see PromoteWithNumber). Like a string_view it borrows: a named Variable must outlive it.
class Operand {
 public:
  Operand(const Variable& v,  // NOLINT(google-explicit-constructor)
          SourceLocation where = SourceLocation::current())
      : borrowed_(&v), where_(where) {}
  Operand(Variable&& v,  // NOLINT(google-explicit-constructor)
          SourceLocation where = SourceLocation::current())
      : owned_(std::move(v)), where_(where) {}
  Operand(Tensor t,  // NOLINT(google-explicit-constructor)
          SourceLocation where = SourceLocation::current())
      : owned_(std::move(t)), where_(where) {}
  // A Parameter, and whatever else stands for a Variable.
  template <class P>
  requires(std::is_convertible_v<const P&, const Variable&> && !std::is_same_v<P, Variable> &&
           !std::is_same_v<P, Tensor>) Operand(const P& p,  // NOLINT(google-explicit-constructor)
                                               SourceLocation where = SourceLocation::current())
      : owned_(static_cast<const Variable&>(p)), where_(where) {}
  template <class N>
  requires std::is_arithmetic_v<N> Operand(N number,  // NOLINT(google-explicit-constructor)
                                           SourceLocation where = SourceLocation::current())
      : is_number_(true),
        floating_(std::is_floating_point_v<N>),
        number_(static_cast<double>(number)),
        where_(where) {
    if constexpr (std::is_integral_v<N> && sizeof(N) == 8) {
      // Beyond 2^53 a double would round it.
      constexpr auto kExact = int64_t{1} << 53;
      if (static_cast<int64_t>(number) > kExact || static_cast<int64_t>(number) < -kExact) {
        owned_ = LargeInteger(static_cast<int64_t>(number));
        is_number_ = false;
      }
    }
  }

  bool is_number() const { return is_number_; }
  double number() const { return number_; }
  bool number_is_floating() const { return floating_; }
  const Variable& variable() const { return borrowed_ ? *borrowed_ : owned_; }
  SourceLocation where() const { return where_; }

 private:
  static Variable LargeInteger(int64_t value);

  const Variable* borrowed_ = nullptr;
  Variable owned_;
  bool is_number_ = false;
  bool floating_ = false;
  double number_ = 0;
  SourceLocation where_;
};

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_VARIABLE_H_
