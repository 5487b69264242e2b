#include "data/permutation.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;

// The values that implementations of splitmix64.c print for this seed.
TEST(SplitMix64Test, GivesThePublishedNumbers) {
  SplitMix64 random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
  EXPECT_EQ(random.Next(), 9817491932198370423u);
  EXPECT_EQ(random.Next(), 4593380528125082431u);
  EXPECT_EQ(random.Next(), 16408922859458223821u);
}

TEST(SplitMix64Test, BelowIsUniform) {
  SplitMix64 random(1);
  std::vector<int> counts(6);
  for (int i = 0; i < 600000; ++i) ++counts.at(random.Below(6));
  for (const int count : counts) EXPECT_NEAR(count, 100000, 1500);  // 5 standard deviations
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.Below(1), 0u);
}

// Without rejection, every third number below 3 * 2^62 would come twice as often as its neighbours:
// half of all numbers would leave the same remainder.
TEST(SplitMix64Test, BelowIsUnbiasedForHugeBounds) {
  SplitMix64 random(1);
  constexpr uint64_t kBound = uint64_t{3} << 62;
  int counts[3] = {};
  for (int i = 0; i < 30000; ++i) {
    const uint64_t value = random.Below(kBound);
    ASSERT_LT(value, kBound);
    ++counts[value % 3];
  }
  for (const int count : counts) EXPECT_NEAR(count, 10000, 410);  // 5 standard deviations
}

// From a second implementation, in Python.
TEST(RandomPermutationTest, IsPinned) {
  EXPECT_THAT(RandomPermutation(10, 1, 0), ElementsAre(1, 9, 0, 7, 4, 2, 5, 3, 8, 6));
  EXPECT_THAT(RandomPermutation(10, 1, 1), ElementsAre(2, 9, 4, 6, 0, 3, 1, 7, 5, 8));
  EXPECT_THAT(RandomPermutation(10, 2, 0), ElementsAre(9, 8, 3, 7, 1, 6, 2, 4, 5, 0));
  const std::vector<int64_t> mnist = RandomPermutation(60000, 1, 0);
  EXPECT_THAT(std::vector<int64_t>(mnist.begin(), mnist.begin() + 5),
              ElementsAre(6218, 51414, 25576, 51151, 3648));
  int64_t weighted = 0;
  for (int64_t i = 0; i < 60000; ++i) weighted += i * mnist[i];
  EXPECT_EQ(weighted, 54140302517991);
}

TEST(RandomPermutationTest, HoldsEachNumberOnce) {
  for (const int64_t size : {0, 1, 2, 3, 1000}) {
    std::vector<int64_t> order = RandomPermutation(size, 7, 3);
    std::sort(order.begin(), order.end());
    std::vector<int64_t> expected(size);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(order, expected);
  }
}

TEST(RandomPermutationTest, AllOrdersAreEquallyLikely) {
  std::vector<int> counts(1000);
  for (int epoch = 0; epoch < 24000; ++epoch) {
    const std::vector<int64_t> order = RandomPermutation(4, 5, epoch);
    ++counts[order[0] * 100 + order[1] * 10 + order[2]];
  }
  EXPECT_EQ(std::count(counts.begin(), counts.end(), 0), 1000 - 24);
  for (const int count : counts) {
    EXPECT_TRUE(count == 0 || (count > 845 && count < 1155)) << count;  // 5 standard deviations
  }
}

TEST(RandomPermutationTest, SeedsAndEpochsDiffer) {
  std::set<std::vector<int64_t>> orders;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (uint64_t epoch = 0; epoch < 20; ++epoch) {
      orders.insert(RandomPermutation(30, seed, epoch));
    }
  }
  EXPECT_EQ(orders.size(), 400u);
}

}  // namespace
}  // namespace wengert
