// Sums and extremes of a tensor over a set of axes. One fixed order of summation for every thread
// count: lanes in fixed blocks, blocks combined in double.
#ifndef WENGERT_OPS_KERNELS_REDUCE_H_
#define WENGERT_OPS_KERNELS_REDUCE_H_

#include <cstdint>

#include "tensor/tensor.h"

namespace wengert {

// axes: bit i, axis i of x is reduced. y: contiguous, x's dtype, the kept axes in order (axes of
// length 1 may be kept in its shape). Integers wrap; float32 is added up in float32 lanes of fixed
// blocks and from there on in double; float64 blocks are combined with compensation. The sum of
// nothing is 0. Throws Error on bool.
void SumKernel(const Tensor& x, uint32_t axes, Tensor& y);

// The largest or smallest value (values may be null) and its position (int64) in the reduced axes
// taken as one, row-major; the first of equals. NaN beats all; the first NaN wins. The reduced axes
// must hold an element.
void ExtremeKernel(const Tensor& x, uint32_t axes, bool largest, Tensor* values, Tensor* positions);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_REDUCE_H_
