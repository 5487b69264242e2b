#include "ops/kernels/windows.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int64_t kTask = 1 << 15;  // elements that a task moves

// Calls row(i) for i < rows, a few to a task where a row is of few elements.
template <class Row>
void ForEachRow(int64_t rows, int64_t elements, Row row) {
  const int64_t each = std::max<int64_t>(1, kTask / std::max<int64_t>(elements, 1));
  ParallelFor((rows + each - 1) / each, [&](int64_t task) {
    for (int64_t i = task * each; i < std::min(rows, (task + 1) * each); ++i) row(i);
  });
}

}  // namespace

void UnfoldKernel(const WindowGeometry& g, const Tensor& x, Tensor& windows) {
  if (windows.size() == 0) return;
  const int64_t taps = g.window_h * g.window_w;
  const auto bytes = static_cast<int64_t>(SizeOf(x.dtype())) * g.channels;  // of a pixel
  const std::byte* from = x.raw();
  std::byte* to = windows.raw();
  // A row of windows at a time.
  ForEachRow(g.batch * g.out_h, g.out_w * taps * g.channels, [&](int64_t row) {
    const int64_t n = row / g.out_h, oh = row % g.out_h;
    std::byte* pixel = to + row * g.out_w * taps * bytes;
    for (int64_t ow = 0; ow < g.out_w; ++ow) {
      for (int64_t kh = 0; kh < g.window_h; ++kh) {
        const int64_t ih = oh * g.stride + kh * g.dilation - g.pad_top;
        const std::byte* line = from + (n * g.in_h + ih) * g.in_w * bytes;
        const int64_t left = ow * g.stride - g.pad_left;
        const int64_t right = left + (g.window_w - 1) * g.dilation;
        const bool inside = ih >= 0 && ih < g.in_h;
        if (inside && g.dilation == 1 && left >= 0 && right < g.in_w) {
          std::memcpy(pixel, line + left * bytes, g.window_w * bytes);
          pixel += g.window_w * bytes;
          continue;
        }
        for (int64_t iw = left; iw <= right; iw += g.dilation, pixel += bytes) {
          if (inside && iw >= 0 && iw < g.in_w) {
            std::memcpy(pixel, line + iw * bytes, bytes);
          } else {
            std::memset(pixel, 0, bytes);
          }
        }
      }
    }
  });
}

void FoldKernel(const WindowGeometry& g, const Tensor& windows, Tensor& x) {
  if (x.size() == 0) return;
  const int64_t taps = g.window_h * g.window_w;
  DispatchDType(x.dtype(), [&]<class T>() {
    if constexpr (std::is_same_v<T, bool>) {
      throw Error("fold", "bools cannot be added up");
    } else {
      using Sum = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
      const T* from = windows.data<T>();
      T* to = x.mutable_data<T>();
      // A row of pixels at a time: each reads the windows that hold it.
      ForEachRow(g.batch * g.in_h, g.in_w * g.channels * taps, [&](int64_t row) {
        const int64_t n = row / g.in_h, ih = row % g.in_h;
        std::vector<Sum> sums(g.in_w * g.channels);
        for (int64_t kh = 0; kh < g.window_h; ++kh) {
          // The row of windows whose elements of row kh are pixels of this one, if there is one.
          const int64_t start = ih + g.pad_top - kh * g.dilation, oh = start / g.stride;
          if (start < 0 || start % g.stride != 0 || oh >= g.out_h) continue;
          const T* line = from + (n * g.out_h + oh) * g.out_w * taps * g.channels;
          for (int64_t kw = 0; kw < g.window_w; ++kw) {
            const T* element = line + (kh * g.window_w + kw) * g.channels;
            int64_t iw = kw * g.dilation - g.pad_left;
            for (int64_t ow = 0; ow < g.out_w; ++ow) {
              if (iw >= 0 && iw < g.in_w) {
                Sum* sum = sums.data() + iw * g.channels;
                for (int64_t c = 0; c < g.channels; ++c) sum[c] += static_cast<Sum>(element[c]);
              }
              iw += g.stride;
              element += taps * g.channels;
            }
          }
        }
        for (size_t i = 0; i < sums.size(); ++i) {
          to[row * g.in_w * g.channels + static_cast<int64_t>(i)] = static_cast<T>(sums[i]);
        }
      });
    }
  });
}

}  // namespace wengert
