// Builds the merged loop over strided operands.
#include "tensor/strided.h"

#include <cassert>

namespace wengert {

StridedLoop StridedLoop::Make(const Shape& shape, absl::Span<const Tensor* const> operands) {
  assert(operands.size() <= kMaxOperands);
  const int num_operands = static_cast<int>(operands.size());
  StridedLoop loop;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const int64_t length = shape[axis];
    if (length == 1) continue;
    std::array<int64_t, kMaxOperands> step{};
    // The axis continues the one before it if stepping over its whole length is that one's step.
    bool merges = loop.rank > 0;
    for (int i = 0; i < num_operands; ++i) {
      const Tensor& operand = *operands[i];
      assert(BroadcastsTo(operand.shape(), shape));
      const int own_axis = axis - (shape.rank() - operand.rank());
      if (own_axis >= 0 && operand.shape()[own_axis] != 1) step[i] = operand.strides()[own_axis];
      merges = merges && loop.strides[i][loop.rank - 1] == step[i] * length;
    }
    if (!merges) loop.shape[loop.rank++] = 1;
    loop.shape[loop.rank - 1] *= length;
    for (int i = 0; i < num_operands; ++i) loop.strides[i][loop.rank - 1] = step[i];
  }
  if (loop.rank == 0) {
    loop.rank = 1;
    loop.shape[0] = 1;
    for (int i = 0; i < num_operands; ++i) loop.strides[i][0] = 0;
  }
  return loop;
}

int64_t StridedLoop::outer() const {
  int64_t product = 1;
  for (int axis = 0; axis < rank - 1; ++axis) product *= shape[axis];
  return product;
}

int64_t StridedLoop::RowOffset(int i, int64_t row) const {
  int64_t offset = 0;
  for (int axis = rank - 2; axis >= 0; --axis) {
    offset += row % shape[axis] * strides[i][axis];
    row /= shape[axis];
  }
  return offset;
}

}  // namespace wengert
