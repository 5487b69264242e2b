// Scopes that change how this thread records and evaluates: eager execution, no gradients, anomaly
// detection, training mode with its random generator, and the source line that errors name.
#ifndef WENGERT_AUTOGRAD_MODES_H_
#define WENGERT_AUTOGRAD_MODES_H_

#include <cstdint>
#include <string_view>

#include "tensor/error.h"

namespace wengert {

// Runs each op as it is recorded: a debugger then stops where the mistake is. WENGERT_EAGER=1 in
// the environment does so for the whole program.
class EagerGuard {
 public:
  explicit EagerGuard(bool eager = true);
  ~EagerGuard();
  EagerGuard(const EagerGuard&) = delete;

 private:
  bool previous_;
};

// Ops recorded in its scope carry no gradient edges.
class NoGradGuard {
 public:
  explicit NoGradGuard(bool no_grad = true);
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;

 private:
  bool previous_;
};

// False in the scope of a NoGradGuard.
bool GradEnabled();

// While alive, every value that is computed is checked: the first that is not finite throws Error
// with the op, its line, the layer path and the ranges of its inputs. Costs a pass over each value.
class DetectAnomaly {
 public:
  DetectAnomaly();
  ~DetectAnomaly();
  DetectAnomaly(const DetectAnomaly&) = delete;

 private:
  bool previous_;
};

// A counter-based generator (Philox): what a random op draws is fixed when it is recorded, by the
// seed and the counter, so neither evaluation order nor threads matter. Its state is two numbers.
struct Generator {
  explicit Generator(uint64_t seed = 0) : seed(seed) {}
  // The counter for a random op of `elements` numbers; moves the counter past them.
  uint64_t Draw(int64_t elements) {
    const uint64_t first = counter;
    counter += (static_cast<uint64_t>(elements) + 3) / 4;  // Philox gives four numbers a count
    return first;
  }

  uint64_t seed;
  uint64_t counter = 0;
};

// In its scope layers train: dropout drops (drawing from the generator), batch statistics update.
// Outside any TrainingScope layers infer.
class TrainingScope {
 public:
  explicit TrainingScope(Generator& generator);
  ~TrainingScope();
  TrainingScope(const TrainingScope&) = delete;

  static bool active();
  // Throws Error outside a TrainingScope.
  static Generator& generator();

 private:
  Generator* previous_;
};

// The ops recorded in its scope name `where`, unless an outer scope named a line already. A layer
// or a function made of ops opens one, so that errors name the line that called it, not one inside,
// and say that the op is "in dense": `function`, which must outlive the scope, as literals do.
class WhereScope {
 public:
  explicit WhereScope(SourceLocation where, std::string_view function = {});
  ~WhereScope();
  WhereScope(const WhereScope&) = delete;

  std::string_view function() const { return function_; }
  const WhereScope* outer() const { return outer_; }

 private:
  const WhereScope* outer_;
  std::string_view function_;
  bool sets_where_;
};

// How much may be pending in a thread before it is evaluated on its own.
struct PendingLimits {
  int64_t nodes = 100'000;
  int64_t bytes = int64_t{1} << 30;  // of the outputs
};
PendingLimits GetPendingLimits();
void SetPendingLimits(const PendingLimits& limits);

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_MODES_H_
