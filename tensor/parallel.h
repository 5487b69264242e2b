// Runs loops on the process's one team of threads.
//
// A loop is split by the shape of its data, never by the number of threads: the caller decides on
// the tasks from sizes alone, each task writes its own part of the result, and so the result has
// the same bits on 1 thread or 64.

#ifndef WENGERT_TENSOR_PARALLEL_H_
#define WENGERT_TENSOR_PARALLEL_H_

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace wengert {

// The size of the team. At first OMP_NUM_THREADS, or else the number of cores that the process may
// run on.
int NumThreads();

// Throws Error if `threads` < 1. Takes effect with the next ParallelFor.
void SetNumThreads(int threads);

// Calls body(0) ... body(tasks - 1), in any order, and returns when all are done. Serial, in rising
// order, when there is at most one task, inside another parallel region, with NumThreads() == 1,
// and on any thread but the main one (that which ran static initialisation) unless it holds a
// ParallelGuard.
//
// Workers compute with the caller's floating-point control (rounding, flush-to-zero). If bodies
// throw, the exception of the lowest task is rethrown, however many threads there are; tasks above
// it may not have run. A region costs one to two microseconds, so callers make one task of what is
// smaller than a few times that.
void ParallelFor(int64_t tasks, absl::FunctionRef<void(int64_t task)> body);

// While it lives, the thread that made it may use a team of its own: for a program that trains off
// the main thread.
class ParallelGuard {
 public:
  ParallelGuard();
  ~ParallelGuard();
  ParallelGuard(const ParallelGuard&) = delete;
  ParallelGuard& operator=(const ParallelGuard&) = delete;
};

}  // namespace wengert

#endif  // WENGERT_TENSOR_PARALLEL_H_
