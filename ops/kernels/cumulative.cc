#include "ops/kernels/cumulative.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "ops/kernels/rows.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int64_t kTask = 1 << 15;  // elements of a task
constexpr int64_t kStrip = 256;     // neighbouring lines that run together

// What runs: floats in double; integers wrap.
template <class T>
using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;

// Calls f.template operator()<T>() with the C++ type of a dtype that has sums.
template <class F>
void DispatchNumber(DType dtype, F&& f) {
  DispatchDType(dtype, [&]<class T>() {
    if constexpr (sizeof(T) >= 4) f.template operator()<T>();
  });
}

// The lines of a tensor along an axis, in strips of neighbours: calls f(begin, width) for each
// strip, whose element i of line c is at begin + i * (the size behind the axis) + c. The width of
// single lines is a constant, so that what runs stays in a register.
template <class F>
void ForStrips(const Shape& shape, int axis, F f) {
  if (NumElements(shape) == 0) return;
  const int64_t length = shape[axis];
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  const int64_t strips = CeilDiv(inner, kStrip), total = outer * strips;
  const int64_t each = std::max<int64_t>(1, kTask / (length * std::min(inner, kStrip)));
  ParallelFor(CeilDiv(total, each), [&](int64_t task) {
    const int64_t end = std::min(total, (task + 1) * each);
    for (int64_t i = task * each; i < end; ++i) {
      const int64_t first = i % strips * kStrip, begin = i / strips * length * inner + first;
      if (inner == 1) {
        f(begin, std::integral_constant<int64_t, 1>());
      } else {
        f(begin, std::min(kStrip, inner - first));
      }
    }
  });
}

// Where element i of a line is, in the order of the scan.
struct Places {
  int64_t first, step;

  Places(const Shape& shape, const ScanOrder& order) : first(0), step(1) {
    for (int i = order.axis + 1; i < shape.rank(); ++i) step *= shape[i];
    if (order.reverse) {
      first = (shape[order.axis] - 1) * step;
      step = -step;
    }
  }
  int64_t operator()(int64_t i) const { return first + i * step; }
};

// y[i] = value(running), where running = start, then next(running, x[i]) for each element.
template <class T, class State, class Next, class Value>
void Run(const Tensor& x, const ScanOrder& order, Tensor& y, State start, Next next, Value value) {
  const Tensor source = x.Contiguous();
  const int64_t length = x.shape()[order.axis];
  const Places places(x.shape(), order);
  const T* const from = source.data<T>();
  T* const to = y.mutable_data<T>();
  ForStrips(x.shape(), order.axis, [&](int64_t begin, auto width) {
    State running[kStrip];
    for (int64_t c = 0; c < width; ++c) running[c] = start;
    for (int64_t i = 0; i < length; ++i) {
      const T* const in = from + begin + places(i);
      T* const out = to + begin + places(i);
      for (int64_t c = 0; c < width; ++c) {
        const State before = running[c];
        running[c] = next(before, in[c]);
        out[c] = static_cast<T>(value(order.exclusive ? before : running[c]));
      }
    }
  });
}

}  // namespace

void CumSumKernel(const Tensor& x, const ScanOrder& order, Tensor& y) {
  DispatchNumber(x.dtype(), [&]<class T>() {
    using A = Accumulator<T>;
    Run<T>(
        x, order, y, A{0}, [](A sum, T v) { return sum + static_cast<A>(v); },
        [](A sum) { return sum; });
  });
}

void CumProdKernel(const Tensor& x, const ScanOrder& order, Tensor& y) {
  DispatchNumber(x.dtype(), [&]<class T>() {
    using A = Accumulator<T>;
    Run<T>(
        x, order, y, A{1}, [](A product, T v) { return product * static_cast<A>(v); },
        [](A product) { return product; });
  });
}

void LogCumSumExpKernel(const Tensor& x, const ScanOrder& order, Tensor& y) {
  struct Running {
    double max, sum;  // of exp(x - max)
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  DispatchNumber(x.dtype(), [&]<class T>() {
    Run<T>(
        x, order, y, Running{-kInfinity, 0},
        [](Running r, T value) {
          const auto v = static_cast<double>(value);
          if (v > r.max) return Running{v, r.sum * std::exp(r.max - v) + 1};
          // Equal ones apart: two infinities have no difference.
          return Running{r.max, r.sum + (v == r.max ? 1 : std::exp(v - r.max))};
        },
        [](Running r) { return r.max + std::log(r.sum); });
  });
}

void LinearRecurrenceKernel(const Tensor& a, const Tensor& b, const ScanOrder& order, Tensor& y) {
  const Tensor factors = a.Contiguous(), terms = b.Contiguous();
  const int64_t length = b.shape()[order.axis];
  const Places places(b.shape(), order);
  DispatchNumber(b.dtype(), [&]<class T>() {
    const T *const factor = factors.data<T>(), *const term = terms.data<T>();
    T* const to = y.mutable_data<T>();
    ForStrips(b.shape(), order.axis, [&](int64_t begin, auto width) {
      double running[kStrip];
      for (int64_t i = 0; i < length; ++i) {
        const int64_t at = begin + places(i);
        for (int64_t c = 0; c < width; ++c) {
          const auto next = static_cast<double>(term[at + c]);
          running[c] = i == 0 ? next : static_cast<double>(factor[at + c]) * running[c] + next;
          to[at + c] = static_cast<T>(running[c]);
        }
      }
    });
  });
}

void ProdKernel(const Tensor& x, Tensor& y) {
  const Tensor source = x.Contiguous();
  const int64_t count = x.dim(-1), rows = y.size();
  const int64_t each = std::max<int64_t>(1, kTask / std::max<int64_t>(1, count));
  DispatchNumber(x.dtype(), [&]<class T>() {
    constexpr int64_t kLanes = 8;  // a product waits for the one before it
    using A = Accumulator<T>;
    const T* const from = source.data<T>();
    T* const to = y.mutable_data<T>();
    ParallelFor(CeilDiv(rows, each), [&](int64_t task) {
      for (int64_t r = task * each; r < std::min(rows, (task + 1) * each); ++r) {
        const T* const row = from + r * count;
        A lanes[kLanes] = {1, 1, 1, 1, 1, 1, 1, 1}, product = 1;
        int64_t i = 0;
        for (; i + kLanes <= count; i += kLanes) {
          for (int64_t c = 0; c < kLanes; ++c) lanes[c] *= static_cast<A>(row[i + c]);
        }
        for (; i < count; ++i) product *= static_cast<A>(row[i]);
        for (const A lane : lanes) product *= lane;
        to[r] = static_cast<T>(product);
      }
    });
  });
}

}  // namespace wengert
