// The training loop that every model uses: epochs over a loader, progress, metrics, stopping.
#ifndef WENGERT_NN_TRAIN_FIT_H_
#define WENGERT_NN_TRAIN_FIT_H_

#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "autograd/modes.h"
#include "data/loader.h"
#include "nn/optimizer.h"
#include "nn/schedules.h"
#include "ops/ops.h"

namespace wengert {

// What the model makes of one batch.
struct Outcome {
  Variable loss;     // a scalar, the mean over the batch
  Variable correct;  // how many were right, a scalar; undefined where that means nothing
};
using Objective = std::function<Outcome(const Batch&)>;

// The objective of a classifier: mean softmax cross entropy of model(inputs) against the labels
// that the targets are, and how often the largest logit is the label's.
template <class Model>
Objective Classification(Model& model);

struct Metrics {
  double loss = 0;
  double accuracy = -1;  // of examples, 0 to 1; negative where the objective has no `correct`
  int64_t examples = 0;
};

struct FitOptions {
  int64_t epochs = 1;
  // The learning rate of each step of this run, the first being 0; null: the optimizer's. It has
  // its own rate again at the end. A run has epochs * ceil(batches / accumulate) steps.
  Schedule schedule = nullptr;
  // Batches per step, whose gradients are averaged; the last step of an epoch may have fewer.
  int64_t accumulate = 1;
  double clip_norm = 0;     // the most that the gradients' global norm may be; 0: any
  bool quiet = false;       // no progress
  std::FILE* out = stdout;  // progress; a line that renews itself on a terminal, else plain lines
  // Called after each epoch; what it gives is shown with the epoch.
  std::function<Metrics()> validate = nullptr;
  // At the end, also of an interrupted run, the parameters, and the running statistics of layers,
  // are those of the epoch with the lowest loss that `validate` gave.
  bool keep_best = false;
  // Stops after so many epochs in a row whose loss by `validate` was no lower than the lowest
  // before them; NaN is no lower than anything. 0: never.
  int64_t patience = 0;
};

struct FitResult {
  int64_t epochs = 0;  // completed
  int64_t steps = 0;
  double seconds = 0;          // validation not counted
  Metrics training;            // over the last epoch, while it was being trained
  bool interrupted = false;    // by Ctrl-C: the step under way was completed
  bool stopped_early = false;  // by `patience`, before the last epoch
  // With keep_best: the epoch whose parameters were kept, from 1, and how it validated. 0 where no
  // epoch had a finite loss: then the parameters are the last ones.
  int64_t best_epoch = 0;
  Metrics best;
};

// Trains with the gradients of objective(batch).loss. Random ops of the layers draw from
// `generator`. A loss or a gradient that is not finite stops it with an Error that names the first
// op that made such a value: no parameter, nor any state, has taken the step.
FitResult Fit(const Objective& objective, Optimizer& optimizer, const Loader& loader,
              Generator& generator, const FitOptions& options);

// The same objective without training, over all of the loader in order.
Metrics EvaluateObjective(const Objective& objective, const Loader& loader);

// How often each label (row) was taken for each class (column): int64 [classes, classes].
Tensor ConfusionMatrix(const std::function<Variable(const Variable&)>& model, const Loader& loader,
                       int64_t classes);
std::string ConfusionMatrixText(const Tensor& matrix);

template <class Model>
Objective Classification(Model& model) {
  return [&model](const Batch& batch) {
    const Variable logits = model(batch.inputs);
    const Variable labels = batch.targets;
    return Outcome{SoftmaxCrossEntropy(logits, labels), Sum(Equal(ArgMax(logits, -1), labels))};
  };
}

}  // namespace wengert

#endif  // WENGERT_NN_TRAIN_FIT_H_
