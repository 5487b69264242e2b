// Trains a model on MNIST and tests it, or reads a digit with a trained one.
#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "models/command_line.h"
#include "models/mnist_models.h"
#include "models/mnist_predict.h"
#include "models/mnist_training.h"

ABSL_FLAG(std::string, model, "cnn32_64_d128",
          "cnn32_64_d128, cnn32, cnn32_64_64_d64, cnn32_nopool or mlp");
ABSL_FLAG(std::string, recipe, "",
          "\"fast\": one epoch, in one cycle of the learning rate; empty: the model's");
ABSL_FLAG(std::string, activation, "relu", "of the mlp: sigmoid, tanh or relu");

namespace wengert::mnist {
namespace {

absl::StatusOr<int> Run() {
  Generator generator(absl::GetFlag(FLAGS_seed));
  absl::StatusOr<Model> model =
      MakeModel(absl::GetFlag(FLAGS_model), absl::GetFlag(FLAGS_activation), generator);
  if (!model.ok()) return model.status();
  if (FlagGiven("predict")) return Predict(*model);
  if (FlagGiven("explain")) return absl::InvalidArgumentError("--explain needs --predict");
  const std::string recipe = absl::GetFlag(FLAGS_recipe);
  if (recipe == "fast") {
    model->recipe = FastRecipe(model->recipe.model);
  } else if (!recipe.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown recipe \"", recipe, "\"; known: fast"));
  }
  const std::string label = absl::StrCat("model=", model->recipe.model);
  return TrainAndTest(*model, generator, label,
                      [](const Tensor& images) { return images; });
}

}  // namespace
}  // namespace wengert::mnist

int main(int argc, char** argv) {
  return wengert::RunMain(argc, argv, "mnist",
                          "trains a model on MNIST and tests it, or reads a digit with it",
                          &wengert::mnist::Run);
}
