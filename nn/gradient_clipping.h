// Bounds on gradients, against the explosions of recurrent networks.
#ifndef WENGERT_NN_GRADIENT_CLIPPING_H_
#define WENGERT_NN_GRADIENT_CLIPPING_H_

#include <vector>

#include "autograd/variable.h"

namespace wengert {

// Every element to the interval from -limit to limit; NaN stays. Throws Error unless limit is above
// 0.
void ClipByValue(std::vector<Variable>& gradients, double limit);

// Scales each gradient on its own so that its norm, the square root of the sum of its squares, is
// at most max_norm. One whose norm is not finite stays as it is. Throws Error unless max_norm is
// above 0.
void ClipByNorm(std::vector<Variable>& gradients, double max_norm);

// Scales all gradients by one factor so that their global norm, the square root of the sum of the
// squares of all elements, is at most max_norm (Pascanu et al. 2013). Returns the norm before. When
// that is not finite, the gradients stay as they are. Throws Error unless max_norm is above 0.
double ClipByGlobalNorm(std::vector<Variable>& gradients, double max_norm);

}  // namespace wengert

#endif  // WENGERT_NN_GRADIENT_CLIPPING_H_
