// MNIST as flags want it: what every program that trains on it reads.
#ifndef WENGERT_MODELS_MNIST_DATA_H_
#define WENGERT_MODELS_MNIST_DATA_H_

#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "data/loader.h"
#include "tensor/tensor.h"

namespace wengert::mnist {

struct Loaders {
  Loader training;                   // shuffled by --seed
  std::optional<Loader> validation;  // as --validation says
  Loader test;
};

// Follows --data, --subset, --validation and --seed. `arrange` makes of uint8 images [N,28,28,1]
// what the model reads. A flag that is wrong, and files that are, are errors.
absl::StatusOr<Loaders> MakeLoaders(int64_t batch_size,
                                    absl::FunctionRef<Tensor(const Tensor& images)> arrange);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_MNIST_DATA_H_
