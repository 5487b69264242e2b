// Scans along one axis of row-major tensors: running sums, products and log-sum-exps, and linear
// recurrences. Floats run in double, integers wrap. Results have the same bits for any number of
// threads.
#ifndef WENGERT_OPS_KERNELS_CUMULATIVE_H_
#define WENGERT_OPS_KERNELS_CUMULATIVE_H_

#include "tensor/tensor.h"

namespace wengert {

struct ScanOrder {
  int axis;                // not negative
  bool exclusive = false;  // the result is what there is before the element
  bool reverse = false;    // from the last element to the first
};

// y has x's shape and dtype, which is no bool or uint8; floating for the last two.
void CumSumKernel(const Tensor& x, const ScanOrder& order, Tensor& y);
void CumProdKernel(const Tensor& x, const ScanOrder& order, Tensor& y);
void LogCumSumExpKernel(const Tensor& x, const ScanOrder& order, Tensor& y);  // not exclusive
// y[i] = a[i] y[i - 1] + b[i], where y[-1] = 0 and a[0] is not read. Not exclusive.
void LinearRecurrenceKernel(const Tensor& a, const Tensor& b, const ScanOrder& order, Tensor& y);

// y[...] = the product of x[..., :].
void ProdKernel(const Tensor& x, Tensor& y);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_CUMULATIVE_H_
