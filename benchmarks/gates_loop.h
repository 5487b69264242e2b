// The gates of an LSTM cell and their gradients by one compiled loop, written by hand: what a group
// of the same ops is measured against.
#ifndef WENGERT_BENCHMARKS_GATES_LOOP_H_
#define WENGERT_BENCHMARKS_GATES_LOOP_H_

#include <cstdint>

namespace wengert {

// The sum of y dy, y = sigmoid(x3) tanh(c) + c / 2 with c = sigmoid(x1 + 1) x4 + sigmoid(x0)
// tanh(x2), and its gradients by x0 to x4; arrays of n floats (whole vectors of them), as many
// threads as ParallelFor has.
double GatesLoop(int64_t n, const float* const (&x)[5], const float* dy, float* const (&dx)[5]);

}  // namespace wengert

#endif  // WENGERT_BENCHMARKS_GATES_LOOP_H_
