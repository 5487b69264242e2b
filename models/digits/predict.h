// Reads a digit from a picture with a trained classifier, and shows why: --predict and --explain.
#ifndef WENGERT_MODELS_DIGITS_PREDICT_H_
#define WENGERT_MODELS_DIGITS_PREDICT_H_

#include <string>

#include "absl/flags/declare.h"
#include "absl/status/statusor.h"
#include "models/digits/recipe.h"

ABSL_DECLARE_FLAG(std::string, predict);  // a PNG file; empty: the program trains

namespace wengert::mnist {

// With the weights of --load, prints the three most probable classes of the picture that --predict
// names, and a last line for programs; writes heat maps to --explain. Flags that only training
// reads are errors. Gives the exit code.
absl::StatusOr<int> Predict(const Model& model);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_DIGITS_PREDICT_H_
