#include "ops/kernels/interpolate.h"

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "ops/kernels/rows.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int64_t kTask = 1 << 15;  // elements that a task writes

// Where each output lies, lower + weight, lower of them rising. In integers, so that no rounding
// moves a pixel.
struct Places {
  Places(bool nearest, int64_t in, int64_t out) : lower(out), weight(out) {
    for (int64_t i = 0; i < out; ++i) {
      if (nearest) {
        lower[i] = (2 * i + 1) * in / (2 * out);
        continue;
      }
      const int64_t place = std::clamp((2 * i + 1) * in - out, int64_t{0}, 2 * out * (in - 1));
      lower[i] = place / (2 * out);
      weight[i] = static_cast<double>(place % (2 * out)) / static_cast<double>(2 * out);
    }
  }
  std::vector<int64_t> lower;
  std::vector<double> weight;
};

// A tensor as [outer, length, row].
struct Extents {
  Extents(const Shape& shape, int axis) : length(shape[axis]) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) row *= shape[i];
  }
  int64_t outer = 1, length, row = 1;
};

// Calls f(o, i) for the rows of a tensor, a few to a task where they are short.
template <class F>
void ForEachRow(const Extents& y, F f) {
  const int64_t rows = y.outer * y.length, each = std::max<int64_t>(1, kTask / y.row);
  ParallelFor(CeilDiv(rows, each), [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * each);
    for (int64_t r = task * each; r < end; ++r) f(r / y.length, r % y.length);
  });
}

}  // namespace

void InterpolateKernel(bool nearest, int axis, const Tensor& x, Tensor& y) {
  if (y.size() == 0) return;
  const Extents from(x.shape(), axis), to(y.shape(), axis);
  const Places places(nearest, from.length, to.length);
  const int64_t row = to.row;
  DispatchDType(x.dtype(), [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.mutable_data<T>();
    ForEachRow(to, [&](int64_t o, int64_t i) {
      const T* const low = in + (o * from.length + places.lower[i]) * row;
      T* const result = out + (o * to.length + i) * row;
      if (places.weight[i] == 0) {
        std::copy_n(low, row, result);
      } else if constexpr (std::is_floating_point_v<T>) {
        const T* const high = low + row;
        const T weight = static_cast<T>(places.weight[i]);
        for (int64_t c = 0; c < row; ++c) {  // of two equal infinities the difference is NaN
          result[c] = high[c] == low[c] ? low[c] : low[c] + (high[c] - low[c]) * weight;
        }
      }
    });
  });
}

void InterpolateGradientKernel(bool nearest, int axis, const Tensor& dy, Tensor& dx) {
  if (dx.size() == 0) return;
  const Extents from(dy.shape(), axis), to(dx.shape(), axis);
  const Places places(nearest, to.length, from.length);
  // first[k]: the first output that lies at pixel k or after.
  std::vector<int64_t> first(to.length + 1);
  for (int64_t k = 0, i = 0; k <= to.length; first[k++] = i) {
    while (i < from.length && places.lower[i] < k) ++i;
  }
  const int64_t row = to.row;
  const auto run = [&]<class T>(T) {
    const T* const in = dy.data<T>();
    T* const out = dx.mutable_data<T>();
    ForEachRow(to, [&](int64_t o, int64_t k) {
      std::vector<double> sums(row);
      // All that lie between the pixel before and the one after.
      for (int64_t i = first[std::max<int64_t>(k - 1, 0)]; i < first[k + 1]; ++i) {
        const double part = places.lower[i] == k ? 1 - places.weight[i] : places.weight[i];
        if (part == 0) continue;
        const T* const term = in + (o * from.length + i) * row;
        for (int64_t c = 0; c < row; ++c) sums[c] += term[c] * part;
      }
      T* const result = out + (o * to.length + k) * row;
      for (int64_t c = 0; c < row; ++c) result[c] = static_cast<T>(sums[c]);
    });
  };
  dx.dtype() == DType::kFloat32 ? run(float()) : run(double());
}

}  // namespace wengert
