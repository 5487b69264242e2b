// Pictures of digits: what becomes of them before they are read, and the heat maps after.
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "data/mnist.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/digits/digit.h"
#include "models/digits/explain.h"
#include "models/pictures.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert::mnist {
namespace {

using ::testing::HasSubstr;

Tensor TestImage(int64_t index) {
  static const Tensor images = LoadMnistTest().value().images;
  return images.Narrow(0, index, 1).Squeeze(0).Clone();
}

Tensor Inverted(const Tensor& pixels) {
  return Cast(255 - Cast(pixels, DType::kInt32), DType::kUInt8).value();
}

// On a background as dark as the image's, off the middle.
Tensor WithMargins(const Tensor& pixels, int64_t top, int64_t left, int64_t others) {
  return Pad(pixels, std::vector<PadWidth>{{top, others}, {left, others}, {}}).value();
}

Tensor Large(const Tensor& image, int64_t factor) {
  return Enlarge(image.Unsqueeze(0), factor).Squeeze(0);
}

int64_t LargestDifference(const Tensor& a, const Tensor& b) {
  return Max(Abs(Cast(a, DType::kInt32) - Cast(b, DType::kInt32))).item<int32_t>();
}

// The data set's own images are made like this already.
TEST(DigitFromPictureTest, LeavesMnistAsItIs) {
  for (int64_t i = 0; i < 50; ++i) {
    const Tensor image = TestImage(i);
    if (Max(image.Narrow(0, 27, 1)).item<int32_t>() > 0)
      continue;  // ink where background is sought
    const Tensor digit = DigitFromPicture(image).value();
    ASSERT_EQ(digit.shape(), Shape({28, 28, 1}));
    ASSERT_EQ(digit.dtype(), DType::kUInt8);
    // Ties of the centre of mass may be rounded to the other side, and ink may get full strength.
    bool found = false;
    for (int64_t down = -1; down <= 1; ++down) {
      for (int64_t right = -1; right <= 1; ++right) {
        const Tensor moved = Roll(Roll(image, down, 0), right, 1).value();
        found = found || LargestDifference(digit, moved) <= 5;
      }
    }
    EXPECT_TRUE(found) << i;
  }
}

TEST(DigitFromPictureTest, SizePlaceAndInversionDoNotMatter) {
  for (int64_t i = 0; i < 10; ++i) {
    const Tensor image = TestImage(i);
    const Tensor digit = DigitFromPicture(image).value();
    const Tensor elsewhere = WithMargins(Large(image, 9), 100, 3, 40);
    EXPECT_LE(LargestDifference(DigitFromPicture(elsewhere).value(), digit), 1) << i;
    EXPECT_LE(LargestDifference(DigitFromPicture(Inverted(elsewhere)).value(), digit), 1) << i;
    const Tensor color = Inverted(elsewhere).Expand({elsewhere.dim(0), elsewhere.dim(1), 3});
    EXPECT_LE(LargestDifference(DigitFromPicture(color).value(), digit), 1) << i;
  }
}

// A bar of 40 x 10 pixels becomes one of 20 x 5, whose centre, at 9.5 and 2, comes to 14, or half a
// pixel after it.
TEST(DigitFromPictureTest, KeepsTheAspectRatio) {
  Tensor picture = Tensor::Full({100, 300, 1}, 250, DType::kUInt8);
  picture.Narrow(0, 20, 40).Narrow(1, 200, 10).Fill(30);
  Tensor expected = Tensor::Zeros({28, 28, 1}, DType::kUInt8);
  expected.Narrow(0, 5, 20).Narrow(1, 12, 5).Fill(255);
  EXPECT_EQ(LargestDifference(DigitFromPicture(picture).value(), expected), 0);
  EXPECT_EQ(LargestDifference(DigitFromPicture(picture.Transpose(0, 1)).value(),
                              expected.Transpose(0, 1)),
            0);
}

// Twice as high at the left: the centre of mass lies left of the box's middle, so the box moves
// right. Columns 0-9 have 20 pixels of ink, 10-19 have 10: (10 * 20 * 4.5 + 10 * 10 * 14.5) / 300 =
// 7.83, which comes to 14: the box begins at 6.
TEST(DigitFromPictureTest, CentresTheMass) {
  Tensor picture = Tensor::Zeros({50, 50, 1}, DType::kUInt8);
  picture.Narrow(0, 10, 20).Narrow(1, 10, 10).Fill(200);
  picture.Narrow(0, 20, 10).Narrow(1, 20, 10).Fill(200);
  const Tensor digit = DigitFromPicture(picture).value();
  const Variable columns = Sum(Cast(Greater(digit, 0), DType::kInt64), {0, 2});
  EXPECT_EQ(columns.value().ToVector<int64_t>(),
            (std::vector<int64_t>{0,  0,  0,  0,  0,  0,  20, 20, 20, 20, 20, 20, 20, 20,
                                  20, 20, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0,  0}));
}

TEST(DigitFromPictureTest, PaperMayBeGreyAndUneven) {
  Tensor clean = Tensor::Full({60, 60, 1}, 220, DType::kUInt8);
  Tensor uneven = clean.Clone();
  for (int64_t i = 0; i < 60; ++i) uneven.Narrow(0, i, 1).Narrow(1, i * 7 % 51, 9).Fill(212);
  for (Tensor* picture : {&clean, &uneven}) {
    picture->Narrow(0, 15, 30).Narrow(1, 20, 15).Fill(40);
  }
  EXPECT_LE(LargestDifference(DigitFromPicture(uneven).value(), DigitFromPicture(clean).value()),
            5);
}

TEST(DigitFromPictureTest, OneGreyLevelIsAnError) {
  for (const double level : {0, 127, 255}) {
    const absl::Status status =
        DigitFromPicture(Tensor::Full({30, 40, 3}, level, DType::kUInt8)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_EQ(status.message(), "there is no digit: the picture is of one grey level");
  }
}

TEST(DigitFromPictureTest, ReadsTinyPictures) {
  for (const Shape& shape : {Shape{1, 2, 1}, {2, 1, 1}, {2, 2, 1}, {1, 500, 3}}) {
    Tensor picture = Tensor::Zeros(shape, DType::kUInt8);
    picture.Narrow(0, 0, 1).Narrow(1, 0, 1).Fill(255);
    EXPECT_TRUE(DigitFromPicture(picture).ok()) << ToString(shape);
  }
}

TEST(TilesTest, FillRowsWithGaps) {
  const Tensor images = Tensor::Arange(0, 8, 1, DType::kUInt8).Reshape({4, 1, 2, 1});
  const Tensor picture = Tiles(images, 2);
  EXPECT_EQ(picture.shape(), Shape({8, 10, 1}));
  EXPECT_EQ(picture.Narrow(0, 2, 1).ToVector<int32_t>(),
            (std::vector<int32_t>{128, 128, 0, 1, 128, 128, 2, 3, 128, 128}));
  EXPECT_EQ(picture.Narrow(0, 5, 1).ToVector<int32_t>(),
            (std::vector<int32_t>{128, 128, 4, 5, 128, 128, 6, 7, 128, 128}));
  EXPECT_THAT(ThrownMessage([&] { Tiles(images, 3); }),
              HasSubstr("[tiles] 4 images do not fill rows of 3"));
}

// Of a linear model, all scores that are signed have the signs of weight times pixel, and so have
// the colours.
TEST(HeatMapsTest, RedSpeaksForAndBlueAgainst) {
  Tensor weights = Tensor::Zeros({28 * 28, 2});
  Tensor image = Tensor::Zeros({1, 28, 28, 1});
  const auto put = [&](int64_t row, float weight) {  // a segment of 4 x 4 pixels
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t k = 8; k < 12; ++k) {
        weights.mutable_data<float>()[((row + i) * 28 + k) * 2 + 1] = weight;
        image.mutable_data<float>()[(row + i) * 28 + k] = 1;
      }
    }
  };
  put(4, 1), put(20, -1);
  const auto model = [&](const Variable& x) {
    return MatMul(Reshape(x, {x.dim(0), 28 * 28}), weights);
  };
  Generator generator(1);
  const Tensor maps = HeatMaps(model, image, 1, generator);
  constexpr int64_t kTile = 28 * 8, kStep = kTile + kTileGap;
  const int64_t tiles = std::size(kHeatMaps);
  ASSERT_EQ(maps.shape(), Shape({kStep + kTileGap, tiles * kStep + kTileGap, 3}));
  const auto color = [&](int64_t tile, int64_t row, int64_t column) {
    const int64_t y = kTileGap + row * 8 + 4, x = kTileGap + tile * kStep + column * 8 + 4;
    return maps.Narrow(0, y, 1).Narrow(1, x, 1).ToVector<int32_t>();
  };
  EXPECT_EQ(color(0, 5, 9), (std::vector<int32_t>{255, 255, 255}));  // the digit
  EXPECT_EQ(color(0, 14, 14), (std::vector<int32_t>{0, 0, 0}));
  EXPECT_EQ(color(1, 21, 9), (std::vector<int32_t>{255, 0, 0}));  // saliency has no sign
  for (int64_t tile = 2; tile < tiles; ++tile) {
    const std::vector<int32_t> above = color(tile, 5, 9), below = color(tile, 21, 9);
    EXPECT_EQ(above[0], 255) << kHeatMaps[tile];
    EXPECT_LT(above[1], 100) << kHeatMaps[tile];
    EXPECT_EQ(above[1], above[2]) << kHeatMaps[tile];
    EXPECT_LT(below[0], 100) << kHeatMaps[tile];
    EXPECT_EQ(below[0], below[1]) << kHeatMaps[tile];
    EXPECT_EQ(below[2], 255) << kHeatMaps[tile];
    const std::vector<int32_t> nothing = color(tile, 13, 24);
    for (const int32_t level : nothing) EXPECT_GT(level, 230) << kHeatMaps[tile];
  }
}

}  // namespace
}  // namespace wengert::mnist
