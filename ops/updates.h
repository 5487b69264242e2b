// The optimizers' updates as ops: a formula in ops (the Definition), and one fused pass over memory
// that takes over the buffers of what it updates. The formulas are ops/kernels/update_rows.inc.
#ifndef WENGERT_OPS_UPDATES_H_
#define WENGERT_OPS_UPDATES_H_

#include <vector>

#include "autograd/variable.h"
#include "ops/kernels/updates.h"

namespace wengert {

// values: a parameter, then the states that its formula names, all of one shape; gives the same,
// new. Not differentiable. Where the caller hands over the last handles to `values` (moves them
// in), the results are in the same buffers. Throws Error unless there are as many values as the
// formula has, of the gradient's shape.
//
//   std::vector<Variable> next = ApplyUpdate(
//       AdamUpdate{.rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7}, {w, m, v},
//       gradient);
#define UPDATE(op, Name, numbers, values, sample, formula)                                 \
  std::vector<Variable> ApplyUpdate(const Name##Update& update, std::vector<Variable> all, \
                                    const Variable& gradient,                              \
                                    const Regularization& regularization = {});
#include "ops/kernels/update_rows.inc"
#undef UPDATE

}  // namespace wengert

#endif  // WENGERT_OPS_UPDATES_H_
