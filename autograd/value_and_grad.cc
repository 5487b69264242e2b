// ValueAndGrad: a function's value and gradients evaluated together, and its tape let go.
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "autograd/op.h"
#include "autograd/state_update.h"
#include "autograd/thread_state.h"

namespace wengert {

using internal::thread_state;

ValueAndGradients ValueAndGrad(absl::FunctionRef<Variable()> f,
                               absl::Span<const Parameter> parameters, SourceLocation where) {
  const NoGradGuard with_grad(/*no_grad=*/false);
  const uint64_t first = thread_state.next_sequence;
  std::vector<Variable> leaves;
  leaves.reserve(parameters.size());
  for (const Parameter& parameter : parameters) {
    if (!parameter.trained()) {
      const std::string name(parameter.name());
      internal::ThrowAt(
          "grad",
          absl::StrCat("parameter ", leaves.size(), ", ", std::string(Name(parameter.dtype())),
                       ToString(parameter.shape()), name.empty() ? "" : " ", name,
                       ", is not trained: frozen, or a layer's state. "
                       "Parameters(model) leaves such parameters out"),
          where);
    }
    leaves.push_back(parameter.variable());
  }
  std::vector<Variable> results;
  StateUpdates updates;
  results.push_back(f());
  std::vector<Variable> gradients =
      Grad(VariableSpan(results), leaves, {.unused = Unused::kZero}, where);
  for (Variable& gradient : gradients) results.push_back(std::move(gradient));
  const size_t first_observed = results.size();
  for (const StateUpdates::Update& update : updates.waiting()) results.push_back(update.observed);
  internal::Run(results, /*final=*/true);
  internal::RunDetached(first);  // what f carries on to its next call
  for (size_t i = 0; i < updates.waiting().size(); ++i) {
    updates.waiting()[i].observed = std::move(results[first_observed + i]);
  }
  results.resize(first_observed);
  updates.Release();
  ValueAndGradients out{.value = std::move(results[0])};
  out.gradients.assign(std::make_move_iterator(results.begin() + 1),
                       std::make_move_iterator(results.end()));
  return out;
}

}  // namespace wengert
