// Losses: means over the rows of a batch.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/composite.h"
#include "ops/kernels/softmax.h"
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

[[noreturn]] void Throw(std::string_view op, std::string_view message, VariableSpan inputs,
                        SourceLocation where) {
  Error error(op, message);
  internal::RethrowWithPlace(error, inputs, where);
}

Variable Real(const Variable& x, SourceLocation where) {
  return IsFloating(x.dtype()) ? x : Cast(x, DType::kFloat32, where);
}

void CheckBatch(std::string_view op, const Variable& logits, SourceLocation where) {
  if (logits.rank() != 2) {
    Throw(op, absl::StrCat("logits must be [N, classes], not ", ToString(logits.shape())),
          {&logits, 1}, where);
  }
  if (logits.size() == 0) {
    Throw(op, absl::StrCat("the batch is empty: ", ToString(logits.shape())), {&logits, 1}, where);
  }
}

}  // namespace

Variable SoftmaxCrossEntropy(const Variable& logits, const Variable& labels, SourceLocation where) {
  constexpr std::string_view kName = SoftmaxCrossEntropyOp::kName;
  CheckBatch(kName, logits, where);
  if (labels.rank() != 1 || labels.dim(0) != logits.dim(0)) {
    Throw(kName,
          absl::StrCat("labels must be [", logits.dim(0), "] for logits ", ToString(logits.shape()),
                       ", not ", ToString(labels.shape())),
          {&logits, 1}, where);
  }
  if (IsFloating(labels.dtype()) || labels.dtype() == DType::kBool) {
    Throw(kName,
          absl::StrCat("labels must be integers, not ", std::string(Name(labels.dtype())),
                       " (SoftmaxCrossEntropyRows takes probabilities)"),
          {&logits, 1}, where);
  }
  const Variable indices =
      labels.dtype() == DType::kUInt8 ? Cast(labels, DType::kInt64, where) : labels;
  const Variable inputs[] = {Real(logits, where), indices};
  return ApplyComposite(SoftmaxCrossEntropyOp(), inputs, where)[0];
}

Variable SoftmaxCrossEntropyRows(const Variable& logits, const Variable& targets,
                                 SourceLocation where) {
  constexpr std::string_view kName = SoftmaxCrossEntropyRowsOp::kName;
  CheckBatch(kName, logits, where);
  if (targets.shape() != logits.shape()) {
    Throw(kName,
          absl::StrCat("logits ", ToString(logits.shape()), " and targets ",
                       ToString(targets.shape()), " differ"),
          {&logits, 1}, where);
  }
  const DType dtype = Promote(Real(logits, where).dtype(), Real(targets, where).dtype());
  const Variable inputs[] = {Cast(logits, dtype, where), Cast(targets, dtype, where)};
  return ApplyComposite(SoftmaxCrossEntropyRowsOp(), inputs, where)[0];
}

Variable MeanSquaredError(const Variable& prediction, const Variable& target,
                          SourceLocation where) {
  if (prediction.shape() != target.shape()) {
    Throw("mean_squared_error",
          absl::StrCat("prediction ", ToString(prediction.shape()), " and target ",
                       ToString(target.shape()), " differ"),
          {&prediction, 1}, where);
  }
  if (prediction.size() == 0) {
    Throw("mean_squared_error", absl::StrCat("the batch is empty: ", ToString(prediction.shape())),
          {&prediction, 1}, where);
  }
  const WhereScope scope(where);
  return Mean(Square(prediction - target));
}

}  // namespace wengert
