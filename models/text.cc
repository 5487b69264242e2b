// A language model of characters: train it on a text, let it write.
#include "data/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <optional>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "data/formats/file.h"
#include "data/formats/utf8.h"
#include "data/loader.h"
#include "models/command_line.h"
#include "models/text_model.h"
#include "nn/optimizers.h"
#include "nn/summary.h"
#include "nn/train/fit.h"
#include "nn/train/interrupt.h"
#include "tensor/parallel.h"

ABSL_FLAG(std::string, data, "",
          "train: a text in UTF-8, .gz or plain; empty: the embedded plays of Shakespeare's");
ABSL_FLAG(int64_t, epochs, 8, "train: passes over the first nine tenths of the text");
ABSL_FLAG(int64_t, steps, 64, "train: characters through which gradients flow back");
ABSL_FLAG(int64_t, layers, 2, "train: of LSTM cells");
ABSL_FLAG(int64_t, hidden, 384, "train: units of a layer");
ABSL_FLAG(int64_t, embedding, 64, "train: numbers that stand for a character");
ABSL_FLAG(double, dropout, 0.3, "train: of the layers' outputs");
ABSL_FLAG(double, clip_norm, 1, "train: the most that the gradients' norm may be; 0: any");
ABSL_FLAG(std::string, prompt, "", "generate: the text to continue, in UTF-8");
ABSL_FLAG(int64_t, length, 1000, "generate: characters to write");
ABSL_FLAG(double, temperature, 1,
          "generate: below 1 the likely becomes likelier; 0: the likeliest");
ABSL_FLAG(int64_t, top_k, 0, "generate: draw among the so many likeliest characters; 0: all");

namespace wengert::text {
namespace {

constexpr int64_t kBatchSize = 64;
constexpr double kLearningRate = 3e-3;

absl::Status CheckTrainFlags() {
  for (const auto& [name, value] : {std::pair{"steps", absl::GetFlag(FLAGS_steps)},
                                    std::pair{"layers", absl::GetFlag(FLAGS_layers)},
                                    std::pair{"hidden", absl::GetFlag(FLAGS_hidden)},
                                    std::pair{"embedding", absl::GetFlag(FLAGS_embedding)}}) {
    constexpr int64_t kMost = 1 << 20;
    if (value < 1 || value > kMost) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, "=", value, ", expected 1 to ", kMost));
    }
  }
  if (const double rate = absl::GetFlag(FLAGS_dropout); !(rate >= 0 && rate < 1)) {
    return absl::InvalidArgumentError(absl::StrCat("--dropout=", rate, ", expected 0 to below 1"));
  }
  if (const double norm = absl::GetFlag(FLAGS_clip_norm); !(norm >= 0 && std::isfinite(norm))) {
    return absl::InvalidArgumentError(absl::StrCat("--clip_norm=", norm, " is not a norm"));
  }
  for (const char* flag : {"layers", "hidden", "embedding"}) {
    if (!absl::GetFlag(FLAGS_load).empty() && FlagGiven(flag)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " is up to the weights of --load"));
    }
  }
  return CheckNotNegative({{"epochs", absl::GetFlag(FLAGS_epochs)}});
}

// The part that validates in streams of at least 512 characters where there are so many, and in
// chunks of nearly 128 of which as few characters as possible are left over.
absl::StatusOr<Loader> ValidationLoader(absl::Span<const int32_t> tokens) {
  const int64_t available = static_cast<int64_t>(tokens.size()) - 1;
  const int64_t streams = std::clamp<int64_t>(available / 512, 1, 16);
  const int64_t length = std::max<int64_t>(1, available / streams);
  const int64_t chunks = (length + 127) / 128;
  const absl::StatusOr<TextStreams> cut = CutIntoStreams(tokens, streams, length / chunks);
  if (!cut.ok()) return cut.status();
  return Loader(cut->inputs, cut->targets, {.batch_size = streams});
}

absl::StatusOr<int> Train() {
  if (absl::Status status = CheckTrainFlags(); !status.ok()) return status;
  const bool quiet = absl::GetFlag(FLAGS_quiet);
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  const std::string load = absl::GetFlag(FLAGS_load), save = absl::GetFlag(FLAGS_save);
  const std::string data = absl::GetFlag(FLAGS_data);
  const std::string shown = data.empty() ? "the embedded text" : data;

  const absl::StatusOr<std::u32string> text = LoadText(data);
  if (!text.ok()) return text.status();
  Generator generator(seed);
  std::optional<SavedModel> model;
  if (load.empty()) {
    const Vocabulary vocabulary(*text);
    model = SavedModel{.model = CharacterLstm({.characters = vocabulary.size(),
                                               .embedding = absl::GetFlag(FLAGS_embedding),
                                               .hidden = absl::GetFlag(FLAGS_hidden),
                                               .layers = absl::GetFlag(FLAGS_layers),
                                               .dropout = absl::GetFlag(FLAGS_dropout)},
                                              generator),
                       .vocabulary = vocabulary};
  } else {
    absl::StatusOr<SavedModel> loaded = LoadModel(load, absl::GetFlag(FLAGS_dropout));
    if (!loaded.ok()) return loaded.status();
    model = *std::move(loaded);
  }
  const auto problem = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(shown, ": ", std::string(status.message())));
  };
  const absl::StatusOr<std::vector<int32_t>> tokens = model->vocabulary.Encode(*text);
  if (!tokens.ok()) return problem(tokens.status());

  const absl::Span<const int32_t> all(*tokens);
  const size_t split = all.size() * 9 / 10;
  const int64_t given_batch = absl::GetFlag(FLAGS_batch_size);
  const int64_t streams = given_batch > 0 ? given_batch : kBatchSize;
  const absl::StatusOr<TextStreams> cut =
      CutIntoStreams(all.first(split), streams, absl::GetFlag(FLAGS_steps));
  if (!cut.ok()) return problem(cut.status());
  const Loader training(cut->inputs, cut->targets, {.batch_size = streams});
  const absl::StatusOr<Loader> validation = ValidationLoader(all.subspan(split));
  if (!validation.ok()) return problem(validation.status());
  if (!save.empty()) {
    // Begun and dropped: a place that takes no file is better known now than after the training.
    if (const auto file = OutputFile::Create(save); !file.ok()) return file.status();
  }

  const double given_rate = absl::GetFlag(FLAGS_learning_rate);
  Adam adam(Parameters(model->model),
            {.learning_rate = given_rate > 0 ? given_rate : kLearningRate});
  if (!quiet) {
    int64_t weights = 0;
    for (const Parameter& parameter : adam.parameters()) weights += parameter.size();
    std::printf(
        "%s: %zu characters, %lld different; %lld weights; %lld streams of %lld steps; "
        "%d threads\n",
        shown.c_str(), all.size(), static_cast<long long>(model->vocabulary.size()),
        static_cast<long long>(weights), static_cast<long long>(streams),
        static_cast<long long>(absl::GetFlag(FLAGS_steps)), NumThreads());
  }
  // Whenever an epoch is the best so far, so that what ends a long run early costs one epoch.
  absl::Status saved;
  const auto save_model = [&] {
    if (!save.empty()) saved = SaveModel(model->model, model->vocabulary, save);
  };
  const Objective objective = LanguageModeling(model->model);
  double best = std::numeric_limits<double>::infinity();
  const auto validate = [&] {
    const Metrics metrics = EvaluateObjective(objective, *validation);
    if (metrics.loss < best) {
      best = metrics.loss;
      save_model();
    }
    return metrics;
  };
  if (!load.empty()) validate();  // a first epoch that is worse must not replace what was loaded
  const FitResult result =
      Fit(objective, adam, training, generator,
          {.epochs = absl::GetFlag(FLAGS_epochs),
           .schedule = CosineDecay({.rate = adam.learning_rate(),
                                    .steps = absl::GetFlag(FLAGS_epochs) * training.batches()}),
           .clip_norm = absl::GetFlag(FLAGS_clip_norm),
           .quiet = quiet,
           .validate = validate,
           .keep_best = true});
  if (result.interrupted && !quiet) {
    std::printf("Interrupted after %lld steps\n", static_cast<long long>(result.steps));
  }
  if (!std::isfinite(best) || !saved.ok()) save_model();  // nothing yet, or not on the disk
  if (saved.ok() && !save.empty() && !quiet) std::printf("Saved to %s\n", save.c_str());
  const double nats = std::isfinite(best) ? best : validate().loss;
  const int64_t best_epoch = result.best.loss <= best ? result.best_epoch : 0;  // 0: as it began
  if (!std::isfinite(nats)) {
    return absl::InternalError(absl::StrCat("the validation loss is ", nats));
  }
  std::printf(
      "val_nats=%.4f val_bits=%.4f train_nats=%.4f best_epoch=%lld epochs=%lld "
      "seconds=%.1f seed=%llu\n",
      nats, nats / std::numbers::ln2, result.training.loss, static_cast<long long>(best_epoch),
      static_cast<long long>(result.epochs), result.seconds, static_cast<unsigned long long>(seed));
  if (!saved.ok()) return saved;
  return result.interrupted ? kInterrupted : EXIT_SUCCESS;
}

absl::StatusOr<int> Generate() {
  const SampleOptions options{.length = absl::GetFlag(FLAGS_length),
                              .temperature = absl::GetFlag(FLAGS_temperature),
                              .top_k = absl::GetFlag(FLAGS_top_k)};
  absl::Status flags = CheckNotNegative({{"length", options.length}, {"top_k", options.top_k}});
  if (!flags.ok()) return flags;
  if (!(options.temperature >= 0 && std::isfinite(options.temperature))) {
    return absl::InvalidArgumentError(
        absl::StrCat("--temperature=", options.temperature, " is not a temperature"));
  }
  if (absl::GetFlag(FLAGS_load).empty()) {
    return absl::InvalidArgumentError("generate needs --load, the weights that train --save wrote");
  }
  const absl::StatusOr<SavedModel> saved = LoadModel(absl::GetFlag(FLAGS_load));
  if (!saved.ok()) return saved.status();
  const std::string prompt = absl::GetFlag(FLAGS_prompt);
  const absl::StatusOr<std::u32string> text = DecodeUtf8(prompt, "--prompt");
  if (!text.ok()) return text.status();
  absl::StatusOr<std::vector<int32_t>> tokens = saved->vocabulary.Encode(*text);
  if (!tokens.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--prompt: ", std::string(tokens.status().message())));
  }
  if (tokens->empty()) {  // begin as a line does, if there are lines
    *tokens = saved->vocabulary.Encode(U"\n").value_or(std::vector<int32_t>{0});
  }
  Generator generator(absl::GetFlag(FLAGS_seed));
  std::fputs(prompt.c_str(), stdout);
  Sample(saved->model, *tokens, options, generator, [&](int32_t token) {
    std::fputs(EncodeUtf8({&saved->vocabulary.characters()[token], 1}).c_str(), stdout);
    std::fflush(stdout);
    return !InterruptScope::requested();
  });
  std::fputs("\n", stdout);
  return InterruptScope::requested() ? kInterrupted : EXIT_SUCCESS;
}

}  // namespace
}  // namespace wengert::text

int main(int argc, char** argv) {
  using namespace wengert::text;  // NOLINT(google-build-using-namespace)
  return wengert::RunMain(argc, argv, "text",
                          "a language model of characters\n"
                          "  text train --data=text.txt --save=weights.safetensors\n"
                          "  text generate --load=weights.safetensors --prompt=\"To be\"",
                          {{"train", &Train, {"prompt", "length", "temperature", "top_k"}},
                           {"generate",
                            &Generate,
                            {"data", "epochs", "steps", "layers", "hidden", "embedding", "dropout",
                             "clip_norm", "save", "batch_size", "learning_rate"}}});
}
