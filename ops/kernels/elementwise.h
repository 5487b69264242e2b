// The block kernels of the element-wise rows: each computes a run of contiguous elements.
#ifndef WENGERT_OPS_KERNELS_ELEMENTWISE_H_
#define WENGERT_OPS_KERNELS_ELEMENTWISE_H_

#include <cstdint>

#include "tensor/dtype.h"

namespace wengert {

enum class Row : int {
#define UNARY(op, Function, ...) k##Function,
#define BINARY(op, Function, ...) k##Function,
#define COMPARISON(op, Function, ...) k##Function,
#define UNARY_WITH_NUMBERS UNARY
#include "ops/kernels/elementwise_rows.inc"
#undef UNARY
#undef UNARY_WITH_NUMBERS
#undef BINARY
#undef COMPARISON
  kMulAdd,  // in[0] in[1] + in[2], rounded once
  kWhere,   // in[0]: bool, then two values
};
inline constexpr int kNumRows = static_cast<int>(Row::kWhere) + 1;

// out[i] = f(in[0][i], ...) for i < n. An operand that the kernel's variant takes as a scalar is
// read at index 0 only. Inputs may be read up to a vector (64 bytes) past their end; `out` is
// written exactly, and may be one of the inputs. numbers: p0 and p1 of the rows that have them.
using BlockKernel = void (*)(const void* const* in, void* out, int64_t n, const double* numbers);

// By row, dtype of the values, and which operands are scalars: bit i, operand i (of where: bits 0
// and 1 are the two values). Null where a row has no kernel for the dtype (see the rows' types) or
// all operands are scalars.
struct BlockKernelTable {
  BlockKernel kernels[kNumRows][kNumDTypes][8] = {};
};
const BlockKernelTable& MakeBlockKernelTable();  // for this processor

inline BlockKernel GetBlockKernel(Row row, DType dtype, unsigned scalars) {
  static const BlockKernelTable& table = MakeBlockKernelTable();
  return table.kernels[static_cast<int>(row)][static_cast<int>(dtype)][scalars];
}

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_ELEMENTWISE_H_
