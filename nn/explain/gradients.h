// Attributions by gradients: saliency, input times gradient, SmoothGrad, integrated gradients.
#ifndef WENGERT_NN_EXPLAIN_GRADIENTS_H_
#define WENGERT_NN_EXPLAIN_GRADIENTS_H_

#include "autograd/modes.h"
#include "nn/explain/target.h"

namespace wengert::explain {

// All of them: x: floats [N, ...] -> the attributions, of x's shape and dtype, computed. Throw
// Error naming the caller's line if x is not of floats or has no elements, if a class does not
// exist, if the model gives neither [N, classes] nor [N], or if its gradient does not reach x.

// |dF/dx| (Simonyan et al. 2014, "Deep Inside Convolutional Networks").
Tensor Saliency(Model model, const Tensor& x, const Target& target = {},
                SourceLocation where = SourceLocation::current());
// x dF/dx (Shrikumar et al. 2016, "Not Just a Black Box").
Tensor InputTimesGradient(Model model, const Tensor& x, const Target& target = {},
                          SourceLocation where = SourceLocation::current());

struct SmoothGradOptions {
  int64_t samples = 50;
  // The standard deviation of the noise, as a share of a row's max - min.
  double noise_level = 0.15;
  int64_t batch_size = 64;  // about how many rows are in a forward pass
};
// The mean of dF/dx at noisy copies of x (Smilkov et al. 2017, "SmoothGrad"). The class is the one
// of x itself. The same generator gives the same result, whatever the batch size.
Tensor SmoothGrad(Model model, const Tensor& x, const Target& target, Generator& generator,
                  const SmoothGradOptions& options = {},
                  SourceLocation where = SourceLocation::current());

// Where the path from the baseline to x is looked at, and with what weights.
enum class PathRule { kMidpoint, kTrapezoid, kGaussLegendre };
struct IntegratedGradientsOptions {
  Tensor baseline;     // expands to x; undefined: zeros
  int64_t steps = 50;  // points on the path; kTrapezoid, which has both ends: 2 or more
  PathRule rule = PathRule::kMidpoint;
  int64_t batch_size = 64;  // about how many rows are in a forward pass
};
// (x - baseline) times the mean of dF/dx on the straight path between them (Sundararajan et al.
// 2017, "Axiomatic Attribution for Deep Networks"). The attributions of a row add up to F(x) -
// F(baseline), but for the error of the rule. Of smooth models kGaussLegendre needs few steps;
// where the gradient jumps (relu, max-pooling) the error of every rule falls no faster than 1 /
// steps.
Tensor IntegratedGradients(Model model, const Tensor& x, const Target& target = {},
                           const IntegratedGradientsOptions& options = {},
                           SourceLocation where = SourceLocation::current());

}  // namespace wengert::explain

#endif  // WENGERT_NN_EXPLAIN_GRADIENTS_H_
