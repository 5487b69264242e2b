// A model of MNIST's digits with how it is trained unless flags say otherwise.
#ifndef WENGERT_MODELS_DIGITS_RECIPE_H_
#define WENGERT_MODELS_DIGITS_RECIPE_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "data/augment.h"
#include "nn/module.h"
#include "nn/optimizers.h"
#include "nn/summary.h"
#include "nn/train/fit.h"

namespace wengert::mnist {

struct Recipe {
  std::string model;
  std::string optimizer;  // sgd, momentum, rmsprop, adam
  int64_t batch_size;
  int64_t epochs;
  std::string schedule = "constant";  // of the learning rate: constant, cosine, one_cycle
  double learning_rate = 0;           // 0: the optimizer's default (Keras's)
  double clip_norm = 0;               // of all gradients together; 0: no limit
  // Of kernels and matrices, but not of biases and the like: see ParameterGroup.
  double l2 = 0, weight_decay = 0;
  AugmentOptions augment = {};  // of the training images
};
struct Model {
  Recipe recipe;
  std::function<Variable(const Variable&)> forward;  // images to logits: of classes, of pixels
  std::vector<Parameter> parameters;
  std::vector<NamedParameter> weights;  // the same, to save and load
  ModelSummary summary;                 // for one batch
};

// `image`: the shape in which `net` reads an image.
template <class Net>
Model Wrap(Net net, const Recipe& recipe, const Shape& image = {28, 28, 1}) {
  auto shared = std::make_shared<Net>(std::move(net));
  Shape input = Shape::Filled(1 + image.rank(), recipe.batch_size);
  std::copy(image.begin(), image.end(), input.begin() + 1);
  return {.recipe = recipe,
          .forward = [shared](const Variable& images) { return (*shared)(images); },
          .parameters = Parameters(*shared),
          .weights = NamedParameters(*shared),
          .summary = Summary(*shared, input)};
}

// By name: sgd, momentum, rmsprop or adam. `learning_rate` 0: the optimizer's default.
absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(std::string_view name,
                                                         ParameterGroups parameters,
                                                         double learning_rate);
// The parameters under the recipe's l2 and weight_decay.
ParameterGroups Regularized(const std::vector<Parameter>& parameters, const Recipe& recipe);
// "none", or bounds that are not 0, such as "shift=2,rotate=10,scale=0.1" in any order.
absl::StatusOr<AugmentOptions> ParseAugment(std::string_view text);
// By name: constant, cosine or one_cycle. The schedule of a run of so many steps, from the rate or,
// of one_cycle, up to it.
using RunSchedule = std::function<Schedule(double rate, int64_t steps)>;
absl::StatusOr<RunSchedule> MakeSchedule(std::string_view name);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_DIGITS_RECIPE_H_
