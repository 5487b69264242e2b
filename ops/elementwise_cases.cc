// What the gradient table checks of the element-wise rows.
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/registry.h"
#include "ops/elementwise.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using Values = std::vector<Variable>;
using BinaryFunction = Variable (*)(const Operand&, const Operand&);

std::vector<OpCase> UnaryCases(const std::function<Variable(const Variable&)>& f, double low,
                               double high) {
  std::vector<OpCase> cases;
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{7}, Shape{17}, Shape{3, 4}, Shape{2, 3, 5},
                             Shape{0, 3}, Shape{2, 1, 3, 2}, Shape{2, 1, 2, 1, 3}}) {
    cases.push_back({.name = ToString(shape),
                     .inputs = {{.shape = shape, .low = low, .high = high}},
                     .f = [f](VariableSpan x) { return Values{f(x[0])}; }});
  }
  return cases;
}

std::vector<OpCase> BinaryCases(BinaryFunction f, double low_a, double high_a, double low_b,
                                double high_b) {
  std::vector<OpCase> cases;
  const std::pair<Shape, Shape> shapes[] = {
      {{}, {}},      {{7}, {7}},       {{3, 4}, {3, 4}},       {{3, 4}, {4}},
      {{4}, {3, 4}}, {{3, 1}, {1, 4}}, {{2, 3, 4}, {3, 1}},    {{}, {2, 3}},
      {{2, 3}, {1}}, {{0, 3}, {3}},    {{2, 1, 3, 2}, {3, 1}}, {{1, 1}, {2, 2, 1, 2, 2}},
  };
  for (const auto& [a, b] : shapes) {
    cases.push_back({.name = absl::StrCat(ToString(a), " ", ToString(b)),
                     .inputs = {{.shape = a, .low = low_a, .high = high_a},
                                {.shape = b, .low = low_b, .high = high_b}},
                     .f = [f](VariableSpan x) { return Values{f(x[0], x[1])}; }});
  }
  cases.push_back({.name = "number, [2,3]",
                   .inputs = {{.shape = {2, 3}, .low = low_b, .high = high_b}},
                   .f = [f](VariableSpan x) { return Values{f(1.3, x[0])}; }});
  cases.push_back({.name = "[2,3], number",
                   .inputs = {{.shape = {2, 3}, .low = low_a, .high = high_a}},
                   .f = [f](VariableSpan x) { return Values{f(x[0], 1.3)}; }});
  return cases;
}

std::vector<OpCase> MulAddCases() {
  std::vector<OpCase> cases;
  const Shape shapes[][3] = {
      {{}, {}, {}},          {{7}, {7}, {7}},          {{3, 4}, {3, 4}, {3, 4}},
      {{3, 4}, {4}, {4}},    {{3, 4}, {3, 4}, {}},     {{}, {3, 4}, {3, 1}},
      {{3, 1}, {1, 4}, {4}}, {{4}, {3, 1}, {2, 1, 4}}, {{1}, {}, {2, 3}},
      {{0, 3}, {3}, {}},     {{2, 3}, {1}, {1, 1}},    {{3, 1}, {2, 1, 3, 2}, {1, 2}},
  };
  for (const auto& [a, b, c] : shapes) {
    cases.push_back({.name = absl::StrCat(ToString(a), " ", ToString(b), " ", ToString(c)),
                     .inputs = {{.shape = a}, {.shape = b}, {.shape = c}},
                     .f = [](VariableSpan x) { return Values{MulAdd(x[0], x[1], x[2])}; }});
  }
  const auto with_numbers = [&](const char* name, std::vector<Shape> inputs, auto f) {
    OpCase of{.name = name};
    for (const Shape& shape : inputs) of.inputs.push_back({.shape = shape});
    of.f = [f](VariableSpan x) { return Values{f(x)}; };
    cases.push_back(std::move(of));
  };
  const Shape s = {2, 3};
  with_numbers("number * b + c", {s, s}, [](VariableSpan x) { return MulAdd(1.3, x[0], x[1]); });
  with_numbers("a * number + c", {s, {3}}, [](VariableSpan x) { return MulAdd(x[0], 1.3, x[1]); });
  with_numbers("a * b + number", {s, {}}, [](VariableSpan x) { return MulAdd(x[0], x[1], 1.3); });
  with_numbers("number * number + c", {s}, [](VariableSpan x) { return MulAdd(1.3, -2, x[0]); });
  with_numbers("number * b + number", {s}, [](VariableSpan x) { return MulAdd(1.3, x[0], -2); });
  with_numbers("a * number + number", {s}, [](VariableSpan x) { return MulAdd(x[0], 1.3, -2); });
  with_numbers("a * a + a", {s}, [](VariableSpan x) { return MulAdd(x[0], x[0], x[0]); });
  return cases;
}

std::vector<OpCase> WhereCases() {
  std::vector<OpCase> cases = BinaryCases(
      [](const Operand& a, const Operand& b) {
        const Operand& tensor = a.is_number() ? b : a;
        return Where(tensor.variable() > 0.25, a, b);
      },
      -3, 3, -3, 3);
  cases.push_back(
      {.name = "condition broadcasts",
       .inputs = {{.shape = {2, 3}}, {.shape = {2, 3}}},
       .f = [](VariableSpan x) { return Values{Where(Narrow(x[0], 0, 0, 1) > 0, x[0], x[1])}; }});
  cases.push_back({.name = "two numbers", .inputs = {{.shape = {2, 3}}}, .f = [](VariableSpan x) {
                     return Values{x[0] * Where(x[0] > 0, 2.0, 3.0)};
                   }});
  return cases;
}

void RegisterRow(std::string_view name, bool differentiable, std::string_view rule,
                 std::function<std::vector<OpCase>()> cases) {
  internal::RegisterOp({name, differentiable, /*composite=*/false, std::move(cases), rule});
}

const bool kRegistered = [] {
#define UNARY(op, Function, types, value, gradient, reads, low, high)            \
  RegisterRow(#op, true, #gradient, [] {                                         \
    return UnaryCases([](const Variable& x) { return Function(x); }, low, high); \
  });
#define UNARY_WITH_NUMBERS(op, Function, types, value, gradient, reads, low, high)              \
  RegisterRow(#op, true, #gradient, [] {                                                        \
    return UnaryCases([](const Variable& x) { return Function##OfNumbers(x, -1.1, 1.3); }, low, \
                      high);                                                                    \
  });
#define BINARY(op, Function, types, value, ga, ra, gb, rb, low_a, high_a, low_b, high_b) \
  RegisterRow(#op, true, #ga "; " #gb,                                                   \
              [] { return BinaryCases(&Function, low_a, high_a, low_b, high_b); });
#define COMPARISON(op, Function, ...) \
  RegisterRow(#op, false, "", [] { return BinaryCases(&Function, -3, 3, -3, 3); });
#include "ops/kernels/elementwise_rows.inc"
#undef UNARY
#undef UNARY_WITH_NUMBERS
#undef BINARY
#undef COMPARISON
  RegisterRow("mul_add", true, "dy * b; dy * a; dy", &MulAddCases);
  RegisterRow("where", true, "Variable(); Where(condition, dy, 0); Where(condition, 0, dy)",
              &WhereCases);
  return true;
}();

}  // namespace
}  // namespace wengert
