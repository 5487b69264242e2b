// LIME: a linear model of what a model does around one input.
#ifndef WENGERT_NN_EXPLAIN_LIME_H_
#define WENGERT_NN_EXPLAIN_LIME_H_

#include "autograd/modes.h"
#include "nn/explain/segments.h"
#include "nn/explain/target.h"

namespace wengert::explain {

struct LimeOptions {
  // The super-pixels: integers from 0 on, of the shape of a row of x or of its first dimensions
  // ([H, W] for images). Undefined: each element is one.
  Tensor segments;
  Tensor baseline;  // what a removed segment has; expands to x; undefined: zeros
  int64_t samples = 1000;
  double keep_probability = 0.5;
  // Of the kernel exp(-d^2 / kernel_width^2), the weight of a sample at the cosine distance
  // d = 1 - sqrt(kept / segments) from x.
  double kernel_width = 0.25;
  double ridge = 1;  // the penalty on the squares of the weights, not on the intercept
  int64_t batch_size = 64;
};
struct LimeExplanation {
  Tensor weights;    // float64 [N, segments]; Gather(weights, segments, 1) has them in place
  Tensor intercept;  // float64 [N]
  Tensor r_squared;  // float64 [N]: the share of the weighted variance of F that is explained
};
// x: [N, ...] of any dtype. Segments are removed at random, and a ridge regression of F on which
// are kept, in float64, weighs samples by their nearness to x (Ribeiro et al. 2016, "Why Should I
// Trust You?"). The first sample is x; all rows have the same samples. The same generator gives the
// same result. No gradient is taken: F can be any function. Throws Error as Saliency does, on
// segments that do not fit x, and where without a ridge the samples do not determine the weights.
LimeExplanation Lime(Model model, const Tensor& x, const Target& target, Generator& generator,
                     const LimeOptions& options = {},
                     SourceLocation where = SourceLocation::current());

}  // namespace wengert::explain

#endif  // WENGERT_NN_EXPLAIN_LIME_H_
