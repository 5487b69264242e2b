// Misuses of movement ops and of indexing.
#include "tests/misuse/misuse.h"

namespace wengert {
namespace {

Variable Grid() { return Reals({2, 3, 4}); }

const std::vector<Misuse>& MovementRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("ReshapeToAnotherSize", Reshape(Grid(), {5, 5}), "[reshape]", "[2,3,4]", "[5,5]"),
      OP_MISUSE("ReshapeWithARest", Reshape(Grid(), {5, -1}), "[reshape]", "[2,3,4]", "[5,-1]"),
      OP_MISUSE("ReshapeWithTwoUnknowns", Reshape(Grid(), {-1, -1}), "[reshape]", "-1"),
      MISUSE("ReshapeOfNothing", Reshape(Variable(), {-1}), "undefined Variable"),
      OP_MISUSE("PermuteWithARepeat", Permute(Grid(), {0, 0, 1}), "[permute]", "0,0,1", "[2,3,4]"),
      OP_MISUSE("PermuteOfTooFewAxes", Permute(Grid(), {1, 0}), "[permute]", "1,0", "[2,3,4]"),
      OP_MISUSE("TransposeOfAVector", Transpose(Reals({3})), "[transpose]", "axis -2", "rank 1"),
      OP_MISUSE("TransposeBeyondRank", Transpose(Grid(), 0, 3), "[transpose]", "axis 3", "rank 3"),
      OP_MISUSE("ExpandOfAnAxisNotOne", Expand(Reals({2}), {4}), "[expand]", "[2]", "[4]"),
      OP_MISUSE("ExpandToFewerAxes", Expand(Grid(), {3, 4}), "[expand]", "[2,3,4]", "[3,4]"),
      OP_MISUSE("SumToAShapeThatDoesNotBroadcast", SumTo(Grid(), {2}), "[sum_to]",
                "[2] does not broadcast to [2,3,4]"),
      OP_MISUSE("NarrowBeyondTheEnd", Narrow(Grid(), 1, 2, 2), "[narrow]", "[2,3,4]"),
      OP_MISUSE("NarrowWithStepZero", Narrow(Grid(), 1, 0, 2, 0), "[narrow]", "step"),
      OP_MISUSE("NarrowOfNegativeLength", Narrow(Grid(), 1, 0, -1), "[narrow]", "-1"),
      OP_MISUSE("NarrowBeyondRank", Narrow(Grid(), 5, 0, 1), "[narrow]", "axis 5", "rank 3"),
      OP_MISUSE("EmbedBeyondTheEnd", Embed(Reals({3}), 0, 4, 2), "[embed]", "[3]", "4"),
      OP_MISUSE("ConcatOfShapes", Concat({Reals({2, 3}), Reals({2, 4})}, 0),  //
                "[concat]", "[2,3]", "[2,4]"),
      OP_MISUSE("ConcatOfNothing", Concat({}, 0), "[concat]", "no"),
      OP_MISUSE("ConcatBeyondRank", Concat({Reals({2, 3}), Reals({2, 3})}, 2),  //
                "[concat]", "axis 2", "rank 2"),
      MISUSE("ConcatOfAnUndefinedPart", Concat({Reals({2}), Variable()}, 0),  //
             "undefined Variable"),
      OP_MISUSE("ConcatOfScalars", Concat({Reals({}), Reals({})}, 0), "[concat]", "rank 0"),
      OP_MISUSE("StackOfShapes", Stack({Reals({2}), Reals({3})}), "[stack]", "[2]", "[3]"),
      OP_MISUSE("StackOfNothing", Stack({}), "[stack]", "no"),
      OP_MISUSE("SplitThatDoesNotAddUp", Split(Reals({6}), {2, 3}, 0), "[split]", "2,3", "[6]"),
      OP_MISUSE("SplitWithANegativeLength", Split(Reals({2}), {3, -1}, 0), "[split]", "-1"),
      OP_MISUSE("ChunkThatDoesNotDivide", Chunk<4>(Reals({2, 6}), -1), "[chunk]",
                "axis -1 of [2,6]", "4 equal parts"),
      OP_MISUSE("SqueezeOfAnAxisNotOne", Squeeze(Grid(), 1), "[squeeze]", "axis 1", "[2,3,4]"),
      OP_MISUSE("UnsqueezeFarBeyondRank", Unsqueeze(Reals({3}), 4), "[unsqueeze]", "axis 4",
                "rank 2"),
      OP_MISUSE("UnsqueezeOfRankEight", Unsqueeze(Reals({1, 1, 1, 1, 1, 1, 1, 1}), 0),  //
                "[unsqueeze]", "[1,1,1,1,1,1,1,1]", "maximum"),
      OP_MISUSE("FlipTwice", Flip(Grid(), {0, -3}), "[flip]", "twice"),
      OP_MISUSE("RollBeyondRank", Roll(Grid(), 1, 3), "[roll]", "axis 3", "rank 3"),
      OP_MISUSE("RollOfMoreShiftsThanAxes",
                Roll(Grid(), std::vector<int64_t>{1, 2}, std::vector<int>{0}),  //
                "[roll]", "{1,2}", "{0}"),
      OP_MISUSE("RepeatOfNegativeTimes", Repeat(Grid(), -1, 0), "[repeat]", "-1 times", "[2,3,4]"),
      OP_MISUSE("TileOfNegativeTimes", Tile(Reals({2}), {-2}), "[tile]", "-2 times", "[2]"),
      OP_MISUSE("MeshgridOfAMatrix", Meshgrid({Reals({2, 2})}, GridIndexing::kIj),  //
                "[meshgrid]", "[2,2]"),
      OP_MISUSE("PadOfTooFewAxes", Pad(Reals({2, 3}), {{1, 1}}), "[pad]", "{1,1}", "[2,3]"),
      OP_MISUSE("PadOfNegativeWidth", Pad(Reals({3}), {{-1, 0}}), "[pad]", "{-1,0}"),
      OP_MISUSE("PadReflectingNothing", Pad(Reals({0}), {{1, 1}}, {.mode = PadMode::kReflect}),  //
                "[pad]", "axis 0", "[0]"),
      OP_MISUSE("TrilOfAVector", Tril(Reals({3})), "[tril]", "[3]", "[..., m, n]"),
      OP_MISUSE("DiagonalOfOneAxis", Diagonal(Grid(), 0, 1, 1), "[diagonal]", "1", "[2,3,4]"),
      OP_MISUSE("DiagonalOfAVector", Diagonal(Reals({3})), "[diagonal]", "axis -2", "rank 1"),
      OP_MISUSE("DiagonalMatrixOfAScalar", DiagonalMatrix(Reals({})), "[diagonal_matrix]",
                "scalar"),
  };
  return rows;
}
MISUSES(Movement, MovementRows());

const std::vector<Misuse>& IndexRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("GatherBeyondTheEnd", Gather(Reals({3, 2}), Integers({0, 3})).value(),  //
                "[gather]", "index 3 at [1]", "3 entries"),
      OP_MISUSE("GatherByANegativeIndex", Gather(Reals({3, 2}), Integers({-1})).value(),  //
                "[gather]", "index -1 at [0]", "3 entries"),
      OP_MISUSE("GatherByFloats", Gather(Reals({3, 2}), Reals({2})), "[gather]", "float32", "int"),
      OP_MISUSE("GatherByBools", Gather(Reals({3, 2}), Bools({3})), "[gather]", "bool", "int"),
      OP_MISUSE("GatherBeyondRank", Gather(Reals({3, 2}), Integers({0}), 2),  //
                "[gather]", "axis 2", "rank 2"),
      OP_MISUSE("ScatterAddOfAnotherShape", ScatterAdd(Reals({3, 2}), Integers({0, 1}), 4),  //
                "[scatter_add]", "[3,2]", "[2]"),
      OP_MISUSE("ScatterAddBeyondTheEnd", ScatterAdd(Reals({2, 2}), Integers({0, 4}), 4).value(),
                "[scatter_add]", "4"),
      OP_MISUSE("ScatterAddToNegativeEntries", ScatterAdd(Reals({1}), Integers({0}), -4),  //
                "[scatter_add]", "-4"),
      OP_MISUSE("SegmentSumOfTooFewIds", SegmentSum(Reals({3, 2}), Integers({0, 1}), 2),  //
                "[segment_sum]", "[3,2]", "[2]"),
      OP_MISUSE("SegmentSumBeyondTheEnd", SegmentSum(Reals({2}), Integers({0, 2}), 2).value(),  //
                "[scatter_add]", "index 2 at [1]", "2 entries"),
      OP_MISUSE("GatherAlongOfAnotherRank", GatherAlong(Reals({3, 2}), Integers({0}), 1),  //
                "[gather_along]", "[3,2]", "[1]"),
      OP_MISUSE("ScatterAddAlongOfAnotherShape",
                ScatterAddAlong(Reals({3}), Integers({0, 1}), 3, 0),  //
                "[scatter_add_along]", "[3]", "[2]"),
      OP_MISUSE("TakeAlongLastOfAnotherShape", TakeAlongLast(Reals({3, 2}), Integers({0, 1})),  //
                "[take_along_last]", "[3,2]", "[2]"),
      OP_MISUSE("TakeAlongLastBeyondTheEnd",
                TakeAlongLast(Reals({2, 5}), Integers({0, 5})).value(),  //
                "[take_along_last]", "index 5 at [1]", "5 entries"),
      OP_MISUSE("PutAlongLastOfAnotherShape", PutAlongLast(Reals({3}), Integers({0, 1}), 4),  //
                "[put_along_last]", "[3]", "[2]"),
      OP_MISUSE("OneHotOfFloats", OneHot(Reals({2}), 3), "[one_hot]", "float32", "int"),
      OP_MISUSE("OneHotBeyondTheClasses", OneHot(Integers({1, 3}), 3).value(), "[one_hot]", "3"),
      OP_MISUSE("OneHotOfNegativeClasses", OneHot(Integers({1}), -3), "[one_hot]", "-3 classes"),
      OP_MISUSE("BooleanMaskOfAnotherShape", BooleanMask(Reals({3, 2}), Bools({2})),  //
                "[boolean_mask]", "[3,2]", "[2]"),
      OP_MISUSE("BooleanMaskOfFloats", BooleanMask(Reals({3}), Reals({3})),  //
                "[boolean_mask]", "float32", "bool"),
      OP_MISUSE("NonzeroOfNothing", Nonzero(Variable()), "undefined Variable"),
  };
  return rows;
}
MISUSES(Indexing, IndexRows());

}  // namespace
}  // namespace wengert
