// Runs element-wise nodes over whole tensors, one by one or as a group.
#ifndef WENGERT_OPS_KERNELS_ELEMENTWISE_LOOP_H_
#define WENGERT_OPS_KERNELS_ELEMENTWISE_LOOP_H_

#include "autograd/element_group.h"
#include "autograd/node.h"
#include "ops/kernels/elementwise.h"
#include "tensor/tensor.h"

namespace wengert {

// An element-wise op's attributes. Operands that are C++ numbers are not inputs of the node but
// stand here, in the order of the operands; so do a row's parameters (a slope, bounds).
struct ElementwiseAttributes {
  double numbers[2] = {0, 0};
  uint16_t number_operands = 0;  // bit i: operand i is a number
  bool broadcasts = false;       // an input has another shape than the result
};

// out: contiguous, of the operands' broadcast shape; may share memory with a contiguous input of
// the same shape. Inputs broadcast.
template <int arity>
void RunElementwise(Row row, const ElementwiseAttributes& attributes, TensorSpan in, Tensor& out);

// All nodes of a group in one loop. The bits are those of one at a time.
void RunElementGroup(const ElementGroup& group);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_ELEMENTWISE_LOOP_H_
