// Convolution of one input channel, where a direct SIMD loop beats oneDNN by far: there is no
// reduction over channels to block for, and the image fits the L1 cache.
#ifndef WENGERT_OPS_KERNELS_CONV_DIRECT_H_
#define WENGERT_OPS_KERNELS_CONV_DIRECT_H_

#include "ops/kernels/onednn.h"

namespace wengert {

// True for the geometries that the functions below take: one input channel, stride 1, dilation 1,
// any padding, nothing empty, 8 output channels or more and 25 taps or fewer: elsewhere oneDNN is
// as fast or faster. Padding is multiplied like any zero: by an infinite weight it gives NaN.
bool PrefersDirect(const Conv2dGeometry& g);

// As Conv2dForward and Conv2dKernelGradient of onednn.h. `w` and `dy` must be in memory of the
// buffer pool: they are read in whole vectors, past their last element. Same bits for any number
// of threads.
void DirectConv2dForward(const Conv2dGeometry& g, const float* x, const float* w, float* y);
void DirectConv2dKernelGradient(const Conv2dGeometry& g, const float* x, const float* dy,
                                float* dw);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_CONV_DIRECT_H_
