// Misuses of reductions, of what runs along an axis, of sorting and of products.
#include "tests/misuse/misuse.h"

namespace wengert {
namespace {

const std::vector<Misuse>& ReductionRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("SumBeyondRank", Sum(Reals({2, 3}), 2), "[sum]", "axis 2", "rank 2"),
      OP_MISUSE("SumBelowRank", Sum(Reals({2, 3}), -3), "[sum]", "axis -3", "rank 2"),
      OP_MISUSE("SumTwice", Sum(Reals({2, 3}), {1, -1}), "[sum]", "twice"),
      OP_MISUSE("SumOfNothing", Sum(Variable()), "undefined Variable"),
      OP_MISUSE("MeanBeyondRank", Mean(Reals({2, 3}), 7), "[mean]", "axis 7", "rank 2"),
      OP_MISUSE("MomentsBeyondRank", Moments(Reals({2, 3}), 2), "[moments]", "axis 2", "rank 2"),
      OP_MISUSE("VarianceBeyondRank", Variance(Reals({2}), 1), "[variance]", "axis 1", "rank 1"),
      OP_MISUSE("StdDevBeyondRank", StdDev(Reals({2}), 1), "[std_dev]", "axis 1", "rank 1"),
      OP_MISUSE("ProdBeyondRank", Prod(Reals({2}), 1), "[prod]", "axis 1", "rank 1"),
      OP_MISUSE("NormOfOrderZero", Norm(Reals({2}), 0), "[norm]", "p", "0"),
      OP_MISUSE("NormOfAxisForOrder", Norm(Reals({2, 3}), -1), "[norm]", "-1"),
      OP_MISUSE("MedianOfNoElements", Median(Reals({0})), "[median]", "no elements", "[0]"),
      OP_MISUSE("MaxOfNoElements", Max(Reals({2, 0}), 1), "[max]", "no elements", "[2,0]"),
      OP_MISUSE("MinOfNoElements", Min(Reals({0})), "[min]", "no elements", "[0]"),
      OP_MISUSE("ArgMaxOfNoElements", ArgMax(Reals({0}), 0), "[argmax]", "no elements", "[0]"),
      OP_MISUSE("ArgMaxBeyondRank", ArgMax(Reals({2}), 1), "[argmax]", "axis 1", "rank 1"),
      OP_MISUSE("ArgMinOfAScalar", ArgMin(Reals({}), 0), "[argmin]", "axis 0", "rank 0"),
      OP_MISUSE("MeanWhereOfFloats", MeanWhere(Reals({2}), Reals({2})),  //
                "[mean_where]", "bool", "float32"),
      OP_MISUSE("MeanWhereOfShapes", MeanWhere(Reals({2}), Bools({3})), "[mean_where]", "[2]",
                "[3]"),
      OP_MISUSE("AnyBeyondRank", Any(Bools({2}), 1), "[any]", "axis 1", "rank 1"),
      OP_MISUSE("LogSumExpBeyondRank", LogSumExp(Reals({2}), 1), "[logsumexp]", "axis 1"),
      OP_MISUSE("SoftmaxBeyondRank", Softmax(Reals({2}), 1), "[softmax]", "axis 1", "rank 1"),
      OP_MISUSE("LogSoftmaxOfAScalar", LogSoftmax(Reals({})), "[log_softmax]", "axis -1", "rank 0"),
      OP_MISUSE("CumSumBeyondRank", CumSum(Reals({2}), 1), "[cum_sum]", "axis 1", "rank 1"),
      OP_MISUSE("CumProdOfAScalar", CumProd(Reals({}), 0), "[cum_prod]", "axis 0", "rank 0"),
      OP_MISUSE("LogCumSumExpBeyondRank", LogCumSumExp(Reals({2}), 1), "[log_cum_sum_exp]",
                "axis 1", "rank 1"),
      OP_MISUSE("LinearRecurrenceOfShapes", LinearRecurrence(Reals({2}), Reals({3}), 0),  //
                "[linear_recurrence]", "[2]", "[3]"),
      OP_MISUSE("LinearRecurrenceBeyondRank", LinearRecurrence(Reals({2}), Reals({2}), 1),  //
                "[linear_recurrence]", "axis 1", "rank 1"),
      OP_MISUSE("SortBeyondRank", Sort(Reals({2}), 1), "[sort]", "axis 1", "rank 1"),
      OP_MISUSE("ArgSortOfAScalar", ArgSort(Reals({})), "[arg_sort]", "axis -1", "rank 0"),
      OP_MISUSE("TopKOfMoreThanThereAre", TopK(Reals({2, 3}), 4), "[top_k]", "[2,3]", "4"),
      OP_MISUSE("TopKOfNegative", TopK(Reals({3}), -1), "[top_k]", "[3]", "-1"),
  };
  return rows;
}
MISUSES(Reductions, ReductionRows());

const std::vector<Misuse>& ProductRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("MatMulOfInnerDimensions", MatMul(Reals({2, 3}), Reals({4, 5})),  //
                "[matmul]", "inner", "[2,3]", "[4,5]"),
      OP_MISUSE("MatMulByAVector", MatMul(Reals({2, 3}), Reals({3})),  //
                "[matmul]", "rank 2", "[2,3]", "[3]"),
      OP_MISUSE("MatMulOfBatches", MatMul(Reals({2, 3, 4}), Reals({5, 4, 6})),  //
                "[matmul]", "leading", "[2,3,4]", "[5,4,6]"),
      MISUSE("MatMulOfNothing", MatMul(Reals({2, 3}), Variable()), "undefined Variable"),
      OP_MISUSE("MatMulByAParameter",
                MatMul(Reals({2, 3}),
                       Named("network/hidden", nn::Dense({.in = 4, .out = 5}, Rng())).weight),
                "[matmul]", "[2,3]", "[4,5]"),
      OP_MISUSE("EinsumOfTooFewOperands", Einsum("ij,jk->ik", {Reals({2, 3})}),  //
                "[einsum]", "\"ij,jk->ik\"", "[2,3]"),
      OP_MISUSE("EinsumOfAnotherRank", Einsum("ij->ji", {Reals({2, 3, 4})}),  //
                "[einsum]", "\"ij->ji\"", "[2,3,4]"),
      OP_MISUSE("EinsumOfLengthsThatDiffer", Einsum("ij,jk->ik", {Reals({2, 3}), Reals({4, 5})}),
                "[einsum]", "\"ij,jk->ik\"", "[2,3]", "[4,5]"),
      OP_MISUSE("EinsumOfAnUnknownLetter", Einsum("ij->ik", {Reals({2, 3})}),  //
                "[einsum]", "k", "\"ij->ik\"", "[2,3]"),
      OP_MISUSE("EinsumOfAResultThatRepeats", Einsum("ij->ii", {Reals({2, 3})}),  //
                "[einsum]", "i", "\"ij->ii\""),
      OP_MISUSE("EinsumOfADigit", Einsum("i1->i", {Reals({2, 3})}), "[einsum]", "\"i1->i\""),
      OP_MISUSE("EinsumOfHalfAnArrow", Einsum("ij-ji", {Reals({2, 3})}), "[einsum]", "\"ij-ji\""),
      OP_MISUSE("EinsumOfTwoArrows", Einsum("i->i->i", {Reals({2})}), "[einsum]", "\"i->i->i\""),
      OP_MISUSE("EinsumOfTwoDots", Einsum("..i->i", {Reals({2})}), "[einsum]", "\"..i->i\""),
      OP_MISUSE("EinsumOfNothing", Einsum("", {}), "[einsum]", "\"\""),
      OP_MISUSE("DotOfLengths", Dot(Reals({2}), Reals({3})), "[dot]", "[2]", "[3]"),
      OP_MISUSE("DotOfMatrices", Dot(Reals({2, 2}), Reals({2, 2})), "[dot]", "vectors", "[2,2]"),
      OP_MISUSE("OuterOfMatrices", Outer(Reals({2, 2}), Reals({2})), "[outer]", "vectors", "[2,2]",
                "[2]"),
      OP_MISUSE("OuterOfScalars", Outer(Reals({}), Reals({2})), "[outer]", "vectors", "[]"),
  };
  return rows;
}
MISUSES(Products, ProductRows());

}  // namespace
}  // namespace wengert
