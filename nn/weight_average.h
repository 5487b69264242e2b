// The exponential moving average of a model's weights, which often tests better than the last ones
// (Polyak and Juditsky 1992; Tarvainen and Valpola 2017).
#ifndef WENGERT_NN_WEIGHT_AVERAGE_H_
#define WENGERT_NN_WEIGHT_AVERAGE_H_

#include <memory>
#include <utility>
#include <vector>

#include "autograd/parameter.h"
#include "nn/optimizer.h"

namespace wengert {

// average = decay * average + (1 - decay) * parameter, from the parameters as they are when it is
// made:
//
//   WeightAverage average(Parameters(model), {.decay = 0.999});
//   for (...) { adam.Step(gradients); average.Update(); }
//   average.Apply();  // the model has the averages,
//   Evaluate(model);
//   average.Restore();  // and its own weights again
class WeightAverage {
 public:
  struct Options {
    double decay = 0.999;
    // Update n, from 1, decays by no more than n / (n + 9): the first weights are soon forgotten.
    bool warm_up = false;
  };
  // Throws Error unless decay is from 0 to below 1, and where a parameter stands twice.
  explicit WeightAverage(std::vector<Parameter> parameters)
      : WeightAverage(std::move(parameters), Options()) {}
  WeightAverage(std::vector<Parameter> parameters, const Options& options);

  void Update();   // after each step of the optimizer; throws Error between Apply and Restore
  void Apply();    // gives the parameters the averages; throws Error if they have them
  void Restore();  // gives them their own values; throws Error unless Apply came before
  const std::vector<Parameter>& averages() const { return averages_; }

  // To save and load: the averages ("averages/0") and how many updates there were.
  template <class V>
  void Visit(V&& v) {
    v("averages", averages_);
    v("updates", *follower_);
  }

 private:
  std::vector<Parameter> parameters_, averages_;
  std::vector<Tensor> own_;  // while the averages are applied
  Options options_;
  std::unique_ptr<Optimizer> follower_;  // trains the averages towards the parameters
};

}  // namespace wengert

#endif  // WENGERT_NN_WEIGHT_AVERAGE_H_
