// The windows of a convolution, channels last, read side by side (im2col) and added up (col2im).
#ifndef WENGERT_OPS_KERNELS_WINDOWS_H_
#define WENGERT_OPS_KERNELS_WINDOWS_H_

#include <cstdint>

#include "tensor/tensor.h"

namespace wengert {

// x: [batch, in_h, in_w, channels], windows: [batch, out_h, out_w, window_h * window_w * channels].
// Element (kh, kw) of window (oh, ow) is pixel (oh * stride + kh * dilation - pad_top, ow * stride
// + kw * dilation - pad_left), or 0 outside x.
struct WindowGeometry {
  int64_t batch = 0, in_h = 0, in_w = 0, channels = 0, out_h = 0, out_w = 0;
  int64_t window_h = 1, window_w = 1, stride = 1, dilation = 1, pad_top = 0, pad_left = 0;
};

// Both tensors are dense and of one dtype.
void UnfoldKernel(const WindowGeometry& g, const Tensor& x, Tensor& windows);
// Its adjoint. A pixel adds up what windows hold of it in double (integers wrap), in the order of
// the windows' elements; the same bits for any number of threads. Not of bools.
void FoldKernel(const WindowGeometry& g, const Tensor& windows, Tensor& x);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_WINDOWS_H_
