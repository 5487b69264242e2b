// How the direct convolution kernels see a batch: as rows of results, and the input rows below
// them with their padding, so that the loops meet no edge.
#ifndef WENGERT_OPS_KERNELS_DIRECT_ROWS_H_
#define WENGERT_OPS_KERNELS_DIRECT_ROWS_H_

#include <algorithm>
#include <cstdint>

#include "ops/kernels/conv_block.h"
#include "tensor/pool.h"

namespace wengert {

// The sizes that the loops step by, in floats. A result is a pixel or, with pooling, a window.
struct DirectSizes {
  explicit DirectSizes(const ConvBlockGeometry& g)
      : batch(g.conv.batch),
        step(g.pool ? 2 : 1),
        rows(g.conv.out_h / step),
        cols(g.conv.out_w / step),
        in_c(g.conv.in_c),
        out_c(g.conv.out_c),
        kernel_h(g.conv.kernel_h),
        run(g.conv.kernel_w * in_c),
        width((g.conv.out_w - 1) * in_c + run) {}

  int64_t taps() const { return kernel_h * run; }
  // The padded input rows below `count` rows of results.
  int64_t input_rows(int64_t count) const { return (count - 1) * step + step - 1 + kernel_h; }

  int64_t batch, step;  // pixels from one result to the next
  int64_t rows, cols;   // of results in an image
  int64_t in_c, out_c, kernel_h;
  int64_t run;    // of taps that lie side by side: a row of the kernel
  int64_t width;  // of a padded input row
};

// Rows of results of one image.
struct RowRange {
  int64_t image, begin, end;
  int64_t count() const { return end - begin; }
};

// The rows of a batch in tasks of equal size. They are cut by shape alone: work for 10 us or more.
struct RowTasks {
  RowTasks(const DirectSizes& s, int64_t max_tasks);
  // Calls f(range) for the images of a task, `most` rows at a time.
  template <class F>
  void ForEachRange(int64_t task, int64_t most, const F& f) const {
    const int64_t end = std::min((task + 1) * size, total);
    for (int64_t row = task * size; row < end;) {
      const int64_t image = row / rows, first = row % rows;
      const int64_t count = std::min({rows - first, end - row, most});
      f(RowRange{image, first, first + count});
      row += count;
    }
  }

  int64_t rows, total;  // in an image, in all
  int64_t size, count;  // rows of a task, tasks
};

// The padded input rows of one task, which may read `spare` floats past their end.
class PaddedRows {
 public:
  PaddedRows(const ConvBlockGeometry& g, const float* x, int64_t most_rows, int64_t spare = 0);
  // [input_rows(range.count()), width]: those below a range of results, valid until the next call.
  const float* Below(const RowRange& range) const;

 private:
  const Conv2dGeometry& g_;
  DirectSizes s_;
  const float* x_;
  StoragePtr padded_;
};

// The rows of pixels that rows of windows cover, with the one that a flooring pool leaves out.
RowRange PixelRows(const ConvBlockGeometry& g, const RowRange& windows);

// pixels[PixelRows().count(), out_w, out_c]: the gradient of each pixel below rows of windows. A
// winner has its window's dy, with relu only where y > 0; all others have 0.
void SpreadOverWindows(const ConvBlockGeometry& g, const RowRange& windows, const float* y,
                       const uint8_t* winners, const float* dy, float* pixels);

// The parts of DirectBlockBackward. Of dw and dbias either may be null.
void DirectKernelGradient(const ConvBlockGeometry& g, const float* x, const float* y,
                          const uint8_t* winners, const float* dy, float* dw, float* dbias);
void DirectInputGradient(const ConvBlockGeometry& g, const float* w, const float* y,
                         const uint8_t* winners, const float* dy, float* dx);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_DIRECT_ROWS_H_
