// The MNIST models: images [N, 28, 28, 1] in [0, 1] to logits [N, 10].
#ifndef WENGERT_MODELS_MNIST_MODELS_H_
#define WENGERT_MODELS_MNIST_MODELS_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "models/recipe.h"
#include "nn/initializers.h"
#include "nn/layers.h"

namespace wengert::mnist {

// 99 % in the fewest seconds: one epoch. Batch size and rate were chosen with cnn32_64_d128, by
// 5,000 images held out of the training set.
inline Recipe FastRecipe(std::string model) {
  return {std::move(model), "adam", 64, 1, "one_cycle", 8e-3};
}

struct Cnn32_64_D128 {
  nn::Conv2d conv1, conv2;
  nn::Dense fc1, fc2;

  explicit Cnn32_64_D128(Generator& rng)
      : conv1({.in = 1, .out = 32, .kernel = 3}, rng),
        conv2({.in = 32, .out = 64, .kernel = 3}, rng),
        fc1({.in = 5 * 5 * 64, .out = 128}, rng),
        fc2({.in = 128, .out = 10}, rng) {}
  Variable operator()(const Variable& images) const {
    Variable h = MaxPool2d(Relu(conv1(images)));
    h = MaxPool2d(Relu(conv2(h)));
    h = Relu(fc1(nn::Flatten()(h)));
    return fc2(h);
  }
  template <class V>
  void Visit(V&& v) {
    v("conv1", conv1), v("conv2", conv2), v("fc1", fc1), v("fc2", fc2);
  }
};

struct Cnn32 {
  nn::Conv2d conv;
  nn::Dense fc;
  bool pool;

  Cnn32(Generator& rng, bool pool, nn::Initializer initializer = &nn::GlorotUniform)
      : conv({.in = 1, .out = 32, .kernel = 3, .initializer = initializer}, rng),
        fc({.in = (pool ? 13 * 13 : 26 * 26) * 32, .out = 10}, rng),
        pool(pool) {}
  Variable operator()(const Variable& images) const {
    const Variable h = Relu(conv(images));
    return fc(nn::Flatten()(pool ? MaxPool2d(h) : h));
  }
  template <class V>
  void Visit(V&& v) {
    v("conv", conv), v("fc", fc);
  }
};

struct Cnn32_64_64_D64 {
  nn::Conv2d conv1, conv2, conv3;
  nn::Dense fc1, fc2;

  explicit Cnn32_64_64_D64(Generator& rng)
      : conv1({.in = 1, .out = 32, .kernel = 3}, rng),
        conv2({.in = 32, .out = 64, .kernel = 3}, rng),
        conv3({.in = 64, .out = 64, .kernel = 3}, rng),
        fc1({.in = 3 * 3 * 64, .out = 64}, rng),
        fc2({.in = 64, .out = 10}, rng) {}
  Variable operator()(const Variable& images) const {
    Variable h = MaxPool2d(Relu(conv1(images)));
    h = MaxPool2d(Relu(conv2(h)));
    h = Relu(conv3(h));
    h = Relu(fc1(nn::Flatten()(h)));
    return fc2(h);
  }
  template <class V>
  void Visit(V&& v) {
    v("conv1", conv1), v("conv2", conv2), v("conv3", conv3), v("fc1", fc1), v("fc2", fc2);
  }
};

struct Mlp {
  using Activation = Variable (*)(const Operand&);
  nn::Dense fc1, fc2, fc3;
  Activation activation;

  Mlp(Generator& rng, Activation activation)
      : fc1({.in = 28 * 28, .out = 128}, rng),
        fc2({.in = 128, .out = 64}, rng),
        fc3({.in = 64, .out = 10}, rng),
        activation(activation) {}
  Variable operator()(const Variable& images) const {
    Variable h = activation(fc1(nn::Flatten()(images)));
    h = activation(fc2(h));
    return fc3(h);
  }
  template <class V>
  void Visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2), v("fc3", fc3);
  }
};

inline constexpr const char* kClassifiers[] = {"cnn32_64_d128", "cnn32", "cnn32_64_64_d64",
                                               "cnn32_nopool", "mlp"};
// One of kClassifiers. `activation` (sigmoid, tanh, relu) is for the mlp. Unknown names give
// InvalidArgument listing the known ones.
absl::StatusOr<Model> MakeModel(std::string_view name, std::string_view activation,
                                Generator& generator);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_MNIST_MODELS_H_
