#include "nn/schedules.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

void ExpectRates(const Schedule& schedule, const std::vector<std::pair<int64_t, double>>& rates) {
  for (const auto& [step, rate] : rates) EXPECT_NEAR(schedule(step), rate, 1e-14) << step;
}

TEST(SchedulesTest, Constant) { ExpectRates(ConstantRate(0.3), {{0, 0.3}, {1000, 0.3}}); }

TEST(SchedulesTest, Step) {
  ExpectRates(StepDecay({.rate = 2, .every = 3, .factor = 0.5}),
              {{0, 2}, {2, 2}, {3, 1}, {5, 1}, {6, 0.5}, {30, 2 * std::pow(0.5, 10)}});
}

TEST(SchedulesTest, Exponential) {
  ExpectRates(ExponentialDecay({.rate = 2, .steps = 4, .factor = 0.25}),
              {{0, 2}, {2, 1}, {4, 0.5}, {8, 0.125}});
}

TEST(SchedulesTest, Polynomial) {
  ExpectRates(PolynomialDecay({.rate = 1, .steps = 4}),
              {{0, 1}, {1, 0.75}, {3, 0.25}, {4, 0}, {9, 0}});
  ExpectRates(PolynomialDecay({.rate = 1, .steps = 4, .end = 0.2, .power = 2}),
              {{0, 1}, {2, 0.2 + 0.8 * 0.25}, {4, 0.2}, {100, 0.2}});
}

TEST(SchedulesTest, Cosine) {
  ExpectRates(CosineDecay({.rate = 2, .steps = 3}), {{0, 2}, {1, 1.5}, {2, 0.5}, {3, 0}, {4, 0}});
  ExpectRates(CosineDecay({.rate = 2, .steps = 2, .end = 1}), {{0, 2}, {1, 1.5}, {2, 1}});
  ExpectRates(CosineDecay({.rate = 2, .steps = 0}), {{0, 0}});
}

// Cycles of 2, 4 and 8 steps: they start at 0, 2, 6 and 14.
TEST(SchedulesTest, CosineRestarts) {
  ExpectRates(CosineRestarts({.rate = 2, .steps = 2}),
              {{0, 2}, {1, 1}, {2, 2}, {4, 1}, {6, 2}, {10, 1}, {14, 2}});
  ExpectRates(CosineRestarts({.rate = 2, .steps = 2, .lower = 0.5, .end = 0.25}),
              {{0, 2}, {2, 1}, {4, 0.625}, {6, 0.5}, {10, 0.375}});
  ExpectRates(CosineRestarts({.rate = 2, .steps = 4, .longer = 1, .lower = 0.5}),
              {{0, 2}, {2, 1}, {4, 1}, {6, 0.5}, {8, 0.5}, {42, 2 * std::pow(0.5, 11)}});
}

TEST(SchedulesTest, OneCycle) {
  ExpectRates(OneCycle({.rate = 1, .steps = 100}),
              {{0, 0.04}, {15, 0.52}, {30, 1}, {65, 0.5}, {100, 0}, {200, 0}});
  ExpectRates(OneCycle({.rate = 2, .steps = 100, .rise = 0.5, .start = 0.1, .end = 0.01}),
              {{0, 0.2}, {25, 1.1}, {50, 2}, {75, 1.01}, {100, 0.02}});
}

TEST(SchedulesTest, WarmUpThenCosine) {
  const Schedule schedule = WarmUp(4, CosineDecay({.rate = 1, .steps = 6}));
  ExpectRates(schedule, {{0, 0.2}, {1, 0.4}, {3, 0.8}, {4, 1}, {7, 0.5}, {10, 0}, {11, 0}});
  ExpectRates(WarmUp(0, ConstantRate(3)), {{0, 3}});
}

TEST(SchedulesTest, Chain) {
  const Schedule schedule =
      Chain(ConstantRate(1), 2, Chain(ConstantRate(2), 3, StepDecay({.rate = 8, .every = 1})));
  ExpectRates(schedule, {{0, 1}, {1, 1}, {2, 2}, {4, 2}, {5, 8}, {6, 0.8}});
}

TEST(SchedulesTest, ReduceOnPlateau) {
  ReduceOnPlateau plateau({.factor = 0.5, .patience = 1, .min_change = 0.01, .min_rate = 0.2});
  double rate = 1;
  // Falls; not enough; again: lower; a new best; NaN twice.
  const std::vector<double> losses = {3, 2, 1.995, 2, 1.5, std::nan(""), std::nan(""), 2, 2, 2, 2};
  const std::vector<double> rates = {1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2};
  for (size_t i = 0; i < losses.size(); ++i) {
    rate = plateau.Next(rate, losses[i]);
    EXPECT_EQ(rate, rates[i]) << i;
  }
  EXPECT_EQ(plateau.best(), 1.5);
}

TEST(SchedulesTest, ReduceOnPlateauCoolsDown) {
  ReduceOnPlateau plateau({.factor = 0.5, .patience = 0, .cooldown = 2});
  double rate = 1;
  const std::vector<double> rates = {1, 0.5, 0.5, 0.5, 0.25, 0.25};
  for (size_t i = 0; i < rates.size(); ++i) {
    rate = plateau.Next(rate, 1);
    EXPECT_EQ(rate, rates[i]) << i;
  }
  // A rate below the least one is not raised.
  ReduceOnPlateau least({.patience = 0, .min_rate = 1});
  EXPECT_EQ(least.Next(0.5, 1), 0.5);
  EXPECT_EQ(least.Next(0.5, 1), 0.5);
}

TEST(SchedulesTest, Misuse) {
  const auto text = [](const auto& f) { return ThrownMessage([&] { f(); }); };
  EXPECT_EQ(text([] { ConstantRate(-1); }),
            "[constant_rate] rate is -1, expected a finite number, 0 or above");
  EXPECT_EQ(text([] { CosineDecay({.rate = 1, .steps = -1}); }),
            "[cosine_decay] steps is -1, expected a finite number, 0 or above");
  EXPECT_EQ(text([] { StepDecay({.rate = 1, .every = 0}); }),
            "[step_decay] every is 0, expected a finite number above 0");
  EXPECT_EQ(text([] { ExponentialDecay({.rate = 1, .steps = 0, .factor = 1}); }),
            "[exponential_decay] steps is 0, expected a finite number above 0");
  EXPECT_EQ(text([] { PolynomialDecay({.rate = 1, .steps = 1, .power = 0}); }),
            "[polynomial_decay] power is 0, expected a finite number above 0");
  EXPECT_EQ(text([] { CosineRestarts({.rate = 1, .steps = 1, .longer = 0.5}); }),
            "[cosine_restarts] longer is 0.5, expected 1 or above");
  EXPECT_EQ(text([] { OneCycle({.rate = 1, .steps = 1, .rise = 1}); }),
            "[one_cycle] rise is 1, expected between 0 and 1");
  EXPECT_EQ(text([] { WarmUp(3, nullptr); }), "[warm_up] a schedule is null");
  EXPECT_EQ(text([] { Chain(ConstantRate(1), -1, ConstantRate(1)); }),
            "[chain] steps is -1, expected a finite number, 0 or above");
  EXPECT_EQ(text([] { ReduceOnPlateau({.factor = 1}); }),
            "[reduce_on_plateau] factor is 1, expected from 0 to below 1");
}

}  // namespace
}  // namespace wengert
