// A layer in float64, as CheckGradients wants it: InFloat64(layer) gives each parameter anew.
#ifndef WENGERT_TESTS_NN_IN_FLOAT64_H_
#define WENGERT_TESTS_NN_IN_FLOAT64_H_

#include <string_view>
#include <type_traits>
#include <utility>

#include "autograd/parameter.h"

namespace wengert {

struct ToFloat64 {
  template <class Member>
  void operator()(std::string_view, Member& member) const {
    if constexpr (std::is_same_v<Member, Parameter>) {
      if (!member.defined()) return;
      Tensor value = member.value().To(DType::kFloat64);
      member = member.trained() ? Parameter(value) : Parameter::Untrained(value);
    } else if constexpr (requires { member.begin(); }) {
      for (auto& element : member) (*this)("", element);
    } else if constexpr (requires { member.Visit(*this); }) {
      member.Visit(*this);
    }
  }
};

template <class Layer>
Layer InFloat64(Layer layer) {
  ToFloat64()("", layer);
  return layer;
}

}  // namespace wengert

#endif  // WENGERT_TESTS_NN_IN_FLOAT64_H_
