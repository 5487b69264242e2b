// An LSTM layer, forward and backward, Wengert's beside oneDNN's, in one run:
// OneDnnLstm/<in>x<hidden>/T<steps>/N<batch>/threads:N and LstmTrain/....
// --check compares what they compute and fails unless all gradients agree.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "benchmark/benchmark.h"
#include "benchmarks/compare/raw_onednn_lstm.h"
#include "benchmarks/recurrent_step.h"
#include "benchmarks/time_steps.h"
#include "ops/ops.h"
#include "tensor/parallel.h"

ABSL_FLAG(bool, check, false, "compare the results and exit");

namespace wengert {
namespace {

using Step = RecurrentStep<nn::LstmCell>;

constexpr RecurrentShape kShapes[] = {{128, 256, 64, 32}, {28, 128, 28, 128}};
constexpr int kWarmUp = 10;

Tensor TimeFirst(const Tensor& x) { return x.Permute({1, 0, 2}).Contiguous(); }

// oneDNN's layer on the weights and inputs of a step of ours.
class OneDnnStep {
 public:
  OneDnnStep(const RecurrentShape& s, int threads)
      : step_(s, RecurrentPath::kFused),
        x_(TimeFirst(step_.x)),
        dy_(TimeFirst(step_.dy)),
        lstm_({.in = s.in,
               .hidden = s.hidden,
               .steps = s.steps,
               .batch = s.batch,
               .threads = threads},
              step_.cell.weight_ih.value().data<float>(),
              step_.cell.weight_hh.value().data<float>(), step_.cell.bias.value().data<float>()) {}
  double Run() {
    lstm_.Step(x_.data<float>(), dy_.data<float>());
    return 0;
  }
  const Step& ours() const { return step_; }
  RawOneDnnLstm::Results Read() const { return lstm_.Read(); }

 private:
  Step step_;
  Tensor x_, dy_;
  RawOneDnnLstm lstm_;
};

double Distance(const Tensor& a, const std::vector<float>& b) {
  const std::vector<float> numbers = a.ToVector<float>();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(double{numbers[i]} - b[i], 2);
    norm += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

int Check() {
  bool agree = true;
  for (const RecurrentShape& shape : kShapes) {
    OneDnnStep peer(shape, /*threads=*/2);
    peer.Run();
    const RawOneDnnLstm::Results theirs = peer.Read();
    const Step& ours = peer.ours();
    const Variable x = DifferentiableLeaf(ours.x);
    const Variable outputs = ours.cell.Run(x, ours.initial).outputs;
    const Variable inputs[] = {x, ours.cell.weight_ih, ours.cell.weight_hh, ours.cell.bias};
    const Variable results[] = {outputs};
    const std::vector<Variable> gradients = Grad(results, inputs, {.cotangents = {ours.dy}});
    for (const auto& [name, a, b] :
         {std::tuple{"outputs", TimeFirst(outputs.value()), theirs.outputs},
          {"dx", TimeFirst(gradients[0].value()), theirs.dx},
          {"weight_ih", gradients[1].value(), theirs.weight_ih},
          {"weight_hh", gradients[2].value(), theirs.weight_hh},
          {"bias", gradients[3].value(), theirs.bias}}) {
      const double distance = Distance(a, b);
      std::printf("%s %s: relative difference %.1e\n", NameOf(shape).c_str(), name, distance);
      agree &= distance < 1e-4;
    }
  }
  return agree ? EXIT_SUCCESS : EXIT_FAILURE;
}

template <class S, class... Arguments>
void Register(const std::string& name, const RecurrentShape& shape, int threads, Arguments... a) {
  auto step = std::make_shared<std::unique_ptr<S>>();
  benchmark::RegisterBenchmark(absl::StrCat(name, "/", NameOf(shape), "/threads:", threads).c_str(),
                               [=](benchmark::State& state) {
                                 SetNumThreads(threads);
                                 if (!*step) {
                                   *step = std::make_unique<S>(shape, a...);
                                   for (int i = 0; i < kWarmUp; ++i) (*step)->Run();
                                 }
                                 TimeSteps(state, shape.batch, [&] { return (*step)->Run(); });
                               })
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

int Main() {
  if (absl::GetFlag(FLAGS_check)) return Check();
  for (const int threads : {1, 2}) {
    for (const RecurrentShape& shape : kShapes) {
      Register<OneDnnStep>("OneDnnLstm", shape, threads, threads);
      Register<Step>("LstmTrain/fused", shape, threads, RecurrentPath::kFused);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace wengert

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  absl::ParseCommandLine(argc, argv);
  return wengert::Main();
}
