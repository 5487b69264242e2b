#include "nn/train/fit.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "autograd/grad.h"
#include "autograd/state_update.h"
#include "nn/gradient_accumulation.h"
#include "nn/gradient_clipping.h"
#include "nn/train/interrupt.h"
#include "nn/train/progress.h"

namespace wengert {
namespace {

using Clock = std::chrono::steady_clock;

// Weighted means over batches of different sizes.
class Running {
 public:
  // correct: may be undefined.
  void Add(double loss, const Variable& correct, int64_t examples) {
    loss_ += loss * static_cast<double>(examples);
    if (correct.defined()) correct_ += correct.item<double>();
    counts_ &= correct.defined();
    examples_ += examples;
  }
  Metrics Mean() const {
    const double n = static_cast<double>(std::max<int64_t>(1, examples_));
    Metrics mean{.loss = loss_ / n, .examples = examples_};
    if (counts_) mean.accuracy = correct_ / n;
    return mean;
  }

 private:
  double loss_ = 0, correct_ = 0;
  int64_t examples_ = 0;
  bool counts_ = true;
};

// Runs the step again, on the same parameters and random numbers, watching every value: throws the
// Error that names the op.
[[noreturn]] void ExplainNonFinite(const Objective& objective, const Optimizer& optimizer,
                                   const Batch& batch, Generator generator, double loss) {
  const TrainingScope training(generator);
  const DetectAnomaly watch;
  ValueAndGrad([&] { return objective(batch).loss; }, optimizer.parameters());
  throw Error("fit", absl::StrCat("the loss is ", loss, ", or a gradient is not finite"));
}

// Sets the rate for each step, and at the end what it was.
class ScheduledRate {
 public:
  ScheduledRate(Optimizer& optimizer, const Schedule& schedule)
      : optimizer_(optimizer), schedule_(schedule), rate_(optimizer.learning_rate()) {}
  ~ScheduledRate() { optimizer_.set_learning_rate(rate_); }
  void SetFor(int64_t step) {
    if (schedule_) optimizer_.set_learning_rate(schedule_(step));
  }

 private:
  Optimizer& optimizer_;
  const Schedule& schedule_;
  const double rate_;
};

// The epoch with the lowest validation loss and, if they are kept, its parameters and the states
// that go with them.
class BestEpoch {
 public:
  BestEpoch(const std::vector<Parameter>& parameters, bool keep)
      : parameters_(parameters), keep_(keep) {}
  void Include(const Parameter& state) {
    const auto is_state = [&](const Parameter& other) { return other.SharesWith(state); };
    if (std::none_of(parameters_.begin(), parameters_.end(), is_state)) {
      parameters_.push_back(state);
    }
  }
  void Offer(int64_t epoch, const Metrics& metrics) {
    if (!(metrics.loss < (epoch_ == 0 ? kInfinity : metrics_.loss))) return;
    epoch_ = epoch;
    metrics_ = metrics;
    if (!keep_) return;
    values_.clear();  // optimizers write in place only what nobody else holds: no copy is needed
    for (const Parameter& parameter : parameters_) values_.push_back(parameter.value());
  }
  int64_t epoch() const { return epoch_; }  // from 1; 0: none had a finite loss
  void Restore(FitResult& result) {
    if (!keep_) return;
    for (size_t i = 0; i < values_.size(); ++i) parameters_[i].Set(values_[i]);
    result.best_epoch = epoch_;
    result.best = metrics_;
  }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<Parameter> parameters_;
  const bool keep_;
  std::vector<Tensor> values_;
  int64_t epoch_ = 0;
  Metrics metrics_;
};

}  // namespace

FitResult Fit(const Objective& objective, Optimizer& optimizer, const Loader& loader,
              Generator& generator, const FitOptions& options) {
  const double clip_norm = options.clip_norm;
  if (!objective) throw Error("fit", "the objective is null");
  if (options.epochs < 0) {
    throw Error("fit", absl::StrCat("epochs is ", options.epochs, ", expected 0 or more"));
  }
  if (!(clip_norm >= 0)) throw Error("fit", absl::StrCat("clip_norm is ", clip_norm));
  if (options.accumulate < 1) {
    throw Error("fit", absl::StrCat("accumulate is ", options.accumulate, ", expected 1 or more"));
  }
  if (options.keep_best && !options.validate) throw Error("fit", "keep_best needs validate");
  if (options.patience < 0) {
    throw Error("fit", absl::StrCat("patience is ", options.patience, ", expected 0 or more"));
  }
  if (options.patience > 0 && !options.validate) throw Error("fit", "patience needs validate");
  const InterruptScope interrupt;
  BestEpoch best(optimizer.parameters(), options.keep_best);
  Progress progress(options.out, options.quiet, options.epochs, loader.batches());
  ScheduledRate rate(optimizer, options.schedule);
  FitResult result;
  for (int64_t epoch = 0; epoch < options.epochs && !result.interrupted && !result.stopped_early;
       ++epoch) {
    const auto start = Clock::now();
    Running running;
    GradientAccumulator accumulator;
    Progress::State state{.epoch = epoch};
    progress.Step(state);
    for (const Batch& batch : loader.Epoch(epoch)) {
      const Generator before = generator;
      ValueAndGradients step;
      StateUpdates updates;
      Variable correct;
      {
        const TrainingScope training(generator);
        step = ValueAndGrad(
            [&] {
              Outcome outcome = objective(batch);
              correct = std::move(outcome.correct);
              return std::move(outcome.loss);
            },
            optimizer.parameters());
        // Let go of the graph here: the optimizer then finds the parameters' buffers its own.
        if (correct.defined()) correct = correct.value();
      }
      const double loss = step.value.item<double>();
      const bool finite =
          std::isfinite(loss) &&
          std::all_of(step.gradients.begin(), step.gradients.end(),
                      [](const Variable& gradient) { return AllFinite(gradient.value()); });
      if (!finite) ExplainNonFinite(objective, optimizer, batch, before, loss);
      if (result.steps == 0) {
        for (const StateUpdates::Update& update : updates.waiting()) best.Include(update.state);
      }
      updates.Release();
      running.Add(loss, correct, batch.inputs.dim(0));
      const Metrics mean = running.Mean();
      ++state.step;
      accumulator.Add(step.gradients, batch.inputs.dim(0));
      step.gradients.clear();
      result.interrupted = InterruptScope::requested();
      if (accumulator.count() == options.accumulate || state.step == loader.batches() ||
          result.interrupted) {
        std::vector<Variable> gradients = accumulator.Take();
        if (clip_norm > 0) ClipByGlobalNorm(gradients, clip_norm);
        rate.SetFor(result.steps);
        optimizer.Step(gradients);
        ++result.steps;
      }
      state.examples = mean.examples;
      state.loss = mean.loss;
      state.accuracy = mean.accuracy;
      progress.Step(state);
      result.interrupted |= InterruptScope::requested();
      if (result.interrupted && accumulator.count() == 0) break;
    }
    result.training = running.Mean();
    result.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    const bool complete = state.step == loader.batches();
    result.epochs += complete;
    std::string validation;
    if (options.validate && complete) {
      const Metrics metrics = options.validate();
      validation = absl::StrFormat("  validation loss %.4f", metrics.loss);
      if (metrics.accuracy >= 0) {
        absl::StrAppend(&validation, absl::StrFormat("  accuracy %.2f %%", 100 * metrics.accuracy));
      }
      best.Offer(epoch + 1, metrics);
      result.stopped_early = options.patience > 0 && epoch + 1 < options.epochs &&
                             epoch + 1 - best.epoch() >= options.patience;
    }
    progress.EndEpoch(state, validation);
    result.interrupted |= InterruptScope::requested();
  }
  best.Restore(result);
  return result;
}

Metrics EvaluateObjective(const Objective& objective, const Loader& loader) {
  const NoGradGuard no_grad;
  Running running;
  for (const Batch& batch : loader.Epoch(0)) {
    const Outcome outcome = objective(batch);
    const Variable both[] = {outcome.loss, outcome.correct};
    Evaluate({both, outcome.correct.defined() ? size_t{2} : size_t{1}});
    running.Add(outcome.loss.item<double>(), outcome.correct, batch.inputs.dim(0));
  }
  return running.Mean();
}

Tensor ConfusionMatrix(const std::function<Variable(const Variable&)>& model, const Loader& loader,
                       int64_t classes) {
  const NoGradGuard no_grad;
  Tensor matrix = Tensor::Zeros({classes, classes}, DType::kInt64);
  int64_t* counts = matrix.mutable_data<int64_t>();
  for (const Batch& batch : loader.Epoch(0)) {
    const std::vector<int64_t> taken = ArgMax(model(batch.inputs), -1).value().ToVector<int64_t>();
    const std::vector<int64_t> labels = batch.targets.ToVector<int64_t>();
    for (size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] < 0 || labels[i] >= classes || taken[i] >= classes) {
        throw Error("confusion_matrix", absl::StrCat("label ", labels[i], ", taken for ", taken[i],
                                                     ", of ", classes, " classes"));
      }
      ++counts[labels[i] * classes + taken[i]];
    }
  }
  return matrix;
}

std::string ConfusionMatrixText(const Tensor& matrix) {
  const int64_t classes = matrix.dim(0);
  std::string text = "label";
  for (int64_t c = 0; c < classes; ++c) absl::StrAppend(&text, absl::StrFormat("%6d", c));
  absl::StrAppend(&text, "   taken for\n");
  for (int64_t r = 0; r < classes; ++r) {
    absl::StrAppend(&text, absl::StrFormat("%5d", r));
    for (int64_t c = 0; c < classes; ++c) {
      absl::StrAppend(&text, absl::StrFormat("%6d", matrix.at<int64_t>({r, c})));
    }
    text += '\n';
  }
  return text;
}

}  // namespace wengert
