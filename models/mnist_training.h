// Trains a classifier on MNIST and tests it: what //models:mnist and //models:rows share, with
// flags.
#ifndef WENGERT_MODELS_MNIST_TRAINING_H_
#define WENGERT_MODELS_MNIST_TRAINING_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "autograd/modes.h"
#include "models/recipe.h"
#include "tensor/tensor.h"

namespace wengert::mnist {

// Follows the recipe where flags say nothing else; prints progress, the confusion matrix and a last
// line with `label`, such as "model=mlp", in it. `arrange` makes of uint8 images [N,28,28,1] what
// the model reads. `generator` goes on from the initial weights. Gives the exit code.
absl::StatusOr<int> TrainAndTest(Model model, Generator& generator, const std::string& label,
                                 absl::FunctionRef<Tensor(const Tensor& images)> arrange);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_MNIST_TRAINING_H_
