// Wengert's side of benchmarks/compare/peers. It reads commands, a line each, and answers with a
// line:
//
//   make NAME FILE   prepares a workload and writes its numbers to start from, a safetensors file
//                    -> made, then what peers must find too
//   time SECONDS     runs steps for that long, one at least -> took STEPS SECONDS
//
// --start takes one gradient and exits, --run=NAME takes one step: what they cost is seen from
// outside.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "autograd/grad.h"
#include "benchmarks/compare/workload.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "tensor/parallel.h"

ABSL_FLAG(int, threads, 1, "");
ABSL_FLAG(bool, start, false, "take one gradient and exit");
ABSL_FLAG(std::string, run, "", "take one step of this workload and exit");

namespace wengert {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(EXIT_FAILURE);
}

Workload Make(const std::string& name) {
  static const Workloads& workloads = [] {
    auto& all = *new Workloads();
    AddLayerWorkloads(all);
    AddModelWorkloads(all);
    return all;
  }();
  const auto found = workloads.find(name);
  if (found == workloads.end()) Fail("unknown workload \"" + name + "\"");
  return found->second();
}

void TakeGradient() {
  Generator rng(1);
  nn::Dense dense({.in = 4, .out = 3}, rng);
  const ValueAndGradients step = ValueAndGrad(
      [&] {
        return Sum(Square(dense(Tensor::Ones({2, 4}))));
      },
      Parameters(dense));
  std::printf("%g\n", step.gradients[0].value().at<float>({0, 0}));
}

void Serve() {
  std::unique_ptr<Workload> workload;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "make") {
      std::string name, file;
      words >> name >> file;
      workload.reset();
      workload = std::make_unique<Workload>(Make(name));
      const absl::Status status = WriteSafetensors(file, workload->exchange);
      if (!status.ok()) Fail(std::string(status.message()));
      workload->exchange.clear();
      std::printf("made");
      for (const double number : workload->numbers()) std::printf(" %.9g", number);
      std::printf("\n");
    } else if (command == "time" && workload) {
      double limit = 0;
      words >> limit;
      int64_t steps = 0;
      std::chrono::duration<double> elapsed{0};
      for (const auto start = Clock::now(); steps == 0 || elapsed.count() < limit; ++steps) {
        workload->step();
        elapsed = Clock::now() - start;
      }
      std::printf("took %lld %.9g\n", static_cast<long long>(steps), elapsed.count());
    } else {
      Fail("not understood: " + line);
    }
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace wengert

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  wengert::SetNumThreads(absl::GetFlag(FLAGS_threads));
  if (absl::GetFlag(FLAGS_start)) {
    wengert::TakeGradient();
  } else if (const std::string name = absl::GetFlag(FLAGS_run); !name.empty()) {
    wengert::Make(name).step();
  } else {
    wengert::Serve();
  }
}
