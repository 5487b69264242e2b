// A time series as windows: what an LSTM reads, and the next value, which it is to forecast.
#ifndef WENGERT_MODELS_TIME_SERIES_H_
#define WENGERT_MODELS_TIME_SERIES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/last_state.h"
#include "tensor/tensor.h"

namespace wengert::forecast {

// Four sines of random periods (10 to 100 steps), amplitudes (0.5 to 1.5) and phases, and normal
// noise on every value.
std::vector<double> NoisySines(int64_t length, double noise, uint64_t seed);

struct Windows {
  Tensor inputs;   // float32 [n, window, 1]
  Tensor targets;  // float32 [n, 1]: the value after each window
};
// Parts by position: targets in the first 70 % of the series train, those up to 85 % validate, the
// rest test. All values are normalized by mean and standard deviation of the training part. A
// window may begin in the part before its target's.
struct Series {
  Windows training, validation, test;
  Tensor last;  // float32 [1, window, 1]: the window whose next value nobody knows
  double mean, deviation;
  double naive_error;  // mean squared, in the units of the data: the test part by its last values
};
// An error when the parts would be empty, or the training part is constant or too large to square.
absl::StatusOr<Series> MakeSeries(absl::Span<const double> values, int64_t window);

// The last value plus what an LSTM makes of the window: it begins where the naive forecast is.
struct Forecaster {
  LastState<nn::Lstm> change;

  Forecaster(int64_t hidden, Generator& rng);
  Variable operator()(const Variable& windows) const;  // [N, window, 1] -> [N, 1]
  template <class V>
  void Visit(V&& v) {
    change.Visit(v);
  }
};

}  // namespace wengert::forecast

#endif  // WENGERT_MODELS_TIME_SERIES_H_
