// What the tape itself costs: long chains of tiny ops, and a tiny network. ns per op, one thread.
#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include "autograd/grad.h"
#include "benchmark/benchmark.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "ops/ops.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int kOps = 10'000;

using Clock = std::chrono::steady_clock;

double Nanoseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::nano>(to - from).count();
}

Variable Linear(const Variable& x, int i) { return i % 2 ? x + 0.0001 : x * 1.0001; }
Variable Mixed(const Variable& x, int i) {
  return i % 3 == 0 ? x * 1.0001 : i % 3 == 1 ? x + 0.0001 : Tanh(x);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Records, runs, differentiates, runs that, frees. The counters are medians over the iterations.
void Chain(benchmark::State& state, Variable (*step)(const Variable&, int)) {
  SetNumThreads(1);
  const Parameter parameter(Tensor::Full({state.range(0)}, 0.5));
  const Variable ones(Tensor::Ones({state.range(0)}));
  constexpr std::array<const char*, 6> kPhases = {"record",       "run",  "record_backward",
                                                  "run_backward", "free", "total_ns_per_op"};
  std::array<std::vector<double>, 6> phases;
  for (auto _ : state) {
    std::array<Clock::time_point, 6> times;
    times[0] = Clock::now();
    const Variable& x = parameter;
    Variable y = x;
    for (int i = 0; i < kOps; ++i) y = step(y, i);
    times[1] = Clock::now();
    Evaluate({&y, 1});
    times[2] = Clock::now();
    Variable gradient = Grad(y, x, {.cotangents = {ones}});
    times[3] = Clock::now();
    Evaluate({&gradient, 1});
    times[4] = Clock::now();
    gradient = Variable();
    y = Variable();
    times[5] = Clock::now();
    for (int p = 0; p < 5; ++p) phases[p].push_back(Nanoseconds(times[p], times[p + 1]) / kOps);
    phases[5].push_back(Nanoseconds(times[0], times[5]) / kOps);
  }
  for (int p = 0; p < 6; ++p) state.counters[kPhases[p]] = Median(phases[p]);
}

void ChainMixed(benchmark::State& state) { Chain(state, &Mixed); }
void ChainLinear(benchmark::State& state) { Chain(state, &Linear); }
BENCHMARK(ChainMixed)->Name("Chain/mixed")->Arg(1)->Arg(1024)->Unit(benchmark::kMillisecond);
BENCHMARK(ChainLinear)->Name("Chain/linear")->Arg(1)->Arg(1024)->Unit(benchmark::kMillisecond);

struct Net {
  nn::Dense a, b, c;
  explicit Net(Generator& rng)
      : a({.in = 2, .out = 16}, rng), b({.in = 16, .out = 16}, rng), c({.in = 16, .out = 1}, rng) {}
  Variable operator()(const Variable& x) const { return c(Tanh(b(Tanh(a(x))))); }
  template <class V>
  void Visit(V&& v) {
    v("a", a), v("b", b), v("c", c);
  }
};

// A 2-16-16-1 network on one example: forward and backward, no update.
void Mlp(benchmark::State& state) {
  SetNumThreads(1);
  Generator rng(1);
  Net net(rng);
  const std::vector<Parameter> parameters = Parameters(net);
  const Variable x(Tensor::Full({1, 2}, 0.5));
  for (auto _ : state) {
    benchmark::DoNotOptimize(ValueAndGrad([&] { return Sum(Square(net(x) - 1)); }, parameters));
  }
}
BENCHMARK(Mlp)->Name("Mlp/2x16x16x1")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace wengert

BENCHMARK_MAIN();
