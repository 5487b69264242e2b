// The gradients of kernel and bias, compiled once per SIMD target. Vectors run over output
// channels; sums for a group of taps stay in registers while the results of an image pass by.
//
// With pooling only winners have a gradient. Each lane has its own, so its pixel is looked up: a
// window's four pixels fit a 128-bit block, and the winners choose among its lanes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "ops/kernels/conv_block_direct.h"
#include "ops/kernels/direct_rows.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/conv_block_direct_gradient.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "ops/kernels/direct-inl.h"
#include "ops/kernels/direct_values-inl.h"

#ifndef WENGERT_CONV_BLOCK_DIRECT_GRADIENT_ONCE_
#define WENGERT_CONV_BLOCK_DIRECT_GRADIENT_ONCE_
namespace wengert {
namespace {

// Taps are taken in threes: neighbours in a row of one input channel's kernel. The last of a row
// may reach past what is there.
struct TapTriples {
  explicit TapTriples(const ConvBlockGeometry& g)
      : in_c(g.conv.in_c),
        per_row((g.conv.kernel_w + 2) / 3),
        count(g.conv.kernel_h * in_c * per_row),
        stride(g.conv.out_c + kMaxLanes) {}
  static constexpr int64_t kMaxLanes = 16;
  // Of a task's partial sums: those of one tap, over channels.
  int64_t Row(int64_t kh, int64_t kw, int64_t i) const {
    return (kh * in_c + i) * per_row * 3 + kw;
  }
  int64_t BiasRow() const { return count * 3; }
  int64_t size() const { return (BiasRow() + 1) * stride; }

  int64_t in_c, per_row, count;
  int64_t stride;  // with room for a last vector
};

constexpr int64_t kMaxTriples = 100;  // of 25 taps and four channels

// Rows of results with their gradients, from some channel on.
struct Results {
  int64_t rows, cols, out_c;
  const float* dy;
  const float* y;          // read with relu
  const uint8_t* winners;  // read with pooling
};

// How many rows of results are summed in float, before their sums are added up. Where they are read
// for several groups of taps, they stay in the L1 cache.
int64_t MostRows(const DirectSizes& s, const TapTriples& triples) {
  constexpr int64_t kResults = 1024, kChannels = 3072;
  const int64_t size = triples.count > 3 ? std::min(kResults, kChannels / s.out_c) : kResults;
  return std::clamp<int64_t>(size / s.cols, 1, s.rows);
}

}  // namespace
}  // namespace wengert
#endif  // WENGERT_CONV_BLOCK_DIRECT_GRADIENT_ONCE_

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

// A window's pixels lie in columns: top left, bottom left, top right, bottom right.
#if HWY_TARGET == HWY_SCALAR
template <class D>
HWY_INLINE int64_t LoadWinners(D, const uint8_t* winners) {
  return *winners % 2 * 2 + *winners / 2;
}
template <class D>
HWY_INLINE hn::Vec<D> LookUp(D d, const float* window, int64_t winner) {
  return hn::Set(d, window[winner]);
}
#else
// As indices of the bytes of four floats.
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<int32_t, D>> LoadWinners(D, const uint8_t* winners) {
  const hn::Rebind<int32_t, D> di;
  HWY_ALIGN static constexpr int32_t kBytes[16] = {0x03020100, 0x0b0a0908, 0x07060504, 0x0f0e0d0c};
  const auto lanes = hn::PromoteTo(di, hn::LoadU(hn::Rebind<uint8_t, D>(), winners));
  return hn::TableLookupLanes(hn::Load(di, kBytes), hn::IndicesFromVec(di, lanes));
}
template <class D>
HWY_INLINE hn::Vec<D> LookUp(D d, const float* window, hn::Vec<hn::Rebind<int32_t, D>> winners) {
  const hn::Rebind<int32_t, D> di;
  return hn::BitCast(d, hn::TableLookupBytes(hn::BitCast(di, hn::LoadDup128(d, window)), winners));
}
#endif

template <bool kHasPool, bool kHasRelu, bool kSumsResults>
struct KindOf {
  static constexpr bool kPool = kHasPool, kRelu = kHasRelu, kSums = kSumsResults;
};

// Adds to `totals`, whose rows lie `stride` apart, the gradients of kTriples threes of taps for
// kVectors vectors of channels; to bias_total, unless null, the sum of the results' gradients.
// offsets: from a result's place to the tap's. A function of its own, so that the pointers stay in
// registers.
template <class Kind, int kTriples, int kVectors, class D>
HWY_NOINLINE void AddTaps(D d, const Results r, const Values values, const int64_t* offsets,
                          float* totals, float* bias_total, int64_t stride) {
  constexpr int kTaps = 3 * kTriples;
  constexpr int64_t kSize = Kind::kPool ? 2 : 1, kStep = Kind::kPool ? 2 : 1;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sums[kTaps][kVectors], bias_sums[kVectors];
  HWY_UNROLL(2)
  for (int v = 0; v < kVectors; ++v) {
    bias_sums[v] = hn::Zero(d);
    HWY_UNROLL(9)
    for (int t = 0; t < kTaps; ++t) sums[t][v] = hn::Zero(d);
  }
  constexpr int64_t kAhead = 1024;  // floats: what is read next is on its way
  const int64_t row_step = kStep * values.in_c * values.width * kSize;
  int64_t at = 0;
  for (int64_t row = 0; row < r.rows; ++row) {
    const float* pixels[kTriples];
    HWY_UNROLL(3)
    for (int t = 0; t < kTriples; ++t) {
      pixels[t] = values.data + row * row_step + offsets[t];
    }
    for (int64_t col = 0; col < r.cols; ++col, at += r.out_c) {
      hn::Vec<D> dy[kVectors];
      decltype(LoadWinners(d, r.winners)) winners[kVectors];
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) {
        dy[v] = hn::LoadU(d, r.dy + at + v * lanes);
        hwy::Prefetch(r.dy + at + v * lanes + kAhead);
        if constexpr (Kind::kRelu) {
          hwy::Prefetch(r.y + at + v * lanes + kAhead);
          const auto active = hn::Gt(hn::LoadU(d, r.y + at + v * lanes), hn::Zero(d));
          dy[v] = hn::IfThenElseZero(active, dy[v]);
        }
        if constexpr (Kind::kPool) winners[v] = LoadWinners(d, r.winners + at + v * lanes);
        if constexpr (Kind::kSums) bias_sums[v] = hn::Add(bias_sums[v], dy[v]);
      }
      HWY_UNROLL(9)
      for (int t = 0; t < kTaps; ++t) {
        const float* const pixel = pixels[t / 3] + t % 3 * kSize;
        HWY_UNROLL(2)
        for (int v = 0; v < kVectors; ++v) {
          if constexpr (Kind::kPool) {
            sums[t][v] = hn::MulAdd(LookUp(d, pixel, winners[v]), dy[v], sums[t][v]);
          } else {
            sums[t][v] = hn::MulAdd(hn::Set(d, *pixel), dy[v], sums[t][v]);
          }
        }
      }
      HWY_UNROLL(3)
      for (int t = 0; t < kTriples; ++t) pixels[t] += kStep * kSize;
    }
  }
  const auto add = [&](const hn::Vec<D>& sum, float* total)
                       HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(d, total), sum), d, total); };
  HWY_UNROLL(2)
  for (int v = 0; v < kVectors; ++v) {
    HWY_UNROLL(9)
    for (int t = 0; t < kTaps; ++t) add(sums[t][v], totals + t * stride + v * lanes);
    if (Kind::kSums && bias_total) add(bias_sums[v], bias_total + v * lanes);
  }
}

// Adds all taps' gradients from some rows of one image to a task's partial sums.
template <class Kind, class D>
void AddRows(D d, Kind, const TapTriples& triples, const Results& results, const Values& values,
             float* partial) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t offsets[kMaxTriples];
  for (int64_t t = 0; t < triples.count; ++t) {
    offsets[t] =
        (t / triples.per_row * values.width + t % triples.per_row * 3) * (Kind::kPool ? 2 : 1);
  }
  const auto group = [&](auto threes, int64_t t) HWY_ATTR {
    ForChannelBlocks<kManyRegisters>(d, results.out_c, [&](auto vectors, int64_t c) HWY_ATTR {
      Results from_c = results;
      from_c.dy += c;
      if (Kind::kRelu) from_c.y += c;
      if (Kind::kPool) from_c.winners += c;
      // A vector that overlaps the one before it has sums of its own.
      float* const sums = partial + (c + lanes - 1) / lanes * lanes;
      AddTaps<Kind, threes, vectors>(d, from_c, values, offsets + t, sums + t * 3 * triples.stride,
                                     t == 0 ? sums + triples.BiasRow() * triples.stride : nullptr,
                                     triples.stride);
    });
  };
  for (int64_t t = 0; t < triples.count;) {
    if (triples.count - t >= 3) {
      group(std::integral_constant<int, 3>(), t);
      t += 3;
    } else {
      group(std::integral_constant<int, 1>(), t);
      t += 1;
    }
  }
}

// Moves a last vector's sums to its channels, over the same bits of the vector before it.
template <class D>
void CloseOverlap(D d, const TapTriples& triples, int64_t out_c, float* partial) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (out_c % lanes == 0) return;
  for (float* row = partial; row < partial + triples.size(); row += triples.stride) {
    std::copy_n(row + out_c / lanes * lanes, lanes, row + out_c - lanes);
  }
}

// Of pooled rows above an image that is not finite: losers have a gradient of zero, but times such
// a pixel it gives NaN. So all pixels' gradients are written out.
template <class D>
HWY_NOINLINE void AddUnpooledRows(D d, const ConvBlockGeometry& g, const TapTriples& triples,
                                  const float* x, const Results& batch, const RowRange& range,
                                  float* partial) {
  ConvBlockGeometry plain = g;
  plain.pool = false;
  const RowRange pixels = PixelRows(g, range);
  Results results = {.rows = pixels.count(), .cols = g.conv.out_w, .out_c = g.conv.out_c};
  const StoragePtr storage =
      StoragePtr::Allocate(results.rows * results.cols * results.out_c * sizeof(float));
  float* const dy = reinterpret_cast<float*>(storage->data());
  SpreadOverWindows(g, range, batch.y, batch.winners, batch.dy, dy);
  results.dy = dy;
  const ValueRows values(plain, x, results.rows);
  AddRows(d, KindOf<false, false, true>(), triples, results, values.Below(pixels), partial);
}

}  // namespace

void GradientOnTarget(const ConvBlockGeometry& g, const RowTasks& tasks, const float* x,
                      const Results& batch, int64_t task, float* partial) {
  const DirectSizes s(g);
  const TapTriples triples(g);
  std::fill_n(partial, triples.size(), 0.0f);
  WithVector(s.out_c, [&](auto d) HWY_ATTR {
    const int64_t most = MostRows(s, triples);
    const ValueRows values(g, x, most);
    tasks.ForEachRange(task, most, [&](const RowRange& range) HWY_ATTR {
      const int64_t image = g.conv.in_h * g.conv.in_w * g.conv.in_c;
      if (g.pool && !IsFinite(d, x + range.image * image, image)) {
        return AddUnpooledRows(d, g, triples, x, batch, range, partial);
      }
      const int64_t at = (range.image * s.rows + range.begin) * s.cols * s.out_c;
      Results results = batch;
      results.rows = range.count();
      results.dy += at;
      if (g.relu) results.y += at;
      if (g.pool) results.winners += at;
      const Values below = values.Below(range);
      const auto add = [&](auto kind)
                           HWY_ATTR { AddRows(d, kind, triples, results, below, partial); };
      if (g.pool)
        return g.relu ? add(KindOf<true, true, true>()) : add(KindOf<true, false, true>());
      g.relu   ? add(KindOf<false, true, true>())
      : g.bias ? add(KindOf<false, false, true>())
               : add(KindOf<false, false, false>());
    });
    CloseOverlap(d, triples, s.out_c, partial);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(GradientOnTarget);

void DirectKernelGradient(const ConvBlockGeometry& g, const float* x, const float* y,
                          const uint8_t* winners, const float* dy, float* dw, float* dbias) {
  constexpr int64_t kMaxTasks = 64;  // each has partial sums
  const DirectSizes s(g);
  const TapTriples triples(g);
  const RowTasks tasks(s, kMaxTasks);
  const StoragePtr storage = StoragePtr::Allocate(tasks.count * triples.size() * sizeof(float));
  float* const partials = reinterpret_cast<float*>(storage->data());
  const Results results = {.cols = s.cols, .out_c = s.out_c, .dy = dy, .y = y, .winners = winners};
  ParallelFor(tasks.count, [&](int64_t task) {
    HWY_DYNAMIC_DISPATCH(GradientOnTarget)
    (g, tasks, x, results, task, partials + task * triples.size());
  });

  // The sums of the tasks, in their order.
  const auto sum_row = [&](int64_t row, float* out) {
    constexpr int64_t kBlock = 256;
    for (int64_t begin = 0; begin < s.out_c; begin += kBlock) {
      const int64_t length = std::min(kBlock, s.out_c - begin);
      double sums[kBlock] = {};
      for (int64_t task = 0; task < tasks.count; ++task) {
        const float* const partial =
            partials + task * triples.size() + row * triples.stride + begin;
        for (int64_t i = 0; i < length; ++i) sums[i] += static_cast<double>(partial[i]);
      }
      for (int64_t i = 0; i < length; ++i) out[begin + i] = static_cast<float>(sums[i]);
    }
  };
  if (dbias) sum_row(triples.BiasRow(), dbias);
  if (!dw) return;
  const int64_t taps_per_block = 16'384 / (tasks.count * s.out_c) + 1;
  ParallelFor((s.taps() + taps_per_block - 1) / taps_per_block, [&](int64_t block) {
    const int64_t end = std::min((block + 1) * taps_per_block, s.taps());
    for (int64_t tap = block * taps_per_block; tap < end; ++tap) {
      const int64_t kh = tap / s.run, kw = tap % s.run / s.in_c, i = tap % s.in_c;
      sum_row(triples.Row(kh, kw, i), dw + tap * s.out_c);
    }
  });
}

}  // namespace wengert
#endif  // HWY_ONCE
