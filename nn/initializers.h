// Initial values of parameters. fan_in and fan_out count a unit's inputs and outputs; of a
// convolution times the kernel's area.
#ifndef WENGERT_NN_INITIALIZERS_H_
#define WENGERT_NN_INITIALIZERS_H_

#include <functional>
#include <string_view>

#include "autograd/modes.h"
#include "tensor/tensor.h"

namespace wengert::nn {

// What a layer's options take: &HeNormal, Constant(0.1), Scaled(&Orthogonal, 2), a lambda.
using Initializer = std::function<Tensor(const Shape& shape, Generator& generator)>;

// What `initializer` gives, for layers: throws Error where it is null or gives another shape.
Tensor Initialized(std::string_view layer, const Initializer& initializer, const Shape& shape,
                   Generator& generator);

// Fans of a weight [.., in, out]: what comes before the last two axes is the kernel's area. So
// Keras counts, also of depthwise and transposed kernels, whose last axes mean something else.
// Throws Error below rank 2, as do the initializers that scale by fans.
struct Fans {
  double in, out;
};
Fans FansOf(const Shape& weight);

// Variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010, eq. 12 and 16): uniform in
// +-sqrt(6 / (fan_in + fan_out)), Keras's default, or normal.
Tensor GlorotUniform(const Shape& shape, Generator& generator);
Tensor GlorotNormal(const Shape& shape, Generator& generator);
// Variance 2 / fan_in, for layers before a relu (He et al. 2015, eq. 10): uniform in
// +-sqrt(6 / fan_in), or normal.
Tensor HeUniform(const Shape& shape, Generator& generator);
Tensor HeNormal(const Shape& shape, Generator& generator);
// Variance 1 / fan_in (LeCun et al. 1998, eq. 16), also for layers before a selu (Klambauer et al.
// 2017): uniform in +-sqrt(3 / fan_in), or normal.
Tensor LecunUniform(const Shape& shape, Generator& generator);
Tensor LecunNormal(const Shape& shape, Generator& generator);
// Normal numbers further than two standard deviations from 0 are drawn again. `stddev` is that
// before, as in Keras: what is left has 0.8796 of it. The normal initializers above draw like this
// too, with a stddev that leaves them the variance they state.
Initializer TruncatedNormal(double stddev);

// Rows (or, of a tall matrix, columns) of length 1 at right angles: Q of the QR decomposition of a
// normal matrix (Saxe et al. 2014). Rank 2 or more: a kernel is the matrix [the rest, out]. Keras's
// default for recurrent weights.
Tensor Orthogonal(const Shape& shape, Generator& generator);
// Ones on the diagonal, zeros elsewhere. Rank 2.
Tensor Eye(const Shape& shape, Generator& generator);
Tensor Zeros(const Shape& shape, Generator& generator);
Tensor Ones(const Shape& shape, Generator& generator);
Initializer Constant(double value);
// gain times what `initializer` gives.
Initializer Scaled(Initializer initializer, double gain);

}  // namespace wengert::nn

#endif  // WENGERT_NN_INITIALIZERS_H_
