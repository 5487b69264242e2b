// Ctrl-C as a request to stop after the step under way.
#ifndef WENGERT_NN_TRAIN_INTERRUPT_H_
#define WENGERT_NN_TRAIN_INTERRUPT_H_

#include <csignal>

namespace wengert {

// While it lives, SIGINT and SIGTERM wait to be asked for instead of ending the process; once one
// was seen, the next ends it. They are blocked in the calling thread, and in the threads that it
// starts from then on, so that no signal frame interrupts a kernel: make the scope before the first
// parallel loop where possible. A thread that is older notes the signal in a handler.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;

  // True once a signal has come.
  static bool requested();

 private:
  struct sigaction previous_int_, previous_term_;
  sigset_t previous_mask_;
};

}  // namespace wengert

#endif  // WENGERT_NN_TRAIN_INTERRUPT_H_
