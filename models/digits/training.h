// Trains a model on MNIST and tests it: what //models:mnist and //models:rows share, with flags.
#ifndef WENGERT_MODELS_DIGITS_TRAINING_H_
#define WENGERT_MODELS_DIGITS_TRAINING_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autograd/modes.h"
#include "data/loader.h"
#include "models/digits/recipe.h"
#include "nn/train/fit.h"
#include "tensor/tensor.h"

namespace wengert::mnist {

// Prints what the test set gave; its last line is for programs.
using Report = absl::FunctionRef<absl::Status(const Loader& test, const Metrics& metrics,
                                              const FitResult& result)>;
// Follows the recipe where flags say nothing else, prints progress, saves the weights, measures
// `objective` on the test set and reports. `arrange` makes of uint8 images [N,28,28,1] what the
// model reads. `generator` goes on from the initial weights. Gives the exit code.
absl::StatusOr<int> Train(const Model& model, const Objective& objective, Generator& generator,
                          absl::FunctionRef<Tensor(const Tensor& images)> arrange, Report report);

// The same of a classifier, with its confusion matrix and a last line with `label`, such as
// "model=mlp", in it.
absl::StatusOr<int> TrainAndTest(const Model& model, Generator& generator, const std::string& label,
                                 absl::FunctionRef<Tensor(const Tensor& images)> arrange);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_DIGITS_TRAINING_H_
