// What rests on sums of exponentials: softmax, its logarithm, log-sum-exp, and the cross entropy
// between softmax and labels or probabilities. Exponents are shifted by the row's maximum, so no
// finite input overflows. Same bits for any number of threads.
#ifndef WENGERT_OPS_KERNELS_SOFTMAX_H_
#define WENGERT_OPS_KERNELS_SOFTMAX_H_

#include <cstdint>

#include "tensor/tensor.h"

namespace wengert {

// exp(x) / sum(exp(x)) along `axis`; x: float32 or float64. A row with NaN, +inf or nothing but
// -inf is NaN.
void SoftmaxKernel(const Tensor& x, int axis, Tensor& y);
// (x - max) - log(sum(exp(x - max))): accurate where softmax is near 0 and near 1.
void LogSoftmaxKernel(const Tensor& x, int axis, Tensor& y);

// log(sum(exp(x))) over `axes` (bit i: axis i of x). y: contiguous, the kept axes in order. Of only
// -inf, and of no elements, -inf.
void LogSumExpKernel(const Tensor& x, uint32_t axes, Tensor& y);

// Cross entropy of float32 logits [N, C], N and C > 0, with either labels ([N], int32 or int64) or
// target probabilities ([N, C], float32). loss: [], the mean over the rows. stats: [N, 2], what the
// gradient needs: each row's maximum m and s = sum(targets) / sum(exp(logits - m)). A label outside
// [0, C) throws Error with its row.
void CrossEntropyKernel(const Tensor& logits, const Tensor& targets, Tensor& loss, Tensor& stats);
// d_logits = (exp(logits - m) s - targets) d_loss / N.
void CrossEntropyGradientKernel(const Tensor& logits, const Tensor& targets, const Tensor& stats,
                                const Tensor& d_loss, Tensor& d_logits);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_SOFTMAX_H_
