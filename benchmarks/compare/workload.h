// A workload that Wengert and its peers run on the same numbers, to be timed side by side.
#ifndef WENGERT_BENCHMARKS_COMPARE_WORKLOAD_H_
#define WENGERT_BENCHMARKS_COMPARE_WORKLOAD_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "tensor/tensor.h"

namespace wengert {

struct Workload {
  std::function<void()> step;  // what is timed
  // What a peer must find too, to 1e-4: the losses of the first steps, or the Euclidean norms of
  // the result and of each gradient. Called once, before any step.
  std::function<std::vector<double>()> numbers;
  // What the peers start from: weights and inputs.
  std::vector<NamedTensor> exchange;
};
using Workloads = std::map<std::string, std::function<Workload()>>;

void AddLayerWorkloads(Workloads& workloads);
void AddModelWorkloads(Workloads& workloads);

double Norm(const Tensor& tensor);

}  // namespace wengert

#endif  // WENGERT_BENCHMARKS_COMPARE_WORKLOAD_H_
