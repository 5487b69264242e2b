// The Winograd convolution block: against loops in double, ties, infinities and NaN, bits.
// clang-format off
#include "ops/kernels/simd_targets.h"
// clang-format on

#include "ops/kernels/conv_block_winograd.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"
#include "tests/ops/conv_block_winograd_cases.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

// Forward against the loops, exactly: for data whose sums are exact, infinities included.
void CheckExactly(const ConvBlockGeometry& g, const Data& data) {
  const std::vector<double> full = Convolve(g, data);
  const std::vector<int64_t> winners = Winners(g, full);
  std::vector<double> y;
  for (const int64_t i : winners) y.push_back(full[i]);
  const Forward actual = RunForward(g, data);
  ExpectSame(actual.y, y);
  if (!g.pool) return;
  for (size_t i = 0; i < winners.size(); ++i) {
    ASSERT_EQ(actual.winners.data<uint8_t>()[i], PositionInWindow(g.conv, winners[i])) << i;
  }
}

class WinogradBlockTest : public testing::Test {
 protected:
  const std::vector<int64_t> targets_ = hwy::SupportedAndGeneratedTargets();
  KernelSettings settings_;
};

TEST_F(WinogradBlockTest, RandomShapesMatchLoops) {
  Random random(1);
  for (int trial = 0; trial < 90 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const Sizes sizes = RandomSizes(random);
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    const Data data = RandomData(g, random, 100'000, 65536);
    const std::vector<double> full = Convolve(g, data);
    std::vector<double> y;
    for (const int64_t i : Winners(g, full)) y.push_back(full[i]);
    const Forward actual = RunForward(g, data);
    ExpectNear(actual.y, y, 1e-6);
    if (!g.pool) continue;
    for (size_t i = 0; i < y.size(); ++i) {  // a near tie may go to the other one
      const int64_t out_c = g.conv.out_c, pixel = static_cast<int64_t>(i) / out_c;
      const Shape out = OutputShape(g);
      const uint8_t winner = actual.winners.data<uint8_t>()[i];
      ASSERT_LT(winner, 4);
      const int64_t row = pixel / out[2] % out[1] * 2 + winner / 2;
      const int64_t column = pixel % out[2] * 2 + winner % 2, n = pixel / out[2] / out[1];
      const int64_t at = ((n * g.conv.out_h + row) * g.conv.out_w + column) * out_c +
                         static_cast<int64_t>(i) % out_c;
      ASSERT_NEAR(full[at], y[i], 1e-4) << "at " << i;
    }
  }
}

// Integers make every sum exact, halves in the kernel's transform included, and ties frequent.
TEST_F(WinogradBlockTest, TiesGoToTheFirst) {
  Random random(2);
  for (int trial = 0; trial < 60 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const Sizes sizes = RandomSizes(random);
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    CheckExactly(g, RandomData(g, random, 1, 1));
  }
}

TEST_F(WinogradBlockTest, AllNegativeWindowsGiveZeroAndTheFirstWinner) {
  Random random(3);
  const ConvBlockGeometry g = Geometry({.batch = 2, .in_h = 9, .in_w = 8, .in_c = 20, .out_c = 30});
  Data data = RandomData(g, random, 2, 1);
  for (int64_t c = 0; c < g.conv.out_c; ++c) data.bias.mutable_data<float>()[c] = -1000;
  ForEachTarget([&] {
    const Forward actual = RunForward(g, data);
    for (int64_t i = 0; i < actual.y.size(); ++i) {
      ASSERT_EQ(actual.y.data<float>()[i], 0) << i;
      ASSERT_EQ(actual.winners.data<uint8_t>()[i], 0) << i;
    }
  });
}

// Winograd's transforms would spread them over a tile, and make NaN of two infinities.
TEST_F(WinogradBlockTest, InfinitiesAndNanStayWhereADirectConvolutionHasThem) {
  Random random(4);
  for (int trial = 0; trial < 90 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const Sizes sizes = RandomSizes(random);
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    const Data data = RandomData(g, random, 2, 1);
    if (trial % 3 == 0 || trial % 5 == 0) Spoil(data.x, random.Int(1, 6), random);
    if (trial % 3 == 1 || trial % 5 == 0) Spoil(data.w, random.Int(1, 3), random);
    if (trial % 3 == 2 || trial % 5 == 0) Spoil(data.bias, random.Int(1, 3), random);
    CheckExactly(g, data);
  }
}

// Large sums are finite, but not all of their Winograd transforms.
TEST_F(WinogradBlockTest, SumsNearTheLargestFloatDoNotOverflow) {
  const ConvBlockGeometry g = Geometry({.batch = 1, .in_h = 6, .in_w = 6, .in_c = 5, .out_c = 8});
  Data data{Tensor::Full(InputShape(g.conv), 1.5e38, DType::kFloat32),
            Tensor::Full(KernelShape(g.conv), 0, DType::kFloat32),
            Tensor::Full({g.conv.out_c}, 0, DType::kFloat32)};
  for (int64_t i = 0; i < 8; ++i) data.w.mutable_data<float>()[4 * 5 * 8 + i] = 2;  // the middle
  ForEachTarget([&] { CheckExactly(g, data); });
}

TEST_F(WinogradBlockTest, BitsDoNotDependOnThreads) {
  Random random(5);
  for (const Sizes& sizes :
       {Sizes{.batch = 37, .in_h = 13, .in_w = 13, .in_c = 32, .out_c = 64},
        Sizes{.batch = 5, .in_h = 17, .in_w = 19, .in_c = 40, .out_c = 72, .top = 1, .left = 1},
        Sizes{.batch = 9, .in_h = 12, .in_w = 15, .in_c = 17, .out_c = 33, .pool = false}}) {
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    const Data data = RandomData(g, random, 100'000, 65536);
    SetNumThreads(1);
    const Forward serial = RunForward(g, data);
    for (const int threads : {2, 3, 8}) {
      SetNumThreads(threads);
      const Forward parallel = RunForward(g, data);
      EXPECT_TRUE(BitwiseEqual(serial.y, parallel.y)) << threads;
      EXPECT_TRUE(BitwiseEqual(serial.winners, parallel.winners)) << threads;
    }
  }
}

TEST(WinogradBlockChoiceTest, TakesDense3x3KernelsWithEnoughChannels) {
  const ConvBlockGeometry g =
      Geometry({.batch = 128, .in_h = 13, .in_w = 13, .in_c = 32, .out_c = 64});
  EXPECT_TRUE(PrefersWinogradBlock(g));
  EXPECT_TRUE(PrefersWinogradBlockBackward(g));
  const auto expect_neither = [&](auto change) {
    ConvBlockGeometry changed = g;
    change(changed.conv);
    EXPECT_FALSE(PrefersWinogradBlock(changed));
    EXPECT_FALSE(PrefersWinogradBlockBackward(changed));
  };
  expect_neither([](Conv2dGeometry& c) { c.kernel_h = 5; });
  expect_neither([](Conv2dGeometry& c) { c.kernel_w = 1; });
  expect_neither([](Conv2dGeometry& c) { c.stride_h = 2; });
  expect_neither([](Conv2dGeometry& c) { c.dilation_w = 2; });
  expect_neither([](Conv2dGeometry& c) { c.groups = 2; });
  expect_neither([](Conv2dGeometry& c) { c.batch = 0; });
  expect_neither([](Conv2dGeometry& c) { c.in_c = 5; });
  expect_neither([](Conv2dGeometry& c) { c.out_c = 7; });
  expect_neither([](Conv2dGeometry& c) { c.out_h = 1; });  // no window

  ConvBlockGeometry unpooled = g;
  unpooled.pool = false;
  EXPECT_TRUE(PrefersWinogradBlock(unpooled));
  EXPECT_FALSE(PrefersWinogradBlockBackward(unpooled));
  unpooled.conv.out_h = unpooled.conv.out_w = 1;  // three quarters of the tile are past the edge
  EXPECT_FALSE(PrefersWinogradBlock(unpooled));
}

}  // namespace
}  // namespace wengert
