#include "models/time_series.h"

#include <cmath>

#include "gtest/gtest.h"
#include "ops/ops.h"

namespace wengert::forecast {
namespace {

std::vector<double> Squares(int n) {
  std::vector<double> values;
  for (int i = 0; i < n; ++i) values.push_back(i * i);
  return values;
}

TEST(NoisySinesTest, TheSeedFixesThem) {
  const std::vector<double> a = NoisySines(500, 0.1, 1);
  EXPECT_EQ(a.size(), 500u);
  EXPECT_EQ(NoisySines(500, 0.1, 1), a);
  EXPECT_NE(NoisySines(500, 0.1, 2), a);
  const std::vector<double> clean = NoisySines(500, 0, 1);
  double squares = 0;
  for (size_t t = 0; t < a.size(); ++t) squares += (a[t] - clean[t]) * (a[t] - clean[t]);
  EXPECT_NEAR(std::sqrt(squares / 500), 0.1, 0.01);
  for (const double value : clean) EXPECT_LE(std::abs(value), 4 * 1.5);
}

// 20 values: targets 0 to 13 train (the first 3 have no window), 14 to 16 validate, 17 to 19 test.
TEST(MakeSeriesTest, CutsByPositionAndNormalizesByTheTrainingPart) {
  const std::vector<double> values = Squares(20);
  const absl::StatusOr<Series> series = MakeSeries(values, 3);
  ASSERT_TRUE(series.ok()) << series.status();
  double mean = 0, squares = 0;
  for (int i = 0; i < 14; ++i) mean += values[i] / 14;
  for (int i = 0; i < 14; ++i) squares += (values[i] - mean) * (values[i] - mean);
  EXPECT_NEAR(series->mean, mean, 1e-12);
  EXPECT_NEAR(series->deviation, std::sqrt(squares / 14), 1e-12);
  EXPECT_EQ(series->training.inputs.shape(), (Shape{11, 3, 1}));
  EXPECT_EQ(series->validation.inputs.shape(), (Shape{3, 3, 1}));
  EXPECT_EQ(series->test.inputs.shape(), (Shape{3, 3, 1}));
  const auto original = [&](float normalized) {
    return normalized * series->deviation + series->mean;
  };
  for (const auto& [part, first] :
       {std::pair{&series->training, 3}, {&series->validation, 14}, {&series->test, 17}}) {
    for (int64_t i = 0; i < part->inputs.dim(0); ++i) {
      for (int64_t t = 0; t < 3; ++t) {
        EXPECT_NEAR(original(part->inputs.at<float>({i, t, 0})), values[first + i - 3 + t], 1e-4);
      }
      EXPECT_NEAR(original(part->targets.at<float>({i, 0})), values[first + i], 1e-4);
    }
  }
  EXPECT_NEAR(original(series->last.at<float>({0, 0, 0})), 17 * 17, 1e-4);
  EXPECT_NEAR(original(series->last.at<float>({0, 2, 0})), 19 * 19, 1e-4);
  EXPECT_NEAR(series->naive_error, (33. * 33 + 35 * 35 + 37 * 37) / 3, 1e-9);
}

TEST(MakeSeriesTest, RefusesWhatCannotBeLearnedFrom) {
  EXPECT_EQ(MakeSeries(Squares(20), 14).status().message(),
            "20 values are too few: 70 % of them train, in windows of 14 and one more");
  EXPECT_TRUE(MakeSeries(Squares(20), 13).ok());
  EXPECT_FALSE(MakeSeries({}, 1).ok());
  EXPECT_FALSE(MakeSeries(Squares(2), 1).ok());
  std::vector<double> constant(100, 5);
  constant[90] = 7;  // in the test part only
  EXPECT_EQ(MakeSeries(constant, 3).status().message(),
            "the standard deviation of the first 70 values is 0");
  constant[3] = 1e300;
  EXPECT_EQ(MakeSeries(constant, 3).status().message(),
            "the standard deviation of the first 70 values is inf");
}

TEST(ForecasterTest, BeginsAtTheLastValue) {
  Generator rng(1);
  Forecaster model(4, rng);
  model.change.head.weight.Set(Tensor::Zeros(model.change.head.weight.shape()));
  const Tensor windows = Tensor::FromVector<float>({1, 2, 3, 4, 5, 6}, {2, 3, 1});
  const Tensor forecast = model(windows).value();
  EXPECT_EQ(forecast.shape(), (Shape{2, 1}));
  EXPECT_EQ(forecast.ToVector<float>(), (std::vector<float>{3, 6}));
}

}  // namespace
}  // namespace wengert::forecast
