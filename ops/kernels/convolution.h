// Convolution and its gradients in float32, by the kernel that is fastest for the shape: direct,
// Winograd's or oneDNN's. The parameters are those of onednn.h.
#ifndef WENGERT_OPS_KERNELS_CONVOLUTION_H_
#define WENGERT_OPS_KERNELS_CONVOLUTION_H_

#include "ops/kernels/onednn.h"

namespace wengert {

// Operands are memory of a Tensor: a whole vector is read at the last elements.
void Convolution(const Conv2dGeometry& g, const float* x, const float* w, float* y);
void ConvolutionInputGradient(const Conv2dGeometry& g, const float* dy, const float* w, float* dx);
void ConvolutionKernelGradient(const Conv2dGeometry& g, const float* x, const float* dy, float* dw);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_CONVOLUTION_H_
