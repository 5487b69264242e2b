// Ctrl-C as a request to stop after the step under way.
#ifndef WENGERT_NN_TRAIN_INTERRUPT_H_
#define WENGERT_NN_TRAIN_INTERRUPT_H_

#include <csignal>

namespace wengert {

// While it lives, SIGINT and SIGTERM are noted instead of ending the process; a second one ends it.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;

  static bool requested();

 private:
  struct sigaction previous_int_, previous_term_;
};

}  // namespace wengert

#endif  // WENGERT_NN_TRAIN_INTERRUPT_H_
