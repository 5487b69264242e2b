// A model that was trained with 1, 2, 3 or 8 threads has the same weights, bit for bit: all models,
// in the shapes of their data.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/grad.h"
#include "data/loader.h"
#include "data/mnist.h"
#include "data/text.h"
#include "gtest/gtest.h"
#include "models/adding_problem.h"
#include "models/digits/autoencoders.h"
#include "models/digits/classifiers.h"
#include "models/digits/recipe.h"
#include "models/digits/rows.h"
#include "models/text_model.h"
#include "models/time_series.h"
#include "nn/gradient_clipping.h"
#include "nn/module.h"
#include "nn/optimizers.h"
#include "ops/ops.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int64_t kSteps = 100;

// A model that is about to be trained: the same every time it is made.
struct Training {
  std::vector<NamedParameter> weights;
  std::unique_ptr<Optimizer> optimizer;
  std::function<Variable(int64_t step)> loss;
};
using MakeTraining = std::function<Training(Generator& generator)>;

std::vector<Tensor> WeightsAfterTraining(const MakeTraining& make, int threads) {
  SetNumThreads(threads);
  Generator generator(1);
  const Training training = make(generator);
  const TrainingScope scope(generator);
  for (int64_t step = 0; step < kSteps; ++step) {
    ValueAndGradients found =
        ValueAndGrad([&] { return training.loss(step); }, training.optimizer->parameters());
    ClipByGlobalNorm(found.gradients, 1);
    training.optimizer->Step(found.gradients);
  }
  std::vector<Tensor> weights;
  for (const NamedParameter& w : training.weights) weights.push_back(w.parameter.value().Clone());
  return weights;
}

void ExpectSameWeights(const MakeTraining& make) {
  const struct Restore {
    int threads = NumThreads();
    ~Restore() { SetNumThreads(threads); }
  } restore;
  Generator generator(1);
  const std::vector<NamedParameter> untrained = make(generator).weights;
  const std::vector<Tensor> serial = WeightsAfterTraining(make, 1);
  for (const int threads : {2, 3, 8}) {
    const std::vector<Tensor> weights = WeightsAfterTraining(make, threads);
    ASSERT_EQ(weights.size(), serial.size());
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_TRUE(BitwiseEqual(weights[i], serial[i]))
          << untrained[i].name << " with " << threads << " threads";
      EXPECT_TRUE(AllFinite(weights[i])) << untrained[i].name;
      EXPECT_FALSE(BitwiseEqual(weights[i], untrained[i].parameter.value())) << untrained[i].name;
    }
  }
}

// Batches of an epoch, over and over.
class Batches {
 public:
  explicit Batches(const Loader& loader) : epoch_(loader.Epoch(0)) {}
  Batch operator[](int64_t step) const { return epoch_.At(step % epoch_.size()); }

 private:
  EpochBatches epoch_;
};

constexpr LoaderOptions kDigits = {.batch_size = 32, .scale = true, .limit = 32 * kSteps};

Training OfClassifier(const mnist::Model& model, const Batches& batches) {
  return {.weights = model.weights,
          .optimizer = mnist::MakeOptimizer(model.recipe.optimizer, model.parameters, 0).value(),
          .loss = [model, batches](int64_t step) {
            const Batch batch = batches[step];
            return SoftmaxCrossEntropy(model.forward(batch.inputs), batch.targets);
          }};
}

class MnistThreadsTest : public testing::TestWithParam<const char*> {};
TEST_P(MnistThreadsTest, SameWeights) {
  const MnistSplit data = LoadMnistTrain().value();
  const Batches batches{Loader(data.images, data.labels, kDigits)};
  ExpectSameWeights([&](Generator& generator) {
    return OfClassifier(mnist::MakeModel(GetParam(), "relu", generator).value(), batches);
  });
}
INSTANTIATE_TEST_SUITE_P(Models, MnistThreadsTest,
                         testing::Values("cnn32_64_d128", "cnn32", "cnn32_64_64_d64",
                                         "cnn32_nopool", "resnet", "mlp"));

class DrawingThreadsTest : public testing::TestWithParam<const char*> {};
TEST_P(DrawingThreadsTest, SameWeights) {
  const MnistSplit data = LoadMnistTrain().value();
  const Batches batches{Loader(data.images, data.labels, kDigits)};
  ExpectSameWeights([&](Generator& generator) {
    const mnist::DrawingModel drawing = mnist::MakeDrawingModel(GetParam(), generator);
    return Training{
        .weights = drawing.model.weights,
        .optimizer = mnist::MakeOptimizer("adam", drawing.model.parameters, 0).value(),
        .loss = [drawing, batches](int64_t step) { return drawing.objective(batches[step]).loss; }};
  });
}
INSTANTIATE_TEST_SUITE_P(Models, DrawingThreadsTest, testing::ValuesIn(mnist::kDrawingModels));

class CellThreadsTest : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Cells, CellThreadsTest, testing::Values("rnn", "lstm", "gru"));

TEST_P(CellThreadsTest, SameWeightsFromRowsOfDigits) {
  const MnistSplit data = LoadMnistTrain().value();
  const auto reading = rows::Reading::kRows;
  const Batches batches{Loader(rows::Sequences(data.images, reading), data.labels, kDigits)};
  ExpectSameWeights([&](Generator& generator) {
    return OfClassifier(rows::MakeModel(GetParam(), reading, 0, generator).value(), batches);
  });
}

// `Network` maps inputs to predictions.
template <class Network>
Training OfRegression(Network network, std::function<Batch(int64_t step)> batch) {
  const std::vector<NamedParameter> weights = NamedParameters(network);
  return {.weights = weights,
          .optimizer = mnist::MakeOptimizer("adam", Parameters(network), 0).value(),
          .loss = [network, batch = std::move(batch)](int64_t step) {
            const Batch now = batch(step);
            return MeanSquaredError(network(now.inputs), now.targets);
          }};
}

TEST_P(CellThreadsTest, SameWeightsFromTheAddingProblem) {
  const auto batch = [](int64_t step) { return adding::Sequences(32, 50, /*seed=*/1, step * 32); };
  const std::string cell = GetParam();
  ExpectSameWeights([&](Generator& generator) {
    if (cell == "lstm") return OfRegression(LastState<nn::Lstm>({2, 64, 1}, generator), batch);
    if (cell == "gru") return OfRegression(LastState<nn::Gru>({2, 64, 1}, generator), batch);
    return OfRegression(LastState<nn::Rnn>({2, 64, 1}, generator), batch);
  });
}

TEST(TextThreadsTest, SameWeights) {
  constexpr int64_t kStreams = 16, kChunk = 32;
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < kStreams * kChunk * kSteps; ++i) {
    tokens.push_back(static_cast<int32_t>(i * i % 71 % 60));
  }
  const TextStreams cut = CutIntoStreams(tokens, kStreams, kChunk).value();
  const Batches batches{Loader(cut.inputs, cut.targets, {.batch_size = kStreams})};
  ExpectSameWeights([&](Generator& generator) {
    const auto model = std::make_shared<text::CharacterLstm>(
        text::ModelOptions{
            .characters = 60, .embedding = 16, .hidden = 64, .layers = 2, .dropout = 0.3},
        generator);
    const Objective objective = text::LanguageModeling(*model);
    return Training{.weights = NamedParameters(*model),
                    .optimizer = mnist::MakeOptimizer("adam", Parameters(*model), 0).value(),
                    .loss = [model, objective, batches](int64_t step) {
                      return objective(batches[step]).loss;
                    }};
  });
}

TEST(ForecastThreadsTest, SameWeights) {
  const std::vector<double> values = forecast::NoisySines(1200, 0.1, /*seed=*/1);
  const forecast::Windows windows = forecast::MakeSeries(values, 48).value().training;
  const Batches batches{Loader(windows.inputs, windows.targets, {.batch_size = 32})};
  ExpectSameWeights([&](Generator& generator) {
    return OfRegression(forecast::Forecaster(32, generator),
                        [&](int64_t step) { return batches[step]; });
  });
}

}  // namespace
}  // namespace wengert
