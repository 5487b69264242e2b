// Batched matrix products over strided tensors: picks the kernel and splits the work.
#ifndef WENGERT_OPS_KERNELS_MATMUL_H_
#define WENGERT_OPS_KERNELS_MATMUL_H_

#include "ops/kernels/onednn.h"
#include "tensor/tensor.h"

namespace wengert {

// a: [..., m, k], b: [..., k, n], y: [..., m, n], contiguous, all float32 or all float64. Leading
// dimensions of a and b broadcast to y's. Transposed and sliced views are read through their
// strides. The kernel and the split depend on shapes and strides alone, so the result has the same
// bits for any number of threads.
// Of two matrices, `finish` is then called for each tile of y while it is in cache, on any thread.
void MatMulKernel(const Tensor& a, const Tensor& b, Tensor& y, const FinishTile* finish = nullptr);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_MATMUL_H_
