#include "models/adding_problem.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wengert::adding {
namespace {

using ::testing::Each;
using ::testing::Gt;
using ::testing::SizeIs;

TEST(AddingProblemTest, MarksOneStepOfEachHalfAndAddsTheirValues) {
  for (const int64_t length : {2, 3, 10, 101}) {
    const int64_t count = 300;
    const Batch batch = Sequences(count, length, /*seed=*/1, /*first=*/0);
    ASSERT_EQ(batch.inputs.shape(), (Shape{count, length, 2}));
    ASSERT_EQ(batch.targets.shape(), (Shape{count, 1}));
    std::vector<int> marked(length);
    for (int64_t n = 0; n < count; ++n) {
      double sum = 0;
      int in_first_half = 0, in_second_half = 0;
      for (int64_t t = 0; t < length; ++t) {
        const float value = batch.inputs.at<float>({n, t, 0});
        const float marker = batch.inputs.at<float>({n, t, 1});
        EXPECT_TRUE(value >= -1 && value < 1) << value;
        EXPECT_TRUE(marker == 0 || marker == 1) << marker;
        if (marker == 0) continue;
        sum += value;
        ++marked[t];
        ++(t < length / 2 ? in_first_half : in_second_half);
      }
      EXPECT_EQ(in_first_half, 1) << "sequence " << n << " of length " << length;
      EXPECT_EQ(in_second_half, 1) << "sequence " << n << " of length " << length;
      EXPECT_NEAR(batch.targets.at<float>({n, 0}), 0.5 + sum / 4, 1e-6);
    }
    if (length <= 10) {
      EXPECT_THAT(marked, Each(Gt(20)));
    }
  }
}

TEST(AddingProblemTest, ValuesAreUniform) {
  const Tensor values = Sequences(1000, 50, 7, 0).inputs.Narrow(2, 0, 1);
  double sum = 0, squares = 0;
  for (const float value : values.ToVector<float>()) sum += value, squares += value * value;
  EXPECT_NEAR(sum / 50'000, 0, 0.01);
  EXPECT_NEAR(squares / 50'000, 1.0 / 3, 0.01);
}

TEST(AddingProblemTest, SeedAndNumberSayWhichSequence) {
  const Batch all = Sequences(10, 20, 3, 0);
  const Batch again = Sequences(4, 20, 3, 6);
  EXPECT_EQ(again.index, 6);
  EXPECT_TRUE(BitwiseEqual(again.inputs, all.inputs.Narrow(0, 6, 4)));
  EXPECT_TRUE(BitwiseEqual(again.targets, all.targets.Narrow(0, 6, 4)));
  EXPECT_FALSE(BitwiseEqual(Sequences(10, 20, 4, 0).inputs, all.inputs));
  // Neighbouring seeds do not share sequences, shifted by one.
  EXPECT_FALSE(BitwiseEqual(Sequences(1, 20, 4, 0).inputs, all.inputs.Narrow(0, 1, 1)));
}

TEST(AddingProblemTest, NeedsTwoSteps) { EXPECT_THROW(Sequences(1, 1, 1, 0), Error); }

TEST(CriterionTest, WantsTwoThousandInARow) {
  Criterion criterion;
  for (int i = 0; i < 1999; ++i) criterion.Add(i % 2 == 0 ? 0.0399 : -0.0399);
  EXPECT_FALSE(criterion.solved());
  criterion.Add(-0.04);
  EXPECT_EQ(criterion.in_a_row(), 0);
  for (int i = 0; i < 1999; ++i) criterion.Add(0);
  EXPECT_FALSE(criterion.solved());
  criterion.Add(std::numeric_limits<double>::quiet_NaN());
  for (int i = 0; i < 2000; ++i) {
    EXPECT_FALSE(criterion.solved()) << i;
    criterion.Add(0.01);
  }
  EXPECT_TRUE(criterion.solved());
  EXPECT_EQ(criterion.sequences(), 1999 + 1 + 1999 + 1 + 2000);
  criterion.Add(1);  // too late
  EXPECT_TRUE(criterion.solved());
  EXPECT_EQ(criterion.sequences(), 6000);
}

// At h = 0, where tanh' is 1, a recurrent weight of a times the identity hands a times the gradient
// back to each earlier step.
TEST(GradientsOverTimeTest, VanishByTheRecurrentWeight) {
  constexpr int64_t kSteps = 12, kHidden = 3;
  Generator rng(1);
  LastState<nn::Rnn> network({.in = 2, .hidden = kHidden, .out = 1}, rng);
  for (const double a : {0.5, 1.0, 2.0}) {
    Tensor weight = Tensor::Zeros({kHidden, kHidden});
    for (int i = 0; i < kHidden; ++i) {
      weight.mutable_data<float>()[i * kHidden + i] = static_cast<float>(a);
    }
    network.recurrent.cells[0].weight_hh.Set(weight);
    const Batch batch{
        .inputs = Tensor::Zeros({1, kSteps, 2}), .targets = Tensor::Full({1, 1}, 0.75), .index = 0};
    const StateGradients gradients = GradientsOverTime(network, batch);
    double squares = 0;
    for (const float w : network.head.weight.value().ToVector<float>()) squares += w * w;
    const double last = 2 * 0.75 * std::sqrt(squares);  // of (0 - 0.75)^2
    ASSERT_THAT(gradients.h, SizeIs(kSteps));
    for (int64_t t = 1; t <= kSteps; ++t) {
      const double expected = last * std::pow(a, static_cast<double>(kSteps - t));
      EXPECT_NEAR(gradients.h[t - 1], expected, 1e-5 * expected) << "step " << t << ", a = " << a;
    }
    EXPECT_TRUE(gradients.c.empty());
  }
}

TEST(GradientsOverTimeTest, OfAnLstmHaveCToo) {
  Generator rng(1);
  const LastState<nn::Lstm> network({.in = 2, .hidden = 4, .out = 1}, rng);
  const StateGradients gradients = GradientsOverTime(network, Sequences(5, 9, 1, 0));
  EXPECT_THAT(gradients.h, SizeIs(9));
  EXPECT_THAT(gradients.c, SizeIs(9));
  for (int t = 0; t < 9; ++t) EXPECT_GT(gradients.c[t], 0) << t;
}

}  // namespace
}  // namespace wengert::adding
