// Recurrent layers over a whole sequence, forward and backward: the batch is cut once, and every
// piece runs through all time steps on its own, with the recurrent weights packed once. Rows never
// meet, so the bits do not depend on the cut.
#ifndef WENGERT_OPS_KERNELS_RECURRENT_H_
#define WENGERT_OPS_KERNELS_RECURRENT_H_

#include "tensor/tensor.h"

namespace wengert {

// All float32. x_gates: [T, N, G H], weight: [H, G H], states [N, H], sequences [T, N, H]: time
// first, so that what a step reads and writes lies together. (With the batch first, rows are T G H
// apart, often a power of two, and meet in a few sets of the caches: a third slower.) Rows of
// x_gates and of cotangents may lie apart; all else is contiguous. `lengths`: [N] int64, null where
// every row has T steps. Cotangents of padding come out as 0; a null result is not computed.
struct SequenceInputs {
  const Tensor* x_gates;
  const Tensor* weight;
  const Tensor* h0;
  const Tensor* lengths = nullptr;
  bool reverse = false;
};

// y: [T, N, H]; h_last, c_last; residuals gates: [T, N, 4H] (i, f, g, o after their functions) and
// cells: [T, N, H].
void LstmForward(const SequenceInputs& in, const Tensor& c0, Tensor& y, Tensor& h_last,
                 Tensor& c_last, Tensor& gates, Tensor& cells);
struct LstmGradients {
  Tensor* x_gates;  // never null: the others are made from it
  Tensor *h0, *c0, *weight;
};
void LstmBackward(const SequenceInputs& in, const Tensor& c0, const Tensor& y, const Tensor& gates,
                  const Tensor& cells, const Tensor& dy, const Tensor& dh_last,
                  const Tensor& dc_last, const LstmGradients& out);

// Residuals gates: [T, N, 3H] (r, z, n) and candidates: [T, N, H], h_n.
void GruForward(const SequenceInputs& in, const Tensor& bias_hn, Tensor& y, Tensor& h_last,
                Tensor& gates, Tensor& candidates);
struct GruGradients {
  Tensor* x_gates;
  Tensor *h0, *weight, *bias_hn;
};
void GruBackward(const SequenceInputs& in, const Tensor& y, const Tensor& gates,
                 const Tensor& candidates, const Tensor& dy, const Tensor& dh_last,
                 const GruGradients& out);

void RnnForward(const SequenceInputs& in, bool relu, Tensor& y, Tensor& h_last);
struct RnnGradients {
  Tensor* x_gates;
  Tensor *h0, *weight;
};
void RnnBackward(const SequenceInputs& in, bool relu, const Tensor& y, const Tensor& dy,
                 const Tensor& dh_last, const RnnGradients& out);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_RECURRENT_H_
