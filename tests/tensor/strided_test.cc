#include "tensor/strided.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wengert {
namespace {

using ::testing::ElementsAreArray;

std::vector<int64_t> ShapeOf(const StridedLoop& loop) {
  return {loop.shape.begin(), loop.shape.begin() + loop.rank};
}
std::vector<int64_t> StridesOf(const StridedLoop& loop, int operand) {
  return {loop.strides[operand].begin(), loop.strides[operand].begin() + loop.rank};
}

// Visits the loop and compares every operand's offsets with those of Expand's view.
void ExpectVisitsAll(const Shape& shape, const std::vector<const Tensor*>& operands) {
  const StridedLoop loop = StridedLoop::Make(shape, operands);
  ASSERT_EQ(loop.outer() * loop.inner(), NumElements(shape));
  for (size_t k = 0; k < operands.size(); ++k) {
    const Tensor expanded = operands[k]->Expand(shape);
    std::vector<int64_t> visited;
    for (int64_t row = 0; row < loop.outer(); ++row) {
      for (int64_t i = 0; i < loop.inner(); ++i) {
        visited.push_back(loop.RowOffset(k, row) + i * loop.strides[k][loop.rank - 1]);
      }
    }
    std::vector<int64_t> expected;
    for (int64_t flat = 0; flat < NumElements(shape); ++flat) {
      int64_t offset = 0;
      for (int64_t axis = shape.rank() - 1, rest = flat; axis >= 0; --axis) {
        offset += rest % shape[axis] * expanded.strides()[axis];
        rest /= shape[axis];
      }
      expected.push_back(offset);
    }
    EXPECT_EQ(visited, expected) << "operand " << k << " of shape " << ToString(shape);
  }
}

TEST(StridedLoopTest, ContiguousOperandsBecomeOneRow) {
  const Tensor a = Tensor::Empty({2, 3, 4}), b = Tensor::Empty({2, 3, 4});
  const StridedLoop loop = StridedLoop::Make({2, 3, 4}, {&a, &b});
  EXPECT_THAT(ShapeOf(loop), ElementsAreArray({24}));
  EXPECT_THAT(StridesOf(loop, 0), ElementsAreArray({1}));
  EXPECT_EQ(loop.outer(), 1);
  EXPECT_EQ(loop.inner(), 24);
}

TEST(StridedLoopTest, ScalarIsOneRowOfOne) {
  const Tensor a = Tensor::Empty({}), b = Tensor::Empty({1, 1, 1});
  for (const Shape& shape : {Shape{}, Shape{1, 1, 1}}) {
    const StridedLoop loop = StridedLoop::Make(shape, {&a});
    EXPECT_THAT(ShapeOf(loop), ElementsAreArray({1}));
    EXPECT_THAT(StridesOf(loop, 0), ElementsAreArray({0}));
  }
  EXPECT_THAT(ShapeOf(StridedLoop::Make({1, 1, 1}, {&b})), ElementsAreArray({1}));
}

TEST(StridedLoopTest, BroadcastBreaksTheMergeWhereItMust) {
  const Tensor x = Tensor::Empty({2, 3, 4, 5}), row = Tensor::Empty({4, 5}),
               channel = Tensor::Empty({3, 1, 1}), scalar = Tensor::Empty({});
  const StridedLoop loop = StridedLoop::Make(x.shape(), {&x, &row, &scalar});
  EXPECT_THAT(ShapeOf(loop), ElementsAreArray({6, 20}));
  EXPECT_THAT(StridesOf(loop, 0), ElementsAreArray({20, 1}));
  EXPECT_THAT(StridesOf(loop, 1), ElementsAreArray({0, 1}));
  EXPECT_THAT(StridesOf(loop, 2), ElementsAreArray({0, 0}));
  EXPECT_THAT(ShapeOf(StridedLoop::Make(x.shape(), {&x, &channel})), ElementsAreArray({2, 3, 20}));
  EXPECT_THAT(ShapeOf(StridedLoop::Make(x.shape(), {&x, &scalar})), ElementsAreArray({120}));
}

TEST(StridedLoopTest, OneTransposedOperandKeepsTheAxesApart) {
  const Tensor a = Tensor::Empty({3, 4}), b = Tensor::Empty({4, 3}).T();
  const StridedLoop loop = StridedLoop::Make({3, 4}, {&a, &b});
  EXPECT_THAT(ShapeOf(loop), ElementsAreArray({3, 4}));
  EXPECT_THAT(StridesOf(loop, 1), ElementsAreArray({1, 3}));
  EXPECT_EQ(loop.RowOffset(0, 2), 8);
  EXPECT_EQ(loop.RowOffset(1, 2), 2);
}

TEST(StridedLoopTest, FlippedAxesMergeTogether) {
  const Tensor a = Tensor::Empty({3, 4}).Flip(0).Flip(1);
  const StridedLoop loop = StridedLoop::Make({3, 4}, {&a});
  EXPECT_THAT(ShapeOf(loop), ElementsAreArray({12}));
  EXPECT_THAT(StridesOf(loop, 0), ElementsAreArray({-1}));
}

TEST(StridedLoopTest, VisitsEveryElementInOrder) {
  const Tensor x = Tensor::Empty({2, 3, 4, 5}), flipped = x.Flip(2),
               narrowed = Tensor::Empty({2, 3, 9, 5}).Narrow(2, 1, 4, 2),
               permuted = Tensor::Empty({5, 4, 3, 2}).Permute({3, 2, 1, 0}),
               middle = Tensor::Empty({3, 1, 5}), scalar = Tensor::Empty({});
  ExpectVisitsAll(x.shape(), {&x, &flipped, &narrowed, &permuted, &middle, &scalar});
  const Tensor deep = Tensor::Empty({2, 1, 2, 3, 1, 2, 2, 2}), last = Tensor::Empty({2});
  ExpectVisitsAll(deep.shape(), {&deep, &last});
  ExpectVisitsAll(deep.shape(), {&last});
}

TEST(StridedLoopTest, ZeroSize) {
  const Tensor a = Tensor::Empty({2, 0, 3}), b = Tensor::Empty({3});
  const StridedLoop loop = StridedLoop::Make({2, 0, 3}, {&a, &b});
  EXPECT_EQ(loop.outer() * loop.inner(), 0);
  EXPECT_GE(loop.rank, 1);
}

}  // namespace
}  // namespace wengert
