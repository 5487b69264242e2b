// Prints what the table of ops says of each op, one line per op and tabs between the columns of
// kColumns, and the errors of its derivatives; exits with 1 when a check fails. With --list it runs
// no check. //docs:write_ops makes docs/ops.md of it.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/gradient_table/checks.h"

namespace wengert::gradient_table {
namespace {

constexpr const char* kColumns =
    "op\tkind\tcases\tdomain\tint32\tbool\trule\torder 1\torder 2\tadjoint";

std::string Interval(const Sample& sample) {
  if (sample.dtype == DType::kBool) return "bool";
  const std::string type =
      IsFloating(sample.dtype) ? "" : absl::StrFormat("%s ", Name(sample.dtype));
  return absl::StrFormat("%s[%g, %g)", type, sample.low, sample.high);
}

// Where each input is sampled from, over the cases that have the most inputs; one interval if all
// are sampled from the same.
std::string Domain(absl::Span<const OpCase> cases) {
  std::vector<Sample> hull;
  for (const OpCase& of : cases) {
    if (of.inputs.size() < hull.size()) continue;
    if (of.inputs.size() > hull.size()) hull = of.inputs;
    for (size_t i = 0; i < hull.size(); ++i) {
      hull[i].low = std::min(hull[i].low, of.inputs[i].low);
      hull[i].high = std::max(hull[i].high, of.inputs[i].high);
    }
  }
  std::vector<std::string> intervals;
  for (const Sample& sample : hull) intervals.push_back(Interval(sample));
  const bool same = std::adjacent_find(intervals.begin(), intervals.end(), std::not_equal_to<>()) ==
                    intervals.end();
  if (same && intervals.size() > 1) intervals.resize(1);
  return absl::StrJoin(intervals, ", ");
}

// The dtypes of the results where the floating inputs are of this dtype instead; "-": refused.
// Empty: there are no such inputs.
std::string Gives(const RegisteredOp& op, absl::Span<const OpCase> cases, DType dtype) {
  for (const OpCase& of : cases) {
    const TestedCase tested = MakeTested(op, of);
    std::vector<Variable> inputs;
    bool changed = false;
    for (const Tensor& input : SampleInputs(tested)) {
      const bool floating = IsFloating(input.dtype());
      inputs.emplace_back(floating ? input.To(dtype) : input);
      changed |= floating;
    }
    if (!changed) continue;
    try {
      std::vector<std::string> names;
      for (const Variable& y : of.f(inputs)) {
        if (names.empty() || names.back() != Name(y.dtype())) names.emplace_back(Name(y.dtype()));
      }
      return absl::StrJoin(names, ", ");
    } catch (const Error&) {
      return "-";
    }
  }
  return "";
}

std::string_view Kind(const RegisteredOp& op) {
  if (!op.differentiable) return "constant";
  return op.composite ? "composite" : op.rule.empty() ? "struct" : "row";
}

std::string Cell(double figure, bool shown) { return shown ? absl::StrFormat("%.1e", figure) : ""; }

int Print(bool runs_checks) {
  bool failed = false;
  std::puts(kColumns);
  for (const RegisteredOp& op : TestedOps()) {
    const std::vector<OpCase> cases = CasesOf(op);
    Figures figures;
    const std::string wrong = runs_checks ? CheckOp(op, figures) : "";
    if (!wrong.empty()) absl::FPrintF(stderr, "%s:\n%s", op.name, wrong);
    failed |= !wrong.empty();
    const bool shown = runs_checks && op.differentiable;
    absl::PrintF("%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", op.name, Kind(op), cases.size(),
                 Domain(cases), Gives(op, cases, DType::kInt32), Gives(op, cases, DType::kBool),
                 op.rule, Cell(figures.first_order, shown), Cell(figures.second_order, shown),
                 Cell(figures.adjoint, figures.adjoint >= 0));
    std::fflush(stdout);
  }
  return failed;
}

}  // namespace
}  // namespace wengert::gradient_table

int main(int argc, char** argv) {
  const bool lists = argc == 2 && std::string_view(argv[1]) == "--list";
  if (argc > 1 && !lists) {
    std::fputs("usage: gradient_table [--list]\n", stderr);
    return 2;
  }
  return wengert::gradient_table::Print(/*runs_checks=*/!lists);
}
