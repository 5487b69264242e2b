// The program of gradients.md: gradients through 30 layers, with and without what keeps them alive.
// Fails where a remedy stops being one.
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "data/mnist.h"
#include "wengert.h"

ABSL_FLAG(int64_t, epochs, 0, "train each network for so many; 0: look at the first gradient only");
ABSL_FLAG(int64_t, seeds, 1, "average over so many");

using namespace wengert;  // NOLINT(google-build-using-namespace)

namespace {

// [deep_mlp]
struct Options {
  int depth = 30;
  int64_t width = 64;
  Variable (*activation)(const Operand&) = Sigmoid;
  nn::Initializer initializer = &nn::GlorotUniform;
  bool batch_norm = false;
  bool residual = false;
};

// Images -> logits: `depth` dense layers, each but the last with an activation.
struct DeepMlp {
  struct Block {
    nn::Dense dense;
    std::optional<nn::BatchNorm> norm;
    template <class V>
    void Visit(V&& v) {
      v("dense", dense);
      if (norm) v("norm", *norm);
    }
  };
  Options options;
  std::vector<Block> blocks;
  nn::Dense logits;

  DeepMlp(const Options& o, Generator& rng)
      : options(o), logits({.in = o.width, .out = 10, .initializer = o.initializer}, rng) {
    for (int i = 0; i + 1 < o.depth; ++i) {
      Block block{nn::Dense(
          {.in = i == 0 ? 28 * 28 : o.width, .out = o.width, .initializer = o.initializer}, rng)};
      if (o.batch_norm) block.norm.emplace(nn::BatchNorm::Options{.size = o.width});
      blocks.push_back(std::move(block));
    }
  }
  Variable operator()(const Variable& images) const {
    Variable h = nn::Flatten()(images);
    for (const Block& block : blocks) {
      Variable y = block.dense(h);
      if (block.norm) y = (*block.norm)(y);
      y = options.activation(y);
      h = options.residual && y.shape() == h.shape() ? h + y : y;
    }
    return logits(h);
  }
  template <class V>
  void Visit(V&& v) {
    v("blocks", blocks), v("logits", logits);
  }
};
// [/deep_mlp]

Variable LeakyReluOf(const Operand& x) { return LeakyRelu(x, 0.1); }

// [gradient_norms]
// The norm of each layer's weight gradient on one batch, from the first layer to the last.
std::vector<double> WeightGradients(DeepMlp& model, const Batch& batch, Generator& rng) {
  const TrainingScope training(rng);
  const auto [loss, gradients] = ValueAndGrad(
      [&] { return SoftmaxCrossEntropy(model(batch.inputs), batch.targets); }, Parameters(model));
  std::vector<double> norms;
  for (const GradientNorm& of : GradientNorms(model, gradients)) {
    if (of.name.ends_with("dense/weight")) norms.push_back(of.norm);
  }
  return norms;
}
// [/gradient_norms]

enum FirstGradient { kVanishes, kExplodes, kLives };

struct Network {
  const char* name;
  FirstGradient first;
  Options options;
};

std::vector<Network> Networks() {
  const nn::Initializer he = &nn::HeNormal, small = nn::Scaled(&nn::HeNormal, 0.2);
  return {
      {"sigmoid", kVanishes, {}},
      {"relu", kVanishes, {.activation = Relu}},
      {"tanh", kLives, {.activation = Tanh}},
      {"relu, He", kLives, {.activation = Relu, .initializer = he}},
      {"leaky relu, He", kLives, {.activation = LeakyReluOf, .initializer = he}},
      {"sigmoid, batch norm", kLives, {.batch_norm = true}},
      {"relu, He, batch norm",
       kExplodes,
       {.activation = Relu, .initializer = he, .batch_norm = true}},
      {"sigmoid, residual", kLives, {.residual = true}},
      {"relu, He, residual", kExplodes, {.activation = Relu, .initializer = he, .residual = true}},
      {"relu, He times 0.2, residual",
       kLives,
       {.activation = Relu, .initializer = small, .residual = true}},
      {"relu, He, residual, batch norm",
       kLives,
       {.activation = Relu, .initializer = he, .batch_norm = true, .residual = true}},
  };
}

double Accuracy(const Network& network, Optimizer& optimizer, DeepMlp& model, const Mnist& data,
                Generator& rng, uint64_t seed) {
  const Loader train(data.train.images, data.train.labels,
                     {.batch_size = 128, .shuffle = true, .seed = seed, .scale = true});
  const Loader test(data.test.images, data.test.labels, {.batch_size = 500, .scale = true});
  const Objective objective = Classification(model);
  try {
    Fit(objective, optimizer, train, rng, {.epochs = absl::GetFlag(FLAGS_epochs), .quiet = true});
  } catch (const Error& error) {  // a loss or a gradient that was not finite
    std::fprintf(stderr, "%s: %s\n", network.name, error.what());
    return std::numeric_limits<double>::quiet_NaN();
  }
  return EvaluateObjective(objective, test).accuracy;
}

// What one row of the guide's table says.
struct Row {
  std::array<double, 4> norms = {};  // of the gradients of layers 1, 10, 20 and 29
  double momentum = 0, adam = 0;     // test accuracies
};

Row Measure(const Network& network, const Mnist& data, uint64_t seed) {
  Row row;
  const Loader loader(data.train.images, data.train.labels,
                      {.batch_size = 128, .shuffle = true, .seed = seed, .scale = true});
  Generator rng(seed);
  {
    DeepMlp model(network.options, rng);
    const std::vector<double> norms = WeightGradients(model, loader.Epoch(0).At(0), rng);
    row.norms = {norms[0], norms[9], norms[19], norms[28]};
  }
  if (absl::GetFlag(FLAGS_epochs) == 0) return row;
  {
    DeepMlp model(network.options, rng);
    Sgd sgd(Parameters(model), {.learning_rate = 0.01, .momentum = 0.9});
    row.momentum = Accuracy(network, sgd, model, data, rng, seed);
  }
  DeepMlp model(network.options, rng);
  Adam adam(Parameters(model), {.learning_rate = 1e-3});
  row.adam = Accuracy(network, adam, model, data, rng, seed);
  return row;
}

// Geometric means of norms, arithmetic ones of accuracies.
Row MeanOverSeeds(const Network& network, const Mnist& data, int64_t seeds) {
  Row mean;
  for (int64_t seed = 1; seed <= seeds; ++seed) {
    const Row row = Measure(network, data, seed);
    for (size_t i = 0; i < row.norms.size(); ++i) mean.norms[i] += std::log(row.norms[i]) / seeds;
    mean.momentum += row.momentum / seeds, mean.adam += row.adam / seeds;
  }
  for (double& norm : mean.norms) norm = std::exp(norm);
  return mean;
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const Mnist data = LoadMnist().value();
  std::printf("| network | layer 1 | layer 10 | layer 20 | layer 29 | momentum | Adam |\n");
  std::printf("|---|---:|---:|---:|---:|---:|---:|\n");
  bool as_told = true;
  for (const Network& network : Networks()) {
    const Row row = MeanOverSeeds(network, data, absl::GetFlag(FLAGS_seeds));
    std::printf("| %s |", network.name);
    for (const double norm : row.norms) std::printf(" %.2g |", norm);
    for (const double accuracy : {row.momentum, row.adam}) {
      if (std::isnan(accuracy)) {
        std::printf(" diverges |");
      } else {
        std::printf(" %.1f %% |", 100 * accuracy);
      }
    }
    std::printf("\n");
    std::fflush(stdout);
    const double first = row.norms[0];
    as_told &= network.first == kVanishes   ? first < 1e-3
               : network.first == kExplodes ? first > 1e2
                                            : first > 0.1 && first < 1e2;
  }
  return as_told ? EXIT_SUCCESS : EXIT_FAILURE;
}
