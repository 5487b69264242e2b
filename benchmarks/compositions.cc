// Layers written from element-wise ops and reductions: what running nodes as groups is worth. ns
// per element, forward and backward.
#include <cmath>
#include <functional>
#include <vector>

#include "autograd/grad.h"
#include "benchmark/benchmark.h"
#include "benchmarks/gates_loop.h"
#include "ops/ops.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

Tensor Random(const Shape& shape, uint64_t seed) {
  Generator rng(seed);
  return Normal(shape, rng).value();
}

using Function = std::function<Variable(const std::vector<Variable>&)>;

// The sum of f times a cotangent, and its gradients.
void Run(benchmark::State& state, const std::vector<Shape>& shapes, const Function& f) {
  SetNumThreads(static_cast<int>(state.range(0)));
  std::vector<Parameter> parameters;
  std::vector<Variable> x;
  for (const Shape& shape : shapes) {
    parameters.emplace_back(Random(shape, x.size() + 1));
    x.push_back(parameters.back().variable());
  }
  const Tensor cotangent = Random(f(x).shape(), 99);
  for (auto _ : state) ValueAndGrad([&] { return Sum(f(x) * cotangent); }, parameters);
  state.counters["ns_per_element"] = benchmark::Counter(
      static_cast<double>(x[0].size()) * static_cast<double>(state.iterations()) * 1e-9,
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void TanhChain(benchmark::State& state) {
  Run(state, {{1 << 24}}, [](const auto& x) { return Tanh(1.5 * x[0] + 0.25) * 2 + 0.5; });
}

// The gates of an LSTM cell, from its four chunks and the state: 12 ops.
Variable GatesOf(const std::vector<Variable>& x) {
  const Variable c = Sigmoid(x[1] + 1) * x[4] + Sigmoid(x[0]) * Tanh(x[2]);
  return Sigmoid(x[3]) * Tanh(c) + c * 0.5;
}
void Gates(benchmark::State& state) {
  const Shape shape = {256, 1024};
  Run(state, {shape, shape, shape, shape, shape}, &GatesOf);
}

// The same by a compiled loop, which must find the same sum.
void GatesCompiled(benchmark::State& state) {
  SetNumThreads(static_cast<int>(state.range(0)));
  const Shape shape = {256, 1024};
  std::vector<Tensor> x, results;
  for (uint64_t i = 0; i < 6; ++i) x.push_back(Random(shape, i < 5 ? i + 1 : 99));
  for (int i = 0; i < 5; ++i) results.push_back(Tensor::Empty(shape));
  const float* in[5];
  float* gradients[5];
  for (int i = 0; i < 5; ++i) {
    in[i] = x[i].data<float>();
    gradients[i] = results[i].mutable_data<float>();
  }
  double sum = 0;
  for (auto _ : state) sum = GatesLoop(x[0].size(), in, x[5].data<float>(), gradients);
  const double own = Sum(GatesOf({x.begin(), x.end()}) * x[5]).item<float>();
  if (!(std::abs(sum - own) < 1e-2)) state.SkipWithError("another sum");
}

void Gelu(benchmark::State& state) {
  Run(state, {{1024, 4096}}, [](const auto& x) {
    const Variable inner = std::sqrt(2 / M_PI) * (x[0] + 0.044715 * (Square(x[0]) * x[0]));
    return 0.5 * x[0] * (1 + Tanh(inner));
  });
}

void LayerNorm(benchmark::State& state) {
  Run(state, {{4096, 768}, {768}, {768}}, [](const auto& x) {
    const Variable centred = x[0] - Mean(x[0], -1, /*keep_dims=*/true);
    const Variable variance = Mean(Square(centred), -1, /*keep_dims=*/true);
    return centred * Rsqrt(variance + 1e-5) * x[1] + x[2];
  });
}

void Softmax(benchmark::State& state) {
  Run(state, {{4096, 1024}}, [](const auto& x) {
    const Variable e = Exp(x[0] - Max(x[0], -1, /*keep_dims=*/true).Detach());
    return e / Sum(e, -1, /*keep_dims=*/true);
  });
}

void BatchNorm(benchmark::State& state) {
  Run(state, {{128 * 28 * 28, 64}, {64}, {64}}, [](const auto& x) {
    const Variable centred = x[0] - Mean(x[0], 0);
    const Variable variance = Mean(Square(centred), 0);
    return centred * Rsqrt(variance + 1e-3) * x[1] + x[2];
  });
}

#define COMPOSITION(name) \
  BENCHMARK(name)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond)
COMPOSITION(TanhChain);
COMPOSITION(Gates);
COMPOSITION(GatesCompiled);
COMPOSITION(Gelu);
COMPOSITION(LayerNorm);
COMPOSITION(Softmax);
COMPOSITION(BatchNorm);

}  // namespace
}  // namespace wengert

BENCHMARK_MAIN();
