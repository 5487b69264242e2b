// The MNIST models: images [N, 28, 28, 1] in [0, 1] to logits [N, 10].
#ifndef WENGERT_MODELS_DIGITS_CLASSIFIERS_H_
#define WENGERT_MODELS_DIGITS_CLASSIFIERS_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "models/digits/recipe.h"
#include "nn/branches.h"
#include "nn/initializers.h"
#include "nn/layers.h"
#include "nn/normalization.h"
#include "nn/sequential.h"

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

// x: [N, H, W, in] -> [N, H, W, out]: normalized and rectified first, then convolved, 3x3.
struct PreActivation {
  nn::BatchNorm norm;
  nn::Conv2d conv;

  PreActivation(int64_t in, int64_t out, Generator& rng)
      : norm({.size = in, .momentum = 0.9}),
        conv({.in = in,
              .out = out,
              .kernel = 3,
              .padding = Padding::Same(),
              .use_bias = false,
              .initializer = &nn::HeUniform},
             rng) {}
  Variable operator()(const Variable& x) const { return conv(Relu(norm(x))); }
  template <class V>
  void Visit(V&& v) {
    v("norm", norm), v("conv", conv);
  }
};

// A residual network with pre-activation (He et al. 2016, "Identity mappings in deep residual
// networks"): a convolution, then blocks of two at 12x12 pixels and 6x6, and the mean over those.
struct ResNet {
  using Body = nn::Sequential<PreActivation, PreActivation>;
  nn::Conv2d stem;
  nn::Residual<Body> block1;
  nn::Residual<Body, nn::Conv2d> block2;
  nn::BatchNorm norm;
  nn::Dropout dropout{.rate = 0.2};
  nn::Dense fc;

  explicit ResNet(Generator& rng)
      : stem({.in = 1, .out = 32, .kernel = 5, .initializer = &nn::HeUniform}, rng),
        block1(Body{PreActivation(32, 32, rng), PreActivation(32, 32, rng)}),
        block2(Body{PreActivation(32, 64, rng), PreActivation(64, 64, rng)},
               nn::Conv2d({.in = 32, .out = 64, .kernel = 1, .use_bias = false}, rng)),
        norm({.size = 64, .momentum = 0.9}),
        fc({.in = 64, .out = 10}, rng) {}
  Variable operator()(const Variable& images) const {
    Variable h = block1(MaxPool2d(Relu(stem(images))));
    h = block2(MaxPool2d(h));
    return fc(dropout(GlobalAvgPool2d(Relu(norm(h)))));
  }
  template <class V>
  void Visit(V&& v) {
    v("stem", stem), v("block1", block1), v("block2", block2), v("norm", norm), v("fc", fc);
  }
};

inline constexpr const char* kClassifiers[] = {"cnn32_64_d128", "cnn32",  "cnn32_64_64_d64",
                                               "cnn32_nopool",  "resnet", "mlp"};
// One of kClassifiers. `activation` (sigmoid, tanh, relu) is for the mlp. Unknown names give
// InvalidArgument listing the known ones.
absl::StatusOr<Model> MakeModel(std::string_view name, std::string_view activation,
                                Generator& generator);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_DIGITS_CLASSIFIERS_H_
