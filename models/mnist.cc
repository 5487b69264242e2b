// Trains a model on MNIST and tests it, or reads a digit with a trained one.
#include <algorithm>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "models/command_line.h"
#include "models/digits/autoencoders.h"
#include "models/digits/classifiers.h"
#include "models/digits/predict.h"
#include "models/digits/training.h"

ABSL_FLAG(std::string, model, "cnn32_64_d128",
          "a classifier: cnn32_64_d128, cnn32, cnn32_64_64_d64, cnn32_nopool, resnet or mlp; or "
          "autoencoder or vae");
ABSL_FLAG(std::string, recipe, "",
          "\"fast\": one epoch, in one cycle of the learning rate; empty: the model's");
ABSL_FLAG(std::string, activation, "relu", "of the mlp: sigmoid, tanh or relu");

namespace wengert::mnist {
namespace {

absl::StatusOr<int> Draw(const std::string& name, Generator& generator) {
  for (const char* flag : {"recipe", "activation", "predict", "explain"}) {
    if (FlagGiven(flag)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " means nothing to --model=", name));
    }
  }
  return TrainDrawingModel(name, generator);
}

bool IsOneOf(absl::Span<const char* const> known, const std::string& name) {
  return std::find(known.begin(), known.end(), name) != known.end();
}

absl::StatusOr<int> Run() {
  Generator generator(absl::GetFlag(FLAGS_seed));
  const std::string name = absl::GetFlag(FLAGS_model);
  if (IsOneOf(kDrawingModels, name)) return Draw(name, generator);
  if (!IsOneOf(kClassifiers, name)) {
    return absl::InvalidArgumentError(absl::StrCat("unknown model \"", name,
                                                   "\"; known: ", absl::StrJoin(kClassifiers, ", "),
                                                   ", ", absl::StrJoin(kDrawingModels, ", ")));
  }
  absl::StatusOr<Model> model = MakeModel(name, absl::GetFlag(FLAGS_activation), generator);
  if (!model.ok()) return model.status();
  if (FlagGiven("pictures")) {
    return absl::InvalidArgumentError(absl::StrCat("--pictures means nothing to --model=", name));
  }
  if (FlagGiven("predict")) return Predict(*model);
  if (FlagGiven("explain")) return absl::InvalidArgumentError("--explain needs --predict");
  const std::string recipe = absl::GetFlag(FLAGS_recipe);
  if (recipe == "fast") {
    model->recipe = FastRecipe(model->recipe.model);
  } else if (!recipe.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown recipe \"", recipe, "\"; known: fast"));
  }
  const std::string label = absl::StrCat("model=", model->recipe.model);
  return TrainAndTest(*model, generator, label, [](const Tensor& images) { return images; });
}

}  // namespace
}  // namespace wengert::mnist

int main(int argc, char** argv) {
  return wengert::RunMain(argc, argv, "mnist",
                          "trains a model on MNIST and tests it, or reads a digit with it",
                          &wengert::mnist::Run);
}
