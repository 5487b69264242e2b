// The optimizers' updates as ops: a formula in ops (the Definition), and one fused pass over memory
// that takes over the buffers of what it updates.
#ifndef WENGERT_OPS_UPDATES_H_
#define WENGERT_OPS_UPDATES_H_

#include <vector>

#include "autograd/variable.h"

namespace wengert {

// Each returns the new parameter, then the new state, in the order of the arguments, and is not
// differentiable. Where the caller hands over the last handle to parameter and state (moves it in),
// the results are in the same buffers. Formulas as in Keras.

// velocity = momentum * velocity - rate * gradient; parameter += velocity.
std::vector<Variable> MomentumUpdate(Variable parameter, Variable velocity,
                                     const Variable& gradient, double rate, double momentum);
// parameter -= rate * gradient.
Variable SgdUpdate(Variable parameter, const Variable& gradient, double rate);
// mean_square = rho * mean_square + (1 - rho) * gradient^2;
// parameter -= rate * gradient / sqrt(mean_square + epsilon)    (Tieleman and Hinton 2012).
std::vector<Variable> RmsPropUpdate(Variable parameter, Variable mean_square,
                                    const Variable& gradient, double rate, double rho,
                                    double epsilon);
// m = beta1 * m + (1 - beta1) * gradient; v = beta2 * v + (1 - beta2) * gradient^2;
// parameter -= rate * m / (sqrt(v) + epsilon), with `rate` already corrected for the bias of the
// first steps (Kingma and Ba 2015, end of section 2).
std::vector<Variable> AdamUpdate(Variable parameter, Variable m, Variable v,
                                 const Variable& gradient, double rate, double beta1, double beta2,
                                 double epsilon);

}  // namespace wengert

#endif  // WENGERT_OPS_UPDATES_H_
