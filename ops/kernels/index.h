// Moving entries by index: the kernels of Gather, GatherAlong, TakeAlongLast and their adjoints.
//
// Indices are int32 or int64. One that is out of range throws Error, which starts with [op] and
// names the index, its position and the size. Results have the same bits for any number of threads.
#ifndef WENGERT_OPS_KERNELS_INDEX_H_
#define WENGERT_OPS_KERNELS_INDEX_H_

#include <string_view>

#include "tensor/tensor.h"

namespace wengert {

// y[o, i, :] = x[o, indices[i], :], where `axis` of x separates o from the rest.
void GatherKernel(std::string_view op, const Tensor& x, const Tensor& indices, int axis, Tensor& y);
// y[o, k, :] = the sum of x[o, i, :] over the i with indices[i] = k, in rising order and in double
// (integers wrap); 0 where there is none. `axis`: that of k in y, and of the first index in x.
void ScatterAddKernel(std::string_view op, const Tensor& x, const Tensor& indices, int axis,
                      Tensor& y);

// y[o, i, j] = x[o, indices[o, i, j], j], where `axis` separates o from i and i from j.
void GatherAlongKernel(std::string_view op, const Tensor& x, const Tensor& indices, int axis,
                       Tensor& y);
// y[o, k, j] = the sum of x[o, i, j] over the i with indices[o, i, j] = k, as ScatterAddKernel.
void ScatterAddAlongKernel(std::string_view op, const Tensor& x, const Tensor& indices, int axis,
                           Tensor& y);

// y[r] = x[r, indices[r]] over all but the last axis of x.
void TakeAlongLastKernel(std::string_view op, const Tensor& x, const Tensor& indices, Tensor& y);
// y[r, indices[r]] = x[r] (x undefined: 1), else 0.
void PutAlongLastKernel(std::string_view op, const Tensor& x, const Tensor& indices, Tensor& y);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_INDEX_H_
