#include "autograd/parameter.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace wengert {

Parameter::Parameter(Tensor initial, bool trained) : slot_(std::make_shared<Slot>()) {
  slot_->shape = initial.shape();
  slot_->dtype = initial.dtype();
  slot_->trained = trained;
  Bind(std::move(initial));
}
Parameter::Parameter(Tensor initial) : Parameter(std::move(initial), /*trained=*/true) {}
Parameter Parameter::Untrained(Tensor initial) {
  return Parameter(std::move(initial), /*trained=*/false);
}

void Parameter::Bind(Tensor value) {
  slot_->leaf = trained() ? DifferentiableLeaf(std::move(value), slot_->name)
                          : NamedConstant(std::move(value), slot_->name);
}

const Parameter::Slot& Parameter::slot() const {
  if (!slot_) throw Error("parameter", "a parameter is used that was never initialized");
  return *slot_;
}

const Variable& Parameter::variable() const {
  if (!slot_ || !slot_->leaf.defined()) {
    throw Error("parameter", absl::StrCat(std::string(name()), name().empty() ? "a" : ": a",
                                          " parameter is used before it was set"));
  }
  return slot_->leaf;
}

void Parameter::Set(const Variable& value) {
  if (!slot_) throw Error("parameter", "Set on a parameter that was never initialized");
  if (!(value.shape() == slot_->shape) || value.dtype() != slot_->dtype) {
    throw Error("parameter",
                absl::StrCat(std::string(name()), " is ", std::string(Name(slot_->dtype)),
                             ToString(slot_->shape), ", not ", std::string(Name(value.dtype())),
                             ToString(value.shape())));
  }
  Bind(value.value());
}

Variable Parameter::Take() {
  Variable value = variable();
  slot_->leaf = Variable();
  return value;
}

void Parameter::SetFrozen(bool frozen) {
  if (this->frozen() == frozen) return;
  Tensor value = this->value();
  slot_->frozen = frozen;
  Bind(std::move(value));
}

void Parameter::SetName(std::string name) {
  if (this->name() == name) return;
  Tensor value = this->value();
  slot_->name = std::make_shared<const std::string>(std::move(name));
  Bind(std::move(value));
}

}  // namespace wengert
