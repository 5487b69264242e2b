// Whole training steps of the MNIST models on real data, and recurrent layers forward and backward:
// LstmTrain/fused/<in>x<hidden>/T<steps>/N<batch>/threads:N is the layer, /composed its cell's ops
// one by one; LstmTrain/decaying is fused/128x128/T256/N32 on zeros, whose state decays into the
// subnormal numbers.
#include <string>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "benchmarks/mnist_step.h"
#include "benchmarks/recurrent_step.h"
#include "benchmarks/time_steps.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int kWarmUp = 100;  // steps; the timed ones follow

void TimeMnistStep(benchmark::State& state, const char* model) {
  SetNumThreads(static_cast<int>(state.range(0)));
  MnistStep step(model);
  for (int i = 0; i < kWarmUp; ++i) step.Run();
  const int64_t allocations = GetPoolStatistics().system_allocations;
  TimeSteps(state, step.batch_size(), [&] { return step.Run(); });
  state.counters["system_allocations"] =
      static_cast<double>(GetPoolStatistics().system_allocations - allocations);
}

const bool kRegistered = [] {
  for (const char* model : {"cnn32_64_d128", "cnn32_64_64_d64", "cnn32", "cnn32_nopool", "mlp"}) {
    benchmark::RegisterBenchmark((std::string("MnistStep/") + model).c_str(), &TimeMnistStep, model)
        ->ArgName("threads")
        ->Arg(1)
        ->Arg(2)
        ->Iterations(200)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  return true;
}();

constexpr RecurrentShape kShapes[] = {{128, 256, 64, 32}, {28, 128, 28, 128}};
constexpr RecurrentShape kLong = {128, 128, 256, 32};

template <class Cell>
void TimeRecurrent(benchmark::State& state, RecurrentPath path, const RecurrentShape& shape,
                   bool decaying) {
  SetNumThreads(static_cast<int>(state.range(0)));
  RecurrentStep<Cell> step(shape, path);
  if (decaying) {
    step.x = Tensor::Zeros(step.x.shape());
    step.dy = Tensor::Full(step.dy.shape(), 1e-20);
    step.initial.h = Tensor::Full({shape.batch, shape.hidden}, 1e-20);
    if constexpr (std::is_same_v<Cell, nn::LstmCell>) step.initial.c = step.initial.h;
  }
  for (int i = 0; i < 5; ++i) step.Run();
  TimeSteps(state, shape.batch, [&] { return step.Run(); });
}

template <class Cell>
void RegisterRecurrent(const std::string& family) {
  for (const RecurrentShape& shape : kShapes) {
    for (const auto& [name, path] : {std::pair{"fused", RecurrentPath::kFused},
                                     std::pair{"composed", RecurrentPath::kComposed}}) {
      benchmark::RegisterBenchmark(absl::StrCat(family, "/", name, "/", NameOf(shape)).c_str(),
                                   &TimeRecurrent<Cell>, path, shape, /*decaying=*/false)
          ->ArgName("threads")
          ->Arg(1)
          ->Arg(2)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

const bool kRecurrentRegistered = [] {
  RegisterRecurrent<nn::LstmCell>("LstmTrain");
  RegisterRecurrent<nn::GruCell>("GruTrain");
  RegisterRecurrent<nn::RnnCell>("RnnTrain");
  for (const bool decaying : {false, true}) {
    benchmark::RegisterBenchmark(
        decaying ? "LstmTrain/decaying" : "LstmTrain/fused/128x128/T256/N32",
        &TimeRecurrent<nn::LstmCell>, RecurrentPath::kFused, kLong, decaying)
        ->ArgName("threads")
        ->Arg(1)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  return true;
}();

}  // namespace
}  // namespace wengert

BENCHMARK_MAIN();
