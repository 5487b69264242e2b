// Times training steps, with the same counters for every program that does.
#ifndef WENGERT_BENCHMARKS_TIME_STEPS_H_
#define WENGERT_BENCHMARKS_TIME_STEPS_H_

#include <chrono>
#include <cstdint>

#include "benchmark/benchmark.h"

namespace wengert {

// Calls step() once per iteration: ms_per_step and images_per_s.
template <class F>
void TimeSteps(benchmark::State& state, int64_t images_per_step, F step) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  for (auto _ : state) benchmark::DoNotOptimize(step());
  const std::chrono::duration<double, std::milli> elapsed = Clock::now() - start;
  using benchmark::Counter;
  state.counters["ms_per_step"] = Counter(elapsed.count(), Counter::kAvgIterations);
  state.counters["images_per_s"] =
      Counter(static_cast<double>(images_per_step), Counter::kIsIterationInvariantRate);
}

}  // namespace wengert

#endif  // WENGERT_BENCHMARKS_TIME_STEPS_H_
