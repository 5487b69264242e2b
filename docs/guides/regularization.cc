// The program of regularization.md: a network that learns 1,000 images by heart, and what helps.
// Fails where a remedy stops being one.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "data/mnist.h"
#include "wengert.h"

ABSL_FLAG(int64_t, epochs, 100, "of training");
ABSL_FLAG(int64_t, seeds, 1, "average over so many");
ABSL_FLAG(bool, held_out, false, "measure on the held-out images in place of the test set");

using namespace wengert;  // NOLINT(google-build-using-namespace)

namespace {

constexpr int64_t kTrained = 1000, kHeldOut = 5000;

// [mlp_with_dropout]
struct Mlp {
  nn::Dense fc1, fc2, fc3;
  double input_dropout, dropout;

  Mlp(double input_dropout, double dropout, Generator& rng)
      : fc1({.in = 28 * 28, .out = 512}, rng),
        fc2({.in = 512, .out = 512}, rng),
        fc3({.in = 512, .out = 10}, rng),
        input_dropout(input_dropout),
        dropout(dropout) {}
  Variable operator()(const Variable& images) const {
    const Variable x = Dropout(nn::Flatten()(images), input_dropout);
    Variable h = Dropout(Relu(fc1(x)), dropout);
    h = Dropout(Relu(fc2(h)), dropout);
    return fc3(h);
  }
  template <class V>
  void Visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2), v("fc3", fc3);
  }
};
// [/mlp_with_dropout]

struct Remedy {
  const char* name;
  double l1 = 0, l2 = 0, input_dropout = 0, dropout = 0;
  AugmentOptions augment = {};
  bool stop_early = false;
};

std::vector<Remedy> Remedies() {
  const AugmentOptions affine = {.shift = 2, .rotate = 10, .scale = 0.1};
  return {
      {.name = "none"},
      {.name = "L1, 1e-4", .l1 = 1e-4},
      {.name = "L2, 1e-3", .l2 = 1e-3},
      {.name = "dropout, 0.2 and 0.5", .input_dropout = 0.2, .dropout = 0.5},
      {.name = "augmentation", .augment = affine},
      {.name = "early stopping", .stop_early = true},
      {.name = "augmentation, L2, dropout", .l2 = 1e-4, .dropout = 0.2, .augment = affine},
  };
}

struct Row {
  Metrics training, test;
  double epochs = 0;
};

Row Train(const Remedy& remedy, const Mnist& data, uint64_t seed) {
  const int64_t first_held_out = data.train.images.dim(0) - kHeldOut;
  const Tensor& images = data.train.images;
  const Tensor& labels = data.train.labels;
  const Loader held_out(images.Narrow(0, first_held_out, kHeldOut),
                        labels.Narrow(0, first_held_out, kHeldOut),
                        {.batch_size = 500, .scale = true});
  Generator rng(seed);
  Mlp model(remedy.input_dropout, remedy.dropout, rng);
  const Objective objective = Classification(model);

  // [remedies]
  const Loader training(images, labels,
                        {.batch_size = 50,
                         .shuffle = true,
                         .seed = seed,
                         .scale = true,
                         .limit = kTrained,
                         .augment = remedy.augment});
  Adam adam(ParameterGroups({{.parameters = {model.fc1.weight, model.fc2.weight, model.fc3.weight},
                              .l1 = remedy.l1,
                              .l2 = remedy.l2},
                             {.parameters = {model.fc1.bias, model.fc2.bias, model.fc3.bias}}}));
  FitOptions options = {.epochs = absl::GetFlag(FLAGS_epochs), .quiet = true};
  if (remedy.stop_early) {
    options.validate = [&] { return EvaluateObjective(objective, held_out); };
    options.patience = 10;
    options.keep_best = true;
  }
  const FitResult result = Fit(objective, adam, training, rng, options);
  // [/remedies]

  const Loader trained(images, labels, {.batch_size = 500, .scale = true, .limit = kTrained});
  const Loader test(data.test.images, data.test.labels, {.batch_size = 500, .scale = true});
  return {.training = EvaluateObjective(objective, trained),
          .test = EvaluateObjective(objective, absl::GetFlag(FLAGS_held_out) ? held_out : test),
          .epochs = static_cast<double>(remedy.stop_early ? result.best_epoch : result.epochs)};
}

void Add(Metrics& sum, const Metrics& metrics, double weight) {
  sum.loss += weight * metrics.loss;
  sum.accuracy += weight * metrics.accuracy;
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const Mnist data = LoadMnist().value();
  const int64_t seeds = absl::GetFlag(FLAGS_seeds);
  std::printf(
      "| remedy | epochs | training loss | training accuracy | test loss | test accuracy |\n");
  std::printf("|---|---:|---:|---:|---:|---:|\n");
  std::vector<Row> rows;
  for (const Remedy& remedy : Remedies()) {
    Row mean{.training = {.accuracy = 0}, .test = {.accuracy = 0}};
    for (int64_t seed = 1; seed <= seeds; ++seed) {
      const Row row = Train(remedy, data, seed);
      Add(mean.training, row.training, 1.0 / seeds);
      Add(mean.test, row.test, 1.0 / seeds);
      mean.epochs += row.epochs / seeds;
    }
    std::printf("| %s | %.0f | %.4f | %.1f %% | %.3f | %.1f %% |\n", remedy.name, mean.epochs,
                mean.training.loss, 100 * mean.training.accuracy, mean.test.loss,
                100 * mean.test.accuracy);
    std::fflush(stdout);
    rows.push_back(mean);
  }
  for (size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].test.loss >= rows[0].test.loss) {
      std::fprintf(stderr, "%s did not help\n", Remedies()[i].name);
      return EXIT_FAILURE;
    }
  }
  return EXIT_SUCCESS;
}
