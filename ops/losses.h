// Losses: how far predictions are from targets. ops/ops.h includes this.
//
// All take a LossReduction, alone or in their options: the mean (a scalar) unless another is asked
// for. Predictions and targets have the same shape and do not broadcast. They meet in the dtype
// that Promote says, integers and bools as float32. Gradients flow to targets, too, where they are
// real. NaN anywhere in what counts is NaN in the loss. The mean over an empty batch throws Error.
// To weigh single elements or rows, multiply what kNone gives.
#ifndef WENGERT_OPS_LOSSES_H_
#define WENGERT_OPS_LOSSES_H_

#include <cstdint>
#include <optional>

#include "autograd/variable.h"

namespace wengert {

// The mean over all losses, their sum, or all of them: one for each element or for each row, as the
// loss says.
enum class LossReduction { kMean, kSum, kNone };

// ---- Of classes, from logits: a loss for each row ----
struct SoftmaxCrossEntropyOptions {
  // The target of a row is (1 - s) onehot(label) + s / C (Szegedy et al. 2016); s in [0, 1].
  double label_smoothing = 0;
  // [C]: the part of the loss that class c has is multiplied by class_weights[c], and the mean is
  // divided by the sum of the weights of the rows' labels, as in PyTorch.
  Tensor class_weights = {};
  // Rows with this label (padding) have loss 0 and do not count in the mean, whatever their logits
  // are. The mean over no rows is then 0.
  std::optional<int64_t> ignore_label = {};
  LossReduction reduction = LossReduction::kMean;
};
// -log softmax(logits)[label]; logits: [N, C], labels: [N] integers. A label outside [0, C) throws
// when it is computed.
Variable SoftmaxCrossEntropy(const Variable& logits, const Variable& labels,
                             const SoftmaxCrossEntropyOptions& options = {},
                             SourceLocation where = SourceLocation::current());
// The same from rows of probabilities, [N, C] (one-hot rows, or soft ones): -sum_c t log
// softmax(x).
Variable SoftmaxCrossEntropyRows(const Variable& logits, const Variable& targets,
                                 LossReduction reduction = LossReduction::kMean,
                                 SourceLocation where = SourceLocation::current());

struct CtcOptions {
  // [N] integers: how many steps (1 to T) and how many labels (0 to S) each row has; undefined: T,
  // S each. Nothing depends on what logits and labels hold past them.
  Tensor input_lengths = {}, label_lengths = {};
  int64_t blank = 0;
  LossReduction reduction = LossReduction::kMean;  // over the rows, whatever their lengths
};
// Connectionist temporal classification (Graves et al. 2006): -log of the probability that the
// classes drawn from softmax(logits) at each step, without repeats and then without blanks, read
// as the labels. logits: [N, T, C] (log-probabilities are logits, too); labels: [N, S] integers of
// 0 to C - 1 but the blank. Infinity, with gradient 0, for a row that cannot be aligned: one with
// fewer steps than labels and pairs of equal neighbours. PyTorch's mean divides each row by its
// number of labels first; this one does not.
Variable CtcLoss(const Variable& logits, const Tensor& labels, const CtcOptions& options = {},
                 SourceLocation where = SourceLocation::current());

// ---- Of classes, from rows of probabilities p: [..., C]; a loss for each row ----
// As in Keras: p is divided by its sum and clipped to [1e-7, 1 - 1e-7]. Beyond, the gradient is 0:
// SoftmaxCrossEntropy is better where there are logits. A row that adds up to 0 gives NaN.
// -sum_c t log p; targets: [..., C].
Variable CategoricalCrossEntropy(const Variable& probabilities, const Variable& targets,
                                 LossReduction reduction = LossReduction::kMean,
                                 SourceLocation where = SourceLocation::current());
// -log p[label]; labels: [...] integers. A label outside [0, C) throws when it is computed.
Variable SparseCategoricalCrossEntropy(const Variable& probabilities, const Variable& labels,
                                       LossReduction reduction = LossReduction::kMean,
                                       SourceLocation where = SourceLocation::current());
// sum_c t (log t - log p), with 0 log 0 = 0, from log-probabilities (of LogSoftmax): [..., C]. The
// mean is over the rows, PyTorch's "batchmean".
Variable KlDivergence(const Variable& log_probabilities, const Variable& targets,
                      LossReduction reduction = LossReduction::kMean,
                      SourceLocation where = SourceLocation::current());

// ---- Of rows: [..., C] both; a loss for each row ----
// max(0, 1 + max_c((1 - t) x) - sum_c t x), targets one-hot.
Variable CategoricalHingeLoss(const Variable& prediction, const Variable& target,
                              LossReduction reduction = LossReduction::kMean,
                              SourceLocation where = SourceLocation::current());
// -cos of the angle between prediction and target, from -1 (the same direction) to 1. Of a row
// shorter than 1e-7 it is 0, with gradient 0.
Variable CosineSimilarityLoss(const Variable& prediction, const Variable& target,
                              LossReduction reduction = LossReduction::kMean,
                              SourceLocation where = SourceLocation::current());

// ---- Of yes or no: a loss for each element; targets 0, 1 or a probability ----
struct SigmoidCrossEntropyOptions {
  // Broadcasts to the logits: what the positive part of the loss is multiplied by (above 1: recall
  // counts more). Undefined: 1.
  Tensor positive_weight = {};
  LossReduction reduction = LossReduction::kMean;
};
// -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)), exact for any logits x. PyTorch's
// binary_cross_entropy_with_logits.
Variable SigmoidCrossEntropy(const Variable& logits, const Variable& targets,
                             const SigmoidCrossEntropyOptions& options = {},
                             SourceLocation where = SourceLocation::current());
// -t log p - (1 - t) log(1 - p) from probabilities, with p and 1 - p clipped to [1e-7, 1 - 1e-7] as
// in Keras. Beyond, the gradient is 0: SigmoidCrossEntropy is better where there are logits.
Variable BinaryCrossEntropy(const Variable& probabilities, const Variable& targets,
                            LossReduction reduction = LossReduction::kMean,
                            SourceLocation where = SourceLocation::current());
// max(0, 1 - t x), targets -1 or 1; and its square.
Variable HingeLoss(const Variable& prediction, const Variable& target,
                   LossReduction reduction = LossReduction::kMean,
                   SourceLocation where = SourceLocation::current());
Variable SquaredHingeLoss(const Variable& prediction, const Variable& target,
                          LossReduction reduction = LossReduction::kMean,
                          SourceLocation where = SourceLocation::current());

// ---- Of numbers: a loss for each element; d = prediction - target ----
// d^2.
Variable MeanSquaredError(const Variable& prediction, const Variable& target,
                          LossReduction reduction = LossReduction::kMean,
                          SourceLocation where = SourceLocation::current());
// |d|; derivative 0 at 0.
Variable MeanAbsoluteError(const Variable& prediction, const Variable& target,
                           LossReduction reduction = LossReduction::kMean,
                           SourceLocation where = SourceLocation::current());
struct HuberOptions {
  double delta = 1;  // > 0
  LossReduction reduction = LossReduction::kMean;
};
// d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2) (Huber 1964). The smooth L1 loss of beta
// is the Huber loss of delta = beta, divided by beta.
Variable HuberLoss(const Variable& prediction, const Variable& target,
                   const HuberOptions& options = {},
                   SourceLocation where = SourceLocation::current());
// log(cosh(d)): d^2 / 2 near 0, |d| - log 2 far off. Its error in float32 is absolute, 1e-7.
Variable LogCoshLoss(const Variable& prediction, const Variable& target,
                     LossReduction reduction = LossReduction::kMean,
                     SourceLocation where = SourceLocation::current());
struct PoissonOptions {
  bool log_rates = false;  // the prediction is the rate's logarithm
  LossReduction reduction = LossReduction::kMean;
};
// -log of the probability of the counts `target` under Poisson's distribution, but for log(t!):
// r - t log(r + 1e-7) of rates r, as in Keras; exp(x) - t x of their logarithms x.
Variable PoissonLoss(const Variable& prediction, const Variable& target,
                     const PoissonOptions& options = {},
                     SourceLocation where = SourceLocation::current());

}  // namespace wengert

#endif  // WENGERT_OPS_LOSSES_H_
