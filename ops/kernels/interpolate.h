// Interpolation along one axis, on a grid of out half-pixel centers over in pixels, and its
// adjoint. Results have the same bits for any number of threads.
#ifndef WENGERT_OPS_KERNELS_INTERPOLATE_H_
#define WENGERT_OPS_KERNELS_INTERPOLATE_H_

#include "tensor/tensor.h"

namespace wengert {

// y[o, i, :] = x[o, l, :] + (x[o, l + 1, :] - x[o, l, :]) w, where the real number l + w is
// (i + 1/2) in / out - 1/2, moved into [0, in - 1]; with `nearest` x at the rounded number, a half
// up, of any dtype. Where w = 0 nothing but x[o, l, :] is read. `axis` separates o from the rest;
// x and y are dense and differ in no other dimension.
void InterpolateKernel(bool nearest, int axis, const Tensor& x, Tensor& y);
// dx from dy, floating.
void InterpolateGradientKernel(bool nearest, int axis, const Tensor& dy, Tensor& dx);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_INTERPOLATE_H_
