// Convolution, bias, relu and 2x2 max-pooling in one pass, and its gradients. Float32, channels
// last.
#ifndef WENGERT_OPS_KERNELS_CONV_BLOCK_H_
#define WENGERT_OPS_KERNELS_CONV_BLOCK_H_

#include <cstdint>

#include "ops/kernels/onednn.h"

namespace wengert {

struct ConvBlockGeometry {
  Conv2dGeometry conv;  // of onednn.h
  bool bias = false;
  bool relu = false;
  bool pool = false;  // 2x2 windows, stride 2, no padding, flooring: [out_h / 2, out_w / 2]
};

// y: [batch, out_h, out_w, out_c], halved with pool. winners (pool only; null: not wanted): per
// output the position row * 2 + column of the winner in its window, as max_pool2d's residual: the
// first of equals, a NaN wins over all.
void ConvBlockForward(const ConvBlockGeometry& g, const float* x, const float* w, const float* bias,
                      float* y, uint8_t* winners);
// Null results are not computed. dbias: [out_c]. y is what the forward pass gave: relu passes dy
// where y > 0.
void ConvBlockBackward(const ConvBlockGeometry& g, const float* x, const float* w, const float* y,
                       const uint8_t* winners, const float* dy, float* dx, float* dw, float* dbias);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_CONV_BLOCK_H_
