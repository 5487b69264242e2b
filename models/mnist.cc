// Trains a model on MNIST and tests it.
#include "data/mnist.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "data/formats/file.h"
#include "data/loader.h"
#include "models/command_line.h"
#include "models/mnist_models.h"
#include "nn/save.h"
#include "nn/train/fit.h"
#include "tensor/parallel.h"

ABSL_FLAG(std::string, model, "cnn32_64_d128",
          "cnn32_64_d128, cnn32, cnn32_64_64_d64, cnn32_nopool or mlp");
ABSL_FLAG(int64_t, epochs, 0, "passes over the training set; 0: the model's");
ABSL_FLAG(std::string, optimizer, "", "sgd, momentum, rmsprop or adam; empty: the model's");
ABSL_FLAG(std::string, schedule, "",
          "of the learning rate: constant or cosine (falls to 0); empty: the model's");
ABSL_FLAG(std::string, activation, "relu", "of the mlp: sigmoid, tanh or relu");
ABSL_FLAG(std::string, data, "", "folder with the four MNIST files; empty: the embedded ones");
ABSL_FLAG(int64_t, subset, 0, "train on the first so many images only; 0: all");
ABSL_FLAG(std::string, validation, "none",
          "\"test\": measure on the test set after each epoch; \"none\": once, at the end");
ABSL_FLAG(std::string, load, "",
          "safetensors file with the weights to begin with, as --save writes it");
ABSL_FLAG(std::string, save, "",
          "safetensors file to write the weights to after training, Ctrl-C included");
ABSL_FLAG(bool, test_only, false, "do not train: test the weights of --load");

namespace wengert::mnist {
namespace {

absl::Status CheckFlags() {
  absl::Status status = CheckNotNegative(
      {{"epochs", absl::GetFlag(FLAGS_epochs)}, {"subset", absl::GetFlag(FLAGS_subset)}});
  if (!status.ok()) return status;
  const std::string validation = absl::GetFlag(FLAGS_validation);
  if (validation != "none" && validation != "test") {
    return absl::InvalidArgumentError(
        absl::StrCat("--validation=", validation, "; known: none, test"));
  }
  if (absl::GetFlag(FLAGS_test_only) && absl::GetFlag(FLAGS_load).empty()) {
    return absl::InvalidArgumentError("--test_only needs --load");
  }
  if (absl::GetFlag(FLAGS_test_only) && !absl::GetFlag(FLAGS_save).empty()) {
    return absl::InvalidArgumentError("--test_only leaves nothing to --save");
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Run() {
  if (absl::Status status = CheckFlags(); !status.ok()) return status;
  const bool quiet = absl::GetFlag(FLAGS_quiet);
  const uint64_t seed = absl::GetFlag(FLAGS_seed);

  Generator generator(seed);
  absl::StatusOr<Model> model =
      MakeModel(absl::GetFlag(FLAGS_model), absl::GetFlag(FLAGS_activation), generator);
  if (!model.ok()) return model.status();
  Recipe& recipe = model->recipe;
  if (const int64_t n = absl::GetFlag(FLAGS_epochs)) recipe.epochs = n;
  if (const int64_t n = absl::GetFlag(FLAGS_batch_size)) recipe.batch_size = n;
  if (const std::string name = absl::GetFlag(FLAGS_optimizer); !name.empty()) {
    recipe.optimizer = name;
  }
  if (const std::string name = absl::GetFlag(FLAGS_schedule); !name.empty()) {
    recipe.schedule = name;
  }
  if (absl::GetFlag(FLAGS_test_only)) recipe.epochs = 0;
  const absl::StatusOr<Schedule> schedule = MakeSchedule(recipe.schedule);
  if (!schedule.ok()) return schedule.status();
  auto optimizer =
      MakeOptimizer(recipe.optimizer, model->parameters, absl::GetFlag(FLAGS_learning_rate));
  if (!optimizer.ok()) return optimizer.status();

  if (const std::string path = absl::GetFlag(FLAGS_load); !path.empty()) {
    if (absl::Status status = Load(model->weights, path); !status.ok()) return status;
  }
  const std::string save = absl::GetFlag(FLAGS_save);
  if (!save.empty()) {
    // Begun and dropped: a place that takes no file is better known now than after the training.
    if (const auto file = OutputFile::Create(save); !file.ok()) return file.status();
  }

  absl::StatusOr<Mnist> data = LoadMnist(absl::GetFlag(FLAGS_data));
  if (!data.ok()) return data.status();
  if (absl::GetFlag(FLAGS_subset) > data->train.images.dim(0)) {
    return absl::InvalidArgumentError(absl::StrCat("--subset=", absl::GetFlag(FLAGS_subset),
                                                   ": there are ", data->train.images.dim(0),
                                                   " images"));
  }
  const Loader training(data->train.images, data->train.labels,
                        {.batch_size = recipe.batch_size,
                         .shuffle = true,
                         .seed = seed,
                         .scale = true,
                         .limit = absl::GetFlag(FLAGS_subset)});
  const Loader test(data->test.images, data->test.labels, {.batch_size = 500, .scale = true});

  if (!quiet) {
    std::printf("%s\n", model->summary.ToString().c_str());
    std::printf("%s: %lld images, batches of %lld, %s, %d threads\n", recipe.model.c_str(),
                static_cast<long long>(training.examples()),
                static_cast<long long>(recipe.batch_size), recipe.optimizer.c_str(), NumThreads());
  }
  const Objective objective = Classification(model->forward);
  FitOptions options{.epochs = recipe.epochs, .schedule = *schedule, .quiet = quiet};
  if (absl::GetFlag(FLAGS_validation) == "test") {
    options.validate = [&] { return EvaluateObjective(objective, test); };
  }
  const FitResult result = Fit(objective, **optimizer, training, generator, options);
  if (result.interrupted && !quiet) {
    std::printf("Interrupted after %lld steps; the test of what there is:\n",
                static_cast<long long>(result.steps));
  }
  // Before the test, so that nothing can come between. Should it fail, the result is still printed.
  const absl::Status saved = save.empty() ? absl::OkStatus() : Save(model->weights, save);
  if (saved.ok() && !save.empty() && !quiet) std::printf("Saved to %s\n", save.c_str());
  const Metrics metrics = EvaluateObjective(objective, test);
  if (!std::isfinite(metrics.loss)) {
    return absl::InternalError(absl::StrCat("the test loss is ", metrics.loss));
  }
  if (!quiet) {
    const Tensor confusion = ConfusionMatrix(model->forward, test, 10);
    std::printf("\n%s\nTest accuracy %.2f %%, loss %.4f, after %.1f s of training\n",
                ConfusionMatrixText(confusion).c_str(), 100 * metrics.accuracy, metrics.loss,
                result.seconds);
  }
  std::printf("test_accuracy=%.4f test_loss=%.4f epochs=%lld seconds=%.1f model=%s seed=%llu\n",
              metrics.accuracy, metrics.loss, static_cast<long long>(result.epochs), result.seconds,
              recipe.model.c_str(), static_cast<unsigned long long>(seed));
  if (!saved.ok()) return saved;
  return result.interrupted ? kInterrupted : EXIT_SUCCESS;
}

}  // namespace
}  // namespace wengert::mnist

int main(int argc, char** argv) {
  return wengert::RunMain(argc, argv, "mnist", "trains a model on MNIST and tests it",
                          &wengert::mnist::Run);
}
