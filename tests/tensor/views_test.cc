#include <cstdint>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/tensor.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;

TEST(ViewsTest, At) {
  const Tensor t = Tensor::Arange(0, 24).Reshape({2, 3, 4}).Permute({2, 0, 1}).Flip(1);
  EXPECT_EQ(t.at<int64_t>({3, 0, 2}), 12 + 8 + 3);
  EXPECT_EQ(t.at<int64_t>({-1, -2, -1}), 12 + 8 + 3);
  EXPECT_EQ(t.at<float>({0, 1, 0}), 0.0f);
}

TEST(ViewsTest, ViewsShareAndWritesShowThrough) {
  Tensor t = Tensor::Zeros({3, 4});
  Tensor column = t.Narrow(1, 1, 1).Squeeze(1);
  EXPECT_TRUE(column.SharesStorage(t));
  EXPECT_FALSE(t.OwnsStorage());
  column.Fill(5);
  EXPECT_THAT(t.ToVector<int>(), ElementsAre(0, 5, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0));
  EXPECT_FALSE(t.Clone().SharesStorage(t));
}

TEST(ViewsTest, RankEight) {
  const Tensor t = Tensor::Arange(0, 256).Reshape({2, 2, 2, 2, 2, 2, 2, 2});
  const Tensor reversed = t.Permute({7, 6, 5, 4, 3, 2, 1, 0});
  EXPECT_EQ(reversed.at<int>({1, 0, 0, 0, 0, 0, 0, 0}), 1);
  EXPECT_EQ(reversed.Clone().at<int>({1, 1, 0, 0, 0, 0, 0, 1}), 1 + 2 + 128);
  EXPECT_EQ(ThrownMessage([&] { t.Unsqueeze(0); }),
            "[unsqueeze] [2,2,2,2,2,2,2,2] has the maximum rank, 8, already");
}

TEST(ViewsTest, ReshapeOfRowsIsAView) {
  const Tensor t = Tensor::Arange(0, 60).Reshape({3, 4, 5}).Narrow(0, 0, 3, 2 - 1).Flip(0);
  EXPECT_TRUE(t.Reshape({3, 20}).SharesStorage(t));
  EXPECT_TRUE(t.Reshape({3, 2, 2, 5, 1}).SharesStorage(t));
  EXPECT_FALSE(t.Reshape({60}).SharesStorage(t));
}

TEST(ViewsTest, NarrowErrors) {
  const Tensor t = Tensor::Empty({2, 3});
  const auto message = [&](int axis, int64_t start, int64_t length, int64_t step) -> std::string {
    try {
      t.Narrow(axis, start, length, step);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(1, 2, 2, 1),
            "[narrow] axis 1 of [2,3]: start 2, length 2, step 1 is out of range");
  EXPECT_EQ(message(-1, 1, 3, -1),
            "[narrow] axis 1 of [2,3]: start 1, length 3, step -1 is out of range");
  EXPECT_EQ(message(0, -1, 1, 1),
            "[narrow] axis 0 of [2,3]: start -1, length 1, step 1 is out of range");
  EXPECT_EQ(message(0, 0, -1, 1),
            "[narrow] axis 0 of [2,3]: start 0, length -1, step 1 is out of range");
  EXPECT_EQ(message(0, 2, 1, 1),
            "[narrow] axis 0 of [2,3]: start 2, length 1, step 1 is out of range");
  EXPECT_EQ(message(0, 3, 0, 1),
            "[narrow] axis 0 of [2,3]: start 3, length 0, step 1 is out of range");
  EXPECT_EQ(message(0, 2, 0, 1), "");
  EXPECT_EQ(message(0, 0, 1, 0), "[narrow] axis 0 of [2,3]: the step must not be 0");
  EXPECT_EQ(
      message(0, 0, 3, INT64_MAX),
      "[narrow] axis 0 of [2,3]: start 0, length 3, step 9223372036854775807 is out of range");
  EXPECT_EQ(
      message(0, INT64_MAX, 2, 1),
      "[narrow] axis 0 of [2,3]: start 9223372036854775807, length 2, step 1 is out of range");
  EXPECT_EQ(message(2, 0, 1, 1), "[narrow] axis 2 is out of range for rank 2");
}

TEST(ViewsTest, OtherErrors) {
  const Tensor t = Tensor::Empty({2, 3});
  EXPECT_EQ(ThrownMessage([&] {
              t.Permute({0, 0});
            }),
            "[permute] [0,0] is not an order of the axes of [2,3]");
  EXPECT_EQ(ThrownMessage([&] { t.Permute({0}); }),
            "[permute] [0] is not an order of the axes of [2,3]");
  EXPECT_EQ(ThrownMessage([&] {
              t.Permute({0, 2});
            }),
            "[permute] [0,2] is not an order of the axes of [2,3]");
  EXPECT_EQ(ThrownMessage([&] {
              t.Permute({-3, 1});
            }),
            "[permute] [-3,1] is not an order of the axes of [2,3]");
  EXPECT_EQ(ThrownMessage([&] { t.Transpose(0, 2); }),
            "[transpose] axis 2 is out of range for rank 2");
  EXPECT_EQ(ThrownMessage([&] { Tensor::Empty({3}).T(); }),
            "[transpose] axis -2 is out of range for rank 1");
  EXPECT_EQ(ThrownMessage([&] { t.Expand({2, 4}); }), "[expand] [2,3] does not broadcast to [2,4]");
  EXPECT_EQ(ThrownMessage([&] { t.Expand({3}); }), "[expand] [2,3] does not broadcast to [3]");
  EXPECT_EQ(ThrownMessage([&] {
              t.Expand({-1, 2, 3});
            }),
            "[expand] shape [-1,2,3] has a negative dimension");
  EXPECT_EQ(ThrownMessage([&] { t.Flip(2); }), "[flip] axis 2 is out of range for rank 2");
  EXPECT_EQ(ThrownMessage([&] { t.Squeeze(-1); }), "[squeeze] axis 1 of [2,3] has length 3, not 1");
  EXPECT_EQ(ThrownMessage([&] { t.Squeeze(5); }), "[squeeze] axis 5 is out of range for rank 2");
  EXPECT_EQ(ThrownMessage([&] { t.Unsqueeze(3); }), "[unsqueeze] axis 3 is out of range for [2,3]");
  EXPECT_EQ(ThrownMessage([&] { t.Unsqueeze(-4); }),
            "[unsqueeze] axis -4 is out of range for [2,3]");
  EXPECT_EQ(ThrownMessage([&] { t.dim(2); }), "[dim] axis 2 is out of range for rank 2");
}

TEST(ViewsTest, ReshapeErrors) {
  const Tensor t = Tensor::Empty({2, 3}), empty = Tensor::Empty({0, 3});
  EXPECT_EQ(empty.Reshape({-1, 3}).shape(), Shape({0, 3}));
  EXPECT_EQ(t.Reshape({3, -1}).shape(), Shape({3, 2}));
  EXPECT_EQ(ThrownMessage([&] {
              t.Reshape({4, 2});
            }),
            "[reshape] [2,3] to [4,2]: the sizes differ, 6 and 8");
  EXPECT_EQ(ThrownMessage([&] {
              t.Reshape({-1, 4});
            }),
            "[reshape] [2,3] to [-1,4]: the size 6 is not divisible by 4");
  EXPECT_EQ(ThrownMessage([&] {
              t.Reshape({-1, -1});
            }),
            "[reshape] [2,3] to [-1,-1]: only one dimension may be -1");
  EXPECT_EQ(ThrownMessage([&] {
              t.Reshape({-2, 3});
            }),
            "[reshape] [2,3] to [-2,3]: a dimension is negative");
  EXPECT_EQ(ThrownMessage([&] {
              empty.Reshape({0, -1});
            }),
            "[reshape] [0,3] to [0,-1]: -1 is ambiguous beside a dimension of 0");
  EXPECT_EQ(ThrownMessage([&] { t.Reshape({}); }),
            "[reshape] [2,3] to []: the sizes differ, 6 and 1");
}

TEST(ViewsTest, UndefinedTensorsThrow) {
  const Tensor t;
  EXPECT_EQ(ThrownMessage([&] { t.Narrow(0, 0, 1); }), "[narrow] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.Permute({}); }), "[permute] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.T(); }), "[transpose] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.Expand({1}); }), "[expand] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.Flip(0); }), "[flip] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.Squeeze(0); }), "[squeeze] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.Unsqueeze(0); }), "[unsqueeze] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.Reshape({1}); }), "[reshape] the tensor is undefined");
}

}  // namespace
}  // namespace wengert
