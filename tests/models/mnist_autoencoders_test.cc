#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "data/loader.h"
#include "data/mnist.h"
#include "gtest/gtest.h"
#include "models/digits/autoencoders.h"
#include "models/pictures.h"
#include "nn/optimizers.h"
#include "nn/train/fit.h"
#include "ops/ops.h"

namespace wengert::mnist {
namespace {

constexpr double kLn2 = 0.6931471805599453;

// log(s2 / s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2, the divergence of two normal distributions,
// with s2 = 1 and m2 = 0, added up.
TEST(KlFromStandardNormalTest, IsTheClosedForm) {
  const Tensor mean = Tensor::FromVector(std::vector<double>{0, 0, 0.5, -1}, {2, 2});
  const Tensor log_variance =
      Tensor::FromVector(std::vector<double>{0, 0, 0, 2 * std::log(3.0)}, {2, 2});
  const std::vector<double> kl =
      KlFromStandardNormal(mean, log_variance).value().ToVector<double>();
  ASSERT_EQ(kl.size(), 2);
  EXPECT_EQ(kl[0], 0);
  EXPECT_NEAR(kl[1], 0.125 + (-std::log(3.0) + (9 + 1) / 2.0 - 0.5), 1e-12);
}

TEST(PixelCrossEntropyTest, AddsUpThePixelsOfEachImage) {
  const Tensor images = Tensor::FromVector(std::vector<double>{0, 1, 0.5, 1}, {2, 1, 2, 1});
  const Tensor logits =
      Tensor::FromVector(std::vector<double>{0, 0, std::log(3.0), std::log(3.0)}, {2, 1, 2, 1});
  const std::vector<double> loss = PixelCrossEntropy(logits, images).value().ToVector<double>();
  ASSERT_EQ(loss.size(), 2);
  EXPECT_NEAR(loss[0], 2 * kLn2, 1e-12);
  // Probability 3/4: -(log(3/4) + log(1/4)) / 2 - log(3/4).
  EXPECT_NEAR(loss[1], -(std::log(0.75) + std::log(0.25)) / 2 - std::log(0.75), 1e-12);
}

class DrawingModelTest : public ::testing::TestWithParam<const char*> {
 protected:
  // The loss on 1,000 test images after epochs over 2,000 others.
  double Train(int64_t epochs) {
    Adam adam(drawing_.model.parameters, {.learning_rate = 2e-3});
    Fit(drawing_.objective, adam, training_, generator_, {.epochs = epochs, .quiet = true});
    return TestLoss();
  }
  double TestLoss() const { return EvaluateObjective(drawing_.objective, test_).loss; }
  bool IsVae() const { return GetParam() == std::string("vae"); }
  Tensor TenImages() const { return test_.Epoch(0).At(0).inputs.Narrow(0, 0, 10); }

  const MnistSplit train_data_ = LoadMnistTrain().value();
  const MnistSplit test_data_ = LoadMnistTest().value();
  const Loader training_{train_data_.images,
                         train_data_.labels,
                         {.batch_size = 50, .shuffle = true, .scale = true, .limit = 2000}};
  const Loader test_{
      test_data_.images, test_data_.labels, {.batch_size = 250, .scale = true, .limit = 1000}};
  Generator generator_{1};
  const DrawingModel drawing_ = MakeDrawingModel(GetParam(), generator_);
};
INSTANTIATE_TEST_SUITE_P(Models, DrawingModelTest, ::testing::ValuesIn(kDrawingModels));

TEST_P(DrawingModelTest, Learns) {
  EXPECT_GT(TestLoss(), 500);  // it knows nothing: each pixel costs a bit, 543 in all
  // A model that gave every pixel its mean over the digits would have about 205.
  EXPECT_LT(Train(/*epochs=*/6), IsVae() ? 170 : 140);
  EXPECT_EQ(TestLoss(), TestLoss());  // the noise is the same
}

TEST_P(DrawingModelTest, DrawsAGridThatBeginsWithTheOriginals) {
  Train(/*epochs=*/1);
  const Tensor images = TenImages();
  const Tensor grid = PictureGrid(drawing_, images, generator_);
  const int64_t rows = IsVae() ? 7 : 2;
  constexpr int64_t kStep = 28 + kTileGap;
  ASSERT_EQ(grid.shape(), Shape({rows * kStep + kTileGap, 10 * kStep + kTileGap, 1}));
  const auto tile = [&](int64_t row, int64_t column) {
    return grid.Narrow(0, kTileGap + row * kStep, 28)
        .Narrow(1, kTileGap + column * kStep, 28)
        .Clone();
  };
  const Tensor drawn = ToGreyLevels(Sigmoid(drawing_.model.forward(images)).value());
  for (int64_t i = 0; i < 10; ++i) {
    const Tensor original = test_data_.images.Narrow(0, i, 1).Squeeze(0).Clone();
    EXPECT_TRUE(BitwiseEqual(tile(0, i), original)) << i;
    EXPECT_TRUE(BitwiseEqual(tile(1, i), drawn.Narrow(0, i, 1).Squeeze(0).Clone())) << i;
  }
  if (!IsVae()) return;
  // The walk leads from the first reconstruction to the last.
  const auto difference = [&](const Tensor& a, const Tensor& b) {
    return Max(Abs(Cast(a, DType::kInt32) - Cast(b, DType::kInt32))).item<int32_t>();
  };
  EXPECT_LE(difference(tile(2, 0), tile(1, 0)), 1);
  EXPECT_LE(difference(tile(2, 9), tile(1, 9)), 1);
  EXPECT_GT(difference(tile(2, 4), tile(1, 4)), 15);
  EXPECT_GT(difference(tile(3, 0), tile(3, 1)), 15);  // digits from the prior
}

// The encoder's mean and variance are what the noise is scaled by: without variance the loss is
// that of the mean codes.
TEST(VaeTest, NoiseIsScaledByTheStandardDeviation) {
  Generator generator(1);
  const DrawingModel drawing = MakeDrawingModel("vae", generator);
  const Batch batch{.inputs = Tensor::Full({3, 28, 28, 1}, 0.25),
                    .targets = Tensor::Zeros({3}, DType::kInt32),
                    .index = 0};
  const auto noise_cost = [&](double log_variance) {
    for (NamedParameter weight : drawing.model.weights) {
      if (weight.name == "log_variance/weight") weight.parameter.Set(Tensor::Zeros({500, 20}));
      if (weight.name == "log_variance/bias")
        weight.parameter.Set(Tensor::Full({20}, log_variance));
    }
    const double reconstruction = drawing.objective(batch).loss.item<double>() -
                                  drawing.divergence(batch).loss.item<double>();
    const double of_means =
        Mean(PixelCrossEntropy(drawing.model.forward(batch.inputs), batch.inputs)).item<double>();
    return std::abs(reconstruction - of_means);
  };
  EXPECT_LT(noise_cost(-40), 1e-2);
  EXPECT_GT(noise_cost(4), 1);
}

}  // namespace
}  // namespace wengert::mnist
