#include "models/text_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/formats/safetensors.h"
#include "data/formats/utf8.h"
#include "nn/module.h"
#include "nn/save.h"

namespace wengert::text {
namespace {

constexpr char kVocabulary[] = "vocabulary";  // in the metadata, all characters as one UTF-8 text

// States from one batch to the next.
class CarriedStates {
 public:
  // Those with which this batch begins. A batch that is asked for again, as Fit does to explain an
  // error, gets what it got.
  const CharacterLstm::States& Before(int64_t batch) {
    if (batch == 0) before_.clear();
    if (batch != 0 && batch != batch_) before_ = std::move(after_);
    batch_ = batch;
    return before_;
  }
  void After(const CharacterLstm::States& states) {
    after_.clear();
    // Computed here: a pending Detach would keep the graph, and with it the parameters' buffers.
    for (const auto& [h, c] : states) after_.push_back({h.value(), c.value()});
  }

 private:
  int64_t batch_ = 0;
  CharacterLstm::States before_, after_;
};

absl::Status NotAModel(const std::string& path, const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, " does not hold a model of //models:text: ", why));
}

// Probabilities of the top_k likeliest from logits, as weights that add up to any sum.
std::vector<double> Weights(const std::vector<float>& logits, const SampleOptions& options) {
  const int64_t size = static_cast<int64_t>(logits.size());
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
  const int64_t kept = options.temperature == 0 ? 1
                       : options.top_k == 0     ? size
                                                : std::min(options.top_k, size);
  std::vector<double> weights(logits.size());
  for (int64_t i = 0; i < kept; ++i) {
    const double below = static_cast<double>(logits[order[i]]) - logits[order[0]];
    weights[order[i]] = i == 0 ? 1 : std::exp(below / options.temperature);
  }
  return weights;
}

int32_t Draw(const std::vector<double>& weights, double uniform) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  double below = 0;
  int32_t last = 0;  // with a weight, should rounding leave uniform * sum above all sums
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    last = static_cast<int32_t>(i);
    below += weights[i];
    if (uniform * sum < below) break;
  }
  return last;
}

}  // namespace

CharacterLstm::CharacterLstm(const ModelOptions& options, Generator& rng)
    : embedding({.count = options.characters, .size = options.embedding}, rng),
      lstm({.in = options.embedding,
            .hidden = options.hidden,
            .layers = options.layers,
            .dropout = options.dropout},
           rng),
      dropout{options.dropout},
      head({.in = options.hidden, .out = options.characters}, rng) {}

CharacterLstm::Output CharacterLstm::operator()(const Variable& characters,
                                                const States& states) const {
  auto out = lstm(embedding(characters), {.initial = states});
  return {head(dropout(out.sequence)), std::move(out.states)};
}

Objective LanguageModeling(const CharacterLstm& model) {
  return [&model, carried = std::make_shared<CarriedStates>()](const Batch& batch) {
    auto [logits, states] = model(batch.inputs, carried->Before(batch.index));
    carried->After(states);
    const int64_t rows = batch.targets.size();
    return Outcome{.loss = SoftmaxCrossEntropy(Reshape(logits, {rows, logits.dim(-1)}),
                                               Reshape(batch.targets, {rows})),
                   .correct = {}};
  };
}

absl::Status SaveModel(CharacterLstm& model, const Vocabulary& vocabulary,
                       const std::string& path) {
  return Save(model, path, {{kVocabulary, EncodeUtf8(vocabulary.characters())}});
}

absl::StatusOr<SavedModel> LoadModel(const std::string& path, double dropout) {
  const absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  const auto characters = file->metadata.find(kVocabulary);
  if (characters == file->metadata.end()) {
    return NotAModel(path, absl::StrCat("no \"", kVocabulary, "\" in its metadata"));
  }
  const absl::StatusOr<std::u32string> text = DecodeUtf8(characters->second, path);
  if (!text.ok()) return text.status();
  const Vocabulary vocabulary(*text);

  // The sizes are those of the tensors, so that what the file says cannot ask for more memory.
  ModelOptions options{.characters = 0, .embedding = 0, .hidden = 0, .layers = 0};
  options.dropout = dropout;
  std::map<std::string, const Tensor*> matrices;
  for (const auto& [name, tensor] : file->tensors) {
    if (tensor.rank() == 2) matrices[name] = &tensor;
  }
  if (const auto found = matrices.find("embedding/weight"); found != matrices.end()) {
    options.characters = found->second->dim(0);
    options.embedding = found->second->dim(1);
  }
  for (;; ++options.layers) {
    const auto found = matrices.find(absl::StrCat("lstm/cells/", options.layers, "/weight_hh"));
    if (found == matrices.end()) break;
    options.hidden = found->second->dim(0);
  }
  if (options.characters == 0 || options.embedding == 0 || options.hidden == 0) {
    return NotAModel(path, "no embedding/weight or lstm/cells/0/weight_hh");
  }
  if (vocabulary.characters() != *text || vocabulary.size() != options.characters) {
    return NotAModel(path, absl::StrCat("the vocabulary has ", vocabulary.size(),
                                        " characters, the embedding ", options.characters));
  }
  Generator unused(0);
  SavedModel saved{.model = CharacterLstm(options, unused), .vocabulary = vocabulary};
  if (absl::Status status = Load(saved.model, path); !status.ok()) return status;
  return saved;
}

void Sample(const CharacterLstm& model, const std::vector<int32_t>& prompt,
            const SampleOptions& options, Generator& generator,
            const std::function<bool(int32_t)>& write) {
  const NoGradGuard no_grad;
  const int64_t prompt_length = static_cast<int64_t>(prompt.size());
  auto [logits, states] = model(Tensor::FromVector(prompt, {1, prompt_length}), {});
  for (int64_t i = 0; i < options.length; ++i) {
    const std::vector<float> last =
        Narrow(logits, 1, logits.dim(1) - 1, 1).value().ToVector<float>();
    const double uniform = wengert::Uniform({}, generator, 0, 1, DType::kFloat64).item<double>();
    const int32_t drawn = Draw(Weights(last, options), uniform);
    if (!write(drawn)) return;
    auto next = model(Tensor::FromVector<int32_t>({drawn}, {1, 1}), states);
    logits = next.logits;
    states = std::move(next.states);
  }
}

}  // namespace wengert::text
