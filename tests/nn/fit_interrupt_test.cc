// Fit and signals: Ctrl-C lets the step under way finish.
#include <signal.h>

#include <csignal>
#include <memory>

#include "gtest/gtest.h"
#include "nn/train/interrupt.h"
#include "tests/nn/fit_training.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

volatile std::sig_atomic_t own_handler_calls = 0;
void OwnHandler(int) { own_handler_calls = own_handler_calls + 1; }
using Handler = void (*)(int);
Handler CurrentHandler(int signal) {
  struct sigaction action = {};
  sigaction(signal, nullptr, &action);
  return action.sa_handler;
}

// Raises `signal` in step `step` of each run.
Objective Raising(Training& t, int signal, int step, int times = 1) {
  auto steps = std::make_shared<int>(0);
  return [&t, signal, step, times, steps](const Batch& batch) {
    if (++*steps == step) {
      for (int i = 0; i < times; ++i) std::raise(signal);
    }
    return Classification(t.model)(batch);
  };
}

TEST(FitInterruptTest, StopsAfterTheStepAndRestoresTheHandlers) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const Handler before_int = std::signal(SIGINT, &OwnHandler);
    const Handler before_term = std::signal(SIGTERM, &OwnHandler);
    own_handler_calls = 0;
    Training t, undisturbed;
    t.objective = Raising(t, signal, 6);
    int validations = 0;
    const auto validate = [&] { return ++validations, Metrics{}; };
    const FitResult result = t.Run({.epochs = 3, .quiet = true, .validate = validate});
    EXPECT_TRUE(result.interrupted);
    EXPECT_EQ(result.steps, 6);
    EXPECT_EQ(result.epochs, 1);
    EXPECT_EQ(result.training.examples, 32);
    EXPECT_EQ(validations, 1);
    EXPECT_EQ(t.optimizer.steps(), 6);
    EXPECT_EQ(own_handler_calls, 0);
    EXPECT_EQ(CurrentHandler(SIGINT), &OwnHandler);
    EXPECT_EQ(CurrentHandler(SIGTERM), &OwnHandler);
    std::raise(signal);
    EXPECT_EQ(own_handler_calls, 1);

    // The step was completed: without the signal the same six steps give the same weights.
    undisturbed.Run({.epochs = 1, .quiet = true});
    undisturbed.loader = Loader(t.data.images, t.data.labels, {.batch_size = 16, .limit = 32});
    undisturbed.Run({.epochs = 1, .quiet = true});
    ExpectSameBits(Clones(t.parameters), Clones(undisturbed.parameters));

    // The next run is not interrupted by the old signal.
    EXPECT_FALSE(undisturbed.Run({.epochs = 1, .quiet = true}).interrupted);
    std::signal(SIGINT, before_int);
    std::signal(SIGTERM, before_term);
  }
}

TEST(FitInterruptTest, KeepsTheBestEpochBeforeIt) {
  Training t, one;
  t.objective = Raising(t, SIGINT, 6);
  const auto validate = [&] { return EvaluateObjective(one.objective, t.loader); };
  const FitResult result =
      t.Run({.epochs = 3, .quiet = true, .validate = validate, .keep_best = true});
  one.Run({.epochs = 1, .quiet = true});
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.best_epoch, 1);
  ExpectSameBits(Clones(t.parameters), Clones(one.parameters));
}

TEST(FitInterruptTest, HandlersAreRestoredAfterAnError) {
  const Handler before = std::signal(SIGINT, &OwnHandler);
  Training t;
  t.objective = [](const Batch&) -> Outcome { throw Error("test", "no objective"); };
  EXPECT_EQ(ThrownMessage([&] { t.Run({.quiet = true}); }), "[test] no objective");
  EXPECT_EQ(CurrentHandler(SIGINT), &OwnHandler);
  std::signal(SIGINT, before);
}

TEST(FitInterruptDeathTest, ASecondSignalEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const InterruptScope scope;
        raise(SIGINT);
        if (InterruptScope::requested()) raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace wengert
