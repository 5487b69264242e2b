// Forward and backward of one recurrent layer, as the benchmarks time it: from x and the cotangent
// of all outputs to the gradients of x and of every weight.
#ifndef WENGERT_BENCHMARKS_RECURRENT_STEP_H_
#define WENGERT_BENCHMARKS_RECURRENT_STEP_H_

#include <cstdint>
#include <string>

#include "nn/recurrent.h"

namespace wengert {

struct RecurrentShape {
  int64_t in, hidden, steps, batch;
};

// "128x256/T64/N32"
std::string NameOf(const RecurrentShape& shape);

enum class RecurrentPath {
  kFused,     // the layer: one op for the sequence
  kComposed,  // the cell's ops, one by one
};

template <class Cell>
class RecurrentStep {
 public:
  RecurrentStep(const RecurrentShape& shape, RecurrentPath path);
  // Returns the first gradient's first element, so that nothing is left out.
  double Run();

  Generator generator{1};
  Cell cell;
  Tensor x, dy;  // normal numbers, [N, T, in] and [N, T, hidden]
  typename Cell::State initial;

 private:
  const RecurrentPath path_;
};

}  // namespace wengert

#endif  // WENGERT_BENCHMARKS_RECURRENT_STEP_H_
