// Recurrence over time: x is [N, T, ...] and x_t, one step of it, [N, ...]. For what all ops have
// in common see ops/ops.h.
#ifndef WENGERT_OPS_RECURRENCE_H_
#define WENGERT_OPS_RECURRENCE_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autograd/variable.h"

namespace wengert {

struct ScanOptions {
  bool reverse = false;  // from the last step to the first
  // [N] integers from 1 to T: how many steps each row has; undefined: T each. A row's state stands
  // still past its end, its outputs there are 0, and nothing depends on what x holds there.
  Tensor lengths;
};
struct Scanned {
  Variable outputs;             // [N, T, ...]: state[0] after each step
  std::vector<Variable> state;  // after the last step
};
using ScanStep = absl::FunctionRef<std::vector<Variable>(const Variable& x_t,
                                                         const std::vector<Variable>& state)>;
// Whether each row has each step: bool [N, T], t < lengths[n].
Variable SequenceMask(const Variable& lengths, int64_t steps,
                      SourceLocation where = SourceLocation::current());
// x, [N, T, ...], with 0 past the rows' lengths: what padding holds, be it NaN, then cannot come
// back as 0 * NaN in the gradient of what x is multiplied with. Undefined lengths: x.
Variable ClearPadding(const Variable& x, const Tensor& lengths,
                      SourceLocation where = SourceLocation::current());
// state = step(x_t, state) for every t; each part of the state is [N, ...].
Scanned Scan(const Variable& x, std::vector<Variable> state, ScanStep step,
             const ScanOptions& options = {}, SourceLocation where = SourceLocation::current());

// One step of the cells, from `gates`: what the input and h give, each times its weights, added up.
// LSTM (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000), [N, 4H] as i, f, g, o:
//   c' = sigmoid(f) c + sigmoid(i) tanh(g),  h' = sigmoid(o) tanh(c').
struct LstmState {
  Variable h, c;  // [N, H] each
  LstmState Detach() const { return {h.Detach(), c.Detach()}; }
};
LstmState LstmStep(const Variable& gates, const Variable& c,
                   SourceLocation where = SourceLocation::current());
// GRU (Cho et al. 2014), [N, 3H] as r, z, n, in the form of cuDNN, which resets after the product:
//   r = sigmoid(x_r + h_r),  z = sigmoid(x_z + h_z),  n = tanh(x_n + r h_n),  h' = n + z (h - n).
Variable GruStep(const Variable& x_gates, const Variable& h_gates, const Variable& h,
                 SourceLocation where = SourceLocation::current());
// As published, reset before the product: n = tanh(x_n + (r h) weight_n). weight_hh: [H, 3H].
Variable GruStepResetBefore(const Variable& x_gates, const Variable& h, const Variable& weight_hh,
                            SourceLocation where = SourceLocation::current());

// Scans of these steps over x: [N, T, F], each as one op with kernels of its own (float32). With G
// gates, x_gates = x weight_ih + bias and h_gates = h weight_hh.
struct RecurrentParameters {
  Variable weight_ih;  // [F, G H]
  Variable weight_hh;  // [H, G H]
  Variable bias;       // [G H]
};
Scanned LstmSequence(const Variable& x, const RecurrentParameters& parameters,
                     const LstmState& initial, const ScanOptions& options = {},
                     SourceLocation where = SourceLocation::current());
// bias_hn: [H], added to h_n. Undefined: the gate resets before the product.
Scanned GruSequence(const Variable& x, const RecurrentParameters& parameters,
                    const Variable& bias_hn, const Variable& initial,
                    const ScanOptions& options = {},
                    SourceLocation where = SourceLocation::current());
// h' = tanh(x_gates + h_gates), or relu (Elman 1990; Le et al. 2015).
enum class RnnActivation { kTanh, kRelu };
Scanned RnnSequence(const Variable& x, const RecurrentParameters& parameters,
                    RnnActivation activation, const Variable& initial,
                    const ScanOptions& options = {},
                    SourceLocation where = SourceLocation::current());

}  // namespace wengert

#endif  // WENGERT_OPS_RECURRENCE_H_
