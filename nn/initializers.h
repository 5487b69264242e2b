// Initial values of parameters. fan_in and fan_out count a unit's inputs and outputs; of a
// convolution times the kernel's area.
#ifndef WENGERT_NN_INITIALIZERS_H_
#define WENGERT_NN_INITIALIZERS_H_

#include "autograd/modes.h"
#include "tensor/tensor.h"

namespace wengert::nn {

// Fans of a weight [.., in, out]: what comes before the last two axes is the kernel's area.
struct Fans {
  double in, out;
};
Fans FansOf(const Shape& weight);

// Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010). Keras's default.
Tensor GlorotUniform(const Shape& shape, Generator& generator);
// Normal with variance 2 / fan_in, for layers before a relu (He et al. 2015, eq. 10).
Tensor HeNormal(const Shape& shape, Generator& generator);
// Uniform with the same variance: +-sqrt(6 / fan_in).
Tensor HeUniform(const Shape& shape, Generator& generator);
// Rows (or, of a tall matrix, columns) of length 1 at right angles: Q of the QR decomposition of a
// normal matrix (Saxe et al. 2014). Rank 2. Keras's default for recurrent weights.
Tensor Orthogonal(const Shape& shape, Generator& generator);
Tensor Zeros(const Shape& shape, Generator& generator);

using Initializer = Tensor (*)(const Shape& shape, Generator& generator);

}  // namespace wengert::nn

#endif  // WENGERT_NN_INITIALIZERS_H_
