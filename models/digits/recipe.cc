#include "models/digits/recipe.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace wengert::mnist {

absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(std::string_view name,
                                                         ParameterGroups parameters,
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

ParameterGroups Regularized(const std::vector<Parameter>& parameters, const Recipe& recipe) {
  ParameterGroup kernels{.weight_decay = recipe.weight_decay, .l2 = recipe.l2}, others;
  for (const Parameter& parameter : parameters) {
    (parameter.shape().rank() > 1 ? kernels : others).parameters.push_back(parameter);
  }
  return {kernels, others};
}

absl::StatusOr<AugmentOptions> ParseAugment(std::string_view text) {
  AugmentOptions options;
  if (text == "none") return options;
  const std::vector<std::string> parts = absl::StrSplit(std::string(text), ',');
  for (const std::string& part : parts) {
    const std::pair<std::string, std::string> setting =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    double* const value = setting.first == "shift"    ? &options.shift
                          : setting.first == "rotate" ? &options.rotate
                          : setting.first == "scale"  ? &options.scale
                                                      : nullptr;
    if (!value || !absl::SimpleAtod(setting.second, value)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--augment: \"", part, "\"; expected none, or like shift=2,rotate=10,scale=0.1"));
    }
  }
  try {
    CheckAugmentOptions(options);
  } catch (const Error& error) {
    return absl::InvalidArgumentError(absl::StrCat("--augment: ", error.what()));
  }
  return options;
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
