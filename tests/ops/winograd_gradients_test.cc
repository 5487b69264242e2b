// The gradients of a 3x3 convolution by Winograd's filtering: against loops in double, infinities
// and NaN, bits.
// clang-format off
#include "ops/kernels/simd_targets.h"
// clang-format on

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "ops/kernels/convolution.h"
#include "ops/kernels/winograd.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"
#include "tests/ops/conv_block_winograd_cases.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

using Values = std::vector<double>;

Shape OutputGradientShape(const Conv2dGeometry& g) { return {g.batch, g.out_h, g.out_w, g.out_c}; }

// Calls f(x offset, w offset, dy offset) for each product of the convolution.
template <class F>
void ForEachProduct(const Conv2dGeometry& g, F f) {
  for (int64_t p = 0; p < g.batch * g.out_h * g.out_w; ++p) {
    const int64_t n = p / g.out_w / g.out_h, oh = p / g.out_w % g.out_h, ow = p % g.out_w;
    for (int64_t tap = 0; tap < 9; ++tap) {
      const int64_t h = oh + tap / 3 - g.pad_top, v = ow + tap % 3 - g.pad_left;
      if (h < 0 || h >= g.in_h || v < 0 || v >= g.in_w) continue;
      for (int64_t i = 0; i < g.in_c; ++i) {
        for (int64_t o = 0; o < g.out_c; ++o) {
          f(((n * g.in_h + h) * g.in_w + v) * g.in_c + i, (tap * g.in_c + i) * g.out_c + o,
            p * g.out_c + o);
        }
      }
    }
  }
}

struct Gradients {
  Values dx, dw;
};
Gradients Loops(const Conv2dGeometry& g, const Tensor& x, const Tensor& w, const Tensor& dy) {
  Gradients result{Values(x.size()), Values(w.size())};
  ForEachProduct(g, [&](int64_t xi, int64_t wi, int64_t yi) {
    const double gradient = dy.data<float>()[yi];
    result.dx[xi] += gradient * w.data<float>()[wi];
    result.dw[wi] += gradient * x.data<float>()[xi];
  });
  return result;
}

struct Results {
  Tensor dx, dw;
};
Results Winograd(const Conv2dGeometry& g, const Tensor& x, const Tensor& w, const Tensor& dy) {
  Results results{Tensor::Full(x.shape(), -1, DType::kFloat32),
                  Tensor::Full(w.shape(), -1, DType::kFloat32)};
  WinogradInputGradient(g, dy.data<float>(), w.data<float>(), results.dx.mutable_data<float>());
  WinogradKernelGradient(g, x.data<float>(), dy.data<float>(), results.dw.mutable_data<float>());
  return results;
}

class WinogradGradientsTest : public testing::Test {
 protected:
  // Runs `check` with random shapes and data, and every target in turn.
  template <class F>
  void ForRandom(uint32_t seed, int trials, int64_t bound, float scale, F check) {
    Random random(seed);
    for (int trial = 0; trial < trials && !HasFatalFailure(); ++trial) {
      UseTargets(targets_[trial % targets_.size()]);
      const Sizes sizes = RandomSizes(random);
      SCOPED_TRACE(Describe(sizes));
      const Conv2dGeometry g = Geometry(sizes).conv;
      check(g, random.Values(InputShape(g), bound, scale),
            random.Values(KernelShape(g), bound, scale),
            random.Values(OutputGradientShape(g), bound, scale), random);
    }
  }

  const std::vector<int64_t> targets_ = hwy::SupportedAndGeneratedTargets();
  KernelSettings settings_;
};

TEST_F(WinogradGradientsTest, RandomShapesMatchLoops) {
  ForRandom(1, 60, 100'000, 65536,
            [](const Conv2dGeometry& g, const Tensor& x, const Tensor& w, const Tensor& dy, auto&) {
              const Gradients expected = Loops(g, x, w, dy);
              const Results actual = Winograd(g, x, w, dy);
              ExpectNear(actual.dx, expected.dx, 1e-6);
              ExpectNear(actual.dw, expected.dw, 2e-6);
            });
}

// Small integers: every sum is exact.
TEST_F(WinogradGradientsTest, IntegersAreExact) {
  ForRandom(2, 40, 2, 1,
            [](const Conv2dGeometry& g, const Tensor& x, const Tensor& w, const Tensor& dy, auto&) {
              const Gradients expected = Loops(g, x, w, dy);
              const Results actual = Winograd(g, x, w, dy);
              ExpectSame(actual.dx, expected.dx);
              ExpectSame(actual.dw, expected.dw);
            });
}

TEST_F(WinogradGradientsTest, InfinitiesAndNanStayWhereTheDirectSumsHaveThem) {
  ForRandom(3, 40, 2, 1,
            [](const Conv2dGeometry& g, const Tensor& x, const Tensor& w, const Tensor& dy,
               Random& random) {
              Spoil(random.Int(0, 1) ? dy : x, random.Int(1, 3), random);
              if (random.Int(0, 2) == 0) Spoil(w, 1, random);
              const Gradients expected = Loops(g, x, w, dy);
              const Results actual = Winograd(g, x, w, dy);
              ExpectSame(actual.dx, expected.dx);
              ExpectSame(actual.dw, expected.dw);
            });
}

// Tiles enough for several groups, steps and panels; and what convolution.h chooses for it.
TEST_F(WinogradGradientsTest, LargeShapesMatchLoopsOnAnyNumberOfThreads) {
  Random random(4);
  for (const Sizes& sizes : {Sizes{30, 14, 12, 24, 70, 1, 1, 1, 1}, Sizes{90, 7, 8, 40, 33},
                             Sizes{4, 32, 32, 16, 150, 1, 1, 1, 1}}) {
    SCOPED_TRACE(Describe(sizes));
    const Conv2dGeometry g = Geometry(sizes).conv;
    const Tensor x = random.Values(InputShape(g), 1000, 512);
    const Tensor w = random.Values(KernelShape(g), 1000, 512);
    const Tensor dy = random.Values(OutputGradientShape(g), 1000, 512);
    const Gradients expected = Loops(g, x, w, dy);
    SetNumThreads(1);
    const Results serial = Winograd(g, x, w, dy);
    ExpectNear(serial.dx, expected.dx, 1e-6);
    ExpectNear(serial.dw, expected.dw, 3e-6);
    for (const int threads : {2, 3, 8}) {
      SetNumThreads(threads);
      const Results parallel = Winograd(g, x, w, dy);
      EXPECT_TRUE(BitwiseEqual(parallel.dx, serial.dx)) << threads;
      EXPECT_TRUE(BitwiseEqual(parallel.dw, serial.dw)) << threads;
    }
    Results chosen{Tensor::Empty(x.shape()), Tensor::Empty(w.shape())};
    ConvolutionInputGradient(g, dy.data<float>(), w.data<float>(), chosen.dx.mutable_data<float>());
    ConvolutionKernelGradient(g, x.data<float>(), dy.data<float>(),
                              chosen.dw.mutable_data<float>());
    ExpectNear(chosen.dx, expected.dx, 1e-6);
    ExpectNear(chosen.dw, expected.dw, 3e-6);
  }
}

}  // namespace
}  // namespace wengert
