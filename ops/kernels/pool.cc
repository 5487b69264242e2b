// The pooling loops, compiled once per SIMD target. Vectors run over channels. Two loops serve all
// five kernels: one gathers the pixels of each window, the other the windows of each pixel, so that
// the gradients too are written in one pass, whether windows overlap or not.
#include "ops/kernels/pool.h"

#include <algorithm>
#include <vector>

#include "tensor/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/pool.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"

#ifndef WENGERT_POOL_ONCE_
#define WENGERT_POOL_ONCE_
namespace wengert {
namespace {

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// One axis of the geometry: where each window starts, which real pixels it covers, and which
// windows cover each pixel.
struct Axis {
  Axis(const Pool2dGeometry& g, int64_t in, int64_t out, int64_t pad)
      : starts(out), pixels(out), windows(in, Range{0, 0}) {
    for (int64_t o = 0; o < out; ++o) {
      const bool adaptive = g.stride == 0;
      starts[o] = adaptive ? o * in / out : o * g.stride - pad;
      const int64_t end = adaptive ? ((o + 1) * in + out - 1) / out : starts[o] + g.window;
      pixels[o] = {std::max<int64_t>(starts[o], 0), std::min(end, in)};
      for (int64_t i = pixels[o].begin; i < pixels[o].end; ++i) {
        windows[i] = {windows[i].size() == 0 ? o : windows[i].begin, o + 1};
      }
    }
  }

  std::vector<int64_t> starts;
  std::vector<Range> pixels, windows;
};

struct Axes2d {
  explicit Axes2d(const Pool2dGeometry& g)
      : h(g, g.in_h, g.out_h, g.pad_top), w(g, g.in_w, g.out_w, g.pad_left) {}
  Axis h, w;
};

// Calls f(n, h) for all rows of `batch` images, a few at a time where rows are short.
template <class F>
void ForEachRow(int64_t batch, int64_t rows, int64_t row_size, F f) {
  constexpr int64_t kTaskSize = 32768;
  const int64_t total = batch * rows;
  const int64_t step = std::max<int64_t>(kTaskSize / std::max<int64_t>(row_size, 1), 1);
  ParallelFor((total + step - 1) / step, [&](int64_t task) {
    const int64_t end = std::min((task + 1) * step, total);
    for (int64_t row = task * step; row < end; ++row) f(row / rows, row % rows);
  });
}

// The real pixels of one window.
struct Window {
  int64_t y;         // offset of the output pixel
  int64_t x;         // offset of the first real pixel
  int64_t position;  // of that pixel in the window
  int64_t rows, cols;
};

// A pixel as part of a window that covers it.
struct PixelInWindow {
  int64_t window;    // oh * out_w + ow
  int64_t y;         // offset of the output pixel
  int64_t position;  // in the window
};

}  // namespace
}  // namespace wengert
#endif  // WENGERT_POOL_ONCE_

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// For the lambdas below: g++ would call them once for each vector.
#define INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

// Calls f(d, c) for whole vectors of channels, and lane by lane for those that fill none. Nothing
// here rounds differently by lane.
template <class T, class F>
HWY_INLINE void ForChannels(int64_t channels, const F& f) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, 1> one;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) f(d, c);
  for (; c < channels; ++c) f(one, c);
}

// Positions are held as floating numbers: one mask then serves values and positions.
template <class D>
HWY_INLINE hn::Vec<D> FromInt(D d, hn::Vec<hn::Rebind<int32_t, D>> v) {
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    return hn::ConvertTo(d, v);
  } else {
    return hn::PromoteTo(d, v);
  }
}
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<int32_t, D>> ToInt(D, hn::Vec<D> v) {
  const hn::Rebind<int32_t, D> d_int;
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    return hn::ConvertTo(d_int, v);
  } else {
    return hn::DemoteTo(d_int, v);
  }
}
template <class D>
HWY_INLINE hn::Vec<D> LoadWinners(D d, const uint8_t* winners) {
  const hn::Rebind<int32_t, D> d_int;
  return FromInt(d, hn::PromoteTo(d_int, hn::LoadU(hn::Rebind<uint8_t, D>(), winners)));
}
template <class D>
HWY_INLINE hn::Vec<D> LoadWinners(D d, const int32_t* winners) {
  return FromInt(d, hn::LoadU(hn::Rebind<int32_t, D>(), winners));
}
template <class D>
HWY_INLINE void StoreWinners(D d, hn::Vec<D> positions, uint8_t* winners) {
  const hn::Rebind<uint8_t, D> d_byte;
  hn::StoreU(hn::DemoteTo(d_byte, ToInt(d, positions)), d_byte, winners);
}
template <class D>
HWY_INLINE void StoreWinners(D d, hn::Vec<D> positions, int32_t* winners) {
  hn::StoreU(ToInt(d, positions), hn::Rebind<int32_t, D>(), winners);
}

// ---- The pixels of each window ----

// Calls f(d, window, c) for every window of the batch and every vector of channels.
template <class T, class F>
void OverWindows(const Pool2dGeometry& g, const F& f) {
  const Axes2d axes(g);
  // Counted in x, which is what is read.
  const int64_t rows = g.in_h / std::max<int64_t>(g.out_h, 1) + 1;
  ForEachRow(g.batch, g.out_h, rows * g.in_w * g.channels, [&](int64_t n, int64_t oh) HWY_ATTR {
    const Range h = axes.h.pixels[oh];
    for (int64_t ow = 0; ow < g.out_w; ++ow) {
      const Range w = axes.w.pixels[ow];
      const int64_t top = axes.h.starts[oh], left = axes.w.starts[ow];
      const Window window = {.y = ((n * g.out_h + oh) * g.out_w + ow) * g.channels,
                             .x = ((n * g.in_h + h.begin) * g.in_w + w.begin) * g.channels,
                             .position = (h.begin - top) * g.window + w.begin - left,
                             .rows = h.size(),
                             .cols = w.size()};
      ForChannels<T>(g.channels, [&](auto d, int64_t c) INLINE_LAMBDA { f(d, window, c); });
    }
  });
}

template <class T, class Winner>
struct MaxOfWindow {
  const Pool2dGeometry& g;
  const T* x;
  T* y;
  Winner* winners;

  template <class D>
  HWY_INLINE void operator()(D d, const Window& w, int64_t c) const {
    const T* row = x + w.x + c;
    int64_t position = w.position;
    auto best = hn::LoadU(d, row);
    auto winner = hn::Set(d, static_cast<T>(position));
    for (int64_t r = 0; r < w.rows; ++r, row += g.in_w * g.channels, position += g.window) {
      for (int64_t k = 0; k < w.cols; ++k) {
        const auto v = hn::LoadU(d, row + k * g.channels);
        // v wins if it is larger, or the first NaN. Where it meets itself, nothing changes.
        const auto wins = hn::AndNot(hn::IsNaN(best), hn::Not(hn::Le(v, best)));
        best = hn::IfThenElse(wins, v, best);
        winner = hn::IfThenElse(wins, hn::Set(d, static_cast<T>(position + k)), winner);
      }
    }
    hn::StoreU(best, d, y + w.y + c);
    StoreWinners(d, winner, winners + w.y + c);
  }
};

template <class T, class Winner>
struct PickFromWindow {
  const Pool2dGeometry& g;
  const T* x;
  const Winner* winners;
  T* y;

  template <class D>
  HWY_INLINE void operator()(D d, const Window& w, int64_t c) const {
    const T* row = x + w.x + c;
    int64_t position = w.position;
    const auto winner = LoadWinners(d, winners + w.y + c);
    auto picked = hn::Zero(d);
    for (int64_t r = 0; r < w.rows; ++r, row += g.in_w * g.channels, position += g.window) {
      for (int64_t k = 0; k < w.cols; ++k) {
        const auto wins = hn::Eq(winner, hn::Set(d, static_cast<T>(position + k)));
        picked = hn::IfThenElse(wins, hn::LoadU(d, row + k * g.channels), picked);
      }
    }
    hn::StoreU(picked, d, y + w.y + c);
  }
};

template <class T>
struct MeanOfWindow {
  const Pool2dGeometry& g;
  const T* x;
  T* y;

  template <class D>
  HWY_INLINE void operator()(D d, const Window& w, int64_t c) const {
    const T* row = x + w.x + c;
    auto sum = hn::Zero(d);
    // Row by row, so that errors do not grow with the area of a large window.
    for (int64_t r = 0; r < w.rows; ++r, row += g.in_w * g.channels) {
      auto row_sum = hn::LoadU(d, row);
      for (int64_t k = 1; k < w.cols; ++k) {
        row_sum = hn::Add(row_sum, hn::LoadU(d, row + k * g.channels));
      }
      sum = hn::Add(sum, row_sum);
    }
    hn::StoreU(hn::Div(sum, hn::Set(d, static_cast<T>(w.rows * w.cols))), d, y + w.y + c);
  }
};

// ---- The windows of each pixel ----

// dx = the sum of term(d, c, pixel) over the windows that cover the pixel, in row-major order; 0 if
// none does.
template <class T, class Term>
void OverPixels(const Pool2dGeometry& g, const Term& term, T* dx) {
  const Axes2d axes(g);
  ForEachRow(g.batch, g.in_h, g.in_w * g.channels, [&](int64_t n, int64_t ih) HWY_ATTR {
    const Range h = axes.h.windows[ih];
    T* out = dx + (n * g.in_h + ih) * g.in_w * g.channels;
    const auto in_window = [&](int64_t iw, int64_t oh, int64_t ow) INLINE_LAMBDA {
      const int64_t window = oh * g.out_w + ow;
      return PixelInWindow{
          .window = window,
          .y = (n * g.out_h * g.out_w + window) * g.channels,
          .position = (ih - axes.h.starts[oh]) * g.window + iw - axes.w.starts[ow]};
    };
    for (int64_t iw = 0; iw < g.in_w; ++iw, out += g.channels) {
      const Range w = axes.w.windows[iw];
      if (h.size() == 1 && w.size() == 1) {  // all pixels, where windows do not overlap
        const PixelInWindow pixel = in_window(iw, h.begin, w.begin);
        ForChannels<T>(g.channels, [&](auto d, int64_t c) INLINE_LAMBDA {
          hn::StoreU(term(d, c, pixel), d, out + c);
        });
        continue;
      }
      ForChannels<T>(g.channels, [&](auto d, int64_t c) INLINE_LAMBDA {
        auto sum = hn::Zero(d);
        for (int64_t oh = h.begin; oh < h.end; ++oh) {
          for (int64_t ow = w.begin; ow < w.end; ++ow) {
            sum = hn::Add(sum, term(d, c, in_window(iw, oh, ow)));
          }
        }
        hn::StoreU(sum, d, out + c);
      });
    }
  });
}

template <class T, class Winner>
struct GradientAtWinner {
  const T* dy;
  const Winner* winners;

  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, int64_t c, const PixelInWindow& p) const {
    const auto position = hn::Set(d, static_cast<T>(p.position));
    const auto wins = hn::Eq(LoadWinners(d, winners + p.y + c), position);
    return hn::IfThenElseZero(wins, hn::LoadU(d, dy + p.y + c));
  }
};

template <class T>
struct GradientOfMean {
  const T* dy;
  const T* weights;  // 1 / the number of real pixels, of each window

  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, int64_t c, const PixelInWindow& p) const {
    return hn::Mul(hn::LoadU(d, dy + p.y + c), hn::Set(d, weights[p.window]));
  }
};

// Calls f with the C++ types of the values and of the winners.
template <class F>
void WithTypes(const Tensor& values, const Tensor& winners, F f) {
  const bool bytes = winners.dtype() == DType::kUInt8;
  if (values.dtype() == DType::kFloat32) {
    bytes ? f(float(), uint8_t()) : f(float(), int32_t());
  } else {
    bytes ? f(double(), uint8_t()) : f(double(), int32_t());
  }
}
template <class F>
void WithType(const Tensor& values, F f) {
  values.dtype() == DType::kFloat32 ? f(float()) : f(double());
}

}  // namespace

void MaxPoolOnTarget(const Pool2dGeometry& g, const Tensor& x, Tensor& y, Tensor& winners) {
  WithTypes(x, winners, [&]<class T, class Winner>(T, Winner) {
    OverWindows<T>(g, MaxOfWindow<T, Winner>{g, x.data<T>(), y.mutable_data<T>(),
                                             winners.mutable_data<Winner>()});
  });
}

void MaxPoolPickOnTarget(const Pool2dGeometry& g, const Tensor& x, const Tensor& winners,
                         Tensor& y) {
  WithTypes(x, winners, [&]<class T, class Winner>(T, Winner) {
    OverWindows<T>(
        g, PickFromWindow<T, Winner>{g, x.data<T>(), winners.data<Winner>(), y.mutable_data<T>()});
  });
}

void MaxPoolGradientOnTarget(const Pool2dGeometry& g, const Tensor& dy, const Tensor& winners,
                             Tensor& dx) {
  WithTypes(dy, winners, [&]<class T, class Winner>(T, Winner) {
    OverPixels<T>(g, GradientAtWinner<T, Winner>{dy.data<T>(), winners.data<Winner>()},
                  dx.mutable_data<T>());
  });
}

void AvgPoolOnTarget(const Pool2dGeometry& g, const Tensor& x, Tensor& y) {
  WithType(x, [&]<class T>(T) {
    OverWindows<T>(g, MeanOfWindow<T>{g, x.data<T>(), y.mutable_data<T>()});
  });
}

void AvgPoolGradientOnTarget(const Pool2dGeometry& g, const Tensor& dy, Tensor& dx) {
  WithType(dy, [&]<class T>(T) {
    const Axes2d axes(g);
    std::vector<T> weights;
    for (const Range h : axes.h.pixels) {
      for (const Range w : axes.w.pixels) {
        weights.push_back(T{1} / static_cast<T>(h.size() * w.size()));
      }
    }
    OverPixels<T>(g, GradientOfMean<T>{dy.data<T>(), weights.data()}, dx.mutable_data<T>());
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(MaxPoolOnTarget);
HWY_EXPORT(MaxPoolPickOnTarget);
HWY_EXPORT(MaxPoolGradientOnTarget);
HWY_EXPORT(AvgPoolOnTarget);
HWY_EXPORT(AvgPoolGradientOnTarget);

void MaxPool2dKernel(const Pool2dGeometry& g, const Tensor& x, Tensor& y, Tensor& winners) {
  HWY_DYNAMIC_DISPATCH(MaxPoolOnTarget)(g, x, y, winners);
}
void MaxPool2dPickKernel(const Pool2dGeometry& g, const Tensor& x, const Tensor& winners,
                         Tensor& y) {
  HWY_DYNAMIC_DISPATCH(MaxPoolPickOnTarget)(g, x, winners, y);
}
void MaxPool2dGradientKernel(const Pool2dGeometry& g, const Tensor& dy, const Tensor& winners,
                             Tensor& dx) {
  HWY_DYNAMIC_DISPATCH(MaxPoolGradientOnTarget)(g, dy, winners, dx);
}
void AvgPool2dKernel(const Pool2dGeometry& g, const Tensor& x, Tensor& y) {
  HWY_DYNAMIC_DISPATCH(AvgPoolOnTarget)(g, x, y);
}
void AvgPool2dGradientKernel(const Pool2dGeometry& g, const Tensor& dy, Tensor& dx) {
  HWY_DYNAMIC_DISPATCH(AvgPoolGradientOnTarget)(g, dy, dx);
}

}  // namespace wengert
#endif  // HWY_ONCE
