// What the losses share: checks, the dtype that they compute in, the reduction.
#ifndef WENGERT_OPS_LOSS_TERMS_H_
#define WENGERT_OPS_LOSS_TERMS_H_

#include <string_view>

#include "ops/ops.h"
#include "ops/scan.h"

namespace wengert::internal {

// Integers and bools as float32.
Variable RealLoss(const Variable& x, SourceLocation where);

// Prediction and target in the dtype in which they meet.
struct LossPair {
  Variable prediction, target;
};
// Throws unless the shapes are the same, and if there is nothing to take a mean over. The names
// are those of the loss's arguments.
LossPair CheckPair(std::string_view op, std::string_view prediction_name,
                   std::string_view target_name, const Variable& prediction, const Variable& target,
                   LossReduction reduction, SourceLocation where);

// Throws unless x is [..., C] with C > 0, and if there is no row to take a mean over.
void CheckRows(std::string_view op, std::string_view name, const Variable& x,
               LossReduction reduction, SourceLocation where);

// The labels of x's rows as indices. `hint`: which loss takes what is not a label.
Variable CheckLabels(std::string_view op, std::string_view name, const Variable& x,
                     const Variable& labels, std::string_view hint, SourceLocation where);

// The mean, the sum or the losses as they are.
Variable Reduced(const Variable& losses, LossReduction reduction);

}  // namespace wengert::internal

#endif  // WENGERT_OPS_LOSS_TERMS_H_
