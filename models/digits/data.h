// MNIST as flags want it: what every program that trains on it reads.
#ifndef WENGERT_MODELS_DIGITS_DATA_H_
#define WENGERT_MODELS_DIGITS_DATA_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/flags/declare.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "data/augment.h"
#include "data/loader.h"
#include "tensor/tensor.h"

ABSL_DECLARE_FLAG(std::string, validation);  // none, test or held_out

namespace wengert::mnist {

struct Loaders {
  Loader training;                   // shuffled by --seed
  std::optional<Loader> validation;  // as --validation says
  Loader test;
};

// Follows --data, --subset, --validation and --seed. `arrange` makes of uint8 images [N,28,28,1]
// what the model reads. `augment` is for the training images. A flag that is wrong, and files that
// are, are errors; so is --augment where `arrange` gives no images.
absl::StatusOr<Loaders> MakeLoaders(int64_t batch_size,
                                    absl::FunctionRef<Tensor(const Tensor& images)> arrange,
                                    const AugmentOptions& augment = {});

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_DIGITS_DATA_H_
