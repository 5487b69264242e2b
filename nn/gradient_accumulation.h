// Gradients of a large batch in small pieces.
#ifndef WENGERT_NN_GRADIENT_ACCUMULATION_H_
#define WENGERT_NN_GRADIENT_ACCUMULATION_H_

#include <cstdint>
#include <vector>

#include "autograd/variable.h"

namespace wengert {

// The mean of gradients that are means themselves: what one batch of all their examples has, up to
// rounding, where the loss is a mean over examples.
//
//   accumulator.Add(gradients, batch.inputs.dim(0));
//   if (accumulator.count() == 4) adam.Step(accumulator.Take());
class GradientAccumulator {
 public:
  // gradients: of the mean loss over so many examples. Throws Error unless `examples` is above 0
  // and shapes and dtypes are those of the first gradients since Take.
  void Add(const std::vector<Variable>& gradients, int64_t examples = 1);
  int64_t count() const { return count_; }  // how often Add was called since Take
  // Hands out the mean and starts anew. Throws Error where nothing was added.
  std::vector<Variable> Take();

 private:
  std::vector<Variable> mean_;
  int64_t count_ = 0, examples_ = 0;
};

}  // namespace wengert

#endif  // WENGERT_NN_GRADIENT_ACCUMULATION_H_
