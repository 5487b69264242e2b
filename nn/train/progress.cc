#include "nn/train/progress.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace wengert {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Progress::Progress(std::FILE* out, bool quiet, int64_t epochs, int64_t steps_per_epoch)
    : out_(out),
      quiet_(quiet),
      terminal_(isatty(fileno(out))),
      epochs_(epochs),
      steps_per_epoch_(steps_per_epoch),
      start_(Clock::now()),
      epoch_start_(start_),
      shown_(start_) {}

std::string Progress::Line(const State& state) const {
  const auto now = Clock::now();
  const double in_epoch = Seconds(now - epoch_start_);
  const double done = static_cast<double>(state.epoch * steps_per_epoch_ + state.step);
  const double left = done > 0 ? Seconds(now - start_) / done *
                                     (static_cast<double>(epochs_ * steps_per_epoch_) - done)
                               : 0;
  std::string line = absl::StrFormat("Epoch %d/%d  %d/%d  loss %.4f", state.epoch + 1, epochs_,
                                     state.step, steps_per_epoch_, state.loss);
  if (state.accuracy >= 0) {
    absl::StrAppend(&line, absl::StrFormat("  accuracy %.2f %%", 100 * state.accuracy));
  }
  const double rate = in_epoch > 0 ? static_cast<double>(state.examples) / in_epoch : 0;
  const int64_t seconds = static_cast<int64_t>(left + 0.5);
  absl::StrAppend(
      &line, absl::StrFormat("  %.0f examples/s  %d:%02d left", rate, seconds / 60, seconds % 60));
  return line;
}

void Progress::Step(const State& state) {
  if (state.step <= 1) epoch_start_ = state.step == 0 ? Clock::now() : epoch_start_;
  if (quiet_ || !terminal_ || state.step == 0) return;
  if (Clock::now() - shown_ < std::chrono::milliseconds(100)) return;
  shown_ = Clock::now();
  std::fprintf(out_, "\r\033[K%s", Line(state).c_str());
  std::fflush(out_);
}

void Progress::EndEpoch(const State& state, const std::string& validation) {
  if (quiet_) return;
  std::fprintf(out_, "%s%s%s\n", terminal_ ? "\r\033[K" : "", Line(state).c_str(),
               validation.c_str());
  std::fflush(out_);
}

}  // namespace wengert
