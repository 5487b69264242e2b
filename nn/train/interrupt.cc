#include "nn/train/interrupt.h"

#include <pthread.h>

#include <ctime>

namespace wengert {
namespace {

volatile std::sig_atomic_t interrupt_requested = 0;

void NoteInterrupt(int) { interrupt_requested = 1; }

sigset_t Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

InterruptScope::InterruptScope() {
  struct sigaction action = {};
  action.sa_handler = &NoteInterrupt;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &previous_int_);
  sigaction(SIGTERM, &action, &previous_term_);
  const sigset_t signals = Signals();
  pthread_sigmask(SIG_BLOCK, &signals, &previous_mask_);
}

InterruptScope::~InterruptScope() {
  requested();  // what came last is noted, not delivered after the scope
  interrupt_requested = 0;
  sigaction(SIGINT, &previous_int_, nullptr);
  sigaction(SIGTERM, &previous_term_, nullptr);
  pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
}

bool InterruptScope::requested() {
  const sigset_t signals = Signals();
  constexpr timespec kNow = {};
  if (sigtimedwait(&signals, nullptr, &kNow) > 0) interrupt_requested = 1;
  if (interrupt_requested) {  // the next one, as without us
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  }
  return interrupt_requested;
}

}  // namespace wengert
