// Forecasts the next value of a time series with an LSTM, and compares it with the naive forecast.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "data/formats/csv.h"
#include "data/loader.h"
#include "models/command_line.h"
#include "models/time_series.h"
#include "nn/module.h"
#include "nn/optimizers.h"
#include "nn/train/fit.h"
#include "tensor/parallel.h"

ABSL_FLAG(std::string, csv, "", "file with a header row; empty: noisy sines, made from the seed");
ABSL_FLAG(std::string, column, "", "of --csv: the series, a number in every row");
ABSL_FLAG(int64_t, length, 4000, "of the noisy sines");
ABSL_FLAG(double, noise, 0.1, "of the noisy sines: its standard deviation");
ABSL_FLAG(int64_t, window, 48, "values that the forecast of the next one sees");
ABSL_FLAG(int64_t, hidden, 32, "units of the LSTM");
ABSL_FLAG(int64_t, epochs, 30, "passes over the training windows");

namespace wengert::forecast {
namespace {

absl::Status CheckFlags() {
  constexpr int64_t kMost = 100'000'000;
  for (const auto& [name, value] : {std::pair{"length", absl::GetFlag(FLAGS_length)},
                                    std::pair{"window", absl::GetFlag(FLAGS_window)},
                                    std::pair{"hidden", absl::GetFlag(FLAGS_hidden)}}) {
    if (value < 1 || value > kMost) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, "=", value, ", expected 1 to ", kMost));
    }
  }
  if (const double noise = absl::GetFlag(FLAGS_noise); !(noise >= 0 && std::isfinite(noise))) {
    return absl::InvalidArgumentError(absl::StrCat("--noise=", noise, " is no deviation"));
  }
  const bool csv = !absl::GetFlag(FLAGS_csv).empty();
  if (csv != !absl::GetFlag(FLAGS_column).empty()) {
    return absl::InvalidArgumentError("--csv and --column belong together");
  }
  for (const char* flag : {"length", "noise"}) {
    if (csv && FlagGiven(flag)) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag, " means nothing with --csv"));
    }
  }
  return CheckNotNegative({{"epochs", absl::GetFlag(FLAGS_epochs)}});
}

absl::StatusOr<std::vector<double>> Values() {
  if (absl::GetFlag(FLAGS_csv).empty()) {
    return NoisySines(absl::GetFlag(FLAGS_length), absl::GetFlag(FLAGS_noise),
                      absl::GetFlag(FLAGS_seed));
  }
  const absl::StatusOr<CsvTable> table = ReadCsv(absl::GetFlag(FLAGS_csv));
  if (!table.ok()) return table.status();
  return table->Numbers(absl::GetFlag(FLAGS_column));
}

absl::StatusOr<int> Run() {
  if (absl::Status status = CheckFlags(); !status.ok()) return status;
  const absl::StatusOr<std::vector<double>> values = Values();
  if (!values.ok()) return values.status();
  const absl::StatusOr<Series> series = MakeSeries(*values, absl::GetFlag(FLAGS_window));
  if (!series.ok()) {
    const std::string csv = absl::GetFlag(FLAGS_csv);
    return absl::InvalidArgumentError(
        absl::StrCat(csv, csv.empty() ? "" : ": ", std::string(series.status().message())));
  }

  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  Generator generator(seed);
  Forecaster model(absl::GetFlag(FLAGS_hidden), generator);
  const std::vector<NamedParameter> weights = NamedParameters(model);
  if (absl::Status status = LoadWeights(weights); !status.ok()) return status;
  const int64_t given_batch = absl::GetFlag(FLAGS_batch_size);
  const double given_rate = absl::GetFlag(FLAGS_learning_rate);
  Adam adam(Parameters(model), {.learning_rate = given_rate > 0 ? given_rate : 5e-3});
  const auto loader = [](const Windows& windows, const LoaderOptions& options) {
    return Loader(windows.inputs, windows.targets, options);
  };
  const Loader training =
      loader(series->training,
             {.batch_size = given_batch > 0 ? given_batch : 64, .shuffle = true, .seed = seed});
  const Loader validation = loader(series->validation, {.batch_size = 500});
  const Loader test = loader(series->test, {.batch_size = 500});
  const bool quiet = absl::GetFlag(FLAGS_quiet);
  if (!quiet) {
    std::printf(
        "%zu values; windows to train on: %lld, to validate: %lld, to test: %lld; "
        "%d threads\n",
        values->size(), static_cast<long long>(training.examples()),
        static_cast<long long>(validation.examples()), static_cast<long long>(test.examples()),
        NumThreads());
  }

  const Objective objective = [&](const Batch& batch) {
    return Outcome{.loss = MeanSquaredError(model(batch.inputs), batch.targets), .correct = {}};
  };
  const FitResult result =
      Fit(objective, adam, training, generator,
          {.epochs = absl::GetFlag(FLAGS_epochs),
           .schedule = CosineDecay({.rate = adam.learning_rate(),
                                    .steps = absl::GetFlag(FLAGS_epochs) * training.batches()}),
           .clip_norm = 1,
           .quiet = quiet,
           .validate = [&] { return EvaluateObjective(objective, validation); },
           .keep_best = true});
  if (result.interrupted && !quiet) {
    std::printf("Interrupted after %lld steps; the test of what there is:\n",
                static_cast<long long>(result.steps));
  }
  // Before the test, so that nothing can come between. Should it fail, the result is still printed.
  const absl::Status saved = SaveWeights(weights);
  const double in_units = series->deviation * series->deviation;
  const double error = EvaluateObjective(objective, test).loss * in_units;
  if (!std::isfinite(error)) {
    return absl::InternalError(absl::StrCat("the test's mean squared error is ", error));
  }
  const double next = model(series->last).item<double>() * series->deviation + series->mean;
  std::printf(
      "test_mse=%.6g naive_mse=%.6g ratio=%.4f next=%.6g best_epoch=%lld epochs=%lld "
      "seconds=%.1f seed=%llu\n",
      error, series->naive_error, error / series->naive_error, next,
      static_cast<long long>(result.best_epoch), static_cast<long long>(result.epochs),
      result.seconds, static_cast<unsigned long long>(seed));
  if (!saved.ok()) return saved;
  return result.interrupted ? kInterrupted : EXIT_SUCCESS;
}

}  // namespace
}  // namespace wengert::forecast

int main(int argc, char** argv) {
  return wengert::RunMain(argc, argv, "forecast",
                          "forecasts the next value of a time series with an LSTM",
                          &wengert::forecast::Run);
}
