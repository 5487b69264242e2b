// Time per step as the work grows: Batch, Depth, Width, Sequence and Threads, one line of a figure
// per <family>/<variant>/threads:N. benchmarks/plot_scaling runs this and draws the figures.
#include <chrono>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "benchmark/benchmark.h"
#include "benchmarks/mnist_step.h"
#include "benchmarks/recurrent_step.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/optimizers.h"
#include "ops/ops.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

// Times step() after a tenth of a second of it, and twice at least.
template <class F>
void Time(benchmark::State& state, F step) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(100);
  for (int i = 0; i < 2 || Clock::now() < end; ++i) step();
  for (auto _ : state) benchmark::DoNotOptimize(step());
}

// A training step of an MNIST model on `batch_size` images; 0: as many as its recipe has.
void MnistModel(benchmark::State& state, const char* model, int threads, int64_t batch_size) {
  SetNumThreads(threads);
  MnistStep step(model, MnistOrder::kShuffled, batch_size);
  Time(state, [&] { return step.Run(); });
}

Variable Linear(const Variable& x, int64_t i) { return i % 2 ? x + 0.0001 : x * 1.0001; }
Variable Mixed(const Variable& x, int64_t i) { return i % 3 == 2 ? Tanh(x) : Linear(x, i % 3); }

// A chain of ops on one number: recorded, run, differentiated and freed.
void Chain(benchmark::State& state, Variable (*op)(const Variable&, int64_t), int threads,
           int64_t ops) {
  SetNumThreads(threads);
  const std::vector<Parameter> parameters = {Parameter(Tensor::Full({}, 0.5))};
  const auto chain = [&] {
    Variable y = parameters[0];
    for (int64_t i = 0; i < ops; ++i) y = op(y, i);
    return y;
  };
  Time(state, [&] { return ValueAndGrad(chain, parameters).value.item<float>(); });
}

// 128 rows through two square layers, squared error, Adam.
void SquareMlp(benchmark::State& state, int threads, int64_t width) {
  SetNumThreads(threads);
  constexpr int64_t kRows = 128;
  Generator generator(1);
  nn::Dense a({.in = width, .out = width}, generator), b({.in = width, .out = width}, generator);
  const Tensor x = Normal({kRows, width}, generator).value();
  const Tensor target = Normal({kRows, width}, generator).value();
  Adam adam({a.weight, a.bias, b.weight, b.bias});
  Time(state, [&] {
    const ValueAndGradients step =
        ValueAndGrad([&] { return MeanSquaredError(b(Relu(a(x))), target); }, adam.parameters());
    adam.Step(step.gradients);
    return step.value.item<float>();
  });
}

// An LSTM layer of 128 inputs and 256 units on 32 rows, forward and backward.
void LstmLayer(benchmark::State& state, RecurrentPath path, int threads, int64_t length) {
  SetNumThreads(threads);
  RecurrentStep<nn::LstmCell> step({.in = 128, .hidden = 256, .steps = length, .batch = 32}, path);
  Time(state, [&] { return step.Run(); });
}

// `family`/`variant`/<what>:N/threads:T runs function(state, arguments..., T, N) for every N.
template <class F, class... Arguments>
void Register(const std::string& name, const std::string& what, std::initializer_list<int> threads,
              std::vector<int64_t> sizes, F function, Arguments... arguments) {
  for (const int t : threads) {
    for (const int64_t n : sizes) {
      benchmark::RegisterBenchmark(absl::StrCat(name, "/", what, ":", n, "/threads:", t).c_str(),
                                   function, arguments..., t, n)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

std::vector<int64_t> Powers(int64_t first, int64_t factor, int64_t last) {
  std::vector<int64_t> sizes;
  for (int64_t n = first; n <= last; n *= factor) sizes.push_back(n);
  return sizes;
}

const bool kRegistered = [] {
  for (const char* model : {"cnn32_64_d128", "mlp"}) {
    Register(absl::StrCat("Batch/", model), "images", {1, 2}, Powers(1, 4, 4096), &MnistModel,
             model);
  }
  Register("Depth/linear", "ops", {1}, Powers(10, 10, 1'000'000), &Chain, &Linear);
  Register("Depth/mixed", "ops", {1}, Powers(10, 10, 1'000'000), &Chain, &Mixed);
  Register("Width/mlp", "units", {1, 2}, Powers(16, 2, 4096), &SquareMlp);
  for (const auto& [name, path] : {std::pair{"fused", RecurrentPath::kFused},
                                   std::pair{"composed", RecurrentPath::kComposed}}) {
    Register(absl::StrCat("Sequence/", name), "steps", {1, 2}, Powers(8, 2, 1024), &LstmLayer,
             path);
  }
  for (const char* model : {"cnn32_64_d128", "mlp"}) {
    Register(absl::StrCat("Threads/", model), "images", {1, 2, 3, 4, 8}, {128}, &MnistModel, model);
  }
  return true;
}();

}  // namespace
}  // namespace wengert

BENCHMARK_MAIN();
