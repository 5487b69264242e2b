// A language model of characters: an embedding, LSTM layers, a head. Its training over streams of
// text, and what it writes itself.
#ifndef WENGERT_MODELS_TEXT_MODEL_H_
#define WENGERT_MODELS_TEXT_MODEL_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/text.h"
#include "nn/layers.h"
#include "nn/recurrent.h"
#include "nn/train/fit.h"

namespace wengert::text {

struct ModelOptions {
  int64_t characters;  // of the vocabulary
  int64_t embedding, hidden, layers;
  double dropout = 0;  // of the outputs of every LSTM layer
};

struct CharacterLstm {
  nn::Embedding embedding;
  nn::Lstm lstm;
  nn::Dropout dropout;
  nn::Dense head;

  CharacterLstm(const ModelOptions& options, Generator& rng);
  using States = std::vector<LstmState>;  // of each layer; empty: zeros
  struct Output {
    Variable logits;  // [N, T, characters], of the character after each
    States states;    // after the last
  };
  Output operator()(const Variable& characters, const States& states) const;  // [N, T] integers
  template <class V>
  void Visit(V&& v) {
    v("embedding", embedding), v("lstm", lstm), v("head", head);
  }
};

// Mean cross entropy per character, in nats, over the batches of CutIntoStreams: every batch begins
// with the states in which the one before ended, the first of an epoch with zeros.
Objective LanguageModeling(const CharacterLstm& model);

// The weights with the vocabulary, from which Load makes the model again.
absl::Status SaveModel(CharacterLstm& model, const Vocabulary& vocabulary, const std::string& path);
struct SavedModel {
  CharacterLstm model;
  Vocabulary vocabulary;
};
absl::StatusOr<SavedModel> LoadModel(const std::string& path, double dropout = 0);

struct SampleOptions {
  int64_t length;          // in characters
  double temperature = 1;  // divides the logits; 0: always the likeliest character
  int64_t top_k = 0;       // draw among the so many likeliest; 0: all
};
// Continues the prompt, which has at least one character; gives each new one to `write`, until that
// returns false. What is drawn depends on the generator alone.
void Sample(const CharacterLstm& model, const std::vector<int32_t>& prompt,
            const SampleOptions& options, Generator& generator,
            const std::function<bool(int32_t)>& write);

}  // namespace wengert::text

#endif  // WENGERT_MODELS_TEXT_MODEL_H_
