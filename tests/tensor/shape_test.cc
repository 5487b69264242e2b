#include "tensor/shape.h"

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

std::vector<int64_t> Iota(int rank) {
  std::vector<int64_t> values(rank);
  std::iota(values.begin(), values.end(), 2);
  return values;
}

std::vector<int64_t> Entries(const Dims& dims) { return {dims.begin(), dims.end()}; }

static_assert(sizeof(Dims) == 40);

TEST(DimsTest, CopiesAndMovesAtEveryRank) {
  for (int rank = 0; rank <= kMaxRank; ++rank) {
    const std::vector<int64_t> values = Iota(rank);
    const Dims dims(values);
    EXPECT_EQ(dims.rank(), rank);
    EXPECT_EQ(dims.empty(), rank == 0);
    EXPECT_EQ(Entries(dims), values);
    Dims copy = dims;
    EXPECT_EQ(copy, dims);
    Dims moved = std::move(copy);
    EXPECT_EQ(moved, dims);
    EXPECT_EQ(copy.rank(), 0);  // NOLINT: moved from, and usable
    copy = moved;
    EXPECT_EQ(copy, dims);
    // From every rank to every rank.
    for (int other_rank = 0; other_rank <= kMaxRank; ++other_rank) {
      const Dims other(Iota(other_rank));
      Dims target = other;
      target = dims;
      EXPECT_EQ(target, dims);
      target = Dims(other);
      EXPECT_EQ(target, other);
      EXPECT_EQ(target == dims, rank == other_rank);
    }
    Dims& self = moved;
    moved = self;
    moved = std::move(self);
    EXPECT_EQ(moved, dims);
    if (rank > 0) {
      ++copy[0];
      EXPECT_NE(copy, dims) << "a copy must not share";
    }
  }
}

TEST(DimsTest, InsertsAndRemovesAtEveryPosition) {
  for (int rank = 0; rank < kMaxRank; ++rank) {
    for (int position = 0; position <= rank; ++position) {
      std::vector<int64_t> values = Iota(rank);
      Dims dims(values);
      dims.Insert(position, 99);
      values.insert(values.begin() + position, 99);
      EXPECT_EQ(Entries(dims), values);
      Dims removed = dims;
      removed.Remove(position);
      EXPECT_EQ(Entries(removed), Iota(rank));
    }
  }
  Dims dims;
  for (int i = 0; i < kMaxRank; ++i) dims.Append(i + 2);
  EXPECT_EQ(Entries(dims), Iota(kMaxRank));
  while (!dims.empty()) dims.Remove(dims.rank() - 1);
}

TEST(DimsTest, Filled) {
  EXPECT_EQ(Dims::Filled(0, 7), Dims());
  EXPECT_EQ(Dims::Filled(6, 7), Dims({7, 7, 7, 7, 7, 7}));
}

TEST(DimsTest, RankLimit) {
  EXPECT_EQ(ThrownMessage([] {
              Dims({1, 2, 3, 4, 5, 6, 7, 8, 9});
            }),
            "[shape] [1,2,3,4,5,6,7,8,9] has rank 9, above the maximum of 8");
  EXPECT_EQ(ThrownMessage([] { Dims::Filled(8, 1).Append(2); }),
            "[shape] [1,1,1,1,1,1,1,1] and one more dimension: rank 9 is "
            "above the maximum of 8");
  EXPECT_EQ(ThrownMessage([] { Dims::Filled(9, 1); }), "[shape] rank 9 is outside [0,8]");
  EXPECT_EQ(ThrownMessage([] { Dims::Filled(-1, 1); }), "[shape] rank -1 is outside [0,8]");
}

TEST(ShapeTest, ToString) {
  EXPECT_EQ(ToString(Shape{}), "[]");
  EXPECT_EQ(ToString(Shape{3}), "[3]");
  EXPECT_EQ(ToString(Shape{32, 28, 28, 1, 0, -1}), "[32,28,28,1,0,-1]");
}

TEST(ShapeTest, NumElements) {
  EXPECT_EQ(CheckedNumElements({}, "f"), 1);
  EXPECT_EQ(CheckedNumElements({2, 3, 4}, "f"), 24);
  EXPECT_EQ(CheckedNumElements({2, 0, 4}, "f"), 0);
  EXPECT_EQ(NumElements({2, 3, 4}), 24);
  constexpr int64_t kTwo31 = int64_t{1} << 31;
  EXPECT_EQ(CheckedNumElements({kTwo31, kTwo31}, "f"), int64_t{1} << 62);
  EXPECT_EQ(ThrownMessage([] {
              CheckedNumElements({kTwo31, kTwo31 + 1}, "f");
            }),
            "[f] shape [2147483648,2147483649] has more than 2^62 elements");
  EXPECT_EQ(ThrownMessage([] {
              CheckedNumElements({kTwo31, kTwo31, 2}, "f");
            }),
            "[f] shape [2147483648,2147483648,2] has more than 2^62 elements");
  EXPECT_EQ(ThrownMessage([] {
              CheckedNumElements({kTwo31, kTwo31, kTwo31, kTwo31}, "f");
            }),
            "[f] shape [2147483648,2147483648,2147483648,2147483648] has "
            "more than 2^62 elements");
  EXPECT_EQ(ThrownMessage([] {
              CheckedNumElements({0, kTwo31, kTwo31, kTwo31}, "f");
            }),
            "[f] shape [0,2147483648,2147483648,2147483648] has more than "
            "2^62 elements")
      << "its strides would overflow";
  EXPECT_EQ(ThrownMessage([] {
              CheckedNumElements({2, -3}, "f");
            }),
            "[f] shape [2,-3] has a negative dimension");
}

TEST(ShapeTest, ContiguousStrides) {
  EXPECT_EQ(ContiguousStrides({}), Strides());
  EXPECT_EQ(ContiguousStrides({2, 3, 4}), Strides({12, 4, 1}));
  EXPECT_EQ(ContiguousStrides({1, 2, 3, 4, 5, 6, 7, 8}),
            Strides({40320, 20160, 6720, 1680, 336, 56, 8, 1}));
}

TEST(ShapeTest, Broadcast) {
  EXPECT_EQ(BroadcastShapes({}, {}, "add"), Shape());
  EXPECT_EQ(BroadcastShapes({2, 3}, {}, "add"), Shape({2, 3}));
  EXPECT_EQ(BroadcastShapes({3}, {2, 1}, "add"), Shape({2, 3}));
  EXPECT_EQ(BroadcastShapes({5, 1, 7}, {6, 1}, "add"), Shape({5, 6, 7}));
  EXPECT_EQ(BroadcastShapes({1, 3}, {0, 1}, "add"), Shape({0, 3}));
  EXPECT_EQ(ThrownMessage([] {
              BroadcastShapes({2, 3}, {4}, "add");
            }),
            "[add] shapes [2,3] and [4] do not broadcast");
  EXPECT_EQ(ThrownMessage([] { BroadcastShapes({3}, {0}, "add"); }),
            "[add] shapes [3] and [0] do not broadcast");
  EXPECT_TRUE(BroadcastsTo({}, {2, 3}));
  EXPECT_TRUE(BroadcastsTo({1, 3}, {2, 3}));
  EXPECT_TRUE(BroadcastsTo({1}, {0}));
  EXPECT_FALSE(BroadcastsTo({2, 3}, {3}));
  EXPECT_FALSE(BroadcastsTo({2, 3}, {1, 3}));
  EXPECT_FALSE(BroadcastsTo({3}, {0}));
}

TEST(ShapeTest, NormalizeAxis) {
  EXPECT_EQ(NormalizeAxis(0, 3, "sum"), 0);
  EXPECT_EQ(NormalizeAxis(2, 3, "sum"), 2);
  EXPECT_EQ(NormalizeAxis(-1, 3, "sum"), 2);
  EXPECT_EQ(NormalizeAxis(-3, 3, "sum"), 0);
  EXPECT_EQ(ThrownMessage([] { NormalizeAxis(3, 3, "sum"); }),
            "[sum] axis 3 is out of range for rank 3");
  EXPECT_EQ(ThrownMessage([] { NormalizeAxis(-4, 3, "sum"); }),
            "[sum] axis -4 is out of range for rank 3");
  EXPECT_EQ(ThrownMessage([] { NormalizeAxis(0, 0, "sum"); }),
            "[sum] axis 0 is out of range for rank 0");
}

}  // namespace
}  // namespace wengert
