#include "models/digits/classifiers.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace wengert::mnist {
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
  if (name == "resnet") {
    return Wrap(ResNet(rng), {.model = "resnet",
                              .optimizer = "adam",
                              .batch_size = 128,
                              .epochs = 6,
                              .schedule = "one_cycle",
                              .learning_rate = 1e-2,
                              .l2 = 5e-5,
                              .augment = {.shift = 2, .rotate = 10, .scale = 0.1}});
  }
  if (name == "mlp") return Wrap(Mlp(rng, function), {"mlp", "adam", 128, 10});
  return absl::InvalidArgumentError(absl::StrCat("unknown model \"", std::string(name),
                                                 "\"; known: ", absl::StrJoin(kClassifiers, ", ")));
}

}  // namespace wengert::mnist
