// The direct convolution blocks and their gradients: against loops in double, against the ops one
// by one, ties, values that are not finite, bits.
// clang-format off
#include "ops/kernels/simd_targets.h"
// clang-format on

#include "ops/kernels/conv_block_direct.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/parallel.h"
#include "tests/ops/conv_block_direct_runs.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

bool SameValue(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

class ConvBlockDirectTest : public testing::Test {
 protected:
  static ConvBlockGeometry Mnist(int64_t batch, bool pool) {
    ConvBlockGeometry g{.conv = {.batch = batch, .in_h = 28, .in_w = 28, .in_c = 1, .out_c = 32},
                        .bias = true,
                        .relu = true,
                        .pool = pool};
    g.conv.kernel_h = g.conv.kernel_w = 3;
    Random::SetOutputSize(g);
    return g;
  }

  const std::vector<int64_t> targets_ = hwy::SupportedAndGeneratedTargets();
  KernelSettings settings_;
};

std::string Describe(const ConvBlockGeometry& g) {
  const Conv2dGeometry& c = g.conv;
  std::string text;
  for (const int64_t value : {c.batch, c.in_h, c.in_w, c.in_c, c.out_c, c.kernel_h, c.kernel_w,
                              c.pad_top, c.pad_left, c.pad_bottom, c.pad_right}) {
    text += std::to_string(value) + " ";
  }
  return text + (g.bias ? "bias " : "") + (g.relu ? "relu " : "") + (g.pool ? "pool" : "");
}

TEST_F(ConvBlockDirectTest, RandomBlocksMatchLoops) {
  Random random(1);
  for (int trial = 0; trial < 200 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const ConvBlockGeometry g = random.Geometry();
    SCOPED_TRACE(Describe(g));
    const Inputs in = random.For(g);
    CheckAgainstLoops(g, in, RunBlock(g, in));
  }
}

// Every bit of the values; the winners may differ only between pixels that rounding made equal.
TEST_F(ConvBlockDirectTest, ValuesAreThoseOfTheOps) {
  Random random(2);
  for (int trial = 0; trial < 100; ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    ConvBlockGeometry g = random.Geometry();
    g.conv.in_c = 1;  // with more, conv2d alone is oneDNN's
    SCOPED_TRACE(Describe(g));
    const Inputs in = random.For(g);
    const Block block = RunBlock(g, in);
    const Ops ops = RunOps(g, in);
    ASSERT_TRUE(block.y == ops.y.ToVector<float>());
    const Floats activation = ops.activation.ToVector<float>();
    for (size_t i = 0; i < block.winners.size(); ++i) {
      ASSERT_EQ(activation[PixelIndex(g, i, block.winners[i])], block.y[i]) << "at " << i;
    }
    if (!g.pool) {
      ASSERT_TRUE(block.dw == ops.dw.ToVector<float>());
    }
  }
}

// Small integers: every sum is exact, and most windows have ties.
TEST_F(ConvBlockDirectTest, TiesGoToTheFirst) {
  Random random(3);
  for (int trial = 0; trial < 100; ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    ConvBlockGeometry g = random.Geometry();
    g.pool = true;
    SCOPED_TRACE(Describe(g));
    Inputs in = random.For(g);
    in.x = random.Integers(in.x.size(), 1), in.w = random.Integers(in.w.size(), 1);
    in.bias = random.Integers(in.bias.size(), 1), in.dy = random.Integers(in.dy.size(), 8);
    const Block block = RunBlock(g, in);
    const Ops ops = RunOps(g, in);
    ASSERT_EQ(block.y, ops.y.ToVector<float>());
    ASSERT_EQ(block.winners, ops.winners.ToVector<uint8_t>());
    ASSERT_EQ(block.dx, ops.dx.ToVector<float>());
    ASSERT_EQ(block.dw, ops.dw.ToVector<float>());
    if (g.bias) {
      ASSERT_EQ(block.dbias, ops.dbias.ToVector<float>());
    }
  }
}

TEST_F(ConvBlockDirectTest, NegativeWindowsHaveNoGradient) {
  Random random(4);
  const ConvBlockGeometry g = Mnist(3, true);
  Inputs in = random.For(g);
  for (float& bias : in.bias) bias = -20;
  const Block block = RunBlock(g, in);
  EXPECT_THAT(block.y, testing::Each(0.0f));
  EXPECT_THAT(block.winners, testing::Each(0));
  EXPECT_THAT(block.dx, testing::Each(0.0f));
  EXPECT_THAT(block.dw, testing::Each(0.0f));
  EXPECT_THAT(block.dbias, testing::Each(0.0f));
}

// A few values that are not finite, in one of the inputs: values, winners and gradients are those
// of the ops. Without padding, whose zeros float64 does not multiply.
TEST_F(ConvBlockDirectTest, NanAndInfinityAreThoseOfTheOps) {
  Random random(5);
  for (int trial = 0; trial < 240; ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    ConvBlockGeometry g = random.Geometry();
    g.conv.pad_top = g.conv.pad_bottom = g.conv.pad_left = g.conv.pad_right = 0;
    Random::SetOutputSize(g);
    SCOPED_TRACE(Describe(g));
    Inputs in = random.For(g);
    Floats* const where[] = {&in.x, &in.w, &in.bias, &in.dy};
    Floats& spoilt = *where[trial % 4];
    for (int i = 0; i < 2; ++i) {
      const float values[] = {kNan, kInfinity, -kInfinity};
      spoilt[random.Int(0, spoilt.size() - 1)] = values[random.Int(0, 2)];
    }
    const Block block = RunBlock(g, in);
    const Ops ops = RunOps(g, in), exact = RunOps(g, in, DType::kFloat64);
    const auto compare = [&](const char* name, const Floats& actual, const Tensor& op,
                             const Tensor& reference) {
      SCOPED_TRACE(name);
      const Doubles values = op.ToVector<double>(), references = reference.ToVector<double>();
      for (size_t i = 0; i < actual.size(); ++i) {
        if (std::isfinite(values[i])) {
          ASSERT_NEAR(actual[i], values[i], 1e-4) << "at " << i;
        } else {
          ASSERT_TRUE(SameValue(actual[i], values[i])) << actual[i] << " at " << i;
        }
        ASSERT_EQ(std::isfinite(actual[i]), std::isfinite(references[i])) << "at " << i;
      }
    };
    compare("y", block.y, ops.y, exact.y);
    compare("dx", block.dx, ops.dx, exact.dx);
    compare("dw", block.dw, ops.dw, exact.dw);
    if (g.bias) compare("dbias", block.dbias, ops.dbias, exact.dbias);
    if (g.pool) {
      ASSERT_EQ(block.winners, ops.winners.ToVector<uint8_t>());
    }
    if (HasFatalFailure()) return;
  }
}

// Finite inputs whose products are not.
TEST_F(ConvBlockDirectTest, OverflowIsThatOfTheOps) {
  Random random(6);
  ConvBlockGeometry g = Mnist(2, true);
  Inputs in = random.For(g);
  for (float& x : in.x) x *= 1e21f;
  for (float& w : in.w) w *= 1e19f;
  const Block block = RunBlock(g, in);
  const Ops ops = RunOps(g, in);
  const Floats y = ops.y.ToVector<float>();
  EXPECT_THAT(y, testing::Contains(kInfinity));
  for (size_t i = 0; i < y.size(); ++i) ASSERT_TRUE(SameValue(block.y[i], y[i])) << "at " << i;
  EXPECT_EQ(block.winners, ops.winners.ToVector<uint8_t>());
}

// Sums over more pixels than float32 could add up one by one.
TEST_F(ConvBlockDirectTest, LongSumsAreAccurate) {
  Random random(7);
  for (const bool pool : {false, true}) {
    ConvBlockGeometry g = Mnist(150, pool);
    g.conv.out_c = 16;
    Inputs in = random.For(g);
    for (float& x : in.x) x = 1 + x / 1024;
    for (float& dy : in.dy) dy = 1 + dy / 1024;
    for (float& bias : in.bias) bias = 10;
    CheckAgainstLoops(g, in, RunBlock(g, in));
  }
}

TEST_F(ConvBlockDirectTest, BitsDoNotDependOnThreads) {
  Random random(8);
  std::vector<ConvBlockGeometry> list = {Mnist(37, true), Mnist(20, false)};
  for (const int64_t batch : {1, 9}) {
    ConvBlockGeometry g{.conv = {.batch = batch, .in_h = 61, .in_w = 40, .in_c = 3, .out_c = 70},
                        .bias = true,
                        .relu = true,
                        .pool = true};
    g.conv.kernel_h = 3, g.conv.kernel_w = 4, g.conv.pad_top = 1, g.conv.pad_right = 2;
    Random::SetOutputSize(g);
    list.push_back(g);
  }
  for (const ConvBlockGeometry& g : list) {
    SCOPED_TRACE(Describe(g));
    const Inputs in = random.For(g);
    SetNumThreads(1);
    const Block serial = RunBlock(g, in);
    for (const int threads : {2, 3, 8}) {
      SetNumThreads(threads);
      EXPECT_TRUE(RunBlock(g, in) == serial) << threads << " threads";
    }
  }
}

TEST_F(ConvBlockDirectTest, WhatIsNotWantedIsNotWritten) {
  Random random(9);
  const ConvBlockGeometry g = Mnist(2, true);
  const Inputs in = random.For(g);
  const Block all = RunBlock(g, in);
  Floats y(all.y.size()), dw(all.dw.size()), dbias(all.dbias.size());
  DirectBlockForward(g, in.x.data(), in.w.data(), in.bias.data(), y.data(), nullptr);
  EXPECT_EQ(y, all.y);
  const auto backward = [&](float* dw, float* dbias) {
    DirectBlockBackward(g, in.x.data(), in.w.data(), y.data(), all.winners.data(), in.dy.data(),
                        nullptr, dw, dbias);
  };
  backward(dw.data(), nullptr);
  backward(nullptr, dbias.data());
  EXPECT_EQ(dw, all.dw);
  EXPECT_EQ(dbias, all.dbias);
}

TEST_F(ConvBlockDirectTest, TakesFewDenseChannelsOnly) {
  const ConvBlockGeometry g = Mnist(128, true);
  EXPECT_TRUE(PrefersDirectBlock(g));
  const auto prefers = [&](auto change) {
    ConvBlockGeometry changed = g;
    change(changed.conv);
    return PrefersDirectBlock(changed);
  };
  EXPECT_TRUE(prefers([](Conv2dGeometry& c) { c.in_c = 4; }));
  EXPECT_FALSE(prefers([](Conv2dGeometry& c) { c.in_c = 5; }));
  EXPECT_FALSE(prefers([](Conv2dGeometry& c) { c.stride_w = 2; }));
  EXPECT_FALSE(prefers([](Conv2dGeometry& c) { c.dilation_h = 2; }));
  EXPECT_FALSE(prefers([](Conv2dGeometry& c) { c.batch = 0; }));
  EXPECT_FALSE(prefers([](Conv2dGeometry& c) { c.out_c = 3; }));
  EXPECT_FALSE(prefers([](Conv2dGeometry& c) { c.out_h = 1; }));
  EXPECT_FALSE(prefers([](Conv2dGeometry& c) { c.kernel_h = 10; }));
  ConvBlockGeometry unpooled = Mnist(128, false);
  EXPECT_TRUE(PrefersDirectBlock(unpooled));
  unpooled.conv.in_c = 2;
  EXPECT_FALSE(PrefersDirectBlock(unpooled));
}

}  // namespace
}  // namespace wengert
