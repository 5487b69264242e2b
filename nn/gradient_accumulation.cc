#include "nn/gradient_accumulation.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ops/updates.h"

namespace wengert {

void GradientAccumulator::Add(const std::vector<Variable>& gradients, int64_t examples) {
  constexpr std::string_view kName = "gradient_accumulator";
  if (examples <= 0) throw Error(kName, absl::StrCat(examples, " examples"));
  if (count_ > 0 && gradients.size() != mean_.size()) {
    throw Error(kName, absl::StrCat(gradients.size(), " gradients, before ", mean_.size()));
  }
  for (size_t i = 0; i < mean_.size(); ++i) {
    const Variable &now = gradients[i], &before = mean_[i];
    if (!(now.shape() == before.shape()) || now.dtype() != before.dtype()) {
      throw Error(kName, absl::StrCat("gradient ", i, " is ", std::string(Name(now.dtype())),
                                      ToString(now.shape()), ", before ",
                                      std::string(Name(before.dtype())), ToString(before.shape())));
    }
  }
  Evaluate(gradients);
  if (count_ == 0) {
    mean_ = gradients;
  } else {
    const double part = static_cast<double>(examples) / static_cast<double>(examples_ + examples);
    // The old mean is held until the new one is there. The first is the caller's, never
    // overwritten.
    std::vector<Variable> next;
    for (size_t i = 0; i < mean_.size(); ++i) {
      next.push_back(ApplyUpdate(AverageUpdate{.part = part}, {mean_[i]}, gradients[i])[0]);
    }
    Evaluate(next);
    for (size_t i = 0; i < mean_.size(); ++i) mean_[i] = next[i].value();
  }
  ++count_;
  examples_ += examples;
}

std::vector<Variable> GradientAccumulator::Take() {
  if (count_ == 0) throw Error("gradient_accumulator", "Take before any Add");
  count_ = examples_ = 0;
  return std::exchange(mean_, {});
}

}  // namespace wengert
