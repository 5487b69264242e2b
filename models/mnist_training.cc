#include "models/mnist_training.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "data/loader.h"
#include "data/mnist.h"
#include "models/command_line.h"
#include "nn/train/fit.h"
#include "tensor/parallel.h"

ABSL_FLAG(int64_t, epochs, 0, "passes over the training set; 0: the model's");
ABSL_FLAG(std::string, optimizer, "", "sgd, momentum, rmsprop or adam; empty: the model's");
ABSL_FLAG(std::string, schedule, "",
          "of the learning rate: constant, cosine (falls to 0) or one_cycle (rises first); empty: "
          "the model's");
ABSL_FLAG(double, clip_norm, 0, "most that the gradients' global norm may be; 0: the model's");
ABSL_FLAG(std::string, data, "", "folder with the four MNIST files; empty: the embedded ones");
ABSL_FLAG(int64_t, subset, 0, "train on the first so many images only; 0: all");
ABSL_FLAG(
    std::string, validation, "none",
    "after each epoch measure on: \"test\", the test set; \"held_out\", the last 5,000 training "
    "images, which are then not trained on; \"none\"");
ABSL_FLAG(bool, test_only, false, "do not train: test the weights of --load");

namespace wengert::mnist {
namespace {

constexpr int64_t kHeldOut = 5000;

absl::Status CheckFlags() {
  absl::Status status = CheckNotNegative(
      {{"epochs", absl::GetFlag(FLAGS_epochs)}, {"subset", absl::GetFlag(FLAGS_subset)}});
  if (!status.ok()) return status;
  if (!(absl::GetFlag(FLAGS_clip_norm) >= 0)) {
    return absl::InvalidArgumentError("--clip_norm is not 0 or above");
  }
  const std::string validation = absl::GetFlag(FLAGS_validation);
  if (validation != "none" && validation != "test" && validation != "held_out") {
    return absl::InvalidArgumentError(
        absl::StrCat("--validation=", validation, "; known: none, test, held_out"));
  }
  if (absl::GetFlag(FLAGS_test_only) && absl::GetFlag(FLAGS_load).empty()) {
    return absl::InvalidArgumentError("--test_only needs --load");
  }
  if (absl::GetFlag(FLAGS_test_only) && !absl::GetFlag(FLAGS_save).empty()) {
    return absl::InvalidArgumentError("--test_only leaves nothing to --save");
  }
  return absl::OkStatus();
}

// What flags say otherwise.
void ApplyFlags(Recipe& recipe) {
  if (const int64_t n = absl::GetFlag(FLAGS_epochs)) recipe.epochs = n;
  if (const int64_t n = absl::GetFlag(FLAGS_batch_size)) recipe.batch_size = n;
  if (const std::string name = absl::GetFlag(FLAGS_optimizer); !name.empty()) {
    recipe.learning_rate = 0;  // that one was another optimizer's
    recipe.optimizer = name;
  }
  if (const double rate = absl::GetFlag(FLAGS_learning_rate); rate > 0) {
    recipe.learning_rate = rate;
  }
  if (const std::string name = absl::GetFlag(FLAGS_schedule); !name.empty()) {
    recipe.schedule = name;
  }
  if (const double norm = absl::GetFlag(FLAGS_clip_norm); norm > 0) recipe.clip_norm = norm;
  if (absl::GetFlag(FLAGS_test_only)) recipe.epochs = 0;
}

}  // namespace

absl::StatusOr<int> TrainAndTest(Model model, Generator& generator, const std::string& label,
                                 absl::FunctionRef<Tensor(const Tensor& images)> arrange) {
  if (absl::Status status = CheckFlags(); !status.ok()) return status;
  const bool quiet = absl::GetFlag(FLAGS_quiet);
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  Recipe& recipe = model.recipe;
  ApplyFlags(recipe);
  const absl::StatusOr<RunSchedule> schedule = MakeSchedule(recipe.schedule);
  if (!schedule.ok()) return schedule.status();
  auto optimizer = MakeOptimizer(recipe.optimizer, model.parameters, recipe.learning_rate);
  if (!optimizer.ok()) return optimizer.status();
  if (absl::Status status = LoadWeights(model.weights); !status.ok()) return status;

  absl::StatusOr<Mnist> data = LoadMnist(absl::GetFlag(FLAGS_data));
  if (!data.ok()) return data.status();
  if (absl::GetFlag(FLAGS_subset) > data->train.images.dim(0)) {
    return absl::InvalidArgumentError(absl::StrCat("--subset=", absl::GetFlag(FLAGS_subset),
                                                   ": there are ", data->train.images.dim(0),
                                                   " images"));
  }
  const bool hold_out = absl::GetFlag(FLAGS_validation) == "held_out";
  const int64_t all = data->train.images.dim(0), held_out = hold_out ? kHeldOut : 0;
  if (all <= held_out) {
    return absl::InvalidArgumentError(absl::StrCat("--validation=held_out: of ", all, " images"));
  }
  const auto part = [](const Tensor& t, int64_t first, int64_t count) {
    return t.Narrow(0, first, count).Contiguous();
  };
  const Loader training(arrange(part(data->train.images, 0, all - held_out)),
                        part(data->train.labels, 0, all - held_out),
                        {.batch_size = recipe.batch_size,
                         .shuffle = true,
                         .seed = seed,
                         .scale = true,
                         .limit = absl::GetFlag(FLAGS_subset)});
  const Loader test(arrange(data->test.images), data->test.labels,
                    {.batch_size = 500, .scale = true});

  if (!quiet) {
    std::printf("%s\n", model.summary.ToString().c_str());
    std::printf("%s: %lld images, batches of %lld, %s, %d threads\n", recipe.model.c_str(),
                static_cast<long long>(training.examples()),
                static_cast<long long>(recipe.batch_size), recipe.optimizer.c_str(), NumThreads());
  }
  const Objective objective = Classification(model.forward);
  FitOptions options{
      .epochs = recipe.epochs,
      .schedule = (*schedule)((*optimizer)->learning_rate(), recipe.epochs * training.batches()),
      .clip_norm = recipe.clip_norm,
      .quiet = quiet};
  if (absl::GetFlag(FLAGS_validation) == "test") {
    options.validate = [&] { return EvaluateObjective(objective, test); };
  } else if (hold_out) {
    options.validate = [&, validation =
                               Loader(arrange(part(data->train.images, all - held_out, held_out)),
                                      part(data->train.labels, all - held_out, held_out),
                                      {.batch_size = 500, .scale = true})] {
      return EvaluateObjective(objective, validation);
    };
  }
  const FitResult result = Fit(objective, **optimizer, training, generator, options);
  if (result.interrupted && !quiet) {
    std::printf("Interrupted after %lld steps; the test of what there is:\n",
                static_cast<long long>(result.steps));
  }
  // Before the test, so that nothing can come between. Should it fail, the result is still printed.
  const absl::Status saved = SaveWeights(model.weights);
  const Metrics metrics = EvaluateObjective(objective, test);
  if (!std::isfinite(metrics.loss)) {
    return absl::InternalError(absl::StrCat("the test loss is ", metrics.loss));
  }
  if (!quiet) {
    const Tensor confusion = ConfusionMatrix(model.forward, test, 10);
    std::printf("\n%s\nTest accuracy %.2f %%, loss %.4f, after %.1f s of training\n",
                ConfusionMatrixText(confusion).c_str(), 100 * metrics.accuracy, metrics.loss,
                result.seconds);
  }
  std::printf("test_accuracy=%.4f test_loss=%.4f epochs=%lld seconds=%.1f %s seed=%llu\n",
              metrics.accuracy, metrics.loss, static_cast<long long>(result.epochs), result.seconds,
              label.c_str(), static_cast<unsigned long long>(seed));
  if (!saved.ok()) return saved;
  return result.interrupted ? kInterrupted : EXIT_SUCCESS;
}

}  // namespace wengert::mnist
