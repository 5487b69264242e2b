// Losses of rows, [..., C]: cross entropies and divergence of probabilities, the categorical hinge,
// the cosine of an angle.
#include "ops/loss_terms.h"
#include "ops/ops.h"

namespace wengert {
namespace {

constexpr double kEpsilon = 1e-7;  // that of Keras

Variable LogOfClipped(const Variable& p) {
  return Log(Clip(p / Sum(p, -1, kKeepDims), kEpsilon, 1 - kEpsilon));
}

// Rows of length 1. Those of next to no length are 0, and pass no gradient on.
Variable UnitRows(const Variable& x) {
  const Variable squares = Sum(Square(x), -1, kKeepDims);
  const Variable is_short = squares < kEpsilon * kEpsilon;
  return x * Where(is_short, 0, Rsqrt(Where(is_short, 1, squares)));
}

// Checks, casts, and reduces f(prediction, target).
template <class F>
Variable RowLoss(std::string_view op, std::string_view prediction_name,
                 std::string_view target_name, const Variable& prediction, const Variable& target,
                 LossReduction reduction, SourceLocation where, const F& f) {
  const WhereScope scope(where, op);
  internal::CheckRows(op, prediction_name, prediction, reduction, where);
  const auto [x, t] =
      internal::CheckPair(op, prediction_name, target_name, prediction, target, reduction, where);
  return internal::Reduced(f(x, t), reduction);
}

}  // namespace

Variable CategoricalCrossEntropy(const Variable& probabilities, const Variable& targets,
                                 LossReduction reduction, SourceLocation where) {
  return RowLoss(
      "categorical_cross_entropy", "probabilities", "targets", probabilities, targets, reduction,
      where, [](const Variable& p, const Variable& t) { return -Sum(t * LogOfClipped(p), -1); });
}

Variable SparseCategoricalCrossEntropy(const Variable& probabilities, const Variable& labels,
                                       LossReduction reduction, SourceLocation where) {
  constexpr std::string_view kName = "sparse_categorical_cross_entropy";
  const WhereScope scope(where, kName);
  internal::CheckRows(kName, "probabilities", probabilities, reduction, where);
  const Variable indices = internal::CheckLabels(kName, "probabilities", probabilities, labels,
                                                 "CategoricalCrossEntropy", where);
  const Variable log_p = LogOfClipped(internal::RealLoss(probabilities, where));
  return internal::Reduced(-TakeAlongLast(log_p, indices), reduction);
}

Variable KlDivergence(const Variable& log_probabilities, const Variable& targets,
                      LossReduction reduction, SourceLocation where) {
  return RowLoss("kl_divergence", "log_probabilities", "targets", log_probabilities, targets,
                 reduction, where, [](const Variable& log_p, const Variable& t) {
                   // Where t is 0 the term is 0: neither log t nor log p may be infinite there.
                   const Variable positive = t > 0;
                   const Variable log_t = Log(Where(positive, t, 1));
                   const Variable finite = Where(positive, log_p, Maximum(log_p, -1e30));
                   return Sum(t * (log_t - finite), -1);
                 });
}

Variable CategoricalHingeLoss(const Variable& prediction, const Variable& target,
                              LossReduction reduction, SourceLocation where) {
  return RowLoss("categorical_hinge_loss", "prediction", "target", prediction, target, reduction,
                 where, [](const Variable& x, const Variable& t) {
                   return Relu(Max((1 - t) * x, -1) - Sum(t * x, -1) + 1);
                 });
}

Variable CosineSimilarityLoss(const Variable& prediction, const Variable& target,
                              LossReduction reduction, SourceLocation where) {
  return RowLoss(
      "cosine_similarity_loss", "prediction", "target", prediction, target, reduction, where,
      [](const Variable& x, const Variable& t) { return -Sum(UnitRows(x) * UnitRows(t), -1); });
}

}  // namespace wengert
