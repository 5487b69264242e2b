#include "nn/weight_average.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace wengert {
namespace {

class Follower : public Optimizer {
 public:
  Follower(std::vector<Parameter> averages, double part)
      : Optimizer(std::move(averages), part, /*weight_decay=*/0, /*states=*/0) {}

 private:
  std::vector<Variable> Update(std::vector<Variable> values, const Variable& target,
                               const Rates& rates) override {
    return ApplyUpdate(AverageUpdate{.part = rates.rate}, std::move(values), target);
  }
};

}  // namespace

WeightAverage::WeightAverage(std::vector<Parameter> parameters, const Options& options)
    : parameters_(std::move(parameters)), options_(options) {
  internal::CheckBelowOne("weight_average", "decay", options.decay);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = parameters_[i];
    for (size_t k = 0; k < i; ++k) {
      if (!parameter.SharesWith(parameters_[k])) continue;
      throw Error("weight_average",
                  absl::StrCat("parameter ", i, " ", std::string(parameter.name()),
                               " is parameter ", k, " again"));
    }
    averages_.push_back(Parameter::Untrained(parameter.value().Clone()));
  }
  follower_ = std::make_unique<Follower>(averages_, 1 - options.decay);
}

void WeightAverage::Update() {
  if (!own_.empty()) throw Error("weight_average", "Update between Apply and Restore");
  const double n = static_cast<double>(follower_->steps()) + 1;
  const double part = 1 - options_.decay;
  // Set each time: what was loaded brought its own.
  follower_->set_learning_rate(options_.warm_up ? std::max(part, 9 / (n + 9)) : part);
  std::vector<Variable> targets;
  for (const Parameter& parameter : parameters_) targets.push_back(parameter.value());
  follower_->Step(targets);
}

void WeightAverage::Apply() {
  if (!own_.empty()) throw Error("weight_average", "Apply without a Restore after the last one");
  for (size_t i = 0; i < parameters_.size(); ++i) {
    own_.push_back(parameters_[i].value());
    parameters_[i].Set(averages_[i].value());
  }
}

void WeightAverage::Restore() {
  if (own_.empty() && !parameters_.empty()) {
    throw Error("weight_average", "Restore without an Apply");
  }
  for (size_t i = 0; i < own_.size(); ++i) parameters_[i].Set(own_[i]);
  own_.clear();
}

}  // namespace wengert
