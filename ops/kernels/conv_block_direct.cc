// The forward pass, compiled once per SIMD target. Vectors run over output channels; a block of
// sums stays in registers while the taps pass by, through bias, relu and pooling.
#include "ops/kernels/conv_block_direct.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "ops/kernels/direct_rows.h"
#include "tensor/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/conv_block_direct.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/direct-inl.h"

#ifndef WENGERT_CONV_BLOCK_DIRECT_ONCE_
#define WENGERT_CONV_BLOCK_DIRECT_ONCE_
namespace wengert {
namespace {

// Beyond these oneDNN is as fast or faster.
constexpr int64_t kMaxInputChannels = 4;
constexpr int64_t kMinOutputChannels = 8;
constexpr int64_t kMaxTaps = 25;

struct Operands {
  const float* w;
  const float* bias;  // null: none
  float* y;
  uint8_t* winners;  // null: not wanted
  bool relu;
};

}  // namespace
}  // namespace wengert
#endif  // WENGERT_CONV_BLOCK_DIRECT_ONCE_

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

// For the lambda below: g++ would call it.
#define INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

// Sums of kRows x kCols neighbouring pixels for kVectors vectors of channels. Zero padding of x
// makes every tap count. kTaps taps that are neighbours in a row of the kernel share pixels.
template <class Kind, int kRows, int kCols, int kVectors, class D>
HWY_INLINE void SumBlock(D d, const DirectSizes& s, const float* x, const float* w,
                         hn::Vec<D> (&sums)[kRows * kCols][kVectors]) {
  constexpr int kTaps = Kind::kTaps;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t in_c = Kind::kThreeByThree ? 1 : s.in_c;
  const int64_t width = s.width, out_c = s.out_c;
  const int64_t tap_size = in_c * out_c;
  HWY_UNROLL(8)
  for (int p = 0; p < kRows * kCols; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) sums[p][v] = hn::Zero(d);
  }
  // kTaps columns, or one, of one row and one input channel of the kernel.
  const auto add = [&](const float* pixels, const float* taps) INLINE_LAMBDA {
    hn::Vec<D> weights[kTaps][kVectors];
    HWY_UNROLL(4)
    for (int t = 0; t < kTaps; ++t) {
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) {
        weights[t][v] = hn::LoadU(d, taps + t * tap_size + v * lanes);
      }
    }
    HWY_UNROLL(2)
    for (int r = 0; r < kRows; ++r) {
      HWY_UNROLL(16)
      for (int i = 0; i < kCols + kTaps - 1; ++i) {
        const auto pixel = hn::Set(d, pixels[r * width + i * in_c]);
        HWY_UNROLL(4)
        for (int t = 0; t < kTaps; ++t) {
          if (t > i || i - t >= kCols) continue;
          HWY_UNROLL(2)
          for (int v = 0; v < kVectors; ++v) {
            auto& sum = sums[r * kCols + i - t][v];
            sum = hn::MulAdd(pixel, weights[t][v], sum);
          }
        }
      }
    }
  };
  if constexpr (Kind::kThreeByThree) {  // of one channel: all of it unrolled
    add(x, w);
    add(x + width, w + 3 * out_c);
    add(x + 2 * width, w + 6 * out_c);
  } else {
    for (int64_t kh = 0; kh < s.kernel_h; ++kh) {
      const float* const pixels = x + kh * width;
      const float* const taps = w + kh * s.run * out_c;
      for (int64_t f = 0; f < s.run / kTaps; ++f) add(pixels + f, taps + f * out_c);
    }
  }
}

template <class D>
HWY_INLINE hn::Vec<D> Relu(D d, hn::Vec<D> v) {
  return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(d)), v);
}

// kPixels pixels of a row of results.
template <class Kind, int kPixels, int kVectors, class D>
HWY_INLINE void PixelBlock(D d, const DirectSizes& s, const float* x, const Operands& o, int64_t at,
                           int64_t c) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sums[kPixels][kVectors];
  SumBlock<Kind, 1, kPixels, kVectors>(d, s, x, o.w + c, sums);
  HWY_UNROLL(2)
  for (int v = 0; v < kVectors; ++v) {
    const int64_t first = c + v * lanes;
    if (o.bias) {
      const auto bias = hn::LoadU(d, o.bias + first);
      HWY_UNROLL(8)
      for (int p = 0; p < kPixels; ++p) sums[p][v] = hn::Add(sums[p][v], bias);
    }
    if (o.relu) {
      HWY_UNROLL(8)
      for (int p = 0; p < kPixels; ++p) sums[p][v] = Relu(d, sums[p][v]);
    }
    HWY_UNROLL(8)
    for (int p = 0; p < kPixels; ++p) {
      hn::StoreU(sums[p][v], d, o.y + at + p * s.out_c + first);
    }
  }
}

// The largest of a window's four, and its position: the first of equals.
template <class D>
struct Winner {
  hn::Vec<D> value;
  hn::Vec<hn::Rebind<int32_t, D>> position;
};

// Of sums that are finite. Adding the bias and relu are monotone, so they may follow.
template <class D>
HWY_INLINE Winner<D> FiniteWinner(D, const hn::Vec<D>& a, const hn::Vec<D>& b, const hn::Vec<D>& c,
                                  const hn::Vec<D>& e) {
  const hn::Rebind<int32_t, D> di;
  const auto top = hn::Max(a, b), bottom = hn::Max(c, e);
  const auto is_bottom = hn::RebindMask(di, hn::Gt(bottom, top));
  const auto in_top = hn::IfThenElseZero(hn::RebindMask(di, hn::Gt(b, a)), hn::Set(di, 1));
  const auto in_bottom =
      hn::IfThenElse(hn::RebindMask(di, hn::Gt(e, c)), hn::Set(di, 3), hn::Set(di, 2));
  return {hn::Max(top, bottom), hn::IfThenElse(is_bottom, in_bottom, in_top)};
}

// Of any values; a NaN wins over all, the first one over others.
template <class D>
HWY_INLINE Winner<D> AnyWinner(D, const hn::Vec<D>& a, const hn::Vec<D>& b, const hn::Vec<D>& c,
                               const hn::Vec<D>& e) {
  const hn::Rebind<int32_t, D> di;
  Winner<D> best = {a, hn::Zero(di)};
  const auto meet = [&](const hn::Vec<D>& v, int32_t position) HWY_ATTR {
    const auto wins = hn::AndNot(hn::IsNaN(best.value), hn::Not(hn::Le(v, best.value)));
    best.value = hn::IfThenElse(wins, v, best.value);
    best.position = hn::IfThenElse(hn::RebindMask(di, wins), hn::Set(di, position), best.position);
  };
  meet(b, 1);
  meet(c, 2);
  meet(e, 3);
  return best;
}

// kWindows windows of a row of results.
template <class Kind, int kWindows, int kVectors, class D>
HWY_INLINE void WindowBlock(D d, const DirectSizes& s, const float* x, const Operands& o,
                            int64_t at, int64_t c) {
  constexpr int kCols = 2 * kWindows;
  const hn::Rebind<int32_t, D> di;
  const hn::Rebind<uint8_t, D> d8;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sums[2 * kCols][kVectors];
  SumBlock<Kind, 2, kCols, kVectors>(d, s, x, o.w + c, sums);
  HWY_UNROLL(2)
  for (int v = 0; v < kVectors; ++v) {
    const int64_t first = c + v * lanes;
    const auto bias = o.bias ? hn::LoadU(d, o.bias + first) : hn::Zero(d);
    HWY_UNROLL(4)
    for (int i = 0; i < kWindows; ++i) {
      auto &a = sums[2 * i][v], &b = sums[2 * i + 1][v];
      auto &f = sums[kCols + 2 * i][v], &e = sums[kCols + 2 * i + 1][v];
      Winner<D> winner;
      if constexpr (Kind::kFinite) {
        winner = FiniteWinner(d, a, b, f, e);
        winner.value = hn::Add(winner.value, bias);
        if (o.relu) {
          // Nothing below zero is left, and of zeros the first wins.
          const auto positive = hn::Gt(winner.value, hn::Zero(d));
          winner.value = hn::IfThenElseZero(positive, winner.value);
          winner.position = hn::IfThenElseZero(hn::RebindMask(di, positive), winner.position);
        }
      } else {
        for (auto* sum : {&a, &b, &f, &e}) {
          *sum = hn::Add(*sum, bias);
          if (o.relu) *sum = Relu(d, *sum);
        }
        winner = AnyWinner(d, a, b, f, e);
      }
      const int64_t to = at + i * s.out_c + first;
      hn::StoreU(winner.value, d, o.y + to);
      if (o.winners) {
        const auto positions = hn::BitCast(hn::RebindToUnsigned<decltype(di)>(), winner.position);
        hn::StoreU(hn::U8FromU32(positions), d8, o.winners + to);
      }
    }
  }
}

// One row of results from column `col` on: blocks of kCols, then of half as many, and so on.
template <class Kind, int kVectors, int kCols, class D>
HWY_INLINE void Row(D d, const DirectSizes& s, const float* x, const Operands& o, int64_t at,
                    int64_t c, int64_t col) {
  for (; col + kCols <= s.cols; col += kCols) {
    const float* const below = x + col * s.step * s.in_c;
    if constexpr (Kind::kPool) {
      WindowBlock<Kind, kCols, kVectors>(d, s, below, o, at + col * s.out_c, c);
    } else {
      PixelBlock<Kind, kCols, kVectors>(d, s, below, o, at + col * s.out_c, c);
    }
  }
  if constexpr (kCols > 1) Row<Kind, kVectors, kCols / 2>(d, s, x, o, at, c, col);
}

// What the loops are compiled for: kThreeByThree is such a kernel of one channel.
template <bool kPoolWindows, bool kFiniteValues, int kNeighbours, bool kIsThreeByThree>
struct KindOf {
  static constexpr bool kPool = kPoolWindows, kFinite = kFiniteValues;
  static constexpr int kTaps = kNeighbours;
  static constexpr bool kThreeByThree = kIsThreeByThree;
};

template <class Kind, class D>
HWY_NOINLINE void Rows(D d, Kind, DirectSizes s, const float* x, Operands o,
                       const RowRange& range) {
  const int64_t row_size = s.cols * s.out_c;
  int64_t at = (range.image * s.rows + range.begin) * row_size;
  for (int64_t row = range.begin; row < range.end; ++row, x += s.step * s.width, at += row_size) {
    ForChannelBlocks<true>(d, s.out_c, [&](auto vectors, int64_t c) HWY_ATTR {
      constexpr int kSums = kManyRegisters ? 16 : 8;
      constexpr int kCols = Kind::kPool ? kSums / 4 / vectors : std::min(kSums / vectors, 8);
      Row<Kind, vectors, kCols>(d, s, x, o, at, c, 0);
    });
  }
}

}  // namespace

void ForwardOnTarget(const ConvBlockGeometry& g, const RowTasks& tasks, const float* x,
                     const Operands& o, int64_t task) {
  const DirectSizes s(g);
  WithVector(s.out_c, [&](auto d) HWY_ATTR {
    const PaddedRows padded(g, x, std::min(s.rows, tasks.size));
    const double max_w = MaxAbs(d, o.w, s.taps() * s.out_c);
    const double max_bias = o.bias ? MaxAbs(d, o.bias, s.out_c) : 0;
    tasks.ForEachRange(task, s.rows, [&](const RowRange& range) HWY_ATTR {
      const float* const rows = padded.Below(range);
      // No sum can leave the finite numbers, whatever its order.
      const float max_x = g.pool ? MaxAbs(d, rows, s.input_rows(range.count()) * s.width) : 0;
      const bool finite =
          max_w * max_x * s.taps() + max_bias < std::numeric_limits<float>::max() / 2;
      const auto run = [&](auto taps, auto three_by_three) HWY_ATTR {
        if (!g.pool) {
          return Rows(d, KindOf<false, false, taps, three_by_three>(), s, rows, o, range);
        }
        finite ? Rows(d, KindOf<true, true, taps, three_by_three>(), s, rows, o, range)
               : Rows(d, KindOf<true, false, taps, three_by_three>(), s, rows, o, range);
      };
      using std::integral_constant, std::bool_constant;
      if (g.conv.kernel_w != 3) return run(integral_constant<int, 1>(), bool_constant<false>());
      s.kernel_h == 3 && s.in_c == 1 ? run(integral_constant<int, 3>(), bool_constant<true>())
                                     : run(integral_constant<int, 3>(), bool_constant<false>());
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(ForwardOnTarget);

bool PrefersDirectBlock(const ConvBlockGeometry& block) {
  const Conv2dGeometry& g = block.conv;
  const int64_t least = block.pool ? 2 : 1;
  return g.in_c >= 1 && g.in_c <= (block.pool ? kMaxInputChannels : 1) && g.groups == 1 &&
         g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 && g.dilation_w == 1 &&
         g.out_c >= kMinOutputChannels && g.kernel_h * g.kernel_w <= kMaxTaps &&
         g.batch * g.in_h * g.in_w > 0 && g.out_h >= least && g.out_w >= least;
}

void DirectBlockForward(const ConvBlockGeometry& g, const float* x, const float* w,
                        const float* bias, float* y, uint8_t* winners) {
  const RowTasks tasks(DirectSizes(g), std::numeric_limits<int64_t>::max());
  const Operands operands = {w, g.bias ? bias : nullptr, y, winners, g.relu};
  ParallelFor(tasks.count, [&](int64_t task) {
    HWY_DYNAMIC_DISPATCH(ForwardOnTarget)(g, tasks, x, operands, task);
  });
}

void DirectBlockBackward(const ConvBlockGeometry& g, const float* x, const float* w, const float* y,
                         const uint8_t* winners, const float* dy, float* dx, float* dw,
                         float* dbias) {
  if (dw || dbias) DirectKernelGradient(g, x, y, winners, dy, dw, dbias);
  if (dx) DirectInputGradient(g, w, y, winners, dy, dx);
}

}  // namespace wengert
#endif  // HWY_ONCE
