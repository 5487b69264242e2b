#include "models/time_series.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace wengert::forecast {

std::vector<double> NoisySines(int64_t length, double noise, uint64_t seed) {
  Generator rng(seed);
  constexpr int64_t kSines = 4;
  const auto draw = [&](double low, double high) {
    return Uniform({kSines}, rng, low, high, DType::kFloat64).value().ToVector<double>();
  };
  const std::vector<double> periods = draw(10, 100), amplitudes = draw(0.5, 1.5);
  const std::vector<double> phases = draw(0, 2 * std::numbers::pi);
  std::vector<double> values =
      Normal({length}, rng, 0, noise, DType::kFloat64).value().ToVector<double>();
  for (int64_t t = 0; t < length; ++t) {
    for (int64_t i = 0; i < kSines; ++i) {
      const double turns = static_cast<double>(t) / periods[i];
      values[t] += amplitudes[i] * std::sin(2 * std::numbers::pi * turns + phases[i]);
    }
  }
  return values;
}

absl::StatusOr<Series> MakeSeries(absl::Span<const double> values, int64_t window) {
  const int64_t size = static_cast<int64_t>(values.size());
  const int64_t train_end = size * 70 / 100, validation_end = size * 85 / 100;
  if (window < 1 || train_end <= window || train_end == validation_end || validation_end == size) {
    return absl::InvalidArgumentError(absl::StrCat(
        size, " values are too few: 70 % of them train, in windows of ", window, " and one more"));
  }
  const absl::Span<const double> known = values.first(train_end);
  const double count = static_cast<double>(train_end);
  const double mean = std::accumulate(known.begin(), known.end(), 0.0) / count;
  double squares = 0;
  for (const double value : known) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / count);
  if (!(deviation > 0 && std::isfinite(deviation))) {
    return absl::InvalidArgumentError(
        absl::StrCat("the standard deviation of the first ", train_end, " values is ", deviation));
  }
  std::vector<float> normalized;
  for (const double value : values) {
    normalized.push_back(static_cast<float>((value - mean) / deviation));
  }
  const absl::Span<const float> all(normalized);
  const auto cut = [&](int64_t begin, int64_t end) {  // targets
    std::vector<float> inputs;
    for (int64_t t = begin; t < end; ++t) {
      const absl::Span<const float> one = all.subspan(t - window, window);
      inputs.insert(inputs.end(), one.begin(), one.end());
    }
    return Windows{Tensor::FromVector(inputs, {end - begin, window, 1}),
                   Tensor::FromSpan(all.subspan(begin, end - begin), {end - begin, 1})};
  };
  double naive = 0;
  for (int64_t t = validation_end; t < size; ++t) {
    naive += (values[t] - values[t - 1]) * (values[t] - values[t - 1]);
  }
  return Series{.training = cut(window, train_end),
                .validation = cut(train_end, validation_end),
                .test = cut(validation_end, size),
                .last = Tensor::FromSpan(all.last(window), {1, window, 1}),
                .mean = mean,
                .deviation = deviation,
                .naive_error = naive / static_cast<double>(size - validation_end)};
}

Forecaster::Forecaster(int64_t hidden, Generator& rng)
    : change({.in = 1, .hidden = hidden, .out = 1}, rng) {}

Variable Forecaster::operator()(const Variable& windows) const {
  const Variable last = Squeeze(Narrow(windows, 1, windows.dim(1) - 1, 1), 1);
  return last + change(windows);
}

}  // namespace wengert::forecast
