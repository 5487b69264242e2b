// Convolution and matrix multiplication by oneDNN, over plain pointers.
//
// oneDNN's own threading changes results with the number of threads, so it is not used: every call
// is cut into pieces by shape alone (images of a batch, rows and columns of C) and a piece is one
// single-threaded oneDNN call inside ParallelFor. The results have the same bits for any number of
// threads.
//
// If oneDNN fails, the functions throw std::runtime_error with the primitive's name.
#ifndef WENGERT_OPS_KERNELS_ONEDNN_H_
#define WENGERT_OPS_KERNELS_ONEDNN_H_

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace wengert {

// x: [batch, in_h, in_w, in_c], w: [kernel_h, kernel_w, in_c / groups, out_c], y: [batch, out_h,
// out_w, out_c], all dense, and out = (in + padding - ((kernel - 1) * dilation + 1)) / stride + 1,
// rounded down. Dilation 1 is dense.
struct Conv2dGeometry {
  int64_t batch = 0, in_h = 0, in_w = 0, in_c = 0, out_h = 0, out_w = 0, out_c = 0;
  int64_t kernel_h = 0, kernel_w = 0;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int64_t groups = 1;
};

void Conv2dForward(const Conv2dGeometry& g, const float* x, const float* w, float* y);
void Conv2dInputGradient(const Conv2dGeometry& g, const float* dy, const float* w, float* dx);
void Conv2dKernelGradient(const Conv2dGeometry& g, const float* x, const float* dy, float* dw);

// The same, for callers that make more of a piece of the batch, or make it, while it is in cache.
// Nothing may be empty. The callbacks run on any thread, once for each piece, `images` of them from
// `first` on.
//
// Forward: use(first, images, y) gets each piece as it is done: a part of `y`, or where that is
// null, memory that is used again after the call.
void Conv2dForwardPieces(
    const Conv2dGeometry& g, const float* x, const float* w, float* y,
    absl::FunctionRef<void(int64_t first, int64_t images, float* y_piece)> use);
// Backward: make(first, images, dy) writes all of each piece of dy. dx, dw: null: not computed; not
// both.
void Conv2dBackwardPieces(
    const Conv2dGeometry& g, const float* x, const float* w, float* dx, float* dw,
    absl::FunctionRef<void(int64_t first, int64_t images, float* dy_piece)> make);

// What follows on a part of a product while it is in cache: rows [row, row + rows), columns alike.
using FinishTile =
    absl::FunctionRef<void(int64_t row, int64_t rows, int64_t column, int64_t columns)>;

// C = op(A) op(B), row-major, op(A): [m, k], op(B): [k, n]; ld* is the distance between rows as
// stored, so `a` is [m, k] with lda >= k, or [k, m] with lda >= m when transposed. k == 0 fills C
// with zeros. C must not overlap A or B. The first call of a process pays tens of milliseconds for
// oneDNN's code generation. `finish`, unless it is null, is called for each tile of C once it is
// done, on any thread.
void Sgemm(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, bool transpose_a,
           const float* b, int64_t ldb, bool transpose_b, float* c, int64_t ldc,
           const FinishTile* finish = nullptr);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_ONEDNN_H_
