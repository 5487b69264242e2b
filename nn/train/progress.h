// Progress of training on a terminal or in a log.
#ifndef WENGERT_NN_TRAIN_PROGRESS_H_
#define WENGERT_NN_TRAIN_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace wengert {

// "Epoch 3/10  120/469  loss 0.0412  accuracy 98.75 %  21034 examples/s  0:14 left". On a terminal
// the line renews itself ten times a second; elsewhere each epoch is one plain line.
class Progress {
 public:
  Progress(std::FILE* out, bool quiet, int64_t epochs, int64_t steps_per_epoch);

  struct State {
    int64_t epoch = 0, step = 0;  // from 0; step within the epoch, completed
    int64_t examples = 0;         // of this epoch
    double loss = 0;
    double accuracy = -1;  // negative: not shown
  };
  void Step(const State& state);
  // Ends the epoch's line; `validation` is appended to it.
  void EndEpoch(const State& state, const std::string& validation);

 private:
  std::string Line(const State& state) const;

  std::FILE* out_;
  bool quiet_, terminal_;
  int64_t epochs_, steps_per_epoch_;
  std::chrono::steady_clock::time_point start_, epoch_start_, shown_;
};

}  // namespace wengert

#endif  // WENGERT_NN_TRAIN_PROGRESS_H_
