// Recurrent layers over a whole sequence, forward and backward: the input meets its weights in one
// product; then the batch is cut once, and every piece runs through all time steps on its own. Rows
// never meet, so the bits do not depend on the cut.
#ifndef WENGERT_OPS_KERNELS_RECURRENT_H_
#define WENGERT_OPS_KERNELS_RECURRENT_H_

#include "tensor/tensor.h"

namespace wengert {

// All float32, x: [T, N, F], weight_ih: [F, G H], weight_hh: [H, G H], bias: [G H], h0: [N, H]:
// time first, so that what a step reads and writes lies together. (With the batch first, rows are
// T G H apart, often a power of two, and meet in a few sets of the caches: 1.1 times slower.)
// `lengths`: [N] int64, null where every row has T steps. x is finite in its padding.
struct SequenceInputs {
  const Tensor *x, *weight_ih, *weight_hh, *bias, *h0;
  const Tensor* lengths = nullptr;
  bool reverse = false;
};
// Gradients of the inputs. Null: not wanted.
struct SequenceGradients {
  Tensor *x, *weight_ih, *weight_hh, *bias, *h0;
};

// y: [T, N, H]; h_last, c_last; residuals gates: [T, N, 4H] (i, f, g, o after their functions) and
// cells: [T, N, H]. Results are contiguous; cotangents may have any strides.
void LstmForward(const SequenceInputs& in, const Tensor& c0, Tensor& y, Tensor& h_last,
                 Tensor& c_last, Tensor& gates, Tensor& cells);
void LstmBackward(const SequenceInputs& in, const Tensor& c0, const Tensor& y, const Tensor& gates,
                  const Tensor& cells, const Tensor& dy, const Tensor& dh_last,
                  const Tensor& dc_last, const SequenceGradients& out, Tensor* dc0);

// Residuals gates: [T, N, 3H] (r, z, n) and candidates: [T, N, H], h weight_n + bias_hn.
void GruForward(const SequenceInputs& in, const Tensor& bias_hn, Tensor& y, Tensor& h_last,
                Tensor& gates, Tensor& candidates);
void GruBackward(const SequenceInputs& in, const Tensor& y, const Tensor& gates,
                 const Tensor& candidates, const Tensor& dy, const Tensor& dh_last,
                 const SequenceGradients& out, Tensor* dbias_hn);

// The same, but the gate resets before the product. Residual resets: [T, N, H], r h.
void GruResetBeforeForward(const SequenceInputs& in, Tensor& y, Tensor& h_last, Tensor& gates,
                           Tensor& resets);
void GruResetBeforeBackward(const SequenceInputs& in, const Tensor& y, const Tensor& gates,
                            const Tensor& resets, const Tensor& dy, const Tensor& dh_last,
                            const SequenceGradients& out);

void RnnForward(const SequenceInputs& in, bool relu, Tensor& y, Tensor& h_last);
void RnnBackward(const SequenceInputs& in, bool relu, const Tensor& y, const Tensor& dy,
                 const Tensor& dh_last, const SequenceGradients& out);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_RECURRENT_H_
