// Solves the adding problem with each cell, and shows how far gradients reach back in time.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "models/adding_problem.h"
#include "models/command_line.h"
#include "nn/gradient_clipping.h"
#include "nn/optimizers.h"
#include "nn/train/interrupt.h"

ABSL_FLAG(std::string, cell, "all", "lstm, gru, rnn or all, one after the other");
ABSL_FLAG(int64_t, length, 100, "steps of a sequence");
ABSL_FLAG(int64_t, hidden, 64, "units of the cell");
ABSL_FLAG(int64_t, sequences, 200'000, "give up after so many");

namespace wengert::adding {
namespace {

using Clock = std::chrono::steady_clock;

struct Solved {
  std::string cell;
  Criterion criterion;
  StateGradients before, after;
  double seconds = 0;
};

// Draws new sequences until the criterion is met, the budget spent or Ctrl-C seen.
template <class Layer>
absl::StatusOr<Solved> Solve(const std::string& cell) {
  const int64_t length = absl::GetFlag(FLAGS_length);
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  const bool quiet = absl::GetFlag(FLAGS_quiet);
  const int64_t flag = absl::GetFlag(FLAGS_batch_size), batch_size = flag > 0 ? flag : 32;
  const double rate = absl::GetFlag(FLAGS_learning_rate);
  Generator generator(seed);
  LastState<Layer> network({.in = 2, .hidden = absl::GetFlag(FLAGS_hidden), .out = 1}, generator);
  const std::vector<NamedParameter> weights = NamedParameters(network);
  if (absl::Status status = LoadWeights(weights); !status.ok()) return status;
  // Adam's steps keep their size however small the errors are, so the rate has to fall.
  const double first_rate = rate > 0 ? rate : 5e-3, half_at = 20'000;
  Adam adam(Parameters(network));

  const Batch fixed = Sequences(100, length, ~seed, 0);
  Solved result{.cell = cell, .before = GradientsOverTime(network, fixed)};
  Criterion& criterion = result.criterion;
  const auto start = Clock::now();
  double squares = 0;  // of the errors since the last line of progress
  int64_t drawn = 0, shown = 0;
  while (!criterion.solved() && drawn < absl::GetFlag(FLAGS_sequences) &&
         !InterruptScope::requested()) {
    const Batch batch = Sequences(batch_size, length, seed, drawn);
    const TrainingScope training(generator);
    Variable errors;
    ValueAndGradients step = ValueAndGrad(
        [&] {
          errors = network(batch.inputs) - batch.targets;
          return Mean(Square(errors));
        },
        adam.parameters());
    const double loss = step.value.item<double>();
    if (!std::isfinite(loss)) return absl::InternalError(absl::StrCat("the loss is ", loss));
    for (const float error : errors.value().ToVector<float>()) criterion.Add(error);
    ClipByGlobalNorm(step.gradients, 1);
    adam.set_learning_rate(first_rate / (1 + static_cast<double>(drawn) / half_at));
    adam.Step(step.gradients);
    drawn += batch_size;
    squares += loss * static_cast<double>(batch_size);
    if (!quiet && (drawn - shown >= 10'000 || criterion.solved())) {
      std::printf("%-4s %8lld sequences  mean squared error %.5f  in a row below %.2f: %d\n",
                  cell.c_str(), static_cast<long long>(drawn),
                  squares / static_cast<double>(drawn - shown), Criterion::kError,
                  criterion.in_a_row());
      std::fflush(stdout);
      shown = drawn;
      squares = 0;
    }
  }
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.after = GradientsOverTime(network, fixed);
  if (absl::Status status = SaveWeights(weights); !status.ok()) return status;
  return result;
}

// One column of norms per state, before and after training, at steps from the last to the first.
void PrintGradients(const std::vector<Solved>& all) {
  std::printf(
      "\n|dL/dh_t| (lstm: also |dL/dc_t|), of the untrained cells and after, as parts of"
      " |dL/dh_T|\n   t");
  std::vector<std::pair<std::vector<double>, double>> columns;  // and the norm at T
  for (const Solved& solved : all) {
    for (const auto& [gradients, when] : {std::pair{&solved.before, ""}, {&solved.after, "'"}}) {
      const double last = gradients->h.back();
      columns.emplace_back(gradients->h, last);
      std::printf("%9s", absl::StrCat(solved.cell, " h", when).c_str());
      if (gradients->c.empty()) continue;
      columns.emplace_back(gradients->c, last);
      std::printf("%9s", absl::StrCat(solved.cell, " c", when).c_str());
    }
  }
  std::printf("   ': after\n");
  const int64_t length = absl::GetFlag(FLAGS_length);
  constexpr int64_t kRows = 10;
  int64_t before = 0;
  for (int64_t row = kRows; row >= 0; --row) {
    const int64_t t = std::max<int64_t>(1, length * row / kRows);
    if (t == before) continue;
    before = t;
    std::printf("%4lld", static_cast<long long>(t));
    for (const auto& [norms, last] : columns) std::printf("%9.0e", norms[t - 1] / last);
    std::printf("\n");
  }
  std::printf("\n");
}

absl::StatusOr<int> Run() {
  const int64_t length = absl::GetFlag(FLAGS_length), hidden = absl::GetFlag(FLAGS_hidden);
  if (length < 2) return absl::InvalidArgumentError("--length is at least 2");
  if (hidden < 1) return absl::InvalidArgumentError("--hidden is at least 1");
  if (absl::GetFlag(FLAGS_sequences) < 1) {
    return absl::InvalidArgumentError("--sequences is at least 1");
  }
  const std::string cell = absl::GetFlag(FLAGS_cell);
  if (cell == "all" && !(absl::GetFlag(FLAGS_save) + absl::GetFlag(FLAGS_load)).empty()) {
    return absl::InvalidArgumentError("--save and --load need one --cell");
  }
  std::vector<Solved> all;
  for (const auto& [name, solve] :
       {std::pair{"lstm", &Solve<nn::Lstm>}, {"gru", &Solve<nn::Gru>}, {"rnn", &Solve<nn::Rnn>}}) {
    if (cell != name && cell != "all") continue;
    absl::StatusOr<Solved> solved = solve(name);
    if (!solved.ok()) return solved.status();
    all.push_back(*std::move(solved));
    if (InterruptScope::requested()) break;
  }
  if (all.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown cell \"", cell, "\"; known: lstm, gru, rnn, all"));
  }
  if (!absl::GetFlag(FLAGS_quiet)) PrintGradients(all);
  for (const Solved& solved : all) {
    std::printf("cell=%s length=%lld solved=%d sequences=%lld seconds=%.1f seed=%llu\n",
                solved.cell.c_str(), static_cast<long long>(length), solved.criterion.solved(),
                static_cast<long long>(solved.criterion.sequences()), solved.seconds,
                static_cast<unsigned long long>(absl::GetFlag(FLAGS_seed)));
  }
  return InterruptScope::requested() ? kInterrupted : EXIT_SUCCESS;
}

}  // namespace
}  // namespace wengert::adding

int main(int argc, char** argv) {
  return wengert::RunMain(argc, argv, "adding", "solves the adding problem with recurrent networks",
                          &wengert::adding::Run);
}
