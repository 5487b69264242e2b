// The input as the gradient of a direct convolution's kernel reads it: channel by channel, and with
// pooling two rows at once. Compiled once per SIMD target: include inside foreach_target.h's passes
// only.
#if defined(WENGERT_OPS_KERNELS_DIRECT_VALUES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_DIRECT_VALUES_INL_H_
#undef WENGERT_OPS_KERNELS_DIRECT_VALUES_INL_H_
#else
#define WENGERT_OPS_KERNELS_DIRECT_VALUES_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"
#include "ops/kernels/direct_rows.h"
#include "tensor/pool.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The input values below rows of results, [rows, in_c, width]: one float, or with pooling two, for
// the pixel below too.
struct Values {
  const float* data;
  int64_t in_c, width;
};

constexpr int64_t kSpareValues = 2;  // how far past the last value the taps may reach

template <int kChannels, class D>
HWY_INLINE void LoadChannels(D d, const float* x, hn::Vec<D> (&v)[kChannels]) {
  if constexpr (kChannels == 1) v[0] = hn::LoadU(d, x);
  if constexpr (kChannels == 2) hn::LoadInterleaved2(d, x, v[0], v[1]);
  if constexpr (kChannels == 3) hn::LoadInterleaved3(d, x, v[0], v[1], v[2]);
  if constexpr (kChannels == 4) hn::LoadInterleaved4(d, x, v[0], v[1], v[2], v[3]);
}

// A row of x, [width, kChannels], as values; with pooling beside the row below it.
template <int kChannels, bool kPool>
void CopyRow(const float* x, const float* below, int64_t width, float* values) {
  constexpr int64_t kSize = kPool ? 2 : 1;
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (width < lanes) {
    for (int64_t i = 0; i < width * kChannels; ++i) {
      float* const to = values + (i % kChannels * width + i / kChannels) * kSize;
      to[0] = x[i];
      if (kPool) to[1] = below[i];
    }
    return;
  }
  for (int64_t i = 0; i < width; i += lanes) {
    const int64_t at = std::min(i, width - lanes);
    hn::Vec<decltype(d)> upper[kChannels], lower[kChannels];
    LoadChannels<kChannels>(d, x + at * kChannels, upper);
    if (kPool) LoadChannels<kChannels>(d, below + at * kChannels, lower);
    for (int c = 0; c < kChannels; ++c) {
      float* const to = values + (c * width + at) * kSize;
      kPool ? hn::StoreInterleaved2(upper[c], lower[c], d, to) : hn::StoreU(upper[c], d, to);
    }
  }
}

// x: [rows, width, kChannels]. With pooling the last row has none below, and is left out.
template <int kChannels, bool kPool>
void CopyRows(const float* x, int64_t rows, int64_t width, float* values) {
  constexpr int64_t kSize = kPool ? 2 : 1;
  const int64_t row_size = width * kChannels;
  for (int64_t row = 0; row < rows - (kPool ? 1 : 0); ++row) {
    CopyRow<kChannels, kPool>(x + row * row_size, x + (row + 1) * row_size, width,
                              values + row * row_size * kSize);
  }
  std::fill_n(values + (rows - (kPool ? 1 : 0)) * row_size * kSize, kSize * kSpareValues, 0.0f);
}

// The values below ranges of a task.
class ValueRows {
 public:
  ValueRows(const ConvBlockGeometry& g, const float* x, int64_t most_rows)
      : s_(g),
        width_(s_.width / s_.in_c),
        padded_(g, x, most_rows, InPlace(g) && g.conv.kernel_w % 3 != 0 ? kSpareValues : 0) {
    if (InPlace(g)) return;
    const int64_t size = s_.input_rows(most_rows) * s_.width + kSpareValues;
    values_ = StoragePtr::Allocate(s_.step * size * sizeof(float));
  }
  Values Below(const RowRange& range) const {
    const float* const rows = padded_.Below(range);
    if (!values_) return {rows, s_.in_c, width_};
    float* const values = reinterpret_cast<float*>(values_->data());
    const int64_t count = s_.input_rows(range.count());
    const auto copy = [&](auto channels) {
      s_.step == 2 ? CopyRows<channels, true>(rows, count, width_, values)
                   : CopyRows<channels, false>(rows, count, width_, values);
    };
    switch (s_.in_c) {
      case 1:
        copy(std::integral_constant<int, 1>());
        break;
      case 2:
        copy(std::integral_constant<int, 2>());
        break;
      case 3:
        copy(std::integral_constant<int, 3>());
        break;
      case 4:
        copy(std::integral_constant<int, 4>());
        break;
    }
    return {values, s_.in_c, width_};
  }

 private:
  static bool InPlace(const ConvBlockGeometry& g) { return g.conv.in_c == 1 && !g.pool; }
  DirectSizes s_;
  int64_t width_;
  PaddedRows padded_;
  StoragePtr values_;
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif  // WENGERT_OPS_KERNELS_DIRECT_VALUES_INL_H_
