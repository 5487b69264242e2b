// Summary: what a model is made of and what it costs, read off the tape without computing anything.
#ifndef WENGERT_NN_SUMMARY_H_
#define WENGERT_NN_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autograd/variable.h"
#include "nn/module.h"

namespace wengert {

// One row per parametrised layer (named by the path of its parameters) and per op outside of them.
struct LayerSummary {
  std::string name;  // "conv1", or empty
  std::string op;    // "conv2d"
  Shape output;
  int64_t parameters = 0;        // elements, each parameter counted where it is first read
  double flops = 0;              // forward; a multiply-add is two
  int64_t activation_bytes = 0;  // of the results computed, views not counted
};
struct ModelSummary {
  std::vector<LayerSummary> layers;
  int64_t parameters = 0;
  int64_t trained_parameters = 0;  // those of them that are neither untrained nor frozen
  double flops = 0;
  int64_t activation_bytes = 0;

  std::string ToString() const;  // a table, with totals
};

// What a forward pass over an input of this shape and dtype records.
ModelSummary SummarizeGraph(absl::FunctionRef<Variable(const Variable&)> forward,
                            const Shape& input, DType dtype = DType::kFloat32);

template <class Model>
ModelSummary Summary(Model& model, const Shape& input, DType dtype = DType::kFloat32) {
  NamedParameters(model);  // stamps the names
  return SummarizeGraph([&](const Variable& x) { return model(x); }, input, dtype);
}

}  // namespace wengert

#endif  // WENGERT_NN_SUMMARY_H_
