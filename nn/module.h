// What makes a struct a layer: options in, parameters and inner layers as members, operator(), and
//
//   template <class V> void Visit(V&& v) { v("weight", weight), v("bias", bias); }
//
// No base class. Everything here works on anything that has Visit; layers without parameters need
// none.
#ifndef WENGERT_NN_MODULE_H_
#define WENGERT_NN_MODULE_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/parameter.h"

namespace wengert {

struct NamedParameter {
  std::string name;  // "conv1/weight"
  Parameter parameter;
};

namespace internal {

class ParameterCollector {
 public:
  ParameterCollector(std::string prefix, std::vector<NamedParameter>& found)
      : prefix_(std::move(prefix)), found_(found) {}

  template <class Member>
  void operator()(std::string_view name, Member& member) {
    const std::string path =
        prefix_.empty() ? std::string(name) : absl::StrCat(prefix_, "/", std::string(name));
    if constexpr (std::is_same_v<Member, Parameter>) {
      if (member.defined()) found_.push_back({path, member});  // a layer may go without a bias
    } else if constexpr (requires { member.Visit(std::declval<ParameterCollector&>()); }) {
      member.Visit(ParameterCollector(path, found_));
    } else if constexpr (requires { member.begin(); }) {
      size_t i = 0;
      for (auto& element : member) ParameterCollector(path, found_)(absl::StrCat(i++), element);
    }
  }

 private:
  std::string prefix_;
  std::vector<NamedParameter>& found_;
};

template <class Model>
concept HasVisit = requires(Model& model, ParameterCollector& v) {
  model.Visit(v);
};

template <class Part>
void SetFrozen(Part& part, bool frozen) {
  std::vector<NamedParameter> found;
  ParameterCollector("", found)("", part);
  for (NamedParameter& named : found) named.parameter.SetFrozen(frozen);
}

}  // namespace internal

// Every parameter with its path, also the untrained and the frozen ones, in the order of Visit:
// what is saved and loaded. A parameter that stands in several places (tied weights) is listed
// once, under its first name. Stamps the paths on the parameters, so that errors name them.
template <class Model>
std::vector<NamedParameter> NamedParameters(Model& model, std::string_view prefix = "") {
  std::vector<NamedParameter> all, unique;
  model.Visit(internal::ParameterCollector(std::string(prefix), all));
  for (NamedParameter& named : all) {
    const bool known = std::any_of(unique.begin(), unique.end(), [&](const NamedParameter& other) {
      return other.parameter.SharesWith(named.parameter);
    });
    if (known) continue;
    named.parameter.SetName(named.name);
    unique.push_back(std::move(named));
  }
  return unique;
}

// Those of them that training changes by gradients, for an optimizer: neither untrained nor frozen.
template <class Model>
std::vector<Parameter> Parameters(Model& model, std::string_view prefix = "") {
  std::vector<Parameter> parameters;
  for (NamedParameter& named : NamedParameters(model, prefix)) {
    if (named.parameter.trained()) parameters.push_back(std::move(named.parameter));
  }
  return parameters;
}

// Takes all parameters of a model, a layer, a list of layers, or one Parameter, out of training and
// back in: to train a new head on a trained network. What is frozen computes as it infers, so a
// BatchNorm uses its running statistics, which stay as they are; no gradient is taken of it; and it
// is saved and loaded. Make the optimizer from Parameters(model) afterwards.
template <class Part>
void Freeze(Part& part) {
  internal::SetFrozen(part, true);
}
template <class Part>
void Unfreeze(Part& part) {
  internal::SetFrozen(part, false);
}

}  // namespace wengert

#endif  // WENGERT_NN_MODULE_H_
