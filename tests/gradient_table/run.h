// Running one case of an op: its sampled inputs, in any layout in memory, its values and its
// derivatives in any order of reading; and comparing two such runs.
#ifndef WENGERT_TESTS_GRADIENT_TABLE_RUN_H_
#define WENGERT_TESTS_GRADIENT_TABLE_RUN_H_

#include <string>
#include <string_view>
#include <vector>

#include "autograd/registry.h"
#include "autograd/variable.h"

namespace wengert::gradient_table {

// A case, and what its checks must know of its op.
struct TestedCase {
  std::string op;
  bool differentiable;
  bool composite;
  OpCase of;
};

// What autograd/registry.h promises: floating values lie on one grid that all inputs share, dealt
// out in random order, so that none ties. All of them can be represented in float32, so that runs
// in float32 and float64 read the same numbers. `variation` gives other floating values.
std::vector<Tensor> SampleInputs(const TestedCase& tested, uint64_t variation = 0);
// Of either sign, 1/2 to 3/2 in size.
Tensor SampleCotangent(const Shape& shape, DType dtype, uint64_t seed);
// Those that are floating, in `dtype`.
std::vector<Tensor> WithDType(absl::Span<const Tensor> tensors, DType dtype);

// The same elements in other places in memory. What lies between them is NaN.
enum class Layout { kContiguous, kTransposed, kSliced, kReversed };
constexpr Layout kLayouts[] = {Layout::kTransposed, Layout::kSliced, Layout::kReversed};
Tensor WithLayout(const Tensor& tensor, Layout layout);

enum class Reading { kTogether, kValueFirst, kGradientFirst };
struct RunOptions {
  Reading reading = Reading::kTogether;
  bool second_order = false;
  Layout cotangents = Layout::kContiguous;
};

// The leaves of a run: floating inputs can be differentiated, others are constants.
struct Inputs {
  explicit Inputs(absl::Span<const Tensor> tensors);
  std::vector<Variable> all;
  std::vector<Variable> differentiable;
};
std::vector<Variable> FloatingOnly(VariableSpan variables);
// Cotangents for these, as constants or as leaves to differentiate by.
std::vector<Variable> Cotangents(VariableSpan variables, bool differentiable,
                                 Layout layout = Layout::kContiguous);

struct Outcome {
  std::vector<Tensor> values;
  // By the floating inputs. With second_order also what the derivative of that is by the floating
  // inputs and by the cotangents.
  std::vector<Tensor> gradients;
};
Outcome Run(const TestedCase& tested, absl::Span<const Tensor> inputs,
            const RunOptions& options = {});

// Empty when a is b: bit for bit if the tolerance is 0; else the difference's norm may be
// `tolerance` of b's, where elements below 0.1 (root mean square) count as 0.1. Gradients that only
// one of them has are not compared.
std::string Difference(const Outcome& a, const Outcome& b, double tolerance);
std::string Difference(absl::Span<const Tensor> a, absl::Span<const Tensor> b, double tolerance,
                       std::string_view what);

// Handles to all that the values were or will be computed from, themselves and residuals included.
std::vector<Variable> AllValues(VariableSpan roots);

}  // namespace wengert::gradient_table

#endif  // WENGERT_TESTS_GRADIENT_TABLE_RUN_H_
