// The patterns of ops that composites replace, and what their matcher asks of the ops' nodes.
#ifndef WENGERT_OPS_PATTERNS_H_
#define WENGERT_OPS_PATTERNS_H_

#include "autograd/pattern.h"
#include "ops/kernels/elementwise.h"
#include "ops/kernels/onednn.h"
#include "ops/kernels/pool.h"

namespace wengert::internal {

// What follows a convolution or a product: the end of a layer as programs write it.
struct BlockEnd {
  const Variable* bias = nullptr;  // of rank 1
  Row activation = Row::kAdd;      // which is none
  const Pool2dGeometry* pool = nullptr;
};

// The matcher of the ops that such a block can end in: bias, activation, max-pooling.
void MatchBlock(Chain& chain);
// Put composites in the place of a chain down to a convolution or a product, if they compute it.
void ReplaceByConvBlock(Chain& chain, const Conv2dGeometry& conv, const BlockEnd& end);
void ReplaceByDense(Chain& chain, const BlockEnd& end);

// OpTable::sum_up of the matrix product.
Variable SumUpProducts(const Variable& before, VariableSpan products);

// What a convolution or a max-pooling was recorded with; null for other ops.
const Conv2dGeometry* AsConv2d(const Node& node);
const Pool2dGeometry* AsMaxPool2d(const Node& node);
bool IsMatMul(const Node& node);
// An element-wise op of this row, on tensors alone.
inline bool IsRow(const Node& node, Row row) {
  constexpr int kBinary = static_cast<int>(Row::kAdd);
  return node.op->row == static_cast<int>(row) &&
         node.num_inputs == (node.op->row < kBinary ? 1 : 2);
}

}  // namespace wengert::internal

#endif  // WENGERT_OPS_PATTERNS_H_
