#include "models/recipe.h"

#include "absl/strings/str_cat.h"

namespace wengert::mnist {

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

absl::StatusOr<RunSchedule> MakeSchedule(std::string_view name) {
  if (name == "constant") return [](double rate, int64_t) { return ConstantRate(rate); };
  if (name == "cosine") {
    return [](double rate, int64_t steps) { return CosineDecay({.rate = rate, .steps = steps}); };
  }
  if (name == "one_cycle") {
    return [](double rate, int64_t steps) { return OneCycle({.rate = rate, .steps = steps}); };
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown schedule \"", std::string(name),
                                                 "\"; known: constant, cosine, one_cycle"));
}

}  // namespace wengert::mnist
