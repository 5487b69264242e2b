// The kernel's gradient from the winners of pooling windows, compiled once per SIMD target. For one
// output channel, dw[tap, :] += dy * x[pixel + tap, :] over the pixels that won; all taps of some
// input channels are summed in registers, while the part of x that they read stays in L1.
#include <algorithm>
#include <array>
#include <utility>

#include "ops/kernels/conv_block_winners.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/conv_block_kernel_gradient.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/gemm_pack-inl.h"
#include "ops/kernels/winner_lists-inl.h"

#ifndef WENGERT_CONV_BLOCK_KERNEL_GRADIENT_ONCE_
#define WENGERT_CONV_BLOCK_KERNEL_GRADIENT_ONCE_
namespace wengert {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
float* Floats(const StoragePtr& storage) { return reinterpret_cast<float*>(storage->data()); }

// One term of a sum: dy at a pixel.
struct Term {
  int32_t pixel;
  float dy;
};

// How the work is cut, from the shape alone: x by bands of window rows whose pixels fit L1, the
// sums by groups of bands and blocks of output channels.
struct Cut {
  Cut(const ConvBlockGeometry& block, int64_t lanes, int64_t max_vectors, int64_t block_channels)
      : g(block.conv),
        windows_h(g.out_h / 2),
        windows_w(g.out_w / 2),
        vectors(CeilDiv(g.in_c, lanes)),
        chunks(CeilDiv(vectors, max_vectors)),
        width(2 * windows_w + 2),
        block_channels(block_channels),
        blocks(CeilDiv(g.out_c, block_channels)) {
    constexpr int64_t kPixelFloats = 6144;  // half of L1
    const int64_t pixels = kPixelFloats / (std::min(vectors, max_vectors) * lanes);
    const int64_t rows = std::clamp<int64_t>((pixels / width - 2) / 2, 1, windows_h);
    bands_per_image = CeilDiv(windows_h, rows);
    band_rows = 2 * CeilDiv(windows_h, bands_per_image) + 2;
    bands = g.batch * bands_per_image;
    bands_at_once = std::clamp<int64_t>(pixels / (band_rows * width), 1, 16);
    // A group's sums are written once and read once: many groups need many terms for each.
    const int64_t windows = g.batch * windows_h * windows_w;
    groups = std::max(std::min<int64_t>(windows / 100, 8), std::min<int64_t>(windows / 400, 32));
    groups = std::clamp<int64_t>(groups, 1, bands);
  }

  // The first window row of a band, in its image.
  int64_t RowOfBand(int64_t band) const {
    return band % bands_per_image * windows_h / bands_per_image;
  }
  // The first window of a band, in the batch.
  int64_t WindowOfBand(int64_t band) const {
    return (band / bands_per_image * windows_h + RowOfBand(band)) * windows_w;
  }
  // Vectors of input channels in a chunk, and the first.
  int64_t FirstVector(int64_t chunk) const { return chunk * vectors / chunks; }
  int64_t ChunkVectors(int64_t chunk) const { return FirstVector(chunk + 1) - FirstVector(chunk); }

  const Conv2dGeometry& g;
  int64_t windows_h, windows_w;
  int64_t vectors, chunks;         // of input channels
  int64_t width;                   // pixels in a row of a band
  int64_t block_channels, blocks;  // of output channels
  int64_t bands_per_image, band_rows, bands, bands_at_once, groups;
};

}  // namespace
}  // namespace wengert
#endif  // WENGERT_CONV_BLOCK_KERNEL_GRADIENT_ONCE_

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(DF()));

// Nine taps of these vectors are summed in registers.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int64_t kMaxVectors = 2;
#else
constexpr int64_t kMaxVectors = 1;
#endif

Cut MakeCut(const ConvBlockGeometry& g) { return Cut(g, kLanes, kMaxVectors, kListedChannels); }

// Keeps g++ from computing all 18 addresses apart, for which it has no registers.
HWY_INLINE void KeepInRegister([[maybe_unused]] const float*& p) {
#if HWY_ARCH_X86
  asm("" : "+r"(p));
#endif
}

// The sums of one output channel: [9, kVectors * lanes], added to `totals`. x: rows of `row`
// floats.
template <int kVectors>
HWY_NOINLINE void AddTerms(const Term* terms, int64_t count, const float* HWY_RESTRICT x,
                           int64_t row, float* HWY_RESTRICT totals) {
  const DF d;
  constexpr int64_t kPixel = kVectors * kLanes;
  VF sums[9][kVectors];
  HWY_UNROLL(9) for (int t = 0; t < 9; ++t) {
    HWY_UNROLL(2) for (int v = 0; v < kVectors; ++v) sums[t][v] = hn::Zero(d);
  }
  for (const Term* const end = terms + count; terms != end; ++terms) {
    const VF dy = hn::Set(d, terms->dy);
    const float* rows[3] = {x + terms->pixel * kPixel};
    HWY_UNROLL(3) for (int i = 1; i < 3; ++i) {
      rows[i] = rows[i - 1] + row;
      KeepInRegister(rows[i]);
    }
    HWY_UNROLL(9) for (int t = 0; t < 9; ++t) {
      HWY_UNROLL(2) for (int v = 0; v < kVectors; ++v) {
        const float* const from = rows[t / 3] + t % 3 * kPixel + v * kLanes;
        sums[t][v] = hn::MulAdd(dy, hn::Load(d, from), sums[t][v]);
      }
    }
  }
  HWY_UNROLL(9) for (int t = 0; t < 9; ++t) {
    HWY_UNROLL(2) for (int v = 0; v < kVectors; ++v) {
      float* const total = totals + t * kPixel + v * kLanes;
      hn::Store(hn::Add(hn::Load(d, total), sums[t][v]), d, total);
    }
  }
}

// Copies a band of a chunk's channels to [band_rows, width, vectors * lanes], with zeros for the
// padding. Adds 0 * x to `poison`.
void PackBand(const Cut& cut, const float* x, int64_t band, int64_t chunk, float* to, VF& poison) {
  const DF d;
  const VF zero = hn::Zero(d);
  const Conv2dGeometry& g = cut.g;
  const int64_t channel = cut.FirstVector(chunk) * kLanes, vectors = cut.ChunkVectors(chunk);
  const int64_t top = 2 * cut.RowOfBand(band) - g.pad_top;
  const int64_t image = band / cut.bands_per_image;
  for (int64_t h = top; h < top + cut.band_rows; ++h) {
    const float* const row = x + (image * g.in_h + h) * g.in_w * g.in_c + channel;
    for (int64_t w = -g.pad_left; w < cut.width - g.pad_left; ++w) {
      const bool inside = h >= 0 && h < g.in_h && w >= 0 && w < g.in_w;
      for (int64_t v = 0; v < vectors; ++v, to += kLanes) {
        VF value = zero;
        if (inside) {
          value = hn::LoadU(d, row + w * g.in_c + v * kLanes);
          const int64_t left = g.in_c - channel - v * kLanes;
          if (left < kLanes) {
            value = hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(left)), value);
          }
        }
        poison = hn::MulAdd(value, zero, poison);
        hn::Store(value, d, to);
      }
    }
  }
}

// Whether the pixels of an image are finite that no band has, because flooring drops all that they
// reach.
bool RestIsFinite(const Cut& cut, const float* x, int64_t image) {
  const Conv2dGeometry& g = cut.g;
  const int64_t rows = std::clamp<int64_t>(2 * cut.windows_h + 2 - g.pad_top, 0, g.in_h);
  const int64_t columns = std::clamp<int64_t>(cut.width - g.pad_left, 0, g.in_w);
  float poison = 0;
  for (int64_t h = 0; h < g.in_h; ++h) {
    const float* const row = x + (image * g.in_h + h) * g.in_w * g.in_c;
    for (int64_t i = h < rows ? columns * g.in_c : 0; i < g.in_w * g.in_c; ++i)
      poison += 0 * row[i];
  }
  return poison == 0;
}

// The terms of channels [channel, channel + channels) from the bands [begin, end), by channel:
// terms[c * max_terms + i], i < counts[c]. A pixel counts from the first tap that it reads. Adds
// the gradients to sums: [channels, rounded up to vectors].
void SortTerms(const Cut& cut, const PooledGradient& from, int64_t begin, int64_t end,
               int64_t channel, int64_t channels, int64_t max_terms, Term* terms, int32_t* counts,
               float* sums) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  const hn::Rebind<uint8_t, DF> d_byte;
  const VF zero = hn::Zero(d);
  const auto one = hn::Set(di, 1), width = hn::Set(di, static_cast<int32_t>(cut.width));
  // The place of each lane's first term.
  const auto first_place = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(max_terms)));
  std::fill_n(counts, kListedChannels, 0);
  int64_t window = cut.WindowOfBand(begin);
  for (int64_t band = begin; band < end; ++band) {
    const int64_t first = window, last = cut.WindowOfBand(band + 1);
    const int64_t slot = (band - begin) * cut.band_rows * cut.width;
    for (; window < last; ++window) {
      const int64_t h = 2 * ((window - first) / cut.windows_w);
      const int64_t w = 2 * ((window - first) % cut.windows_w);
      const auto corner = hn::Set(di, static_cast<int32_t>(slot + h * cut.width + w));
      for (int64_t c = 0; c < channels; c += kLanes) {
        const int64_t at = window * from.channels + channel + c;
        const int64_t left = std::min(kLanes, channels - c);
        const VF dy = LoadGradient(d, from, at, left);
        hn::Store(hn::Add(hn::Load(d, sums + c), dy), d, sums + c);
        const auto position = hn::PromoteTo(di, hn::LoadU(d_byte, from.winners + at));
        const auto below = hn::IfThenElseZero(hn::Gt(position, one), width);
        const auto pixel = hn::Add(hn::Add(corner, below), hn::And(position, one));
        // All are written, and those that are 0 written over: no branch depends on the data.
        HWY_ALIGN Term found[kLanes];
        hn::StoreInterleaved2(pixel, hn::BitCast(di, dy), di, reinterpret_cast<int32_t*>(found));
        const auto count = hn::Load(di, counts + c);
        HWY_ALIGN int32_t places[kLanes];
        const auto vector_place = hn::Set(di, static_cast<int32_t>(c * max_terms));
        hn::Store(hn::Add(hn::Add(first_place, vector_place), count), di, places);
        const auto none = hn::RebindMask(di, hn::Eq(dy, zero));
        hn::Store(hn::Add(count, hn::IfThenZeroElse(none, one)), di, counts + c);
        if (left == kLanes) {
          HWY_UNROLL(16) for (int64_t i = 0; i < kLanes; ++i) terms[places[i]] = found[i];
        } else {
          for (int64_t i = 0; i < left; ++i) terms[places[i]] = found[i];
        }
      }
    }
  }
}

template <int kVectors>
void AddChunk(const Cut& cut, int64_t channels, int64_t max_terms, const Term* terms,
              const int32_t* counts, const float* x, float* totals) {
  for (int64_t c = 0; c < channels; ++c) {
    AddTerms<kVectors>(terms + c * max_terms, counts[c], x, cut.width * kVectors * kLanes,
                       totals + c * 9 * kVectors * kLanes);
  }
}

}  // namespace

// The floats of one group's sums: [blocks of output channels, chunks, channels, 9, vectors *
// lanes].
int64_t GroupSizeOnTarget(const ConvBlockGeometry& g) {
  return g.conv.out_c * 9 * CeilDiv(g.conv.in_c, kLanes) * kLanes;
}
Cut CutOnTarget(const ConvBlockGeometry& g) { return MakeCut(g); }

// The sums of one group and block. x == nullptr: those of the bias alone. Returns whether all that
// was read is finite.
bool SumGroupOnTarget(const Cut& cut, const float* x, const PooledGradient& from, int64_t group,
                      int64_t block, float* totals, float* bias_sums) {
  const DF d;
  const int64_t channel = block * kListedChannels;
  const int64_t channels = std::min(kListedChannels, from.channels - channel);
  const int64_t first = group * cut.bands / cut.groups, last = (group + 1) * cut.bands / cut.groups;
  const int64_t max_windows = cut.bands_at_once * (cut.band_rows - 2) / 2 * cut.windows_w;
  const int64_t pixels = cut.bands_at_once * cut.band_rows * cut.width * kMaxVectors * kLanes;
  const StoragePtr scratch =
      StoragePtr::Allocate(pixels * sizeof(float) + max_windows * channels * sizeof(Term));
  float* const packed = Floats(scratch);
  Term* const terms = reinterpret_cast<Term*>(packed + pixels);
  HWY_ALIGN float sums[kListedChannels] = {};
  VF poison = hn::Zero(d);
  bool finite = true;
  if (x != nullptr) std::fill_n(totals, channels * 9 * cut.vectors * kLanes, 0.0f);

  for (int64_t band = first; band < last; band += cut.bands_at_once) {
    const int64_t end = std::min(band + cut.bands_at_once, last);
    HWY_ALIGN int32_t counts[kListedChannels];
    SortTerms(cut, from, band, end, channel, channels, max_windows, terms, counts, sums);
    if (x == nullptr) continue;
    float* to = totals;
    for (int64_t chunk = 0; chunk < cut.chunks; ++chunk) {
      const int64_t vectors = cut.ChunkVectors(chunk);
      for (int64_t b = band; b < end; ++b) {
        PackBand(cut, x, b, chunk,
                 packed + (b - band) * cut.band_rows * cut.width * vectors * kLanes, poison);
      }
      if (vectors == 1) AddChunk<1>(cut, channels, max_windows, terms, counts, packed, to);
      if constexpr (kMaxVectors == 2) {
        if (vectors == 2) AddChunk<2>(cut, channels, max_windows, terms, counts, packed, to);
      }
      to += channels * 9 * vectors * kLanes;
    }
  }
  for (int64_t band = first; band < last && x != nullptr && block == 0; ++band) {
    if (cut.RowOfBand(band) == 0) finite &= RestIsFinite(cut, x, band / cut.bands_per_image);
  }
  for (int64_t c = 0; c < channels; ++c) {
    finite &= 0 * sums[c] == 0;
    bias_sums[channel + c] = sums[c];
  }
  return finite && hn::AllTrue(d, hn::Eq(poison, hn::Zero(d)));
}

// dw of a chunk and block from the groups' sums: added in the groups' order to the first one, then
// transposed.
void FinishChunkOnTarget(const Cut& cut, int64_t block, int64_t chunk, int64_t group_size,
                         float* totals, float* dw) {
  const DF d;
  const Conv2dGeometry& g = cut.g;
  const int64_t channel = block * kListedChannels;
  const int64_t channels = std::min(kListedChannels, g.out_c - channel);
  const int64_t first = cut.FirstVector(chunk) * kLanes, width = cut.ChunkVectors(chunk) * kLanes;
  float* const sums = totals + 9 * (channel * cut.vectors * kLanes + channels * first);
  const int64_t size = channels * 9 * width;
  for (int64_t i = 0; i < size; i += kLanes) {
    VF sum = hn::Load(d, sums + i);
    for (int64_t group = 1; group < cut.groups; ++group) {
      sum = hn::Add(sum, hn::Load(d, sums + group * group_size + i));
    }
    hn::Store(sum, d, sums + i);
  }
  const int64_t in_channels = std::min(width, g.in_c - first);
  for (int64_t tap = 0; tap < 9; ++tap) {
    Pack(sums + tap * width, 1, 9 * width, in_channels, channels, g.out_c,
         dw + (tap * g.in_c + first) * g.out_c + channel);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(GroupSizeOnTarget);
HWY_EXPORT(CutOnTarget);
HWY_EXPORT(SumGroupOnTarget);
HWY_EXPORT(FinishChunkOnTarget);

bool WinnersKernelGradient(const ConvBlockGeometry& g, const float* x, const PooledGradient& dy,
                           float* dw, float* dbias) {
  const Cut cut = HWY_DYNAMIC_DISPATCH(CutOnTarget)(g);
  const int64_t out_c = g.conv.out_c, tasks = cut.groups * cut.blocks;
  const int64_t group_size = dw == nullptr ? 0 : HWY_DYNAMIC_DISPATCH(GroupSizeOnTarget)(g);
  const StoragePtr storage =
      StoragePtr::Allocate(cut.groups * (group_size + out_c) * sizeof(float) + tasks);
  float* const totals = Floats(storage);
  float* const bias_sums = totals + cut.groups * group_size;
  bool* const finite = reinterpret_cast<bool*>(bias_sums + cut.groups * out_c);
  const int64_t block_size = group_size / std::max<int64_t>(out_c, 1);
  ParallelFor(tasks, [&](int64_t task) {
    const int64_t group = task / cut.blocks, block = task % cut.blocks;
    finite[task] = HWY_DYNAMIC_DISPATCH(SumGroupOnTarget)(
        cut, dw == nullptr ? nullptr : x, dy, group, block,
        totals + group * group_size + block * cut.block_channels * block_size,
        bias_sums + group * out_c);
  });
  if (dbias != nullptr) {
    for (int64_t c = 0; c < out_c; ++c) {
      double sum = 0;
      for (int64_t group = 0; group < cut.groups; ++group) sum += bias_sums[group * out_c + c];
      dbias[c] = static_cast<float>(sum);
    }
  }
  if (dw == nullptr) return true;
  if (std::find(finite, finite + tasks, false) != finite + tasks) return false;
  ParallelFor(cut.blocks * cut.chunks, [&](int64_t task) {
    HWY_DYNAMIC_DISPATCH(FinishChunkOnTarget)
    (cut, task / cut.chunks, task % cut.chunks, group_size, totals, dw);
  });
  return true;
}

}  // namespace wengert
#endif  // HWY_ONCE
