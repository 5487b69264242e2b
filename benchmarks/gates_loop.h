// The gates of an LSTM cell and their gradients by one compiled loop, written by hand: what a group
// of the same ops is measured against.
#ifndef WENGERT_BENCHMARKS_GATES_LOOP_H_
#define WENGERT_BENCHMARKS_GATES_LOOP_H_

#include <cstdint>

namespace wengert {

// y = sigmoid(x3) tanh(c) + c / 2 with c = sigmoid(x1 + 1) x4 + sigmoid(x0) tanh(x2), and from dy
// the gradients of x0 to x4; arrays of n floats, as many threads as ParallelFor has.
void GatesLoop(int64_t n, const float* const (&x)[5], const float* dy, float* y,
               float* const (&dx)[5]);

}  // namespace wengert

#endif  // WENGERT_BENCHMARKS_GATES_LOOP_H_
