// The gradients of 3x3 convolutions of stride 1 by Winograd's minimal filtering; the forward pass
// is WinogradBlockForward of conv_block_winograd.h with nothing after the convolution. Where
// results are not finite, dx is that of the plain sums and dw that of Conv2dKernelGradient.
//
// Operands are memory of a Tensor: a whole vector is read at the last elements.
#ifndef WENGERT_OPS_KERNELS_WINOGRAD_H_
#define WENGERT_OPS_KERNELS_WINOGRAD_H_

#include "ops/kernels/onednn.h"

namespace wengert {

// Whether they take the geometry and are no slower than oneDNN: by the shape alone.
bool PrefersWinogradInputGradient(const Conv2dGeometry& g);
bool PrefersWinogradKernelGradient(const Conv2dGeometry& g);

// dx: the convolution of dy with the kernel turned around.
void WinogradInputGradient(const Conv2dGeometry& g, const float* dy, const float* w, float* dx);
void WinogradKernelGradient(const Conv2dGeometry& g, const float* x, const float* dy, float* dw);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_WINOGRAD_H_
