#include "nn/schedules.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nn/optimizer.h"

namespace wengert {
namespace {

using internal::CheckAtLeastZero;

void CheckSteps(std::string_view op, int64_t steps) {
  CheckAtLeastZero(op, "steps", static_cast<double>(steps));
}
void CheckSchedule(std::string_view op, const Schedule& schedule) {
  if (!schedule) throw Error(op, "a schedule is null");
}

// From 0 to 1.
double Progress(int64_t step, int64_t steps) {
  return step >= steps ? 1 : static_cast<double>(step) / static_cast<double>(steps);
}
// From 1 to 0.
double HalfCosine(double progress) { return 0.5 * (1 + std::cos(std::numbers::pi * progress)); }

}  // namespace

Schedule ConstantRate(double rate) {
  CheckAtLeastZero("constant_rate", "rate", rate);
  return [rate](int64_t) { return rate; };
}

Schedule StepDecay(const StepDecayOptions& options) {
  CheckAtLeastZero("step_decay", "rate", options.rate);
  CheckAtLeastZero("step_decay", "factor", options.factor);
  internal::CheckAboveZero("step_decay", "every", static_cast<double>(options.every));
  return [options](int64_t step) {
    return options.rate * std::pow(options.factor, static_cast<double>(step / options.every));
  };
}

Schedule ExponentialDecay(const ExponentialDecayOptions& options) {
  CheckAtLeastZero("exponential_decay", "rate", options.rate);
  CheckAtLeastZero("exponential_decay", "factor", options.factor);
  internal::CheckAboveZero("exponential_decay", "steps", static_cast<double>(options.steps));
  return [options](int64_t step) {
    return options.rate *
           std::pow(options.factor, static_cast<double>(step) / static_cast<double>(options.steps));
  };
}

Schedule PolynomialDecay(const PolynomialDecayOptions& options) {
  CheckAtLeastZero("polynomial_decay", "rate", options.rate);
  CheckAtLeastZero("polynomial_decay", "end", options.end);
  internal::CheckAboveZero("polynomial_decay", "power", options.power);
  CheckSteps("polynomial_decay", options.steps);
  return [options](int64_t step) {
    const double left = std::pow(1 - Progress(step, options.steps), options.power);
    return options.end + (options.rate - options.end) * left;
  };
}

Schedule CosineDecay(const CosineDecayOptions& options) {
  CheckAtLeastZero("cosine_decay", "rate", options.rate);
  CheckAtLeastZero("cosine_decay", "end", options.end);
  CheckSteps("cosine_decay", options.steps);
  return [options](int64_t step) {
    return options.end + (options.rate - options.end) * HalfCosine(Progress(step, options.steps));
  };
}

Schedule CosineRestarts(const CosineRestartsOptions& options) {
  CheckAtLeastZero("cosine_restarts", "rate", options.rate);
  CheckAtLeastZero("cosine_restarts", "end", options.end);
  CheckAtLeastZero("cosine_restarts", "lower", options.lower);
  internal::CheckAboveZero("cosine_restarts", "steps", static_cast<double>(options.steps));
  if (!(options.longer >= 1)) {
    throw Error("cosine_restarts",
                absl::StrCat("longer is ", options.longer, ", expected 1 or above"));
  }
  return [options](int64_t step) {
    double length = static_cast<double>(options.steps), rate = options.rate;
    auto into = static_cast<double>(step);
    if (options.longer == 1) {  // whole cycles at once
      const double cycles = std::floor(into / length);
      into -= cycles * length;
      rate *= std::pow(options.lower, cycles);
    }
    for (; into >= length; length *= options.longer, rate *= options.lower) into -= length;
    return options.end + (rate - options.end) * HalfCosine(into / length);
  };
}

Schedule OneCycle(const OneCycleOptions& options) {
  CheckAtLeastZero("one_cycle", "rate", options.rate);
  CheckAtLeastZero("one_cycle", "start", options.start);
  CheckAtLeastZero("one_cycle", "end", options.end);
  CheckSteps("one_cycle", options.steps);
  if (!(options.rise > 0 && options.rise < 1)) {
    throw Error("one_cycle", absl::StrCat("rise is ", options.rise, ", expected between 0 and 1"));
  }
  return [options](int64_t step) {
    const double progress = Progress(step, options.steps), rise = options.rise;
    if (progress >= rise) {
      const double left = HalfCosine((progress - rise) / (1 - rise));
      return options.rate * (options.end + (1 - options.end) * left);
    }
    return options.rate * (1 - (1 - options.start) * HalfCosine(progress / rise));
  };
}

Schedule Chain(Schedule first, int64_t steps, Schedule then) {
  CheckSteps("chain", steps);
  CheckSchedule("chain", first);
  CheckSchedule("chain", then);
  return [first = std::move(first), steps, then = std::move(then)](int64_t step) {
    return step < steps ? first(step) : then(step - steps);
  };
}

Schedule WarmUp(int64_t steps, Schedule then) {
  CheckSteps("warm_up", steps);
  CheckSchedule("warm_up", then);
  const double rate = then(0);
  const double parts = static_cast<double>(steps) + 1;
  return Chain([=](int64_t step) { return rate * (static_cast<double>(step) + 1) / parts; }, steps,
               std::move(then));
}

ReduceOnPlateau::ReduceOnPlateau(const Options& options) : options_(options) {
  constexpr std::string_view kName = "reduce_on_plateau";
  internal::CheckBelowOne(kName, "factor", options.factor);
  CheckAtLeastZero(kName, "patience", static_cast<double>(options.patience));
  CheckAtLeastZero(kName, "min_change", options.min_change);
  CheckAtLeastZero(kName, "cooldown", static_cast<double>(options.cooldown));
  CheckAtLeastZero(kName, "min_rate", options.min_rate);
}

double ReduceOnPlateau::Next(double rate, double loss) {
  const bool cooling = cooling_ > 0;
  cooling_ -= cooling;
  if (loss < best_ - options_.min_change) {
    best_ = loss;
    failures_ = 0;
    return rate;
  }
  if (cooling || ++failures_ <= options_.patience) return rate;
  failures_ = 0;
  cooling_ = options_.cooldown;
  return std::min(rate, std::max(rate * options_.factor, options_.min_rate));
}

}  // namespace wengert
