// Losses of single elements: of numbers and of yes or no.
#include <numbers>
#include <string>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/loss_terms.h"
#include "ops/ops.h"

namespace wengert {
namespace {

constexpr double kEpsilon = 1e-7;  // that of Keras

// Checks, casts, and reduces f(prediction, target).
template <class F>
Variable PointwiseLoss(std::string_view op, const Variable& prediction, const Variable& target,
                       LossReduction reduction, SourceLocation where, const F& f) {
  const WhereScope scope(where, op);
  const auto [x, t] =
      internal::CheckPair(op, "prediction", "target", prediction, target, reduction, where);
  return internal::Reduced(f(x, t), reduction);
}

}  // namespace

Variable SigmoidCrossEntropy(const Variable& logits, const Variable& targets,
                             const SigmoidCrossEntropyOptions& options, SourceLocation where) {
  constexpr std::string_view kName = "sigmoid_cross_entropy";
  const WhereScope scope(where, kName);
  const auto [x, t] =
      internal::CheckPair(kName, "logits", "targets", logits, targets, options.reduction, where);
  // Softplus(-x) = -log sigmoid(x). This form has no kink at 0, as one with |x| has, and does not
  // cancel.
  Variable positive = t * Softplus(-x);
  if (const Tensor& weight = options.positive_weight; weight.defined()) {
    if (!BroadcastsTo(weight.shape(), x.shape())) {
      internal::ThrowAt(kName,
                        absl::StrCat("positive_weight ", ToString(weight.shape()),
                                     " does not broadcast to logits ", ToString(x.shape())),
                        logits, where);
    }
    positive = positive * Cast(weight, x.dtype());
  }
  return internal::Reduced(positive + (1 - t) * Softplus(x), options.reduction);
}

Variable BinaryCrossEntropy(const Variable& probabilities, const Variable& targets,
                            LossReduction reduction, SourceLocation where) {
  const WhereScope scope(where, "binary_cross_entropy");
  const auto [p, t] = internal::CheckPair("binary_cross_entropy", "probabilities", "targets",
                                          probabilities, targets, reduction, where);
  // 1 - p is clipped by itself: in float32, 1 minus the clipped p would be a fifth more than 1e-7.
  const auto log = [](const Variable& v) { return Log(Clip(v, kEpsilon, 1 - kEpsilon)); };
  return internal::Reduced(-(t * log(p) + (1 - t) * log(1 - p)), reduction);
}

Variable HingeLoss(const Variable& prediction, const Variable& target, LossReduction reduction,
                   SourceLocation where) {
  return PointwiseLoss("hinge_loss", prediction, target, reduction, where,
                       [](const Variable& x, const Variable& t) { return Relu(1 - t * x); });
}

Variable SquaredHingeLoss(const Variable& prediction, const Variable& target,
                          LossReduction reduction, SourceLocation where) {
  return PointwiseLoss(
      "squared_hinge_loss", prediction, target, reduction, where,
      [](const Variable& x, const Variable& t) { return Square(Relu(1 - t * x)); });
}

Variable MeanSquaredError(const Variable& prediction, const Variable& target,
                          LossReduction reduction, SourceLocation where) {
  return PointwiseLoss("mean_squared_error", prediction, target, reduction, where,
                       [](const Variable& x, const Variable& t) { return Square(x - t); });
}

Variable MeanAbsoluteError(const Variable& prediction, const Variable& target,
                           LossReduction reduction, SourceLocation where) {
  return PointwiseLoss("mean_absolute_error", prediction, target, reduction, where,
                       [](const Variable& x, const Variable& t) { return Abs(x - t); });
}

Variable HuberLoss(const Variable& prediction, const Variable& target, const HuberOptions& options,
                   SourceLocation where) {
  const double delta = options.delta;
  if (!(delta > 0)) {
    internal::ThrowAt("huber_loss", absl::StrCat("delta must be above 0, not ", delta), prediction,
                      where);
  }
  // With c = d clipped to [-delta, delta], c (d - c / 2) is both of the cases, and so are its
  // derivatives.
  return PointwiseLoss("huber_loss", prediction, target, options.reduction, where,
                       [delta](const Variable& x, const Variable& t) {
                         const Variable d = x - t;
                         const Variable clipped = Clip(d, -delta, delta);
                         return clipped * (d - clipped * 0.5);
                       });
}

Variable LogCoshLoss(const Variable& prediction, const Variable& target, LossReduction reduction,
                     SourceLocation where) {
  // cosh(d) = e^d (1 + e^(-2 d)) / 2: no overflow, no kink.
  return PointwiseLoss("log_cosh_loss", prediction, target, reduction, where,
                       [](const Variable& x, const Variable& t) {
                         const Variable d = x - t;
                         return d + Softplus(d * -2) - std::numbers::ln2;
                       });
}

Variable PoissonLoss(const Variable& prediction, const Variable& target,
                     const PoissonOptions& options, SourceLocation where) {
  const bool log_rates = options.log_rates;
  return PointwiseLoss("poisson_loss", prediction, target, options.reduction, where,
                       [log_rates](const Variable& x, const Variable& t) {
                         return log_rates ? Exp(x) - t * x : x - t * Log(x + kEpsilon);
                       });
}

}  // namespace wengert
