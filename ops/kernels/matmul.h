// Batched matrix products over strided tensors: picks the kernel and splits the work.
#ifndef WENGERT_OPS_KERNELS_MATMUL_H_
#define WENGERT_OPS_KERNELS_MATMUL_H_

#include "absl/types/span.h"
#include "ops/kernels/onednn.h"
#include "tensor/tensor.h"

namespace wengert {

// a: [..., m, k], b: [..., k, n], y: [..., m, n], contiguous, all float32 or all float64. Leading
// dimensions of a and b broadcast to y's. Transposed and sliced views are read through their
// strides. The kernel and the split depend on shapes and strides alone, so the result has the same
// bits for any number of threads.
// Of two matrices, `finish` is then called for each tile of y while it is in cache, on any thread.
void MatMulKernel(const Tensor& a, const Tensor& b, Tensor& y, const FinishTile* finish = nullptr);

// y = before + a_0 b_0 + a_1 b_1 + ..., added in this order with the bits of MatMulKernel's
// products and plain sums. before: [m, n], or null; factors: a_0, b_0, a_1, ..., a_i: [m, k_i],
// b_i: [k_i, n]; otherwise as above. Products that add few rows to a gradient, as those of a
// recurrent step do (k_i <= 128, columns of a_i and rows of b_i dense), take no memory of their
// own.
void MatMulSumKernel(const Tensor* before, absl::Span<const Tensor* const> factors, Tensor& y);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_MATMUL_H_
