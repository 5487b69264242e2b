// State that training changes without gradients, such as running statistics: when it is updated.
#ifndef WENGERT_AUTOGRAD_STATE_UPDATE_H_
#define WENGERT_AUTOGRAD_STATE_UPDATE_H_

#include <functional>
#include <vector>

#include "autograd/parameter.h"
#include "autograd/variable.h"

namespace wengert {

using NextState = std::function<Tensor(const Tensor& state, const Tensor& observed)>;

// state = next(state, value of observed), once: for layers, in a TrainingScope. No gradient flows
// into it. Asked for while ValueAndGrad records, it happens after the step's values have been
// computed, what was observed with them; inside a Checkpoint, with its first computation only.
// Elsewhere it happens now. `state` is a Parameter::Untrained; while it is frozen nothing happens.
void UpdateState(const Parameter& state, const Variable& observed, NextState next);

// While one lives, the updates that its thread asks for wait in it: for code that computes what
// they observe together with other values, or that may have to drop them.
class StateUpdates {
 public:
  struct Update {
    Parameter state;
    Variable observed;
    NextState next;
  };

  StateUpdates();
  ~StateUpdates();  // drops what still waits
  StateUpdates(const StateUpdates&) = delete;

  std::vector<Update>& waiting() { return waiting_; }
  // Stops collecting, and asks for what waits: of the next StateUpdates outside, or now.
  void Release();

 private:
  friend void UpdateState(const Parameter& state, const Variable& observed, NextState next);

  StateUpdates* const outside_;
  std::vector<Update> waiting_;
};

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_STATE_UPDATE_H_
