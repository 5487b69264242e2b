// The tape side of the element-wise rows: shapes, dtypes, recording, gradients.
#include "ops/elementwise.h"

#include <cmath>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "autograd/record.h"
#include "ops/kernels/elementwise.h"
#include "ops/kernels/elementwise_loop.h"
#include "ops/ops.h"
#include "ops/patterns.h"

namespace wengert {
namespace {

using internal::RecordOne;
using internal::ThrowAt;

// The rows' columns, as this file reads them.
constexpr bool kFloats = false, kNumeric = true;
constexpr unsigned kNone = 0, kX = 1, kA = 1, kB = 2, kY = 4;

using Attributes = ElementwiseAttributes;

// d/da of a^b; a number as exponent stays a number.
Variable PowGradient(const Operand& a, const Operand& b, const Variable& dy) {
  if (b.is_number()) return dy * (b.number() * Pow(a, b.number() - 1));
  return dy * (b * Pow(a, b - 1));
}

// d/db of a^b.
Variable PowExponentGradient(const Operand& a, const Variable& y, const Variable& dy) {
  if (a.is_number()) return dy * y * std::log(a.number());
  return dy * y * Log(a);
}

// a^2 + b^2, of which one may be a number.
Variable SquaredLength(const Operand& a, const Operand& b) {
  const auto square = [](const Operand& x) {
    return x.is_number() ? Operand(x.number() * x.number()) : Operand(Square(x));
  };
  return square(a) + square(b);
}

// ---- Forward ----

template <Row row, int arity>
void Forward(const Node& node, TensorSpan in, absl::Span<Tensor> out) {
  RunElementwise<arity>(row, node.attributes_as<Attributes>(), in, out[0]);
}

// ---- Gradients: one function per row, from the rows' gradient columns ----

// Undoes the broadcasting of one operand.
void ToInput(Variable& gradient, const Variable& input) {
  if (gradient.defined() && !(gradient.shape() == input.shape())) {
    gradient = SumTo(gradient, input.shape());
  }
}

#define UNARY(op, Function, types, value, gradient, reads, ...)                  \
  Gradients Function##Vjp(const Node& node, VariableSpan in, VariableSpan out,   \
                          VariableSpan cotangent, Needs) {                       \
    [[maybe_unused]] const Variable& x = in[0];                                  \
    [[maybe_unused]] const Variable& y = out[0];                                 \
    [[maybe_unused]] const Variable& dy = cotangent[0];                          \
    [[maybe_unused]] const double* p = node.attributes_as<Attributes>().numbers; \
    return {gradient};                                                           \
  }
#define BINARY(op, Function, types, value, gradient_a, reads_a, gradient_b, reads_b, ...)          \
  Gradients Function##Vjp(const Node& node, VariableSpan in, VariableSpan out,                     \
                          VariableSpan cotangent, Needs needs) {                                   \
    const Attributes& attributes = node.attributes_as<Attributes>();                               \
    const bool number_a = attributes.number_operands & 1;                                          \
    const bool number_b = attributes.number_operands & 2;                                          \
    [[maybe_unused]] const Operand a = number_a ? Operand(attributes.numbers[0]) : Operand(in[0]); \
    [[maybe_unused]] const Operand b =                                                             \
        number_b ? Operand(attributes.numbers[0]) : Operand(in[number_a ? 0 : 1]);                 \
    [[maybe_unused]] const Variable& y = out[0];                                                   \
    [[maybe_unused]] const Variable& dy = cotangent[0];                                            \
    Gradients gradients;                                                                           \
    size_t i = 0; /* of the node's input */                                                        \
    if (!number_a) {                                                                               \
      Variable& da = gradients.Append();                                                           \
      if (needs[i]) da = gradient_a;                                                               \
      if (attributes.broadcasts) ToInput(da, in[i]);                                               \
      ++i;                                                                                         \
    }                                                                                              \
    if (!number_b) {                                                                               \
      Variable& db = gradients.Append();                                                           \
      if (needs[i]) db = gradient_b;                                                               \
      if (attributes.broadcasts) ToInput(db, in[i]);                                               \
    }                                                                                              \
    return gradients;                                                                              \
  }
#define UNARY_WITH_NUMBERS UNARY
#define COMPARISON(...)
#include "ops/kernels/elementwise_rows.inc"
#undef UNARY
#undef UNARY_WITH_NUMBERS
#undef BINARY
#undef COMPARISON

Gradients MulAddVjp(const Node& node, VariableSpan in, VariableSpan, VariableSpan cotangent,
                    Needs needs) {
  const Attributes& attributes = node.attributes_as<Attributes>();
  const Variable& dy = cotangent[0];
  size_t next_input = 0, next_number = 0;
  const auto take = [&](unsigned operand) {
    return attributes.number_operands & operand ? Operand(attributes.numbers[next_number++])
                                                : Operand(in[next_input++]);
  };
  const Operand a = take(1), b = take(2);
  Gradients gradients;
  const auto add = [&](const Operand& operand, auto gradient) {
    if (operand.is_number()) return;
    const size_t i = gradients.size();
    Variable& of_operand = gradients.Append();
    if (needs[i]) ToInput(of_operand = gradient(), in[i]);
  };
  add(a, [&] { return dy * b; });
  add(b, [&] { return dy * a; });
  add(take(4), [&] { return dy; });
  return gradients;
}

Gradients WhereVjp(const Node& node, VariableSpan in, VariableSpan, VariableSpan cotangent,
                   Needs needs) {
  const uint32_t numbers = node.attributes_as<Attributes>().number_operands;
  Gradients gradients{Variable()};
  size_t i = 1;
  for (int operand = 1; operand <= 2; ++operand) {
    if (numbers >> operand & 1) continue;
    const Variable& dy = cotangent[0];
    Variable& gradient = gradients.Append();
    if (needs[i]) {
      ToInput(gradient = operand == 1 ? Where(in[0], dy, 0) : Where(in[0], 0, dy), in[i]);
    }
    ++i;
  }
  return gradients;
}

// ---- Op tables: per row, and per set of operands that are numbers ----

struct Reads {
  unsigned of_a, of_b;
};

// What the gradient keeps, in terms of the node's inputs: numbers are not among them, and the
// gradient of a number is never taken.
constexpr Uses MakeUses(Reads reads, unsigned numbers) {
  unsigned read = kNone;
  if (!(numbers & kA)) read |= reads.of_a;
  if (!(numbers & kB)) read |= reads.of_b;
  Uses uses;
  uses.output = read & kY;
  unsigned next = 0;
  if (!(numbers & kA)) uses.inputs |= (read & kA ? 1u : 0u) << next++;
  if (!(numbers & kB)) uses.inputs |= (read & kB ? 1u : 0u) << next++;
  return uses;
}

// The rows that end patterns. A number as operand is none of their parts.
constexpr decltype(OpTable::match) MatcherOf(Row row) {
  const bool ends_block =
      row == Row::kAdd || row == Row::kRelu || row == Row::kTanh || row == Row::kSigmoid;
  return ends_block ? &internal::MatchBlock : nullptr;
}

template <Row row, int arity>
constexpr OpTable MakeTable(std::string_view name, decltype(OpTable::vjp) vjp, Uses uses,
                            decltype(OpTable::match) match = nullptr) {
  return {.name = name,
          .uses = uses,
          .differentiable = vjp != nullptr,
          .donates = false,
          .grouping = Grouping::kRow,
          .row = static_cast<int>(row),
          .forward = &Forward<row, arity>,
          .vjp = vjp,
          .run_group = &RunElementGroup,
          .match = match,
          .attribute_bytes = sizeof(Attributes),
          .copy_attributes = [](void* to, const void* from) {
            new (to) Attributes(*static_cast<const Attributes*>(from));
          }};
}

#define UNARY(op, Function, types, value, gradient, reads, ...)             \
  constexpr OpTable k##Function##Table[] = {MakeTable<Row::k##Function, 1>( \
      #op, &Function##Vjp, MakeUses({reads, kNone}, kNone), MatcherOf(Row::k##Function))};
#define BINARY(op, Function, types, value, gradient_a, reads_a, gradient_b, reads_b, ...)      \
  constexpr OpTable k##Function##Table[] = {                                                   \
      MakeTable<Row::k##Function, 2>(#op, &Function##Vjp, MakeUses({reads_a, reads_b}, kNone), \
                                     MatcherOf(Row::k##Function)),                             \
      MakeTable<Row::k##Function, 2>(#op, &Function##Vjp, MakeUses({reads_a, reads_b}, kA)),   \
      MakeTable<Row::k##Function, 2>(#op, &Function##Vjp, MakeUses({reads_a, reads_b}, kB))};
#define COMPARISON(op, Function, ...)                                                         \
  constexpr OpTable k##Function##Table[] = {MakeTable<Row::k##Function, 2>(#op, nullptr, {}), \
                                            MakeTable<Row::k##Function, 2>(#op, nullptr, {}), \
                                            MakeTable<Row::k##Function, 2>(#op, nullptr, {})};
#define UNARY_WITH_NUMBERS UNARY
#include "ops/kernels/elementwise_rows.inc"
#undef UNARY
#undef UNARY_WITH_NUMBERS
#undef BINARY
#undef COMPARISON

// A product with a number reads no Variable.
constexpr OpTable MakeMulAddTable(unsigned numbers) {
  Uses uses;
  if (!(numbers & (kA | kB))) uses.inputs = 0b11;
  return MakeTable<Row::kMulAdd, 3>("mul_add", &MulAddVjp, uses);
}
// By which operands are numbers.
constexpr OpTable kMulAddTable[] = {MakeMulAddTable(0), MakeMulAddTable(1), MakeMulAddTable(2),
                                    MakeMulAddTable(3), MakeMulAddTable(4), MakeMulAddTable(5),
                                    MakeMulAddTable(6)};

constexpr OpTable kWhereTable = MakeTable<Row::kWhere, 3>("where", &WhereVjp, Uses::Input(0));

// ---- Recording ----

// `v` in the dtype; a cast, where there must be one, lives in `converted`.
inline const Variable& As(const Variable& v, DType dtype, SourceLocation where,
                          Variable& converted) {
  if (v.dtype() == dtype) return v;
  return converted = Cast(v, dtype, where);
}

DType ComputeType(DType dtype, bool all_numbers) {
  if (IsFloating(dtype)) return dtype;
  if (!all_numbers) return DType::kFloat32;
  return dtype == DType::kBool ? DType::kInt64 : dtype;
}

inline void CheckDefined(std::string_view op, const Operand& x, SourceLocation where) {
  if (!x.is_number() && !x.variable().defined()) ThrowAt(op, "an operand is undefined", where);
}

Variable Unary(const OpTable* table, bool all_numbers, const Operand& x, Attributes attributes) {
  if (x.is_number()) ThrowAt(table->name, "is an op of a Variable, not of a number", x.where());
  CheckDefined(table->name, x, x.where());
  const DType dtype = ComputeType(x.variable().dtype(), all_numbers);
  Variable converted;
  const Variable& input = As(x.variable(), dtype, x.where(), converted);
  return RecordOne(table, {&input}, input.shape(), dtype, attributes, x.where());
}

// One DType for both operands; numbers take the tensor's.
inline DType Common(const OpTable* table, const Operand& a, const Operand& b) {
  CheckDefined(table->name, a, a.where());
  CheckDefined(table->name, b, a.where());
  if (b.is_number()) {
    if (a.is_number()) {
      ThrowAt(table->name, "of two numbers: one operand must be a Variable", a.where());
    }
    return PromoteWithNumber(a.variable().dtype(), b.number_is_floating());
  }
  if (a.is_number()) return PromoteWithNumber(b.variable().dtype(), a.number_is_floating());
  return Promote(a.variable().dtype(), b.variable().dtype());
}

Variable OfTensorAndNumber(const OpTable* table, const Operand& tensor, const Operand& number,
                           unsigned which, DType dtype, DType result, SourceLocation where) {
  const Attributes attributes = {.numbers = {number.number(), 0},
                                 .number_operands = static_cast<uint16_t>(which)};
  Variable converted;
  const Variable& x = As(tensor.variable(), dtype, where, converted);
  return RecordOne(table + which, {&x}, x.shape(), result, attributes, where);
}

template <bool kAllNumbers, bool kCompares>
Variable Binary(const OpTable* tables, const Operand& a, const Operand& b) {
  const SourceLocation where = a.where();
  DType dtype = Common(tables, a, b);
  if (!kCompares) dtype = ComputeType(dtype, kAllNumbers);
  const DType result = kCompares ? DType::kBool : dtype;
  if (b.is_number()) return OfTensorAndNumber(tables, a, b, kB, dtype, result, where);
  if (a.is_number()) return OfTensorAndNumber(tables, b, a, kA, dtype, result, where);
  Variable converted_a, converted_b;
  const Variable& x = As(a.variable(), dtype, where, converted_a);
  const Variable& y = As(b.variable(), dtype, where, converted_b);
  if (x.shape() == y.shape()) {
    return RecordOne(tables, {&x, &y}, x.shape(), result, Attributes(), where);
  }
  try {
    return RecordOne(tables, {&x, &y}, BroadcastShapes(x.shape(), y.shape(), tables->name), result,
                     Attributes{.broadcasts = true}, where);
  } catch (Error& error) {
    const Variable inputs[] = {x, y};
    internal::RethrowWithPlace(error, inputs, where);
  }
}

// Records a row of three: what `inputs` has already, then the operands, of which some are numbers.
// The table depends on which.
Variable Ternary(const OpTable* tables, bool one_table, absl::InlinedVector<Variable, 3> inputs,
                 std::initializer_list<const Operand*> operands, DType dtype,
                 SourceLocation where) {
  Attributes attributes;
  Shape shape;
  if (!inputs.empty()) shape = inputs[0].shape();
  size_t place = inputs.size(), numbers = 0;
  try {
    for (const Operand* operand : operands) {
      if (operand->is_number()) {
        attributes.numbers[numbers++] = operand->number();
        attributes.number_operands |= static_cast<uint16_t>(1u << place);
      } else {
        Variable converted;
        inputs.push_back(As(operand->variable(), dtype, where, converted));
        shape = BroadcastShapes(shape, inputs.back().shape(), tables->name);
      }
      ++place;
    }
  } catch (Error& error) {
    internal::RethrowWithPlace(error, inputs, where);
  }
  const OpTable* const table = one_table ? tables : tables + attributes.number_operands;
  const internal::Recording recording =
      internal::BeginRecord(table, inputs, {Spec{shape, dtype}}, /*residuals=*/0, where);
  new (recording.attributes) Attributes(attributes);
  return internal::EndRecord(recording);
}

}  // namespace

// ---- The public functions ----

#define UNARY(op, Function, types, ...) \
  Variable Function(const Operand& x) { return Unary(k##Function##Table, types, x, {}); }
#define UNARY_WITH_NUMBERS(op, Function, types, ...)                     \
  Variable Function##OfNumbers(const Operand& x, double p0, double p1) { \
    return Unary(k##Function##Table, types, x, {.numbers = {p0, p1}});   \
  }
#define BINARY(op, Function, types, ...)                                                 \
  Variable Function(const Operand& a, const Operand& b) {                                \
    return Binary</*kAllNumbers=*/types, /*kCompares=*/false>(k##Function##Table, a, b); \
  }
#define COMPARISON(op, Function, ...)                                                  \
  Variable Function(const Operand& a, const Operand& b) {                              \
    return Binary</*kAllNumbers=*/true, /*kCompares=*/true>(k##Function##Table, a, b); \
  }
#include "ops/kernels/elementwise_rows.inc"
#undef UNARY
#undef UNARY_WITH_NUMBERS
#undef BINARY
#undef COMPARISON

Variable MulAdd(const Operand& a, const Operand& b, const Operand& c) {
  const SourceLocation where = a.where();
  const OpTable* const table = kMulAddTable;
  // The tensors' dtype, then the numbers, which take it.
  std::optional<DType> dtype;
  for (const Operand* operand : {&a, &b, &c}) {
    CheckDefined(table->name, *operand, where);
    if (operand->is_number()) continue;
    const DType own = operand->variable().dtype();
    dtype = dtype ? Promote(*dtype, own) : own;
  }
  if (!dtype) ThrowAt(table->name, "of three numbers: one operand must be a Variable", where);
  for (const Operand* operand : {&a, &b, &c}) {
    if (operand->is_number()) dtype = PromoteWithNumber(*dtype, operand->number_is_floating());
  }
  return Ternary(table, /*one_table=*/false, {}, {&a, &b, &c},
                 ComputeType(*dtype, /*all_numbers=*/kNumeric), where);
}

Variable Where(const Variable& condition, const Operand& a, const Operand& b) {
  const SourceLocation where = a.where();
  if (!condition.defined() || condition.dtype() != DType::kBool) {
    ThrowAt("where",
            absl::StrCat("the condition must be bool, not ",
                         condition.defined() ? std::string(Name(condition.dtype())) : "undefined"),
            condition, where);
  }
  const bool numbers_only = a.is_number() && b.is_number();
  const bool floating = a.number_is_floating() || b.number_is_floating();
  const DType dtype =
      numbers_only ? (floating ? DType::kFloat32 : DType::kInt64) : Common(&kWhereTable, a, b);
  return Ternary(&kWhereTable, /*one_table=*/true, {condition}, {&a, &b}, dtype, where);
}

}  // namespace wengert
