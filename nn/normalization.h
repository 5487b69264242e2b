// Layers that normalize: by the batch, by the row, by groups of channels.
#ifndef WENGERT_NN_NORMALIZATION_H_
#define WENGERT_NN_NORMALIZATION_H_

#include <cstdint>

#include "autograd/parameter.h"
#include "ops/ops.h"

namespace wengert::nn {

// All of them end in y weight + bias, features along the last axis; without use_weight or use_bias
// that parameter is unset, and the step left out.

// x: [..., size] -> the same: each row less its mean, divided by its standard deviation (biased,
// epsilon under the root), times weight, plus bias (Ba et al. 2016).
struct LayerNorm {
  struct Options {
    int64_t size;
    double epsilon = 1e-5;
    bool use_weight = true;
    bool use_bias = true;
  };
  Parameter weight;  // [size], ones at first
  Parameter bias;    // [size], zeros
  int64_t size = 0;
  double epsilon = 0;

  LayerNorm() = default;  // unset
  explicit LayerNorm(const Options& options);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
};

// x: [..., size] -> the same: each row divided by its root mean square, x / sqrt(mean(x^2) +
// epsilon), times weight (Zhang and Sennrich 2019).
struct RmsNorm {
  struct Options {
    int64_t size;
    double epsilon = 1e-6;
    bool use_weight = true;
  };
  Parameter weight;  // [size], ones at first
  int64_t size;
  double epsilon;

  explicit RmsNorm(const Options& options);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight);
  }
};

// x: [N, ..., size] -> the same: of each example, each group of size / groups channels that stand
// side by side, over all positions, less its mean, divided by its standard deviation (biased,
// epsilon under the root); then each channel times weight, plus bias (Wu and He 2018). One group
// per channel, groups = size, is instance normalization (Ulyanov et al. 2016).
struct GroupNorm {
  struct Options {
    int64_t size, groups;  // groups divide the size
    double epsilon = 1e-5;
    bool use_weight = true;
    bool use_bias = true;
  };
  Parameter weight;  // [size], ones at first
  Parameter bias;    // [size], zeros
  int64_t size, groups;
  double epsilon;

  explicit GroupNorm(const Options& options);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
};

// x: [..., size] of rank 2 or more -> the same: each of the `size` features less its mean, divided
// by its standard deviation (biased, epsilon under the root), times weight, plus bias (Ioffe and
// Szegedy 2015). In a TrainingScope mean and variance are those over all axes of x but the last,
// and move the running ones: running = momentum * running + (1 - momentum) * batch, as in Keras,
// with the biased variance. Outside, and where the running ones are frozen, they are the running
// ones.
struct BatchNorm {
  struct Options {
    int64_t size;
    double momentum = 0.99;
    double epsilon = 1e-3;
    bool use_weight = true;
    bool use_bias = true;
  };
  Parameter weight;                          // [size], ones at first
  Parameter bias;                            // [size], zeros
  Parameter running_mean, running_variance;  // [size], untrained, zeros and ones
  double momentum, epsilon;

  explicit BatchNorm(const Options& options);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight), v("bias", bias);
    v("running_mean", running_mean), v("running_variance", running_variance);
  }
};

}  // namespace wengert::nn

#endif  // WENGERT_NN_NORMALIZATION_H_
