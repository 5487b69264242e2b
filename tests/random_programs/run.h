// Runs a random program with its derivatives: op by op or lazily, with what is held, dropped and
// read when drawn at random.
#ifndef WENGERT_TESTS_RANDOM_PROGRAMS_RUN_H_
#define WENGERT_TESTS_RANDOM_PROGRAMS_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/modes.h"
#include "tensor/cache.h"
#include "tests/random_programs/program.h"

namespace wengert::random_programs {

struct RunOptions {
  enum class Mode {
    kEager,       // under EagerGuard
    kNodeByNode,  // each value is evaluated as soon as it is recorded
    kLazy,
    kMixed,  // some instructions under EagerGuard
  };
  Mode mode = Mode::kEager;
  // The program is the loss of a ValueAndGrad.
  bool as_loss = false;
  int threads = 1;
  PendingLimits limits = {};
  int64_t cache = cache_bytes;
  bool code = false;  // simple instructions of small groups become machine code too
  // Draws which handles are kept, and when values are read. 0: as most programs do, none but the
  // last values, read at the end with the gradients.
  uint64_t choices = 0;
  bool derivatives = true;
};
std::string ToString(const RunOptions& options);

// What was read; undefined what was not.
struct Outcome {
  std::vector<Tensor> values;
  // By each target: of one half of the sinks, of the other half, of the first gradients. As a loss:
  // the loss, then its gradients.
  std::vector<Tensor> first, other, second, loss;
};

// `given` values, if any, stand for those that the program would compute.
Outcome Run(const Program& program, const RunOptions& options, std::vector<Variable> given = {});

}  // namespace wengert::random_programs

#endif  // WENGERT_TESTS_RANDOM_PROGRAMS_RUN_H_
