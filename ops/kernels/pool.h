// Pooling over windows, channels last: maxima with their positions, means, and the adjoints.
// Every result element is computed by one task in one fixed order, and written once.
#ifndef WENGERT_OPS_KERNELS_POOL_H_
#define WENGERT_OPS_KERNELS_POOL_H_

#include <cstdint>

#include "tensor/tensor.h"

namespace wengert {

// x: [batch, in_h, in_w, channels], y: [batch, out_h, out_w, channels]. Window (oh, ow) starts at
// pixel (oh * stride - pad_top, ow * stride - pad_left) and has at least one real pixel.
// With stride 0 windows are adaptive: oh has the rows from oh * in_h / out_h rounded down to
// (oh + 1) * in_h / out_h rounded up, columns alike; `window` is no less than any side of one.
struct Pool2dGeometry {
  int64_t batch = 0, in_h = 0, in_w = 0, channels = 0, out_h = 0, out_w = 0;
  int64_t window = 1, stride = 1, pad_top = 0, pad_left = 0;
};

// The largest window: positions in it are exact in a float.
inline constexpr int64_t kMaxPoolWindow = 4096;

// A winner is row * window + column, counted from the window's start, padding included.
constexpr DType WinnerDType(int64_t window) { return window <= 16 ? DType::kUInt8 : DType::kInt32; }

// All tensors are dense; x, y, dx and dy float32 or float64. The first of equals wins, a NaN wins
// over all, and the first NaN over others.
void MaxPool2dKernel(const Pool2dGeometry& g, const Tensor& x, Tensor& y, Tensor& winners);
// y = x at the winners; and its adjoint, dx = dy added up at the winners, else 0.
void MaxPool2dPickKernel(const Pool2dGeometry& g, const Tensor& x, const Tensor& winners,
                         Tensor& y);
void MaxPool2dGradientKernel(const Pool2dGeometry& g, const Tensor& dy, const Tensor& winners,
                             Tensor& dx);
// The mean of the real pixels of a window; and its adjoint.
void AvgPool2dKernel(const Pool2dGeometry& g, const Tensor& x, Tensor& y);
void AvgPool2dGradientKernel(const Pool2dGeometry& g, const Tensor& dy, Tensor& dx);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_POOL_H_
