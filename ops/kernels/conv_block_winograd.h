// The convolution block for 3x3 kernels of stride 1: forward by Winograd's minimal filtering, whose
// 2x2 output tile is a pooling window, so that the full-size activation is never written; backward
// by a visit to the winners of the windows only.
//
// The parameters are those of conv_block.h. A whole vector is read at the last elements of x, w and
// bias: they are memory of a Tensor, whose buffers allow that.
#ifndef WENGERT_OPS_KERNELS_CONV_BLOCK_WINOGRAD_H_
#define WENGERT_OPS_KERNELS_CONV_BLOCK_WINOGRAD_H_

#include <cstdint>

#include "ops/kernels/conv_block.h"

namespace wengert {

// Whether the forward pass takes the geometry and is no slower than oneDNN: by the shape alone.
bool PrefersWinogradBlock(const ConvBlockGeometry& g);
// The same of the backward pass, which needs pooling, and the winners of any forward pass.
bool PrefersWinogradBlockBackward(const ConvBlockGeometry& g);

// Takes 3x3 kernels of stride 1, dilation 1, one group. Non-finite results are those of a direct
// convolution.
void WinogradBlockForward(const ConvBlockGeometry& g, const float* x, const float* w,
                          const float* bias, float* y, uint8_t* winners);

// Takes the same, with pooling and at least one window. Terms of a sum that are 0 for certain are
// left out, unless they meet an infinity or NaN.
void WinogradBlockBackward(const ConvBlockGeometry& g, const float* x, const float* w,
                           const float* y, const uint8_t* winners, const float* dy, float* dx,
                           float* dw, float* dbias);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_CONV_BLOCK_WINOGRAD_H_
