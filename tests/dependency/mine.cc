// The smallest program that learns: a network of two layers finds the exclusive or.
#include <cstdio>

#include "wengert.h"

using namespace wengert;  // NOLINT(google-build-using-namespace)

struct Network {
  nn::Dense hidden, output;
  explicit Network(Generator& rng)
      : hidden({.in = 2, .out = 8}, rng), output({.in = 8, .out = 2}, rng) {}
  Variable operator()(const Variable& x) const { return output(Tanh(hidden(x))); }
  template <class V>
  void Visit(V&& v) {
    v("hidden", hidden), v("output", output);
  }
};

int main() {
  const Tensor inputs = Tensor::FromVector<float>({0, 0, 0, 1, 1, 0, 1, 1}).Reshape({4, 2});
  const Tensor labels = Tensor::FromVector<int64_t>({0, 1, 1, 0});
  Generator rng(/*seed=*/1);
  Network network(rng);
  Adam adam(Parameters(network), {.learning_rate = 0.05});
  float loss = 0;
  for (int step = 0; step < 200; ++step) {
    const auto [value, gradients] = ValueAndGrad(
        [&] { return SoftmaxCrossEntropy(network(inputs), labels); }, adam.parameters());
    adam.Step(gradients);
    loss = value.item<float>();
  }
  std::printf("loss after 200 steps: %.4f\n", loss);
  return loss < 0.05 ? 0 : 1;
}
