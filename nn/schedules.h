// The learning rate as a function of the step.
#ifndef WENGERT_NN_SCHEDULES_H_
#define WENGERT_NN_SCHEDULES_H_

#include <cstdint>
#include <functional>
#include <limits>

namespace wengert {

// The rate of a step; the first is 0. A schedule of `steps` steps stays at its end afterwards, and
// is there at once where `steps` may be 0. They compose: WarmUp(100, CosineDecay({.rate = 1e-3,
// .steps = 900})). All throw Error on rates and lengths below 0.
using Schedule = std::function<double(int64_t step)>;

Schedule ConstantRate(double rate);

struct StepDecayOptions {
  double rate;
  int64_t every;        // steps
  double factor = 0.1;  // after each `every` steps
};
Schedule StepDecay(const StepDecayOptions& options);

// rate * factor^(step / steps), on after `steps` too.
struct ExponentialDecayOptions {
  double rate;
  int64_t steps;
  double factor;
};
Schedule ExponentialDecay(const ExponentialDecayOptions& options);

// From rate to end, as (1 - step / steps)^power; power 1 is a line.
struct PolynomialDecayOptions {
  double rate;
  int64_t steps;
  double end = 0;
  double power = 1;
};
Schedule PolynomialDecay(const PolynomialDecayOptions& options);

// From rate to end along a half cosine (Loshchilov and Hutter 2017, eq. 5, once).
struct CosineDecayOptions {
  double rate;
  int64_t steps;
  double end = 0;
};
Schedule CosineDecay(const CosineDecayOptions& options);

// The same again and again ("SGDR"): each cycle is `longer` times as long as the one before, and
// starts from `lower` times its rate.
struct CosineRestartsOptions {
  double rate;
  int64_t steps;  // of the first cycle: 1 or more
  double longer = 2;
  double lower = 1;
  double end = 0;
};
Schedule CosineRestarts(const CosineRestartsOptions& options);

// Rises to `rate` over the first part of the steps, then falls, both along a half cosine (Smith and
// Topin 2018, "Super-convergence").
struct OneCycleOptions {
  double rate;
  int64_t steps;
  double rise = 0.3;        // part of the steps
  double start = 1.0 / 25;  // parts of the rate
  double end = 0;
};
Schedule OneCycle(const OneCycleOptions& options);

// `first` for so many steps, then `then`, which counts its own steps from 0.
Schedule Chain(Schedule first, int64_t steps, Schedule then);
// Rises evenly to then(0) over so many steps, then `then`: step k has (k + 1) / (steps + 1) of it.
Schedule WarmUp(int64_t steps, Schedule then);

// Lowers the rate when a loss no longer falls: for once per epoch,
//
//   optimizer.set_learning_rate(plateau.Next(optimizer.learning_rate(), validation.loss));
class ReduceOnPlateau {
 public:
  struct Options {
    double factor = 0.1;
    int64_t patience = 10;     // how many losses in a row may fail to be lower than the best
    double min_change = 1e-4;  // lower counts only by more than this
    int64_t cooldown = 0;      // so many losses after a reduction do not count as failures
    double min_rate = 0;
  };
  ReduceOnPlateau() : ReduceOnPlateau(Options()) {}
  explicit ReduceOnPlateau(const Options& options);

  // The rate to go on with after this loss. NaN is no lower than anything.
  double Next(double rate, double loss);
  double best() const { return best_; }

 private:
  Options options_;
  double best_ = std::numeric_limits<double>::infinity();
  int64_t failures_ = 0, cooling_ = 0;
};

}  // namespace wengert

#endif  // WENGERT_NN_SCHEDULES_H_
