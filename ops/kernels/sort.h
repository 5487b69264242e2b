// The order of the elements of rows.
#ifndef WENGERT_OPS_KERNELS_SORT_H_
#define WENGERT_OPS_KERNELS_SORT_H_

#include "tensor/tensor.h"

namespace wengert {

// y[r, :] (int64) = the positions in x[r, :] of its smallest (or largest) elements, sorted; as many
// as y has columns, which x has too. Equal elements stay in order, 0 and -0 are equal, NaN comes
// last. Of bool, false < true.
void ArgSortKernel(const Tensor& x, bool descending, Tensor& y);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_SORT_H_
