// Means and variances of a tensor over a set of axes, with one reading of memory.
#ifndef WENGERT_OPS_KERNELS_MOMENTS_H_
#define WENGERT_OPS_KERNELS_MOMENTS_H_

#include <cstdint>

#include "tensor/tensor.h"

namespace wengert {

// axes: bit i, axis i of x is reduced. mean and variance: contiguous, x's dtype, float32 or
// float64, the kept axes in order. The variance is that of the population: the mean of (x -
// mean)^2. The order of additions depends on the shape alone. Of nothing both are NaN.
void MomentsKernel(const Tensor& x, uint32_t axes, Tensor& mean, Tensor& variance);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_MOMENTS_H_
