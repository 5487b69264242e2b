// The program of README.md. Between [readme] and [/readme] it is quoted there word for word.
// [readme]
#include <cstdio>

#include "data/mnist.h"
#include "wengert.h"

using namespace wengert;  // NOLINT(google-build-using-namespace)

struct Mlp {
  nn::Dense fc1, fc2;
  explicit Mlp(Generator& rng)
      : fc1({.in = 28 * 28, .out = 128}, rng), fc2({.in = 128, .out = 10}, rng) {}
  Variable operator()(const Variable& x) const { return fc2(Relu(fc1(nn::Flatten()(x)))); }
  template <class V>
  void Visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2);
  }
};

int main() {
  const Mnist data = LoadMnist().value();
  const Loader train(data.train.images, data.train.labels,
                     {.batch_size = 128, .shuffle = true, .scale = true});
  const Loader test(data.test.images, data.test.labels, {.batch_size = 500, .scale = true});
  Generator rng(/*seed=*/1);
  Mlp model(rng);
  Adam adam(Parameters(model), {.learning_rate = 1e-3});
  for (const Batch& batch : train.Epoch(0)) {
    const TrainingScope training(rng);
    const auto [loss, gradients] = ValueAndGrad(
        [&] { return SoftmaxCrossEntropy(model(batch.inputs), batch.targets); }, adam.parameters());
    adam.Step(gradients);
    if (batch.index % 100 == 0) std::printf("loss %.3f\n", loss.item<float>());
  }
  const Metrics metrics = EvaluateObjective(Classification(model), test);
  std::printf("test accuracy %.2f %%\n", 100 * metrics.accuracy);
  return metrics.accuracy > 0.9 ? 0 : 1;
}
// [/readme]
