#include "ops/kernels/direct_rows.h"

namespace wengert {

RowTasks::RowTasks(const DirectSizes& s, int64_t max_tasks)
    : rows(s.rows), total(s.batch * s.rows) {
  constexpr int64_t kProducts = 500'000;
  const int64_t products = s.step * s.step * s.cols * s.taps() * s.out_c;
  size = std::max(kProducts / products + 1, (total - 1) / max_tasks + 1);
  // Whole images, where a task has several: rows at the edge of a task are padded twice.
  if (size > rows) size = (size + rows - 1) / rows * rows;
  count = (total + size - 1) / size;
}

PaddedRows::PaddedRows(const ConvBlockGeometry& g, const float* x, int64_t most_rows, int64_t spare)
    : g_(g.conv), s_(g), x_(x) {
  if (g_.pad_top + g_.pad_left + g_.pad_bottom + g_.pad_right + spare == 0) return;
  const int64_t size = s_.input_rows(most_rows) * s_.width;
  padded_ = StoragePtr::Allocate((size + spare) * sizeof(float));
  std::fill_n(reinterpret_cast<float*>(padded_->data()) + size, spare, 0.0f);
}

const float* PaddedRows::Below(const RowRange& range) const {
  const int64_t first = range.begin * s_.step - g_.pad_top, size = g_.in_w * g_.in_c;
  const float* const image = x_ + range.image * g_.in_h * size;
  if (!padded_) return image + first * size;
  float* const padded = reinterpret_cast<float*>(padded_->data());
  const int64_t left = g_.pad_left * g_.in_c;
  for (int64_t i = 0; i < s_.input_rows(range.count()); ++i) {
    float* const row = padded + i * s_.width;
    if (first + i < 0 || first + i >= g_.in_h) {
      std::fill_n(row, s_.width, 0.0f);
      continue;
    }
    std::fill_n(row, left, 0.0f);
    std::copy_n(image + (first + i) * size, size, row + left);
    std::fill(row + left + size, row + s_.width, 0.0f);
  }
  return padded;
}

RowRange PixelRows(const ConvBlockGeometry& g, const RowRange& windows) {
  const bool last = windows.end == g.conv.out_h / 2;
  return {windows.image, 2 * windows.begin, last ? g.conv.out_h : 2 * windows.end};
}

void SpreadOverWindows(const ConvBlockGeometry& g, const RowRange& windows, const float* y,
                       const uint8_t* winners, const float* dy, float* pixels) {
  const int64_t out_w = g.conv.out_w, out_c = g.conv.out_c, cols = out_w / 2;
  std::fill_n(pixels, PixelRows(g, windows).count() * out_w * out_c, 0.0f);
  const int64_t first = (windows.image * (g.conv.out_h / 2) + windows.begin) * cols * out_c;
  for (int64_t i = 0; i < windows.count() * cols * out_c; ++i) {
    const int64_t from = first + i;
    if (g.relu && !(y[from] > 0)) continue;
    const int64_t h = 2 * (i / out_c / cols) + winners[from] / 2;
    const int64_t w = 2 * (i / out_c % cols) + winners[from] % 2;
    pixels[(h * out_w + w) * out_c + i % out_c] = dy[from];
  }
}

}  // namespace wengert
