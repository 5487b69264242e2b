#include "models/digits/training.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "models/command_line.h"
#include "models/digits/data.h"
#include "nn/train/fit.h"
#include "tensor/parallel.h"

ABSL_FLAG(int64_t, epochs, 0, "passes over the training set; 0: the model's");
ABSL_FLAG(std::string, optimizer, "", "sgd, momentum, rmsprop or adam; empty: the model's");
ABSL_FLAG(std::string, schedule, "",
          "of the learning rate: constant, cosine (falls to 0) or one_cycle (rises first); empty: "
          "the model's");
ABSL_FLAG(double, clip_norm, 0, "most that the gradients' global norm may be; 0: the model's");
ABSL_FLAG(double, l2, -1, "penalty on the squares of kernels and matrices; -1: the model's");
ABSL_FLAG(double, weight_decay, -1,
          "part of kernels and matrices that a step at rate 1 takes away; -1: the model's");
ABSL_FLAG(std::string, augment, "",
          "move each training image by up to so many pixels, rotate it by up to so many degrees, "
          "scale it by up to such a part: \"shift=2,rotate=10,scale=0.1\", or some of them; "
          "\"none\"; empty: the model's");
ABSL_FLAG(int64_t, patience, 0,
          "with --validation=held_out, stop after so many epochs without a lower loss there, and "
          "keep the best epoch's weights; 0: never");
ABSL_FLAG(bool, test_only, false, "do not train: test the weights of --load");

namespace wengert::mnist {
namespace {

constexpr double kModels = -1;  // of a flag where 0 is a choice: what the model's recipe says

absl::Status CheckFlags() {
  absl::Status status = CheckNotNegative(
      {{"epochs", absl::GetFlag(FLAGS_epochs)}, {"patience", absl::GetFlag(FLAGS_patience)}});
  if (!status.ok()) return status;
  if (!(absl::GetFlag(FLAGS_clip_norm) >= 0)) {
    return absl::InvalidArgumentError("--clip_norm is not 0 or above");
  }
  for (const auto& [name, value] : {std::pair("l2", absl::GetFlag(FLAGS_l2)),
                                    {"weight_decay", absl::GetFlag(FLAGS_weight_decay)}}) {
    if (value != kModels && !(value >= 0 && std::isfinite(value))) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, "=", value, " is neither 0 or above nor -1"));
    }
  }
  if (absl::GetFlag(FLAGS_patience) > 0 && absl::GetFlag(FLAGS_validation) != "held_out") {
    return absl::InvalidArgumentError("--patience needs --validation=held_out");
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
absl::Status ApplyFlags(Recipe& recipe) {
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
  if (const double l2 = absl::GetFlag(FLAGS_l2); l2 != kModels) recipe.l2 = l2;
  if (const double decay = absl::GetFlag(FLAGS_weight_decay); decay != kModels) {
    recipe.weight_decay = decay;
  }
  if (const std::string text = absl::GetFlag(FLAGS_augment); !text.empty()) {
    const absl::StatusOr<AugmentOptions> augment = ParseAugment(text);
    if (!augment.ok()) return augment.status();
    recipe.augment = *augment;
  }
  if (absl::GetFlag(FLAGS_test_only)) recipe.epochs = 0;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> Train(const Model& model, const Objective& objective, Generator& generator,
                          absl::FunctionRef<Tensor(const Tensor& images)> arrange, Report report) {
  if (absl::Status status = CheckFlags(); !status.ok()) return status;
  const bool quiet = absl::GetFlag(FLAGS_quiet);
  Recipe recipe = model.recipe;
  if (absl::Status status = ApplyFlags(recipe); !status.ok()) return status;
  const absl::StatusOr<RunSchedule> schedule = MakeSchedule(recipe.schedule);
  if (!schedule.ok()) return schedule.status();
  auto optimizer =
      MakeOptimizer(recipe.optimizer, Regularized(model.parameters, recipe), recipe.learning_rate);
  if (!optimizer.ok()) return optimizer.status();
  if (absl::Status status = LoadWeights(model.weights); !status.ok()) return status;

  const absl::StatusOr<Loaders> data = MakeLoaders(recipe.batch_size, arrange, recipe.augment);
  if (!data.ok()) return data.status();

  if (!quiet) {
    std::printf("%s\n", model.summary.ToString().c_str());
    std::printf("%s: %lld images, batches of %lld, %s, %d threads\n", recipe.model.c_str(),
                static_cast<long long>(data->training.examples()),
                static_cast<long long>(recipe.batch_size), recipe.optimizer.c_str(), NumThreads());
  }
  FitOptions options{.epochs = recipe.epochs,
                     .schedule = (*schedule)((*optimizer)->learning_rate(),
                                             recipe.epochs * data->training.batches()),
                     .clip_norm = recipe.clip_norm,
                     .quiet = quiet};
  if (data->validation) {
    options.validate = [&] { return EvaluateObjective(objective, *data->validation); };
  }
  options.patience = absl::GetFlag(FLAGS_patience);
  options.keep_best = options.patience > 0;
  const FitResult result = Fit(objective, **optimizer, data->training, generator, options);
  if (result.stopped_early && !quiet) {
    std::printf("Stopped early, with the weights of epoch %lld\n",
                static_cast<long long>(result.best_epoch));
  }
  if (result.interrupted && !quiet) {
    std::printf("Interrupted after %lld steps; the test of what there is:\n",
                static_cast<long long>(result.steps));
  }
  // Before the test, so that nothing can come between. Should it fail, the result is still printed.
  const absl::Status saved = SaveWeights(model.weights);
  const Metrics metrics = EvaluateObjective(objective, data->test);
  if (!std::isfinite(metrics.loss)) {
    return absl::InternalError(absl::StrCat("the test loss is ", metrics.loss));
  }
  const absl::Status reported = report(data->test, metrics, result);
  if (!saved.ok()) return saved;
  if (!reported.ok()) return reported;
  return result.interrupted ? kInterrupted : EXIT_SUCCESS;
}

absl::StatusOr<int> TrainAndTest(const Model& model, Generator& generator, const std::string& label,
                                 absl::FunctionRef<Tensor(const Tensor& images)> arrange) {
  const auto report = [&](const Loader& test, const Metrics& metrics, const FitResult& result) {
    if (!absl::GetFlag(FLAGS_quiet)) {
      const Tensor confusion = ConfusionMatrix(model.forward, test, 10);
      std::printf("\n%s\nTest accuracy %.2f %%, loss %.4f, after %.1f s of training\n",
                  ConfusionMatrixText(confusion).c_str(), 100 * metrics.accuracy, metrics.loss,
                  result.seconds);
    }
    std::printf("test_accuracy=%.4f test_loss=%.4f epochs=%lld seconds=%.1f %s seed=%llu\n",
                metrics.accuracy, metrics.loss, static_cast<long long>(result.epochs),
                result.seconds, label.c_str(),
                static_cast<unsigned long long>(absl::GetFlag(FLAGS_seed)));
    return absl::OkStatus();
  };
  return Train(model, Classification(model.forward), generator, arrange, report);
}

}  // namespace wengert::mnist
