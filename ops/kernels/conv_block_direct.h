// The convolution block of one to four input channels, where direct SIMD loops beat oneDNN by far:
// there are few channels to block for, and the image fits the L1 cache.
#ifndef WENGERT_OPS_KERNELS_CONV_BLOCK_DIRECT_H_
#define WENGERT_OPS_KERNELS_CONV_BLOCK_DIRECT_H_

#include <cstdint>

#include "ops/kernels/conv_block.h"

namespace wengert {

// Whether the functions below are the fastest for a geometry: for one input channel, or with
// pooling for up to four, and 8 output channels or more.
bool PrefersDirectBlock(const ConvBlockGeometry& g);

// As ConvBlockForward and ConvBlockBackward of conv_block.h. They take any number of input channels
// up to four, 8 output channels or more, one group, 25 taps or fewer, stride 1, dilation 1, any
// padding, and nothing empty; no memory is read past its end. Padding is multiplied like any zero:
// by an infinite weight it gives NaN.
//
// Without bias, relu and pool they are the convolution and its gradients, and with them y has the
// bits of the ops one by one. Same bits for any number of threads.
void DirectBlockForward(const ConvBlockGeometry& g, const float* x, const float* w,
                        const float* bias, float* y, uint8_t* winners);
void DirectBlockBackward(const ConvBlockGeometry& g, const float* x, const float* w, const float* y,
                         const uint8_t* winners, const float* dy, float* dx, float* dw,
                         float* dbias);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_CONV_BLOCK_DIRECT_H_
