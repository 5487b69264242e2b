#include "nn/save.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/formats/file.h"

namespace wengert {
namespace {

// "float32[3,4]".
template <class T>
std::string Type(const T& value) {
  return absl::StrCat(std::string(Name(value.dtype())), ToString(value.shape()));
}

// "missing (12): "a", "b", ...": the first ten.
std::string Listed(const char* what, const std::vector<std::string>& items) {
  constexpr size_t kMost = 10;
  const size_t shown = std::min(kMost, items.size());
  return absl::StrCat(what, " (", items.size(),
                      "): ", absl::StrJoin(items.begin(), items.begin() + shown, ", "),
                      shown < items.size() ? ", ..." : "");
}

}  // namespace

absl::Status Save(const std::vector<NamedParameter>& parameters, const std::string& path,
                  const SafetensorsMetadata& metadata) {
  std::vector<NamedTensor> tensors;
  for (const auto& [name, parameter] : parameters) tensors.push_back({name, parameter.value()});
  return WriteSafetensors(path, tensors, metadata);
}

absl::Status Load(const std::vector<NamedParameter>& parameters, const std::string& path) {
  const absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  absl::flat_hash_map<std::string_view, const Tensor*> in_file;
  for (const auto& [name, tensor] : file->tensors) in_file[name] = &tensor;

  std::vector<std::pair<Parameter, const Tensor*>> values;
  std::vector<std::string> missing, unexpected, different;
  absl::flat_hash_map<std::string_view, int> in_model;
  for (const auto& [name, parameter] : parameters) {
    if (in_model[name]++ > 0) {
      throw Error("load", absl::StrCat("two parameters are named ", ShownName(name)));
    }
    const auto found = in_file.find(name);
    if (found == in_file.end()) {
      missing.push_back(ShownName(name));
    } else if (Type(*found->second) != Type(parameter)) {
      different.push_back(absl::StrCat(ShownName(name), " is ", Type(*found->second),
                                       ", in the model ", Type(parameter)));
    } else {
      values.emplace_back(parameter, found->second);
    }
  }
  for (const auto& [name, tensor] : file->tensors) {
    if (!in_model.contains(name)) unexpected.push_back(ShownName(name));
  }

  std::vector<std::string> problems;
  if (!missing.empty()) problems.push_back(Listed("missing", missing));
  if (!unexpected.empty()) problems.push_back(Listed("unexpected", unexpected));
  if (!different.empty()) problems.push_back(Listed("different", different));
  if (!problems.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " does not fit the model: ", absl::StrJoin(problems, "; ")));
  }
  for (auto& [parameter, tensor] : values) parameter.Set(*tensor);
  return absl::OkStatus();
}

}  // namespace wengert
