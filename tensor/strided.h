// The loop over several strided operands of one shape: merged dimensions, then rows of the
// innermost one. Copying, element-wise kernels and reductions walk tensors with it.
#ifndef WENGERT_TENSOR_STRIDED_H_
#define WENGERT_TENSOR_STRIDED_H_

#include <array>
#include <cstdint>

#include "absl/types/span.h"
#include "tensor/tensor.h"

namespace wengert {

// Operand strides over a common shape, with dimensions of length 1 dropped and neighbours merged
// wherever every operand allows. A broadcast operand has stride 0. rank >= 1 (a scalar is [1]).
struct StridedLoop {
  static constexpr int kMaxOperands = 6;
  int rank = 0;
  std::array<int64_t, kMaxRank> shape;
  std::array<std::array<int64_t, kMaxRank>, kMaxOperands> strides;  // [operand][axis], in elements

  // Operands must broadcast to `shape`.
  static StridedLoop Make(const Shape& shape, absl::Span<const Tensor* const> operands);

  int64_t inner() const { return shape[rank - 1]; }
  int64_t outer() const;  // the product of all dimensions but the innermost
  // Offset (elements) of operand `i` at the start of row `row` of the outer dimensions.
  int64_t RowOffset(int i, int64_t row) const;
};

}  // namespace wengert

#endif  // WENGERT_TENSOR_STRIDED_H_
