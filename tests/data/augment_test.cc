// Affine maps of images against moved pixels, a turned image and a bilinear interpolation of its
// own; what is drawn, and for whom.
#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

// Numbers without a pattern, 1 to 250, in dtype.
Tensor Images(const Shape& shape, DType dtype = DType::kFloat32) {
  Tensor images = Tensor::Empty(shape, DType::kFloat32);
  for (int64_t i = 0; i < images.size(); ++i) {
    images.mutable_data<float>()[i] = static_cast<float>(1 + (i * i * 31 + i * 17) % 250);
  }
  return images.To(dtype);
}
Tensor Apply(const Tensor& images, const AffineMap& map) {
  return ApplyAffine(images, std::vector<AffineMap>(images.dim(0), map));
}
double At(const Tensor& images, int64_t n, int64_t row, int64_t column, int64_t channel) {
  const bool inside = row >= 0 && row < images.dim(1) && column >= 0 && column < images.dim(2);
  return inside ? images.Narrow(0, n, 1)
                      .Narrow(1, row, 1)
                      .Narrow(2, column, 1)
                      .Narrow(3, channel, 1)
                      .To(DType::kFloat64)
                      .Reshape({})
                      .item<double>()
                : 0;
}

// Calls expect(n, row, column, channel) for every pixel.
void ForEachPixel(const Tensor& images,
                  const std::function<void(int64_t, int64_t, int64_t, int64_t)>& expect) {
  for (int64_t n = 0; n < images.dim(0); ++n) {
    for (int64_t row = 0; row < images.dim(1); ++row) {
      for (int64_t column = 0; column < images.dim(2); ++column) {
        for (int64_t c = 0; c < images.dim(3); ++c) expect(n, row, column, c);
      }
    }
  }
}

TEST(AugmentTest, TheMapThatChangesNothingGivesTheSameBits) {
  for (const DType dtype : {DType::kFloat32, DType::kUInt8}) {
    for (const Shape& shape : {Shape{3, 28, 28, 1}, {2, 5, 8, 3}, {1, 1, 1, 1}, {0, 4, 4, 1}}) {
      const Tensor images = Images(shape, dtype);
      EXPECT_TRUE(BitwiseEqual(Apply(images, {}), images)) << ToString(shape);
    }
  }
}

TEST(AugmentTest, WholePixelsMove) {
  for (const DType dtype : {DType::kFloat32, DType::kUInt8}) {
    const Tensor images = Images({2, 6, 9, 2}, dtype);
    for (const auto& [down, right] :
         {std::pair(1, 0), {0, -2}, {-3, 4}, {5, 8}, {6, 0}, {90, -90}}) {
      const Tensor moved = Apply(images, {.down = 1.0 * down, .right = 1.0 * right});
      ASSERT_EQ(moved.dtype(), dtype);
      ForEachPixel(images, [&, down = down, right = right](auto n, auto row, auto column, auto c) {
        EXPECT_EQ(At(moved, n, row, column, c), At(images, n, row - down, column - right, c));
      });
    }
  }
}

TEST(AugmentTest, AQuarterTurnIsCounterclockwise) {
  const Tensor images = Images({1, 7, 7, 1});
  const Tensor turned = Apply(images, {.degrees = 90});
  ForEachPixel(images, [&](auto n, auto row, auto column, auto c) {
    EXPECT_NEAR(At(turned, n, row, column, c), At(images, n, column, 6 - row, c), 1e-3);
  });
}

TEST(AugmentTest, TwiceAsLargeAboutTheCentre) {
  const Tensor images = Images({1, 7, 7, 2});
  const Tensor larger = Apply(images, {.scale = 2});
  for (const int64_t row : {-2, 0, 2}) {
    for (const int64_t column : {-2, 0, 2}) {
      EXPECT_EQ(At(larger, 0, 3 + row, 3 + column, 1),
                At(images, 0, 3 + row / 2, 3 + column / 2, 1));
    }
  }
  EXPECT_EQ(At(larger, 0, 3, 2, 0), (At(images, 0, 3, 3, 0) + At(images, 0, 3, 2, 0)) / 2);
}

// In float64, from where each pixel of the image goes, by complex numbers: its share of what lies
// closer than one pixel.
TEST(AugmentTest, AgreesWithAnotherInterpolation) {
  const Tensor images = Images({1, 8, 11, 2});
  const AffineMap map{.down = 1.3, .right = -0.7, .degrees = 20, .scale = 0.9};
  const Tensor mapped = Apply(images, map);
  const std::complex<double> turn = std::polar(map.scale, map.degrees * std::acos(-1) / 180);
  const std::complex<double> center(5, -3.5), move(map.right, -map.down);  // upwards is positive
  ForEachPixel(mapped, [&](auto n, auto row, auto column, auto c) {
    const std::complex<double> pixel(static_cast<double>(column), -static_cast<double>(row));
    const std::complex<double> from = (pixel - center - move) / turn + center;
    double expected = 0;
    ForEachPixel(images, [&](auto, auto y, auto x, auto channel) {
      const double near_x = 1 - std::abs(from.real() - static_cast<double>(x));
      const double near_y = 1 - std::abs(-from.imag() - static_cast<double>(y));
      if (channel == c && near_x > 0 && near_y > 0) {
        expected += near_x * near_y * At(images, 0, y, x, c);
      }
    });
    EXPECT_NEAR(At(mapped, n, row, column, c), expected, 1e-3);
  });
  // Bytes are rounded to the nearest.
  const Tensor bytes = Apply(images.To(DType::kUInt8), map);
  ForEachPixel(mapped, [&](auto n, auto row, auto column, auto c) {
    EXPECT_NEAR(At(bytes, n, row, column, c), At(mapped, n, row, column, c), 0.5001);
  });
}

TEST(AugmentTest, AFlatImageStaysFlatWithinItsEdges) {
  const Tensor flat = Tensor::Full({1, 28, 28, 1}, 200, DType::kUInt8);
  const Tensor mapped = Apply(flat, {.down = 2, .right = 1.5, .degrees = 15, .scale = 1.1});
  for (int64_t i = 10; i < 18; ++i) EXPECT_EQ(At(mapped, 0, i, i, 0), 200);
  // What is far away, or vast, is no matter.
  EXPECT_EQ(At(Apply(flat, {.down = 1e300}), 0, 4, 4, 0), 0);
  EXPECT_EQ(At(Apply(flat, {.scale = 1e300}), 0, 4, 4, 0), 200);
  EXPECT_EQ(At(Apply(flat, {.degrees = 45, .scale = 1e-308}), 0, 4, 4, 0), 0);
}

TEST(AugmentTest, EachImageHasItsMap) {
  const Tensor images = Images({3, 6, 6, 1});
  const std::vector<AffineMap> maps{{}, {.degrees = 30}, {.right = 2}};
  const Tensor mapped = ApplyAffine(images, maps);
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(BitwiseEqual(mapped.Narrow(0, i, 1), Apply(images.Narrow(0, i, 1), maps[i]))) << i;
  }
  const Tensor strided = Images({6, 6, 3, 1}).Permute({2, 0, 1, 3});
  EXPECT_TRUE(BitwiseEqual(ApplyAffine(strided, maps), ApplyAffine(strided.Contiguous(), maps)));
}

TEST(AugmentTest, DrawsUniformlyWithinTheBounds) {
  const std::vector<AffineMap> maps =
      DrawAffineMaps({.shift = 2, .rotate = 10, .scale = 0.1}, 7, 3, 0, 10000);
  const auto expect = [&](auto value, double middle, double most) {
    double sum = 0, squares = 0, farthest = 0;
    for (const AffineMap& map : maps) {
      const double x = (value(map) - middle) / most;
      sum += x, squares += x * x, farthest = std::max(farthest, std::abs(x));
    }
    EXPECT_LE(farthest, 1);
    EXPECT_GT(farthest, 0.99);
    EXPECT_NEAR(sum / 10000, 0, 0.03);  // 5 standard deviations
    EXPECT_NEAR(squares / 10000, 1.0 / 3, 0.02);
  };
  expect([](const AffineMap& map) { return map.down; }, 0, 2);
  expect([](const AffineMap& map) { return map.right; }, 0, 2);
  expect([](const AffineMap& map) { return map.degrees; }, 0, 10);
  expect([](const AffineMap& map) { return map.scale; }, 1, 0.1);
}

TEST(AugmentTest, AMapBelongsToSeedEpochAndPlace) {
  const AugmentOptions options{.shift = 2, .rotate = 10, .scale = 0.1};
  const auto draw = [&](uint64_t seed, int64_t epoch, int64_t first) {
    return DrawAffineMaps(options, seed, epoch, first, 1)[0].degrees;
  };
  EXPECT_EQ(DrawAffineMaps(options, 1, 2, 0, 9)[5].degrees, draw(1, 2, 5));
  EXPECT_NE(draw(1, 2, 5), draw(2, 2, 5));
  EXPECT_NE(draw(1, 2, 5), draw(1, 3, 5));
  EXPECT_NE(draw(1, 2, 5), draw(1, 2, 6));
  const AffineMap map = DrawAffineMaps({.rotate = 10}, 1, 2, 5, 1)[0];
  EXPECT_EQ(map.down, 0);
  EXPECT_EQ(map.right, 0);
  EXPECT_EQ(map.scale, 1);
}

TEST(AugmentTest, MisuseThrows) {
  const auto apply = [](const Tensor& images, std::vector<AffineMap> maps) {
    return ThrownMessage([&] { ApplyAffine(images, maps); });
  };
  EXPECT_EQ(apply(Tensor(), {}), "[augment] the images are undefined");
  EXPECT_EQ(apply(Images({2, 4, 4}), {{}, {}}),
            "[augment] images are [2,4,4], expected [N, H, W, C]");
  EXPECT_EQ(apply(Images({1, 4, 4, 1}, DType::kInt32), {{}}),
            "[augment] images are int32, expected uint8 or float32");
  EXPECT_EQ(apply(Tensor::Zeros({1, 1, 1, 1}).Expand({1, 50000, 50000, 1}), {{}}),
            "[augment] images of [1,50000,50000,1] are too large");
  EXPECT_EQ(apply(Images({2, 4, 4, 1}), {{}}), "[augment] 1 maps of 2 images");
  EXPECT_EQ(apply(Images({1, 4, 4, 1}), {{.down = 1, .scale = 0}}),
            "[augment] a map moves by (1, 0), rotates by 0 and scales by 0");
  EXPECT_EQ(apply(Images({1, 4, 4, 1}), {{.degrees = std::nan("")}}),
            "[augment] a map moves by (0, 0), rotates by nan and scales by 1");
  const auto check = [](const AugmentOptions& options) {
    return ThrownMessage([&] { CheckAugmentOptions(options); });
  };
  EXPECT_EQ(check({.shift = -1}), "[augment] shift is -1, expected 0 or more");
  EXPECT_EQ(check({.rotate = std::numeric_limits<double>::infinity()}),
            "[augment] rotate is inf, expected 0 or more");
  EXPECT_EQ(check({.scale = 1}), "[augment] scale is 1, expected from 0 to below 1");
  EXPECT_EQ(check({.scale = std::nan("")}), "[augment] scale is nan, expected from 0 to below 1");
  EXPECT_EQ(ThrownMessage([] { DrawAffineMaps({.shift = -1}, 0, 0, 0, 1); }),
            "[augment] shift is -1, expected 0 or more");
}

}  // namespace
}  // namespace wengert
