#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

// Permutes by index arithmetic, one element at a time.
std::vector<int64_t> PermutedFlatIndices(const Shape& shape, const std::vector<int>& order) {
  Shape result_shape;
  for (int axis : order) result_shape.Append(shape[axis]);
  std::vector<int64_t> indices;
  for (int64_t flat = 0; flat < NumElements(shape); ++flat) {
    std::vector<int64_t> index(shape.rank());
    int64_t rest = flat;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      index[order[i]] = rest % result_shape[i];
      rest /= result_shape[i];
    }
    int64_t old = 0;
    for (int i = 0; i < shape.rank(); ++i) old = old * shape[i] + index[i];
    indices.push_back(old);
  }
  return indices;
}

void CheckPermuted(const Shape& shape, const std::vector<int>& order) {
  const std::vector<int64_t> expected = PermutedFlatIndices(shape, order);
  for (int i = 0; i < kNumDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    const Tensor t =
        Tensor::Arange(0, static_cast<double>(NumElements(shape))).Reshape(shape).To(dtype);
    const Tensor permuted = t.Permute(order);
    const Tensor reference = Tensor::FromVector(expected, permuted.shape()).To(dtype);
    EXPECT_TRUE(BitwiseEqual(permuted.Clone(), reference))
        << ToString(shape) << " as " << Name(dtype);
    // And into a target that is laid out as the source is.
    Tensor same_layout = Tensor::Empty(shape, dtype).Permute(order);
    same_layout.CopyFrom(permuted);
    EXPECT_TRUE(BitwiseEqual(same_layout, reference)) << ToString(shape) << " as " << Name(dtype);
  }
}

TEST(CopyTest, Transposed) {
  for (const Shape& shape : {Shape{8, 8}, Shape{1, 9}, Shape{7, 100}, Shape{64, 64}, Shape{65, 67},
                             Shape{129, 31}, Shape{200, 8}, Shape{3, 5}}) {
    CheckPermuted(shape, {1, 0});
  }
  CheckPermuted({3, 17, 70}, {0, 2, 1});
  CheckPermuted({33, 5, 40}, {2, 1, 0});
  CheckPermuted({9, 3, 4, 10}, {3, 1, 0, 2});
  CheckPermuted({2, 3, 2, 3, 2, 3, 2, 3}, {7, 1, 5, 3, 4, 2, 6, 0});
}

TEST(CopyTest, LargeCopiesAreTheSameForAnyTeam) {
  const int threads = NumThreads();
#if defined(__SANITIZE_THREAD__)
  const std::vector<int> teams = {1};  // it does not understand libgomp's barriers
#else
  const std::vector<int> teams = {1, 3};
#endif
  for (int team : teams) {
    SetNumThreads(team);
    CheckPermuted({517, 401}, {1, 0});        // tiles
    CheckPermuted({411, 5, 101}, {1, 0, 2});  // rows
    CheckPermuted({3, 70001}, {1, 0});        // short rows
    CheckPermuted({200003}, {0});             // one row
  }
  SetNumThreads(threads);
}

TEST(CopyTest, FlippedAndStepped) {
  const Tensor t = Tensor::Arange(0, 12).Reshape({3, 4});
  EXPECT_THAT(t.Flip(1).Clone().ToVector<int>(), ElementsAre(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8));
  EXPECT_THAT(t.Flip(0).Flip(1).Clone().ToVector<int>(),
              ElementsAre(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
  EXPECT_THAT(t.Narrow(1, 3, 2, -2).Clone().ToVector<int>(), ElementsAre(3, 1, 7, 5, 11, 9));
}

TEST(CopyTest, Broadcasts) {
  Tensor t = Tensor::Empty({2, 3}, DType::kInt32);
  t.CopyFrom(Tensor::FromVector<float>({1.5f, 2.5f, 3.5f}));
  EXPECT_THAT(t.ToVector<int>(), ElementsAre(1, 2, 3, 1, 2, 3));
  t.CopyFrom(Tensor::FromVector<int64_t>({7, 8}, {2, 1}));
  EXPECT_THAT(t.ToVector<int>(), ElementsAre(7, 7, 7, 8, 8, 8));
  t.CopyFrom(Tensor::Full({}, 4));
  EXPECT_THAT(t.ToVector<int>(), Each(4));
  Tensor large = Tensor::Empty({300, 500});
  large.CopyFrom(Tensor::Arange(0, 300).Reshape({300, 1}));
  EXPECT_EQ(large.at<int>({299, 0}), 299);
  EXPECT_EQ(large.at<int>({150, 499}), 150);
}

TEST(CopyTest, WritesOnlyTheTarget) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const auto pick = [&](int64_t low, int64_t high) {
      return std::uniform_int_distribution<int64_t>(low, high)(random);
    };
    Tensor whole = Tensor::Full({pick(1, 20), pick(1, 20), pick(1, 20)}, -1);
    Tensor target = whole;
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t dim = whole.dim(axis), start = pick(0, dim - 1), step = pick(1, 3);
      target = target.Narrow(axis, start, pick(1, (dim - 1 - start) / step + 1), step);
    }
    std::vector<int> order = {0, 1, 2};
    std::shuffle(order.begin(), order.end(), random);
    target = target.Permute(order);
    if (pick(0, 1)) target = target.Flip(1);
    const Tensor source = Tensor::Arange(0, static_cast<double>(target.size()), 1, DType::kFloat32)
                              .Reshape(target.shape());
    target.CopyFrom(source);
    EXPECT_TRUE(BitwiseEqual(target, source));
    const std::vector<float> all = whole.ToVector<float>();
    EXPECT_EQ(std::count(all.begin(), all.end(), -1.0f), whole.size() - target.size());
  }
}

TEST(CopyTest, OverlappingMemory) {
  for (int64_t size : {10, 1000, 200000}) {
    std::vector<int64_t> expected(size);
    std::iota(expected.begin(), expected.end(), 0);
    const Tensor start = Tensor::FromVector(expected);
    Tensor right = start.Clone();
    right.Narrow(0, 1, size - 1).CopyFrom(right.Narrow(0, 0, size - 1));
    EXPECT_EQ(right.at<int64_t>({0}), 0);
    EXPECT_TRUE(BitwiseEqual(right.Narrow(0, 1, size - 1), start.Narrow(0, 0, size - 1)));
    Tensor left = start.Clone();
    left.Narrow(0, 0, size - 1).CopyFrom(left.Narrow(0, 1, size - 1));
    EXPECT_TRUE(BitwiseEqual(left.Narrow(0, 0, size - 1), start.Narrow(0, 1, size - 1)));
    Tensor reversed = start.Clone();
    reversed.CopyFrom(reversed.Flip(0));
    std::reverse(expected.begin(), expected.end());
    EXPECT_EQ(reversed.ToVector<int64_t>(), expected);
    reversed.CopyFrom(reversed);
    EXPECT_EQ(reversed.ToVector<int64_t>(), expected);
    Tensor folded = start.Clone();
    folded.Narrow(0, 0, size / 2).CopyFrom(folded.Narrow(0, size / 4, size / 2).Flip(0));
    EXPECT_TRUE(
        BitwiseEqual(folded.Narrow(0, 0, size / 2), start.Narrow(0, size / 4, size / 2).Flip(0)));
    Tensor spread = start.Clone();
    spread.CopyFrom(spread.Narrow(0, 3, 1));
    EXPECT_THAT(spread.ToVector<int64_t>(), Each(3));
  }
  Tensor square = Tensor::Arange(0, 90000).Reshape({300, 300});
  const Tensor transposed = square.T().Clone();
  square.CopyFrom(square.T());
  EXPECT_TRUE(BitwiseEqual(square, transposed));
}

TEST(CopyTest, Errors) {
  Tensor t = Tensor::Zeros({2, 3});
  EXPECT_EQ(ThrownMessage([&] {
              t.CopyFrom(Tensor::Zeros({2, 4}));
            }),
            "[copy_from] [2,4] does not broadcast to [2,3]");
  EXPECT_EQ(ThrownMessage([&] { t.Narrow(0, 0, 1).CopyFrom(t); }),
            "[copy_from] [2,3] does not broadcast to [1,3]");
  Tensor expanded = t.Unsqueeze(1).Expand({2, 4, 3});
  EXPECT_EQ(ThrownMessage([&] { expanded.CopyFrom(t.Unsqueeze(1)); }),
            "[copy_from] cannot write to an expanded tensor: axis 1 of "
            "[2,4,3] has stride 0");
  EXPECT_EQ(ThrownMessage([&] { expanded.Fill(1); }),
            "[fill] cannot write to an expanded tensor: axis 1 of [2,4,3] has stride 0");
  Tensor undefined;
  EXPECT_EQ(ThrownMessage([&] { undefined.CopyFrom(t); }), "[copy_from] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.CopyFrom(undefined); }), "[copy_from] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { undefined.Fill(0); }), "[fill] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { undefined.Clone(); }), "[clone] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { undefined.Contiguous(); }), "[contiguous] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { undefined.To(DType::kBool); }), "[to] the tensor is undefined");
}

TEST(CopyTest, FillsViews) {
  Tensor t = Tensor::Zeros({4, 6}, DType::kFloat64);
  t.Narrow(0, 1, 2).Narrow(1, 4, 3, -2).Fill(0.1);
  EXPECT_EQ(t.at<double>({1, 0}), 0.1);
  EXPECT_EQ(t.at<double>({2, 4}), 0.1);
  EXPECT_EQ(t.at<double>({2, 3}), 0);
  EXPECT_EQ(t.at<double>({3, 4}), 0);
  const std::vector<double> all = t.ToVector<double>();
  EXPECT_EQ(std::count(all.begin(), all.end(), 0.1), 6);
}

}  // namespace
}  // namespace wengert
