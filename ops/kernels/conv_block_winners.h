// The gradients of a 3x3 convolution of stride 1 that 2x2 max-pooling follows, by a visit to the
// winners of the windows alone. Parts of conv_block_winograd.h.
#ifndef WENGERT_OPS_KERNELS_CONV_BLOCK_WINNERS_H_
#define WENGERT_OPS_KERNELS_CONV_BLOCK_WINNERS_H_

#include <cstdint>

#include "ops/kernels/conv_block.h"

namespace wengert {

// What the convolution's output gradient is made of: dy at the winners, where y > 0 or there is no
// relu. Tensors of [windows, channels]. A whole vector is read at their last elements.
struct PooledGradient {
  int64_t channels;
  bool relu;
  const float* y;
  const uint8_t* winners;
  const float* dy;
};

// dw and dbias; null results are not computed. False if x or dy is not finite: a direct sum would
// then have terms 0 * x, and what dw holds is of no use.
bool WinnersKernelGradient(const ConvBlockGeometry& g, const float* x, const PooledGradient& dy,
                           float* dw, float* dbias);

// False, with nothing done, if w is not finite.
bool WinnersInputGradient(const ConvBlockGeometry& g, const float* w, const PooledGradient& dy,
                          float* dx);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_CONV_BLOCK_WINNERS_H_
