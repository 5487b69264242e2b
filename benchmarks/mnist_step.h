// One training step of an MNIST model on real data, to be timed.
#ifndef WENGERT_BENCHMARKS_MNIST_STEP_H_
#define WENGERT_BENCHMARKS_MNIST_STEP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/loader.h"
#include "data/mnist.h"
#include "models/digits/classifiers.h"

namespace wengert {

enum class MnistOrder { kShuffled, kAsFiled };

class MnistStep {
 public:
  // Aborts the benchmark program with the status' text when data or model is missing.
  // batch_size 0: the model's own.
  explicit MnistStep(const std::string& model, MnistOrder order = MnistOrder::kShuffled,
                     int64_t batch_size = 0);

  // Batch slice, forward, cross entropy, backward, optimizer. Returns the loss.
  double Run();
  int64_t batch_size() const { return batch_size_; }
  const std::vector<NamedParameter>& weights() const { return model_.weights; }

 private:
  Generator generator_{1};
  mnist::Model model_;
  int64_t batch_size_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Loader> loader_;
  int64_t epoch_ = 0, index_ = 0;
  std::unique_ptr<EpochBatches> batches_;
};

}  // namespace wengert

#endif  // WENGERT_BENCHMARKS_MNIST_STEP_H_
