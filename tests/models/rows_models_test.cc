#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/digits/rows.h"
#include "models/last_state.h"

namespace wengert::rows {
namespace {

using ::testing::Each;

// Two images; their pixels have the values 0, 1, 2, ... and 1, 2, 3, ..., modulo 251.
Tensor Images() {
  std::vector<uint8_t> pixels;
  for (int image = 0; image < 2; ++image) {
    for (int i = 0; i < 784; ++i) pixels.push_back(static_cast<uint8_t>((i + image) % 251));
  }
  return Tensor::FromVector(pixels, {2, 28, 28, 1});
}

TEST(RowsTest, RowsAndPixelsAreInReadingOrder) {
  const Tensor images = Images();
  EXPECT_TRUE(BitwiseEqual(Sequences(images, Reading::kRows), images.Reshape({2, 28, 28})));
  EXPECT_TRUE(BitwiseEqual(Sequences(images, Reading::kPixels), images.Reshape({2, 784, 1})));
}

TEST(RowsTest, EveryImageIsPermutedInTheSameFixedOrder) {
  const Tensor images = Images();
  const Tensor permuted = Sequences(images, Reading::kPermuted);
  ASSERT_EQ(permuted.shape(), (Shape{2, 784, 1}));
  std::vector<uint8_t> expected = images.Narrow(0, 0, 1).ToVector<uint8_t>();
  std::vector<uint8_t> first = permuted.Narrow(0, 0, 1).ToVector<uint8_t>();
  const std::vector<uint8_t> second = permuted.Narrow(0, 1, 1).ToVector<uint8_t>();
  for (int i = 0; i < 784; ++i) EXPECT_EQ(second[i], (first[i] + 1) % 251) << i;
  // The order that saved weights rely on: SplitMix64 by the published code, modulo 251.
  EXPECT_EQ((std::vector<uint8_t>(first.begin(), first.begin() + 6)),
            (std::vector<uint8_t>{4, 11, 132, 6, 121, 192}));
  std::sort(first.begin(), first.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(first, expected);
}

// u in log(u), which is to be uniform in [1, 783].
void ExpectUniform(const std::vector<float>& logs) {
  double sum = 0;
  for (const float log : logs) {
    EXPECT_GE(log, 0);
    EXPECT_LE(log, std::log(783.0) + 1e-6);
    sum += std::exp(log);
  }
  EXPECT_NEAR(sum / static_cast<double>(logs.size()), 392, 20);
}

TEST(RememberForTest, LstmForgetsLateAndTakesInLittle) {
  Generator rng(1);
  constexpr int64_t kHidden = 2000;
  nn::LstmCell cell({.in = 1, .hidden = 8}, rng);
  cell.weight_hh = Parameter(Tensor::Zeros({kHidden, 1}));  // only its shape is read
  cell.bias = Parameter(Tensor::Zeros({4 * kHidden}));
  RememberFor(784, cell, rng);
  const Tensor bias = cell.bias.value();
  ExpectUniform(bias.Narrow(0, kHidden, kHidden).ToVector<float>());
  const std::vector<float> i = bias.Narrow(0, 0, kHidden).ToVector<float>();
  const std::vector<float> f = bias.Narrow(0, kHidden, kHidden).ToVector<float>();
  for (int64_t k = 0; k < kHidden; ++k) EXPECT_EQ(i[k], -f[k]);
  EXPECT_THAT(bias.Narrow(0, 2 * kHidden, 2 * kHidden).ToVector<float>(), Each(0));
}

TEST(RememberForTest, GruUpdatesLate) {
  Generator rng(1);
  constexpr int64_t kHidden = 2000;
  nn::GruCell cell({.in = 1, .hidden = 8}, rng);
  cell.weight_hh = Parameter(Tensor::Zeros({kHidden, 1}));  // only its shape is read
  cell.bias = Parameter(Tensor::Zeros({3 * kHidden}));
  RememberFor(784, cell, rng);
  const Tensor bias = cell.bias.value();
  EXPECT_THAT(bias.Narrow(0, 0, kHidden).ToVector<float>(), Each(0));
  ExpectUniform(bias.Narrow(0, kHidden, kHidden).ToVector<float>());
  EXPECT_THAT(bias.Narrow(0, 2 * kHidden, kHidden).ToVector<float>(), Each(0));
}

TEST(RowsTest, ModelsByName) {
  for (const Reading reading : {Reading::kRows, Reading::kPermuted}) {
    for (const char* cell : {"rnn", "lstm", "gru"}) {
      Generator rng(1);
      const auto model = MakeModel(cell, reading, /*hidden=*/5, rng);
      ASSERT_TRUE(model.ok()) << model.status();
      const Tensor x = Sequences(Images(), reading).To(DType::kFloat32);
      EXPECT_EQ(model->forward(x).shape(), (Shape{2, 10})) << cell;
    }
  }
  Generator rng(1);
  EXPECT_EQ(MakeModel("cnn", Reading::kRows, 0, rng).status().message(),
            "unknown cell \"cnn\"; known: rnn, lstm, gru");
}

}  // namespace
}  // namespace wengert::rows
