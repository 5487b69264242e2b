#include "models/text_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/status/status.h"
#include "data/formats/safetensors.h"
#include "data/loader.h"
#include "gtest/gtest.h"
#include "nn/optimizers.h"
#include "nn/save.h"
#include "ops/ops.h"
#include "tests/data/test_files.h"

namespace wengert::text {
namespace {

constexpr ModelOptions kSmall{.characters = 5, .embedding = 4, .hidden = 6, .layers = 2};
constexpr int64_t kStreams = 3, kSteps = 4;

Loader SmallLoader() {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 40; ++i) tokens.push_back(i * i % 7 % 5);
  const TextStreams cut = CutIntoStreams(tokens, kStreams, kSteps).value();
  return Loader(cut.inputs, cut.targets, {.batch_size = kStreams});
}

TEST(LanguageModelingTest, ChunksGoOnWhereTheOnesBeforeEnded) {
  Generator rng(3);
  const CharacterLstm model(kSmall, rng);
  const Loader loader = SmallLoader();
  const EpochBatches batches = loader.Epoch(0);
  ASSERT_EQ(batches.size(), 3);
  // All three chunks of the streams as one.
  std::vector<Variable> inputs, targets;
  for (const Batch& batch : batches) {
    inputs.emplace_back(batch.inputs);
    targets.emplace_back(batch.targets);
  }
  const Variable logits = model(Concat(inputs, 1), {}).logits;
  const Variable expected =
      SoftmaxCrossEntropy(Reshape(logits, {kStreams * kSteps * 3, 5}),
                          Reshape(Concat(targets, 1), {kStreams * kSteps * 3}));
  EXPECT_NEAR(EvaluateObjective(LanguageModeling(model), loader).loss, expected.item<double>(),
              1e-6);
}

TEST(LanguageModelingTest, AnEpochBeginsWithZerosAndABatchCanBeAskedForAgain) {
  Generator rng(3);
  const CharacterLstm model(kSmall, rng);
  const Objective objective = LanguageModeling(model);
  const EpochBatches batches = SmallLoader().Epoch(0);
  std::vector<float> first;
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::vector<float> losses;
    for (const Batch& batch : batches) {
      losses.push_back(objective(batch).loss.item<float>());
      EXPECT_EQ(objective(batch).loss.item<float>(), losses.back());
      EXPECT_EQ(LanguageModeling(model)(Batch{batch.inputs, batch.targets, 0}).loss.item<float>() ==
                    losses.back(),
                batch.index == 0);
    }
    if (epoch == 0) first = losses;
    EXPECT_EQ(losses, first);
  }
}

TEST(LanguageModelingTest, LearnsWhatOnlyTheStatesCanTell) {
  // What follows 0 is known from the token before it; half of the chunks begin with 0.
  std::vector<int32_t> tokens;
  for (int i = 0; i < 400; ++i) tokens.push_back(std::vector<int32_t>{0, 1, 0, 2}[i % 4]);
  const TextStreams cut = CutIntoStreams(tokens, 4, 3).value();
  const Loader loader(cut.inputs, cut.targets, {.batch_size = 4});
  Generator rng(3);
  CharacterLstm model({.characters = 3, .embedding = 4, .hidden = 16, .layers = 1}, rng);
  Adam adam(Parameters(model), {.learning_rate = 0.02});
  const Objective objective = LanguageModeling(model);
  Fit(objective, adam, loader, rng, {.epochs = 15, .clip_norm = 1, .quiet = true});
  EXPECT_LT(EvaluateObjective(objective, loader).loss, 0.05);  // without states log(2) / 6 = 0.116
}

TEST(SavedModelTest, ComesBackWithItsVocabulary) {
  const std::string path = TestFolder() + "/w.safetensors";
  Generator rng(3);
  // More than ten layers, which the file does not list in their order.
  CharacterLstm model({.characters = 5, .embedding = 4, .hidden = 6, .layers = 12}, rng);
  const Vocabulary vocabulary(U"\nab\"😀");
  ASSERT_TRUE(SaveModel(model, vocabulary, path).ok());
  absl::StatusOr<SavedModel> saved = LoadModel(path, 0.25);
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_EQ(saved->vocabulary.characters(), vocabulary.characters());
  EXPECT_EQ(saved->model.dropout.rate, 0.25);
  const std::vector<NamedParameter> a = NamedParameters(model), b = NamedParameters(saved->model);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_TRUE(BitwiseEqual(a[i].parameter.value(), b[i].parameter.value())) << a[i].name;
  }
}

TEST(SavedModelTest, OtherFilesAreNamed) {
  const std::string path = TestFolder() + "/w.safetensors";
  const auto message = [&] { return std::string(LoadModel(path).status().message()); };
  EXPECT_EQ(message().find(path), 0u) << message();  // there is none
  Generator rng(3);
  CharacterLstm model(kSmall, rng);
  ASSERT_TRUE(Save(model, path).ok());
  EXPECT_EQ(message(),
            path + " does not hold a model of //models:text: no \"vocabulary\" in its metadata");
  ASSERT_TRUE(Save(model.head, path, {{"vocabulary", "abcde"}}).ok());
  EXPECT_EQ(message(), path +
                           " does not hold a model of //models:text: no embedding/weight or "
                           "lstm/cells/0/weight_hh");
  for (const char* wrong : {"abcd", "abcdef", "edcba", "aabcd"}) {
    ASSERT_TRUE(Save(model, path, {{"vocabulary", wrong}}).ok());
    EXPECT_NE(message().find("the vocabulary has "), std::string::npos) << message();
  }
  ASSERT_TRUE(SaveModel(model, Vocabulary(U"abcde"), path).ok());
  std::string bytes = FileBytes(path);
  PutFile(path, bytes.substr(0, bytes.size() - 4));
  EXPECT_EQ(message().find(path), 0u) << message();
  SafetensorsFile file{.tensors = {}, .metadata = {{"vocabulary", "abcde"}}};
  for (const auto& [name, parameter] : NamedParameters(model)) {
    if (name != "head/bias") file.tensors.push_back({name, parameter.value()});
  }
  ASSERT_TRUE(WriteSafetensors(path, file.tensors, file.metadata).ok());
  EXPECT_NE(message().find("missing (1): \"head/bias\""), std::string::npos) << message();
}

// A model whose logits are these after whatever text.
CharacterLstm Constant(const std::vector<float>& logits) {
  Generator rng(3);
  CharacterLstm model(kSmall, rng);
  model.head.weight.Set(Tensor::Zeros(model.head.weight.shape()));
  model.head.bias.Set(Tensor::FromVector(logits));
  return model;
}
std::vector<int32_t> Drawn(const CharacterLstm& model, const SampleOptions& options,
                           uint64_t seed = 1) {
  Generator rng(seed);
  std::vector<int32_t> drawn;
  Sample(model, {0, 1}, options, rng, [&](int32_t token) {
    drawn.push_back(token);
    return true;
  });
  return drawn;
}

TEST(SampleTest, DrawsByTheSoftmax) {
  const CharacterLstm model = Constant({1, 2, 0, -1, 1.5});
  for (const double temperature : {1.0, 0.5}) {
    std::vector<double> expected, count(5);
    double sum = 0;
    for (const double logit : {1.0, 2.0, 0.0, -1.0, 1.5}) {
      expected.push_back(std::exp(logit / temperature));
      sum += expected.back();
    }
    const int64_t n = 4000;
    for (const int32_t token : Drawn(model, {.length = n, .temperature = temperature})) {
      count[token] += 1;
    }
    for (int i = 0; i < 5; ++i) {
      const double p = expected[i] / sum;
      EXPECT_NEAR(count[i] / n, p, 4 * std::sqrt(p * (1 - p) / n)) << i << " at " << temperature;
    }
  }
}

TEST(SampleTest, TopKAndTemperatureZero) {
  const CharacterLstm model = Constant({1, 2, 0, 3, 1.5});
  std::map<int32_t, int> count;
  for (const int32_t token : Drawn(model, {.length = 300, .top_k = 2})) ++count[token];
  EXPECT_EQ(count.size(), 2u);
  EXPECT_GT(count[1], 0);
  EXPECT_GT(count[3], count[1]);
  const std::vector<int32_t> threes(20, 3);
  EXPECT_EQ(Drawn(model, {.length = 20, .top_k = 1}), threes);
  EXPECT_EQ(Drawn(model, {.length = 20, .temperature = 0}), threes);
  EXPECT_EQ(Drawn(model, {.length = 20, .temperature = 1e-300}), threes);
  EXPECT_EQ(Drawn(model, {.length = 0}).size(), 0u);
}

TEST(SampleTest, TheSeedFixesTheText) {
  Generator rng(3);
  const CharacterLstm model(kSmall, rng);
  const std::vector<int32_t> text = Drawn(model, {.length = 50}, 7);
  EXPECT_EQ(text.size(), 50u);
  EXPECT_EQ(Drawn(model, {.length = 50}, 7), text);
  EXPECT_NE(Drawn(model, {.length = 50}, 8), text);
}

// Each character is the likeliest after all characters before it.
TEST(SampleTest, ReadsItsOwnText) {
  size_t most = 0;  // different characters in a text
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Generator rng(seed);
    CharacterLstm model(kSmall, rng);
    for (Parameter& weight : Parameters(model)) weight.Set((Variable(weight) * 8).value());
    std::vector<int32_t> text{0, 1};
    for (const int32_t token : Drawn(model, {.length = 12, .temperature = 0})) {
      const int64_t length = static_cast<int64_t>(text.size());
      const Variable logits = model(Tensor::FromVector(text, {1, length}), {}).logits;
      const Variable best = ArgMax(Narrow(logits, 1, length - 1, 1), -1);
      EXPECT_EQ(token, best.value().ToVector<int64_t>()[0]) << "after " << length;
      text.push_back(token);
    }
    most = std::max(most, std::set<int32_t>(text.begin() + 2, text.end()).size());
  }
  EXPECT_GE(most, 2u) << "texts too simple to tell anything";
}

TEST(SampleTest, StopsWhenToldTo) {
  Generator rng(3);
  const CharacterLstm model(kSmall, rng);
  int written = 0;
  Sample(model, {0}, {.length = 50}, rng, [&](int32_t) { return ++written < 3; });
  EXPECT_EQ(written, 3);
}

}  // namespace
}  // namespace wengert::text
