#include "ops/loss_terms.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"

namespace wengert::internal {
namespace {

std::string Text(std::string_view s) { return std::string(s); }

DType RealDType(const Variable& x) { return IsFloating(x.dtype()) ? x.dtype() : DType::kFloat32; }

void CheckNotEmpty(std::string_view op, const Variable& x, LossReduction reduction,
                   SourceLocation where) {
  if (x.size() == 0 && reduction == LossReduction::kMean) {
    ThrowAt(op, absl::StrCat("the batch is empty: ", ToString(x.shape())), x, where);
  }
}

}  // namespace

Variable RealLoss(const Variable& x, SourceLocation where) { return Cast(x, RealDType(x), where); }

LossPair CheckPair(std::string_view op, std::string_view prediction_name,
                   std::string_view target_name, const Variable& prediction, const Variable& target,
                   LossReduction reduction, SourceLocation where) {
  if (prediction.shape() != target.shape()) {
    ThrowAt(op,
            absl::StrCat(Text(prediction_name), " ", ToString(prediction.shape()), " and ",
                         Text(target_name), " ", ToString(target.shape()), " differ"),
            prediction, where);
  }
  CheckNotEmpty(op, prediction, reduction, where);
  const DType dtype = Promote(RealDType(prediction), RealDType(target));
  return {Cast(prediction, dtype, where), Cast(target, dtype, where)};
}

void CheckRows(std::string_view op, std::string_view name, const Variable& x,
               LossReduction reduction, SourceLocation where) {
  if (x.rank() == 0 || (x.dim(-1) == 0 && reduction != LossReduction::kMean)) {
    ThrowAt(op,
            absl::StrCat(Text(name), " must be [..., classes] with classes >= 1, not ",
                         ToString(x.shape())),
            x, where);
  }
  CheckNotEmpty(op, x, reduction, where);
}

Variable CheckLabels(std::string_view op, std::string_view name, const Variable& x,
                     const Variable& labels, std::string_view hint, SourceLocation where) {
  Shape rows = x.shape();
  rows.Remove(rows.rank() - 1);
  if (labels.shape() != rows) {
    ThrowAt(op,
            absl::StrCat("labels must be ", ToString(rows), " for ", Text(name), " ",
                         ToString(x.shape()), ", not ", ToString(labels.shape())),
            x, where);
  }
  if (IsFloating(labels.dtype()) || labels.dtype() == DType::kBool) {
    ThrowAt(op,
            absl::StrCat("labels must be integers, not ", Text(Name(labels.dtype())), " (",
                         Text(hint), " takes probabilities)"),
            x, where);
  }
  return labels.dtype() == DType::kUInt8 ? Cast(labels, DType::kInt64, where) : labels;
}

Variable Reduced(const Variable& losses, LossReduction reduction) {
  switch (reduction) {
    case LossReduction::kMean:
      return Mean(losses);
    case LossReduction::kSum:
      return Sum(losses);
    case LossReduction::kNone:
      break;
  }
  return losses;
}

}  // namespace wengert::internal
