#include "nn/train/interrupt.h"

namespace wengert {
namespace {

volatile std::sig_atomic_t interrupt_requested = 0;

void NoteInterrupt(int signal) {
  if (interrupt_requested) {  // the second time, as without us
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  interrupt_requested = 1;
}

}  // namespace

InterruptScope::InterruptScope() {
  interrupt_requested = 0;
  struct sigaction action = {};
  action.sa_handler = &NoteInterrupt;
  sigaction(SIGINT, &action, &previous_int_);
  sigaction(SIGTERM, &action, &previous_term_);
}

InterruptScope::~InterruptScope() {
  sigaction(SIGINT, &previous_int_, nullptr);
  sigaction(SIGTERM, &previous_term_, nullptr);
}

bool InterruptScope::requested() { return interrupt_requested != 0; }

}  // namespace wengert
