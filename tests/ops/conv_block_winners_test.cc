// The convolution block's gradients through the winners of its pooling: against loops in double,
// infinities and NaN, bits.
// clang-format off
#include "ops/kernels/simd_targets.h"
// clang-format on

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "ops/kernels/conv_block_winograd.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"
#include "tests/ops/conv_block_winograd_cases.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

struct Gradients {
  Tensor dx, dw, dbias;
};
Gradients RunBackward(const ConvBlockGeometry& g, const Data& data, const Forward& forward,
                      const Tensor& dy) {
  Gradients result{Tensor::Full(data.x.shape(), 7), Tensor::Full(data.w.shape(), 7),
                   Tensor::Full(data.bias.shape(), 7)};
  WinogradBlockBackward(g, data.x.data<float>(), data.w.data<float>(), forward.y.data<float>(),
                        forward.winners.data<uint8_t>(), dy.data<float>(),
                        result.dx.mutable_data<float>(), result.dw.mutable_data<float>(),
                        result.dbias.mutable_data<float>());
  return result;
}

// The gradients in double through the convolution's whole output gradient, zeros included.
struct GradientLoops {
  GradientLoops(const ConvBlockGeometry& block, const Data& data, const Forward& forward,
                const Tensor& dy)
      : dx(data.x.size()), dw(data.w.size()), dbias(data.bias.size()) {
    const Conv2dGeometry& g = block.conv;
    const Shape out = OutputShape(block);
    std::vector<double> full(g.batch * g.out_h * g.out_w * g.out_c);
    for (int64_t i = 0; i < dy.size(); ++i) {
      if (block.relu && !(forward.y.data<float>()[i] > 0)) continue;
      const int64_t c = i % out[3], w = i / out[3] % out[2], h = i / out[3] / out[2] % out[1];
      const int64_t n = i / out[3] / out[2] / out[1], winner = forward.winners.data<uint8_t>()[i];
      const int64_t row = 2 * h + winner / 2, column = 2 * w + winner % 2;
      full[((n * g.out_h + row) * g.out_w + column) * g.out_c + c] = dy.data<float>()[i];
    }
    for (int64_t p = 0; p < g.batch * g.out_h * g.out_w; ++p) {
      const int64_t n = p / g.out_w / g.out_h, oh = p / g.out_w % g.out_h, ow = p % g.out_w;
      const double* const gradient = full.data() + p * g.out_c;
      for (int64_t c = 0; c < g.out_c; ++c) dbias[c] += gradient[c];
      for (int64_t tap = 0; tap < 9; ++tap) {
        const int64_t h = oh + tap / 3 - g.pad_top, v = ow + tap % 3 - g.pad_left;
        if (h < 0 || h >= g.in_h || v < 0 || v >= g.in_w) continue;
        for (int64_t i = 0; i < g.in_c; ++i) {
          const int64_t x = ((n * g.in_h + h) * g.in_w + v) * g.in_c + i;
          const int64_t w = (tap * g.in_c + i) * g.out_c;
          const double pixel = data.x.data<float>()[x];
          double sum = 0;
          for (int64_t c = 0; c < g.out_c; ++c) {
            sum += gradient[c] * data.w.data<float>()[w + c];
            dw[w + c] += gradient[c] * pixel;
          }
          dx[x] += sum;
        }
      }
    }
  }
  std::vector<double> dx, dw, dbias;
};

// Backward against the loops, exactly.
void CheckGradientsExactly(const ConvBlockGeometry& g, const Data& data, const Forward& forward,
                           const Tensor& dy) {
  const GradientLoops expected(g, data, forward, dy);
  const Gradients actual = RunBackward(g, data, forward, dy);
  SCOPED_TRACE("dx, dw, dbias");
  ExpectSame(actual.dx, expected.dx);
  ExpectSame(actual.dw, expected.dw);
  ExpectSame(actual.dbias, expected.dbias);
}

class WinnersTest : public testing::Test {
 protected:
  const std::vector<int64_t> targets_ = hwy::SupportedAndGeneratedTargets();
  KernelSettings settings_;
};

Sizes RandomPooledSizes(Random& random) {
  Sizes sizes = RandomSizes(random);
  while (!sizes.pool) sizes = RandomSizes(random);
  return sizes;
}

TEST_F(WinnersTest, GradientsMatchLoops) {
  Random random(6);
  for (int trial = 0; trial < 45 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    Sizes sizes = RandomPooledSizes(random);
    if (trial % 9 == 0) sizes.in_w = random.Int(60, 80);  // several bands in an image
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    const Data data = RandomData(g, random, 100'000, 65536);
    const Forward forward = RunForward(g, data);
    const Tensor dy = random.Values(OutputShape(g), 100'000, 65536);
    const GradientLoops expected(g, data, forward, dy);
    const Gradients actual = RunBackward(g, data, forward, dy);
    ExpectNear(actual.dx, expected.dx, 1e-6);
    ExpectNear(actual.dw, expected.dw, 1e-6);
    ExpectNear(actual.dbias, expected.dbias, 1e-6);
  }
}

// With many windows that pass nothing: all negative, or dy zero.
TEST_F(WinnersTest, GradientsOfIntegersAreExact) {
  Random random(7);
  for (int trial = 0; trial < 45 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const ConvBlockGeometry g = Geometry(RandomPooledSizes(random));
    Data data = RandomData(g, random, 1, 1);
    for (int64_t c = 0; c < g.conv.out_c; ++c) data.bias.mutable_data<float>()[c] -= 4;
    CheckGradientsExactly(g, data, RunForward(g, data), random.Values(OutputShape(g), 1, 1));
  }
}

// Zeros that the visit to the winners leaves out give NaN where they meet an infinity or NaN.
TEST_F(WinnersTest, InfinitiesAndNanReachTheGradientsOfADirectConvolution) {
  Random random(8);
  for (int trial = 0; trial < 45 && !HasFatalFailure(); ++trial) {
    UseTargets(targets_[trial % targets_.size()]);
    const Sizes sizes = RandomPooledSizes(random);
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    const Data data = RandomData(g, random, 2, 1);
    const Tensor dy = random.Values(OutputShape(g), 2, 1);
    if (trial % 3 == 0 || trial % 5 == 0) Spoil(data.x, random.Int(1, 2), random);
    if (trial % 3 == 1 || trial % 5 == 0) Spoil(data.w, 1, random);
    const Forward forward = RunForward(g, data);
    if (trial % 3 == 2 || trial % 5 == 0) Spoil(dy, random.Int(1, 3), random);
    CheckGradientsExactly(g, data, forward, dy);
  }
}

// The last row and column of 5x5 outputs are in no window, but a direct convolution's sums have
// them, times 0.
TEST_F(WinnersTest, NanThatNoWindowReadsReachesTheKernel) {
  Random random(10);
  const ConvBlockGeometry g = Geometry({.batch = 2, .in_h = 7, .in_w = 7, .in_c = 6, .out_c = 9});
  for (const int64_t pixel : {6 * 7 + 1, 2 * 7 + 6}) {
    Data data = RandomData(g, random, 2, 1);
    data.x.mutable_data<float>()[pixel * 6 + 3] = kNan;
    const Forward forward = RunForward(g, data);
    ForEachTarget(
        [&] { CheckGradientsExactly(g, data, forward, random.Values(OutputShape(g), 2, 1)); });
  }
}

TEST_F(WinnersTest, GradientsThatAreNotWantedAreLeftOut) {
  Random random(9);
  const ConvBlockGeometry g = Geometry({.batch = 2, .in_h = 9, .in_w = 8, .in_c = 20, .out_c = 30});
  const Data data = RandomData(g, random, 2, 1);
  const Forward forward = RunForward(g, data);
  const Tensor dy = random.Values(OutputShape(g), 2, 1);
  const Gradients all = RunBackward(g, data, forward, dy);
  for (int wanted = 0; wanted < 8; ++wanted) {
    Gradients some{Tensor::Full(data.x.shape(), 7), Tensor::Full(data.w.shape(), 7),
                   Tensor::Full(data.bias.shape(), 7)};
    const auto pointer = [&](int bit, Tensor& tensor) {
      return (wanted & bit) != 0 ? tensor.mutable_data<float>() : nullptr;
    };
    WinogradBlockBackward(g, data.x.data<float>(), data.w.data<float>(), forward.y.data<float>(),
                          forward.winners.data<uint8_t>(), dy.data<float>(), pointer(1, some.dx),
                          pointer(2, some.dw), pointer(4, some.dbias));
    EXPECT_EQ(BitwiseEqual(some.dx, all.dx), (wanted & 1) != 0);
    EXPECT_EQ(BitwiseEqual(some.dw, all.dw), (wanted & 2) != 0);
    EXPECT_EQ(BitwiseEqual(some.dbias, all.dbias), (wanted & 4) != 0);
  }
}

TEST_F(WinnersTest, BitsDoNotDependOnThreads) {
  Random random(5);
  for (const Sizes& sizes :
       {Sizes{.batch = 37, .in_h = 13, .in_w = 13, .in_c = 32, .out_c = 64},
        Sizes{.batch = 5, .in_h = 40, .in_w = 47, .in_c = 40, .out_c = 72, .top = 1, .left = 1}}) {
    SCOPED_TRACE(Describe(sizes));
    const ConvBlockGeometry g = Geometry(sizes);
    const Data data = RandomData(g, random, 100'000, 65536);
    const Forward forward = RunForward(g, data);
    const Tensor dy = random.Values(OutputShape(g), 100'000, 65536);
    SetNumThreads(1);
    const Gradients serial = RunBackward(g, data, forward, dy);
    for (const int threads : {2, 3, 8}) {
      SetNumThreads(threads);
      const Gradients parallel = RunBackward(g, data, forward, dy);
      EXPECT_TRUE(BitwiseEqual(serial.dx, parallel.dx)) << threads;
      EXPECT_TRUE(BitwiseEqual(serial.dw, parallel.dw)) << threads;
      EXPECT_TRUE(BitwiseEqual(serial.dbias, parallel.dbias)) << threads;
    }
  }
}

}  // namespace
}  // namespace wengert
