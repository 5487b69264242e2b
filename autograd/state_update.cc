#include "autograd/state_update.h"

#include <utility>

#include "autograd/modes.h"
#include "autograd/thread_state.h"

namespace wengert {

using internal::thread_state;

void UpdateState(const Parameter& state, const Variable& observed, NextState next) {
  if (state.frozen()) return;
  Variable detached = observed.Detach();
  if (StateUpdates* updates = thread_state.state_updates) {
    updates->waiting_.push_back({state, std::move(detached), std::move(next)});
    return;
  }
  const NoGradGuard no_grad;
  Parameter(state).Set(next(state.value(), detached.value()));
}

StateUpdates::StateUpdates() : outside_(std::exchange(thread_state.state_updates, this)) {}
StateUpdates::~StateUpdates() {
  if (thread_state.state_updates == this) thread_state.state_updates = outside_;
}

void StateUpdates::Release() {
  thread_state.state_updates = outside_;
  for (Update& update : std::exchange(waiting_, {})) {
    UpdateState(update.state, update.observed, std::move(update.next));
  }
}

}  // namespace wengert
