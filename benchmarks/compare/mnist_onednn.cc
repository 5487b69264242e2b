// The cnn32_64_d128 training step, Wengert's beside the same step written by hand on oneDNN, in one
// run: RawOneDnn/cnn32_64_d128/threads:N (channels last, as Wengert keeps images),
// RawOneDnn/cnn32_64_d128_blocked/threads:N (oneDNN's own layout), MnistStep/....
// --check trains the hand-written one 400 steps and fails unless it then knows 97 % of the test
// set.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmark/benchmark.h"
#include "benchmarks/compare/raw_onednn.h"
#include "benchmarks/mnist_step.h"
#include "benchmarks/time_steps.h"
#include "data/loader.h"
#include "data/mnist.h"
#include "tensor/parallel.h"

ABSL_FLAG(bool, check, false, "train the hand-written network, test it and exit");

namespace wengert {
namespace {

constexpr int64_t kBatch = 128;
constexpr int kWarmUp = 100;

// Batches of a split in the order of the file, as the hand-written step reads them: in place, from
// one array.
struct Images {
  Tensor pixels;  // float32 [N, 28, 28, 1]
  Tensor labels;  // int32 [N]

  explicit Images(const MnistSplit& split) {
    const Loader all(split.images, split.labels,
                     {.batch_size = split.images.dim(0), .scale = true});
    const Batch batch = all.Epoch(0).At(0);
    pixels = batch.inputs;
    labels = batch.targets;
  }
  int64_t batches() const { return labels.size() / kBatch; }
  const float* Pixels(int64_t batch) const {
    return pixels.data<float>() + batch * kBatch * 28 * 28;
  }
  const int32_t* Labels(int64_t batch) const { return labels.data<int32_t>() + batch * kBatch; }
};

class RawTrainer {
 public:
  RawTrainer(const Images& images, int threads, bool blocked)
      : images_(images), cnn_({.batch = kBatch, .threads = threads, .blocked = blocked}) {}

  double Run() {
    const int64_t batch = next_++ % images_.batches();
    return cnn_.Step(images_.Pixels(batch), images_.Labels(batch));
  }
  double Accuracy(const Images& test) {
    int64_t correct = 0;
    for (int64_t b = 0; b < test.batches(); ++b) {
      correct += cnn_.CountCorrect(test.Pixels(b), test.Labels(b));
    }
    return static_cast<double>(correct) / static_cast<double>(test.batches() * kBatch);
  }

 private:
  const Images& images_;
  RawOneDnnCnn cnn_;
  int64_t next_ = 0;
};

// Times step(), after a warm-up that is done once however often the library calls this.
template <class Trainer>
void Register(const std::string& name, int threads,
              std::function<std::unique_ptr<Trainer>()> make) {
  auto trainer = std::make_shared<std::unique_ptr<Trainer>>();
  benchmark::RegisterBenchmark((name + "/threads:" + std::to_string(threads)).c_str(),
                               [=](benchmark::State& state) {
                                 SetNumThreads(threads);
                                 if (!*trainer) {
                                   *trainer = make();
                                   for (int i = 0; i < kWarmUp; ++i) (*trainer)->Run();
                                 }
                                 TimeSteps(state, kBatch, [&] { return (*trainer)->Run(); });
                               })
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

int Check(const Images& train, const Images& test) {
  int failures = 0;
  for (const bool blocked : {false, true}) {
    RawTrainer trainer(train, /*threads=*/2, blocked);
    for (int i = 0; i < 400; ++i) trainer.Run();
    const double accuracy = trainer.Accuracy(test);
    std::printf("%s: %.2f %% after 400 steps\n", blocked ? "blocked" : "NHWC", 100 * accuracy);
    failures += !(accuracy > 0.97);
  }
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int Main() {
  const absl::StatusOr<Mnist> data = LoadMnist();
  if (!data.ok()) {
    std::fprintf(stderr, "%s\n", std::string(data.status().message()).c_str());
    return EXIT_FAILURE;
  }
  const Images train(data->train);
  if (absl::GetFlag(FLAGS_check)) return Check(train, Images(data->test));
  for (const int threads : {1, 2}) {
    for (const bool blocked : {false, true}) {
      Register<RawTrainer>(blocked ? "RawOneDnn/cnn32_64_d128_blocked" : "RawOneDnn/cnn32_64_d128",
                           threads, [&train, threads, blocked] {
                             return std::make_unique<RawTrainer>(train, threads, blocked);
                           });
    }
    Register<MnistStep>("MnistStep/cnn32_64_d128", threads,
                        [] { return std::make_unique<MnistStep>("cnn32_64_d128"); });
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
