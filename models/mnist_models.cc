#include "models/mnist_models.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace wengert::mnist {
namespace {

template <class M>
Model Wrap(M model, const Recipe& recipe) {
  auto shared = std::make_shared<M>(std::move(model));
  Model made{.recipe = recipe,
             .forward = [shared](const Variable& images) { return (*shared)(images); },
             .parameters = Parameters(*shared),
             .weights = NamedParameters(*shared),
             .summary = {}};
  made.summary = Summary(*shared, {made.recipe.batch_size, 28, 28, 1});
  return made;
}

}  // namespace

absl::StatusOr<Model> MakeModel(std::string_view name, std::string_view activation,
                                Generator& rng) {
  Mlp::Activation function = activation == "relu"      ? &Relu
                             : activation == "tanh"    ? &Tanh
                             : activation == "sigmoid" ? &Sigmoid
                                                       : nullptr;
  if (!function) {
    return absl::InvalidArgumentError(absl::StrCat("unknown activation \"", std::string(activation),
                                                   "\"; known: sigmoid, tanh, relu"));
  }
  if (name == "cnn32_64_d128") {
    return Wrap(Cnn32_64_D128(rng), {"cnn32_64_d128", "adam", 128, 10});
  }
  if (name == "cnn32") {
    return Wrap(Cnn32(rng, true, &nn::HeUniform), {"cnn32", "adam", 128, 10, "cosine"});
  }
  if (name == "cnn32_64_64_d64") {
    return Wrap(Cnn32_64_64_D64(rng), {"cnn32_64_64_d64", "rmsprop", 64, 5});
  }
  if (name == "cnn32_nopool") return Wrap(Cnn32(rng, false), {"cnn32_nopool", "adam", 32, 5});
  if (name == "mlp") return Wrap(Mlp(rng, function), {"mlp", "adam", 128, 10});
  return absl::InvalidArgumentError(
      absl::StrCat("unknown model \"", std::string(name),
                   "\"; known: cnn32_64_d128, cnn32, cnn32_64_64_d64, cnn32_nopool, mlp"));
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(std::string_view name,
                                                         std::vector<Parameter> parameters,
                                                         double learning_rate) {
  const auto rate = [&](double standard) { return learning_rate > 0 ? learning_rate : standard; };
  if (name == "sgd") {
    return std::make_unique<Sgd>(std::move(parameters), Sgd::Options{.learning_rate = rate(0.01)});
  }
  if (name == "momentum") {
    return std::make_unique<Sgd>(std::move(parameters),
                                 Sgd::Options{.learning_rate = rate(0.01), .momentum = 0.9});
  }
  if (name == "rmsprop") {
    return std::make_unique<RmsProp>(std::move(parameters),
                                     RmsProp::Options{.learning_rate = rate(1e-3)});
  }
  if (name == "adam") {
    return std::make_unique<Adam>(std::move(parameters),
                                  Adam::Options{.learning_rate = rate(1e-3)});
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown optimizer \"", std::string(name),
                                                 "\"; known: sgd, momentum, rmsprop, adam"));
}

absl::StatusOr<Schedule> MakeSchedule(std::string_view name) {
  if (name == "constant") return nullptr;
  if (name == "cosine") return &CosineDecay;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown schedule \"", std::string(name), "\"; known: constant, cosine"));
}

}  // namespace wengert::mnist
