// What a thread's tape knows: modes, the next sequence number, counters.
#ifndef WENGERT_AUTOGRAD_THREAD_STATE_H_
#define WENGERT_AUTOGRAD_THREAD_STATE_H_

#include <cstdint>

#include "autograd/modes.h"
#include "autograd/node.h"

namespace wengert {
class StateUpdates;
}  // namespace wengert

namespace wengert::internal {

enum class Eagerness : uint8_t { kLazy, kEager, kUndecided };

struct ThreadState {
  uint64_t next_sequence = 1;
  bool grad_enabled = true;
  Eagerness eager = Eagerness::kUndecided;
  bool anomaly = false;
  bool find_composites = true;  // see pattern.h
  bool has_where = false;
  SourceLocation where;                     // overrides the caller's while has_where
  const WhereScope* where_scope = nullptr;  // the innermost
  Generator* generator = nullptr;
  StateUpdates* state_updates = nullptr;  // the innermost
  int64_t live_nodes = 0;
  int64_t kernel_calls = 0;
  int evaluations = 0;  // under way, one inside the other
};
inline constinit thread_local ThreadState thread_state;

bool DecideEager();  // reads WENGERT_EAGER

inline bool Eager() {
  if (thread_state.eager == Eagerness::kLazy) [[likely]]
    return false;
  return thread_state.eager == Eagerness::kEager || DecideEager();
}

// Runs everything below `targets`. With `final`, no gradient will be taken through the graph again:
// values are dropped after their last reader, and the targets let go of the tape.
void Run(VariableSpan targets, bool final);
// Computes what was detached since the node of this number, of values that are computed now. While
// it waits, such a copy would hold the tape below it.
void RunDetached(uint64_t since);
// Runs these nodes; what nobody outside them refers to is dropped again.
void RunPending(absl::Span<Node* const> nodes);

}  // namespace wengert::internal

#endif  // WENGERT_AUTOGRAD_THREAD_STATE_H_
