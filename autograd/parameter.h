// Parameter: a value that training changes. A rebindable, named Variable.
#ifndef WENGERT_AUTOGRAD_PARAMETER_H_
#define WENGERT_AUTOGRAD_PARAMETER_H_

#include <memory>
#include <string>
#include <string_view>

#include "autograd/variable.h"

namespace wengert {

// Copies share one slot, as copies of a Tensor share memory: a copied model has the same
// parameters, and tied weights are copies of one Parameter. A graph that was recorded before Set
// keeps the old value.
class Parameter {
 public:
  Parameter() = default;  // unset: using it throws Error
  explicit Parameter(Tensor initial);
  // A value that no gradient trains: a layer's state, such as running statistics. It is saved and
  // loaded as every parameter is, but Parameters(model) leaves it out.
  static Parameter Untrained(Tensor initial);

  bool defined() const { return slot_ != nullptr; }
  // Whether gradients train it: it is neither Untrained nor frozen.
  bool trained() const { return slot().trained && !slot().frozen; }
  // The current value, as a leaf that gradients are taken with respect to; untrained or frozen: a
  // constant.
  const Variable& variable() const;
  operator const Variable&() const { return variable(); }  // NOLINT(google-explicit-constructor)
  Tensor value() const { return variable().value(); }
  const Shape& shape() const { return slot().shape; }  // known while it is taken, too
  DType dtype() const { return slot().dtype; }
  int64_t size() const { return NumElements(slot().shape); }

  // Replaces the value (same shape and dtype, else Error).
  void Set(const Variable& value);
  // While it is frozen training leaves it alone: it is a constant, Parameters(model) leaves it out,
  // and UpdateState does not move it. Set still does. See Freeze(model).
  bool frozen() const { return slot().frozen; }
  void SetFrozen(bool frozen);
  // Hands out the value and leaves the parameter empty until the next Set: so an update can reuse
  // the buffer. For optimizers.
  Variable Take();

  std::string_view name() const { return slot_ && slot_->name ? *slot_->name : std::string_view(); }
  void SetName(std::string name);

  bool SharesWith(const Parameter& other) const { return slot_ == other.slot_; }

 private:
  struct Slot {
    Variable leaf;
    std::shared_ptr<const std::string> name;
    Shape shape;
    DType dtype;
    bool trained;
    bool frozen = false;
  };
  Parameter(Tensor initial, bool trained);
  const Slot& slot() const;
  void Bind(Tensor value);

  std::shared_ptr<Slot> slot_;
};

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_PARAMETER_H_
