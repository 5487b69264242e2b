#include "benchmarks/mnist_step.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "autograd/grad.h"
#include "ops/ops.h"

namespace wengert {
namespace {

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "%s\n", std::string(value.status().message()).c_str());
  std::exit(EXIT_FAILURE);
}

const MnistSplit& TrainingData() {
  static const MnistSplit& data = *new MnistSplit(OrDie(LoadMnistTrain()));
  return data;
}

}  // namespace

MnistStep::MnistStep(const std::string& model, MnistOrder order, int64_t batch_size)
    : model_(OrDie(mnist::MakeModel(model, "relu", generator_))),
      batch_size_(batch_size ? batch_size : model_.recipe.batch_size),
      optimizer_(OrDie(mnist::MakeOptimizer(model_.recipe.optimizer, model_.parameters, 0))),
      loader_(std::make_unique<Loader>(TrainingData().images, TrainingData().labels,
                                       LoaderOptions{.batch_size = batch_size_,
                                                     .shuffle = order == MnistOrder::kShuffled,
                                                     .seed = 1,
                                                     .keep_partial = false,
                                                     .scale = true})),
      batches_(std::make_unique<EpochBatches>(loader_->Epoch(0))) {}

double MnistStep::Run() {
  if (index_ == batches_->size()) {
    *batches_ = loader_->Epoch(++epoch_);
    index_ = 0;
  }
  const Batch batch = batches_->At(index_++);
  const TrainingScope training(generator_);
  const ValueAndGradients step = ValueAndGrad(
      [&] { return SoftmaxCrossEntropy(model_.forward(batch.inputs), Variable(batch.targets)); },
      model_.parameters);
  optimizer_->Step(step.gradients);
  return step.value.item<double>();
}

}  // namespace wengert
