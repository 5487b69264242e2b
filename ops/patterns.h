// The patterns of ops that composites replace, and what their matcher asks of the ops' nodes.
#ifndef WENGERT_OPS_PATTERNS_H_
#define WENGERT_OPS_PATTERNS_H_

#include "autograd/pattern.h"
#include "ops/kernels/elementwise.h"
#include "ops/kernels/onednn.h"
#include "ops/kernels/pool.h"

namespace wengert::internal {

// Of the ops that a convolution block can end in: its bias, its relu, its pooling.
void MatchBlock(Chain& chain);

// What a convolution or a max-pooling was recorded with; null for other ops.
const Conv2dGeometry* AsConv2d(const Node& node);
const Pool2dGeometry* AsMaxPool2d(const Node& node);
// An element-wise op of this row, on tensors alone.
bool IsRow(const Node& node, Row row);

Variable Convolve(const Conv2dGeometry& g, const Variable& x, const Variable& kernel);

}  // namespace wengert::internal

#endif  // WENGERT_OPS_PATTERNS_H_
