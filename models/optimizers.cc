// The same mlp on MNIST under six ways to descend: how far each gets in the same time. Prints a
// table; --csv writes the curves.
#include "nn/optimizers.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "autograd/grad.h"
#include "data/formats/file.h"
#include "data/loader.h"
#include "data/mnist.h"
#include "models/command_line.h"
#include "models/digits/classifiers.h"
#include "nn/gradient_accumulation.h"
#include "nn/train/fit.h"

ABSL_FLAG(double, seconds, 5, "of training, for each method");
ABSL_FLAG(std::string, csv, "", "file for the curves: method,step,examples,seconds,loss");

namespace wengert::mnist {
namespace {

constexpr int64_t kPiece = 1000;   // images that a full batch takes at a time
constexpr int64_t kSample = 2000;  // training images on which curves are measured

struct Method {
  const char* name;
  int64_t batch_size;  // 0: all images
  std::function<std::unique_ptr<Optimizer>(const std::vector<Parameter>&)> optimizer;
};

// Each with a rate that is usual for it.
std::vector<Method> Methods() {
  const auto sgd = [](double rate, double momentum) {
    return [=](const std::vector<Parameter>& parameters) {
      return std::make_unique<Sgd>(parameters,
                                   Sgd::Options{.learning_rate = rate, .momentum = momentum});
    };
  };
  return {{"gradient descent (all)", 0, sgd(0.3, 0)},
          {"stochastic (one)", 1, sgd(0.01, 0)},
          {"mini-batches (128)", 128, sgd(0.3, 0)},
          {"momentum 0.9", 128, sgd(0.1, 0.9)},
          {"RMSprop", 128,
           [](const std::vector<Parameter>& parameters) {
             return std::make_unique<RmsProp>(parameters, RmsProp::Options{.learning_rate = 1e-3});
           }},
          {"Adam", 128, [](const std::vector<Parameter>& parameters) {
             return std::make_unique<Adam>(parameters, Adam::Options{.learning_rate = 3e-3});
           }}};
}

class Race {
 public:
  Race(const Mnist& data, const Method& method)
      : data_(data),
        method_(method),
        generator_(absl::GetFlag(FLAGS_seed)),
        network_(generator_, &Relu),
        optimizer_(method.optimizer(Parameters(network_))),
        objective_(Classification(network_)) {}

  void Run(std::string& csv) {
    const int64_t batch = method_.batch_size ? method_.batch_size : kPiece;
    const Loader loader(
        data_.train.images, data_.train.labels,
        {.batch_size = batch, .shuffle = true, .seed = absl::GetFlag(FLAGS_seed), .scale = true});
    Measure(csv);
    for (int64_t epoch = 0; !Over(); ++epoch) {
      for (const Batch& piece : loader.Epoch(epoch)) {
        Take(piece, /*last=*/piece.index + 1 == loader.batches(), csv);
        if (Over()) break;
      }
    }
    Measure(csv);
  }
  void PrintRow() {
    const Loader test(data_.test.images, data_.test.labels, {.batch_size = 500, .scale = true});
    std::printf("%-23s %8lld %10.1f %12.4f %12.2f %%\n", method_.name,
                static_cast<long long>(optimizer_->steps()), Epochs(), loss_,
                100 * EvaluateObjective(objective_, test).accuracy);
    std::fflush(stdout);
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool Over() const { return seconds_ >= absl::GetFlag(FLAGS_seconds); }
  double Epochs() const {
    return static_cast<double>(examples_) / static_cast<double>(data_.train.labels.size());
  }

  // One batch, or one piece of all images.
  void Take(const Batch& piece, bool last, std::string& csv) {
    const Clock::time_point begin = Clock::now();
    std::vector<Variable> gradients =
        ValueAndGrad([&] { return objective_(piece).loss; }, optimizer_->parameters()).gradients;
    examples_ += piece.inputs.dim(0);
    bool stepped = true;
    if (method_.batch_size == 0) {
      accumulator_.Add(gradients, piece.inputs.dim(0));
      stepped = last;
      if (last) gradients = accumulator_.Take();
    }
    if (stepped) optimizer_->Step(gradients);
    seconds_ += std::chrono::duration<double>(Clock::now() - begin).count();
    if (stepped && seconds_ >= next_measurement_) Measure(csv);
  }

  // The loss on the first images; the clock stands still. Fifty points a curve.
  void Measure(std::string& csv) {
    const Loader sample(data_.train.images, data_.train.labels,
                        {.batch_size = 500, .scale = true, .limit = kSample});
    loss_ = EvaluateObjective(objective_, sample).loss;
    absl::StrAppendFormat(&csv, "%s,%d,%d,%.4f,%.6f\n", method_.name, optimizer_->steps(),
                          examples_, seconds_, loss_);
    next_measurement_ = seconds_ + absl::GetFlag(FLAGS_seconds) / 50;
  }

  const Mnist& data_;
  const Method& method_;
  Generator generator_;
  Mlp network_;
  std::unique_ptr<Optimizer> optimizer_;
  const Objective objective_;
  GradientAccumulator accumulator_;
  int64_t examples_ = 0;
  double seconds_ = 0, next_measurement_ = 0, loss_ = 0;
};

absl::StatusOr<int> Run() {
  if (!(absl::GetFlag(FLAGS_seconds) > 0)) {
    return absl::InvalidArgumentError("--seconds is not above 0");
  }
  for (const char* flag : {"batch_size", "learning_rate", "load", "save", "quiet"}) {
    if (FlagGiven(flag)) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag, " has no use here"));
    }
  }
  const std::string path = absl::GetFlag(FLAGS_csv);
  if (!path.empty()) {  // a place that cannot be written to is an error now
    if (const auto file = OutputFile::Create(path); !file.ok()) return file.status();
  }
  const absl::StatusOr<Mnist> data = LoadMnist();
  if (!data.ok()) return data.status();
  std::string csv = "method,step,examples,seconds,loss\n";
  std::printf("%-23s %8s %10s %12s %14s\n", "", "steps", "epochs", "loss", "test accuracy");
  for (const Method& method : Methods()) {
    Race race(*data, method);
    race.Run(csv);
    race.PrintRow();
  }
  if (path.empty()) return EXIT_SUCCESS;
  absl::StatusOr<OutputFile> file = OutputFile::Create(path);
  if (!file.ok()) return file.status();
  if (const absl::Status status = file->Write(csv); !status.ok()) return status;
  if (const absl::Status status = file->Commit(); !status.ok()) return status;
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace wengert::mnist

int main(int argc, char** argv) {
  return wengert::RunMain(argc, argv, "optimizers",
                          "trains the same network with several optimizers and compares them",
                          &wengert::mnist::Run);
}
