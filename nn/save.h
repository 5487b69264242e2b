// Saving a model's parameters, and loading them into a model of the same structure.
#ifndef WENGERT_NN_SAVE_H_
#define WENGERT_NN_SAVE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "data/formats/safetensors.h"
#include "nn/module.h"

namespace wengert {

// Writes a safetensors file with every parameter under its path ("conv1/weight"), whole or not at
// all: a file that was there stays until the new one is complete. Two parameters of one path throw
// Error. What an optimizer keeps is saved apart, by Save(optimizer, path). `metadata`: texts that
// go with the weights.
absl::Status Save(const std::vector<NamedParameter>& parameters, const std::string& path,
                  const SafetensorsMetadata& metadata = {});

// Sets every parameter to the tensor of its path. When the file cannot be read, or its names,
// shapes or dtypes are not exactly the model's, no parameter changes; the message lists the
// differences: "w.safetensors: missing (1): "fc/bias"; different (1): "fc/weight" is float32[3,4],
// in the model float32[3,5]".
absl::Status Load(const std::vector<NamedParameter>& parameters, const std::string& path);

// The same for anything that has Visit.
template <internal::HasVisit Model>
absl::Status Save(Model& model, const std::string& path, const SafetensorsMetadata& metadata = {}) {
  return Save(NamedParameters(model), path, metadata);
}
template <internal::HasVisit Model>
absl::Status Load(Model& model, const std::string& path) {
  return Load(NamedParameters(model), path);
}

}  // namespace wengert

#endif  // WENGERT_NN_SAVE_H_
