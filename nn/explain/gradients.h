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

// Where the path from the baseline to x is looked at, and with what weights. kFitted: the points of
// the trapezoid rule, but each step from one to the next divides its length between its two ends so
// that the gradients there give the change of F, which is known at no cost. That is exact where the
// gradient jumps once in a step, wherever that is.
enum class PathRule { kFitted, kMidpoint, kTrapezoid, kGaussLegendre };
struct IntegratedGradientsOptions {
  Tensor baseline;     // expands to x; undefined: zeros
  int64_t steps = 50;  // points on the path; of kFitted and kTrapezoid, with both ends: 2 or more
  PathRule rule = PathRule::kFitted;
  int64_t batch_size = 64;  // about how many rows are in a forward pass
};
// (x - baseline) times the mean of dF/dx on the straight path between them (Sundararajan et al.
// 2017, "Axiomatic Attribution for Deep Networks"). The attributions of a row add up to F(x) -
// F(baseline), but for the error of the rule. Of smooth models kGaussLegendre needs few steps.
// Where the gradient jumps (relu, max-pooling) the error of rules with fixed weights falls no
// faster than 1 / steps, whichever they are; kFitted then is off by rounding, unless the steps are
// so few that none makes up for what those before it could not give.
Tensor IntegratedGradients(Model model, const Tensor& x, const Target& target = {},
                           const IntegratedGradientsOptions& options = {},
                           SourceLocation where = SourceLocation::current());

// What a rule has missed: of each row, F(x) - F(baseline) less the sum of its attributions, float64
// [N]. Large next to F(x) - F(baseline): more steps are needed. Throws Error unless the
// attributions have x's shape.
Tensor CompletenessGap(Model model, const Tensor& x, const Tensor& attributions,
                       const Target& target = {}, const Tensor& baseline = {},
                       SourceLocation where = SourceLocation::current());

}  // namespace wengert::explain

#endif  // WENGERT_NN_EXPLAIN_GRADIENTS_H_
