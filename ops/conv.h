// What the convolutions share: their geometry, from what users write, and the ops that they are.
#ifndef WENGERT_OPS_CONV_H_
#define WENGERT_OPS_CONV_H_

#include <string_view>

#include "ops/kernels/onednn.h"
#include "ops/ops.h"

namespace wengert::internal {

// The geometry of Conv2d (axes = 2) or, of images of one row, Conv1d (axes = 1). Throws Error
// naming `op` and the shapes unless they fit.
Conv2dGeometry ConvGeometry(std::string_view op, int axes, const Shape& x, const Shape& kernel,
                            const Conv2dOptions& options);
// That of the convolution whose output has the shape of x and whose input is the result.
Conv2dGeometry ConvTransposeGeometry(std::string_view op, int axes, const Shape& x,
                                     const Shape& kernel, const ConvTransposeOptions& options);

// (x, kernel) -> y, and its adjoint (dy, kernel) -> dx. Both operands have the same floating dtype
// and the same rank: 4, or 3 for sequences.
Variable Convolve(const Conv2dGeometry& g, const Variable& x, const Variable& kernel);
Variable ConvolveTransposed(const Conv2dGeometry& g, const Variable& dy, const Variable& kernel);

}  // namespace wengert::internal

#endif  // WENGERT_OPS_CONV_H_
