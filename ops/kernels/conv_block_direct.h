// The convolution block of one to four input channels, where direct SIMD loops beat oneDNN by far:
// there are few channels to block for, and the image fits the L1 cache.
#ifndef WENGERT_OPS_KERNELS_CONV_BLOCK_DIRECT_H_
#define WENGERT_OPS_KERNELS_CONV_BLOCK_DIRECT_H_

#include <cstdint>

#include "ops/kernels/conv_block.h"

namespace wengert {

// True for the geometries that the functions below take: one to four input channels, one group,
// stride 1, dilation 1, any padding, nothing empty, 8 output channels or more and 25 taps or fewer.
// Padding is multiplied like any zero: by an infinite weight it gives NaN.
bool PrefersDirectBlock(const ConvBlockGeometry& g);

// As ConvBlockForward and ConvBlockBackward of conv_block.h, with the bits of the ops one by one:
// without bias, relu and pool they are the convolution and its gradients. Same bits for any number
// of threads.
void DirectBlockForward(const ConvBlockGeometry& g, const float* x, const float* w,
                        const float* bias, float* y, uint8_t* winners);
void DirectBlockBackward(const ConvBlockGeometry& g, const float* x, const float* w, const float* y,
                         const uint8_t* winners, const float* dy, float* dx, float* dw,
                         float* dbias);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_CONV_BLOCK_DIRECT_H_
