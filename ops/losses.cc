// The cross entropies of a softmax. Those with the usual options are composites.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/composite.h"
#include "autograd/op.h"
#include "ops/kernels/softmax.h"
#include "ops/loss_terms.h"
#include "ops/ops.h"

namespace wengert {
namespace {

// What the two cross entropies share: everything but where the targets come from.
template <class Derived>
struct CrossEntropyOp : Composite<Derived> {
  static constexpr uint32_t kConstantInputs = 0b10;  // the targets
  static constexpr int kResiduals = 1;

  // Targets that gradients are asked of go through the Definition.
  bool HasKernel(VariableSpan x) const {
    return x[0].dtype() == DType::kFloat32 && !x[1].requires_grad();
  }
  Specs Infer(VariableSpan x) const {
    return {{Shape(), DType::kFloat32}, {{x[0].dim(0), 2}, DType::kFloat32}};
  }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    CrossEntropyKernel(x[0], x[1], y[0], y[1]);
  }
  void GradientKernel(TensorSpan x, TensorSpan y, TensorSpan dy, Needs,
                      absl::Span<Tensor> dx) const {
    CrossEntropyGradientKernel(x[0], x[1], y[1], dy[0], dx[0]);
  }
};

struct SoftmaxCrossEntropyOp : CrossEntropyOp<SoftmaxCrossEntropyOp> {
  static constexpr std::string_view kName = "softmax_cross_entropy";
  static constexpr std::string_view kGradientName = "softmax_cross_entropy_gradient";

  std::vector<Variable> Definition(VariableSpan x) const {
    return {-Mean(TakeAlongLast(LogSoftmax(x[0]), x[1]))};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const Shape& shape :
         {Shape{1, 1}, {1, 2}, {4, 3}, {7, 10}, {3, 17}, {2, 40}, {33, 5}, {5, 1}}) {
      const DType dtype = cases.size() % 2 ? DType::kInt32 : DType::kInt64;
      cases.push_back(OpCase::Of(
          ToString(shape),
          {{.shape = shape},
           {.shape = {shape[0]}, .low = 0, .high = static_cast<double>(shape[1]), .dtype = dtype}},
          [](VariableSpan x) { return SoftmaxCrossEntropy(x[0], x[1]); }));
    }
    return cases;
  }
};

struct SoftmaxCrossEntropyRowsOp : CrossEntropyOp<SoftmaxCrossEntropyRowsOp> {
  static constexpr std::string_view kName = "softmax_cross_entropy_rows";
  static constexpr std::string_view kGradientName = "softmax_cross_entropy_rows_gradient";

  std::vector<Variable> Definition(VariableSpan x) const {
    return {-Mean(Sum(x[1] * LogSoftmax(x[0]), 1))};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const Shape& shape : {Shape{1, 1}, {1, 2}, {4, 3}, {7, 10}, {3, 17}, {33, 5}}) {
      cases.push_back(
          OpCase::Of(ToString(shape), {{.shape = shape}, {.shape = shape, .low = 0, .high = 1}},
                     [](VariableSpan x) { return SoftmaxCrossEntropyRows(x[0], x[1]); }));
      // Constant targets, which in float32 take the kernel: rows that do not add up to 1.
      cases.push_back(OpCase::Of(
          absl::StrCat(ToString(shape), ", constant targets"), {{.shape = shape}},
          [shape](VariableSpan x) {
            const Tensor numbers =
                Tensor::Arange(0, static_cast<double>(NumElements(shape))).Reshape(shape);
            return SoftmaxCrossEntropyRows(x[0], Sigmoid(Cast(numbers, x[0].dtype()) * 0.1));
          }));
    }
    return cases;
  }
};

void CheckBatch(std::string_view op, const Variable& logits, LossReduction reduction,
                SourceLocation where) {
  if (logits.rank() != 2) {
    internal::ThrowAt(op,
                      absl::StrCat("logits must be [N, classes], not ", ToString(logits.shape())),
                      logits, where);
  }
  internal::CheckRows(op, "logits", logits, reduction, where);
}

// The mean that a composite gives, or the sum.
template <class C>
Variable FusedLoss(const C& composite, VariableSpan inputs, LossReduction reduction,
                   SourceLocation where) {
  const Variable mean = ApplyComposite(composite, inputs, where)[0];
  if (reduction == LossReduction::kMean) return mean;
  return mean * static_cast<double>(inputs[0].dim(0));
}

// The composites have a mean over one row or more.
bool HasFusedLoss(const Variable& logits, LossReduction reduction) {
  return reduction != LossReduction::kNone && logits.size() > 0;
}

void CheckOptions(std::string_view op, const Variable& logits,
                  const SoftmaxCrossEntropyOptions& options, SourceLocation where) {
  const double smoothing = options.label_smoothing;
  if (!(smoothing >= 0 && smoothing <= 1)) {
    internal::ThrowAt(op, absl::StrCat("label_smoothing must be 0 to 1, not ", smoothing), logits,
                      where);
  }
  const Tensor& weights = options.class_weights;
  if (weights.defined() && weights.shape() != Shape{logits.dim(1)}) {
    internal::ThrowAt(op,
                      absl::StrCat("class_weights must be [", logits.dim(1), "] for logits ",
                                   ToString(logits.shape()), ", not ", ToString(weights.shape())),
                      logits, where);
  }
}

// All options, in ops.
Variable GeneralLoss(Variable logits, Variable labels, const SoftmaxCrossEntropyOptions& options) {
  Variable counts;
  if (options.ignore_label) {
    counts = NotEqual(labels, *options.ignore_label);
    labels = Where(counts, labels, 0);
    // Else NaN in a row that does not count would come back as 0 * NaN in the gradient.
    logits = Where(Unsqueeze(counts, 1), logits, 0);
  }
  const Variable log_p = LogSoftmax(logits);
  Variable losses = -TakeAlongLast(log_p, labels);
  Variable weights, row_weights;
  if (options.class_weights.defined()) {
    weights = Cast(options.class_weights, logits.dtype());
    row_weights = Gather(weights, labels);
    losses = losses * row_weights;
  }
  if (const double smoothing = options.label_smoothing; smoothing > 0) {
    const Variable parts = Sum(weights.defined() ? log_p * weights : log_p, 1);
    losses = losses * (1 - smoothing) - parts * (smoothing / static_cast<double>(logits.dim(1)));
  }
  if (counts.defined()) {
    losses = Where(counts, losses, 0);
    row_weights =
        row_weights.defined() ? Where(counts, row_weights, 0) : Cast(counts, logits.dtype());
  }
  if (options.reduction != LossReduction::kMean || !row_weights.defined()) {
    return internal::Reduced(losses, options.reduction);
  }
  const Variable total = Sum(row_weights);
  return Sum(losses) / Where(Equal(total, 0), 1, total);
}

}  // namespace

Variable SoftmaxCrossEntropy(const Variable& logits, const Variable& labels,
                             const SoftmaxCrossEntropyOptions& options, SourceLocation where) {
  constexpr std::string_view kName = SoftmaxCrossEntropyOp::kName;
  const WhereScope scope(where, kName);
  CheckBatch(kName, logits, options.reduction, where);
  const Variable indices =
      internal::CheckLabels(kName, "logits", logits, labels, "SoftmaxCrossEntropyRows", where);
  CheckOptions(kName, logits, options, where);
  const Variable x = internal::RealLoss(logits, where);
  if (!HasFusedLoss(x, options.reduction) || options.class_weights.defined() ||
      options.ignore_label) {
    return GeneralLoss(x, indices, options);
  }
  if (const double smoothing = options.label_smoothing; smoothing > 0) {
    const int64_t classes = x.dim(1);
    const Variable targets = OneHot(indices, classes, x.dtype()) * (1 - smoothing) +
                             smoothing / static_cast<double>(classes);
    const Variable inputs[] = {x, targets};
    return FusedLoss(SoftmaxCrossEntropyRowsOp(), inputs, options.reduction, where);
  }
  const Variable inputs[] = {x, indices};
  return FusedLoss(SoftmaxCrossEntropyOp(), inputs, options.reduction, where);
}

Variable SoftmaxCrossEntropyRows(const Variable& logits, const Variable& targets,
                                 LossReduction reduction, SourceLocation where) {
  constexpr std::string_view kName = SoftmaxCrossEntropyRowsOp::kName;
  const WhereScope scope(where, kName);
  CheckBatch(kName, logits, reduction, where);
  const auto [x, t] =
      internal::CheckPair(kName, "logits", "targets", logits, targets, reduction, where);
  if (HasFusedLoss(x, reduction)) {
    const Variable inputs[] = {x, t};
    return FusedLoss(SoftmaxCrossEntropyRowsOp(), inputs, reduction, where);
  }
  return internal::Reduced(-Sum(t * LogSoftmax(x), 1), reduction);
}

}  // namespace wengert
