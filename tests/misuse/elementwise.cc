// Misuses of element-wise ops, of operands and of Variables.
#include "tests/misuse/misuse.h"

namespace wengert {
namespace {

const std::vector<Misuse>& Rows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("AddOfShapesThatDoNotBroadcast", Add(Reals({2, 3}), Reals({4})),  //
                "[add]", "[2,3]", "[4]"),
      OP_MISUSE("PlusOfTransposedShapes", Reals({2, 3}) + Reals({3, 2}),  //
                "[add]", "[2,3]", "[3,2]", "do not broadcast"),
      OP_MISUSE("MinusOfBatches", Reals({32, 10}) - Reals({31, 10}), "[sub]", "[32,10]", "[31,10]"),
      OP_MISUSE("TimesAsMatrixProduct", Reals({2, 3}) * Reals({3, 4}), "[mul]", "[2,3]", "[3,4]"),
      OP_MISUSE("DivByRowsNotKept", Reals({3, 4}) / Sum(Reals({3, 4}), -1),  //
                "[div]", "[3,4]", "[3]"),
      OP_MISUSE("PowOfShapes", Pow(Reals({2}), Reals({3})), "[pow]", "[2]", "[3]"),
      OP_MISUSE("FmodOfShapes", Fmod(Reals({2}), Reals({3})), "[fmod]", "[2]", "[3]"),
      OP_MISUSE("Atan2OfShapes", Atan2(Reals({2}), Reals({3})), "[atan2]", "[2]", "[3]"),
      OP_MISUSE("MaximumOfShapes", Maximum(Reals({5, 1, 2}), Reals({5, 4, 3})),  //
                "[maximum]", "[5,1,2]", "[5,4,3]"),
      OP_MISUSE("MulAddOfShapes", MulAdd(Reals({2}), Reals({2}), Reals({3})), "[mul_add]", "[2]",
                "[3]"),
      OP_MISUSE("MulAddOfNumbers", MulAdd(1, 2, 3), "[mul_add]", "numbers"),
      OP_MISUSE("LerpOfShapes", Lerp(Reals({2}), Reals({3}), 0.5), "[sub]", "[3]", "[2]"),
      OP_MISUSE("LerpWithWeightsOfAnotherShape", Lerp(Reals({2}), Reals({2}), Reals({3})),  //
                "[mul]", "[3]", "[2]"),
      OP_MISUSE("EqualOfShapes", Equal(Reals({2, 2}), Reals({3})), "[equal]", "[2,2]", "[3]"),
      OP_MISUSE("LessOfShapes", Reals({2, 2}) < Reals({3}), "[less]", "[2,2]", "[3]"),
      OP_MISUSE("LogicalAndOfShapes", LogicalAnd(Bools({2}), Bools({3})),  //
                "[logical_and]", "[2]", "[3]"),
      OP_MISUSE("WhereWithNumbersForCondition", Where(Reals({2}), Reals({2}), Reals({2})),  //
                "[where]", "bool", "float32"),
      OP_MISUSE("WhereOfShapes", Where(Bools({2}), Reals({3}), 0), "[where]", "[2]", "[3]"),
      OP_MISUSE("WhereOfBranchesOfShapes", Where(Bools({2, 2}), Reals({2, 3}), Reals({2, 2})),  //
                "[where]", "[2,2]", "[2,3]"),
      OP_MISUSE("ClipWithBoundsExchanged", Clip(Reals({2}), 1, -1), "[clip]", "1", "-1"),
      OP_MISUSE("ClipWithNanForBound", Clip(Reals({2}), NAN, 1), "[clip]", "nan"),
      OP_MISUSE("HardTanhWithBoundsExchanged", HardTanh(Reals({2}), 2, 1),
                "[clip] low 2 above high 1"),
      OP_MISUSE("ExpOfNothing", Exp(Variable()), "[exp]", "undefined"),
      OP_MISUSE("AddOfNothing", Variable() + 1, "[add]", "undefined"),
      OP_MISUSE("TwoNumbers", Add(1, 2), "[add]", "number"),
      MISUSE("MulOfAParameterThatWasNeverSet", Mul(Parameter(), 2), "[parameter]",
             "before it was set"),
      OP_MISUSE("AddOfAParameterOfAnotherShape",
                Reals({2, 3}) + Named("net/fc", nn::Dense({.in = 2, .out = 4}, Rng())).bias,  //
                "[add]", "[2,3]", "[4]"),
      OP_MISUSE("WhereOfNothing", Where(Variable(), 1, 2), "[where]", "undefined"),
      MISUSE("CastOfNothing", Cast(Variable(), DType::kInt32), "undefined Variable"),
      MISUSE("ShapeOfNothing", Variable().shape(), "[variable]", "undefined"),
      MISUSE("ValueOfNothing", Variable().value(), "[", "undefined"),
      MISUSE("VariableOfAnUndefinedTensor", Variable(Tensor()), "[variable]", "undefined"),
      MISUSE("ItemOfAVector", Reals({3}).item<float>(), "[item]", "[3]"),
      MISUSE("DataAsAnotherType", Reals({3}).value().data<double>(), "[data]", "float64",
             "float32"),
      MISUSE("DimBeyondRank", Reals({3}).dim(1), "[dim]", "axis 1", "rank 1"),
      MISUSE("AtOutOfRange", Reals({2, 3}).value().at<float>({2, 0}), "[at]", "[2,0]", "[2,3]"),
      MISUSE("AtWithTooFewIndices", Reals({2, 3}).value().at<float>({1}), "[at]", "[1]", "[2,3]"),
      MISUSE("NegativeDimension", Tensor::Zeros({2, -3}), "[", "[2,-3]", "negative"),
      MISUSE("TooManyElements", Tensor::Empty({1 << 30, 1 << 30, 1 << 30}), "[", "2^62"),
      MISUSE("MoreMemoryThanThereIs", Tensor::Zeros({1 << 30, 1 << 28}), "[allocate]"),
      MISUSE("RankNine", Tensor::Zeros({1, 1, 1, 1, 1, 1, 1, 1, 1}), "[shape]", "rank"),
      MISUSE("ValuesThatDoNotFillTheShape", Tensor::FromVector(std::vector<float>{1, 2, 3}, {2, 2}),
             "3 values", "[2,2]"),
      MISUSE("ArangeWithStepZero", Tensor::Arange(0, 3, 0), "[arange]", "0"),
      MISUSE("ArangeToInfinity", Tensor::Arange(0, INFINITY), "[arange]", "inf"),
      MISUSE("LinspaceOfNegativeCount", Tensor::Linspace(0, 1, -1), "[linspace]", "-1"),
      MISUSE("WriteToAnExpandedTensor", Tensor::Zeros({1}).Expand({3}).Fill(1), "expanded", "[3]"),
      MISUSE("CopyFromALargerTensor", Tensor::Zeros({2}).CopyFrom(Tensor::Zeros({3})),  //
             "[copy_from]", "[3]", "[2]"),
  };
  return rows;
}
MISUSES(Elementwise, Rows());

}  // namespace
}  // namespace wengert
