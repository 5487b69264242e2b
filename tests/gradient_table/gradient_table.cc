// Prints the table of ops with the errors of their derivatives, in Markdown; exits with 1 when a
// check fails. docs/ops.md quotes it.
#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"
#include "tests/gradient_table/checks.h"

namespace {

std::string Cell(double figure, bool shown) { return shown ? absl::StrFormat("%.1e", figure) : ""; }

}  // namespace

int main() {
  using namespace wengert::gradient_table;  // NOLINT(google-build-using-namespace)
  size_t num_cases = 0, failures = 0;
  std::puts("| op | cases | order 1 | order 2 | adjoint |");
  std::puts("|---|---:|---:|---:|---:|");
  const std::vector<wengert::RegisteredOp> ops = TestedOps();
  for (const wengert::RegisteredOp& op : ops) {
    const std::vector<wengert::OpCase> cases = CasesOf(op);
    num_cases += cases.size();
    Figures figures;
    const auto report = [&](std::string_view what, const std::string& text) {
      if (text.empty()) return;
      ++failures;
      absl::FPrintF(stderr, "%s: %s: %s\n", op.name, what, text);
    };
    report("cases", CheckCases(op, cases));
    for (const wengert::OpCase& of : cases) {
      for (const Check& check : kChecks) {
        report(absl::StrFormat("%s of %s", check.name, of.name),
               RunCheck(check, MakeTested(op, of), figures));
      }
    }
    absl::PrintF("| %s | %d | %s | %s | %s |\n", op.name, cases.size(),
                 Cell(figures.first_order, op.differentiable),
                 Cell(figures.second_order, op.differentiable),
                 Cell(figures.adjoint, figures.adjoint >= 0));
    std::fflush(stdout);
  }
  absl::PrintF("\n%d ops, %d cases, %d checks of each; %d failures.\n", ops.size(), num_cases,
               std::size(kChecks), failures);
  return failures > 0;
}
