// Whole training steps on real data.
#include <string>

#include "benchmark/benchmark.h"
#include "benchmarks/mnist_step.h"
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

}  // namespace
}  // namespace wengert

BENCHMARK_MAIN();
