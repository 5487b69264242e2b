#include "nn/weight_average.h"

#include <algorithm>

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
  for (const Parameter& parameter : parameters_) {
    averages_.push_back(Parameter::Untrained(parameter.value().Clone()));
  }
  follower_ = std::make_unique<Follower>(averages_, 1 - options.decay);
}

void WeightAverage::Update() {
  if (!own_.empty()) throw Error("weight_average", "Update between Apply and Restore");
  if (options_.warm_up) {
    const double n = static_cast<double>(follower_->steps()) + 1;
    follower_->set_learning_rate(std::max(1 - options_.decay, 9 / (n + 9)));
  }
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
