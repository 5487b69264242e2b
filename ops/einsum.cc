// Products in Einstein's notation, composed of movement, MatMul and Sum, and the products of
// vectors.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "autograd/op.h"
#include "ops/ops.h"

namespace wengert {
namespace {

// What names an axis: a letter, or -1 for the last axis of "...", -2 for the one before, and so on.
using Label = int;
using Labels = absl::InlinedVector<Label, 8>;
constexpr Label kEllipsis = 0;  // in an equation, for all that "..." stands for

bool Has(const Labels& labels, Label label) { return absl::c_linear_search(labels, label); }

// What an equation says; messages end with it and the operands' shapes.
class Equation {
 public:
  Equation(std::string_view text, VariableSpan operands) : text_(text), operands_(operands) {
    const size_t arrow = text_.find("->");
    const std::vector<std::string> terms = absl::StrSplit(text_.substr(0, arrow), ',');
    for (const std::string& term : terms) terms_.push_back(Parse(term));
    if (terms_.size() != operands.size()) {
      Fail(absl::StrCat(terms_.size(), " terms for ", operands.size(), " operands"));
    }
    for (size_t i = 0; i < terms_.size(); ++i) Fit(i);
    SetOutput(arrow == std::string::npos ? Implied() : Parse(text_.substr(arrow + 2)));
  }
  const std::vector<Labels>& terms() const { return terms_; }
  const Labels& output() const { return output_; }

 private:
  [[noreturn]] void Fail(const std::string& message) const {
    std::string shapes;
    for (const Variable& operand : operands_) {
      absl::StrAppend(&shapes, shapes.empty() ? "" : ", ", ToString(operand.shape()));
    }
    throw Error("einsum", absl::StrCat(message, ": \"", text_, "\" of ", shapes));
  }

  Labels Parse(const std::string& term) const {
    Labels labels;
    for (size_t i = 0; i < term.size(); ++i) {
      if (absl::ascii_isspace(static_cast<unsigned char>(term[i]))) continue;
      if (absl::ascii_isalpha(static_cast<unsigned char>(term[i]))) {
        labels.push_back(term[i]);
      } else if (term.compare(i, 3, "...") == 0 && !Has(labels, kEllipsis)) {
        labels.push_back(kEllipsis);
        i += 2;
      } else {
        Fail(absl::StrCat("'", term.substr(i, 1),
                          "' is neither a letter nor the one \"...\" of a term"));
      }
    }
    return labels;
  }

  // Names the axes of "...", the `count` last of them.
  static void Spell(Labels& labels, int count) {
    const auto at = absl::c_find(labels, kEllipsis);
    if (at == labels.end()) return;
    Labels spelled(labels.begin(), at);
    for (int i = count; i > 0; --i) spelled.push_back(-i);
    spelled.insert(spelled.end(), at + 1, labels.end());
    labels = std::move(spelled);
  }

  // Checks term i against its operand.
  void Fit(size_t i) {
    Labels& labels = terms_[i];
    const Shape& shape = operands_[i].shape();
    const bool open = Has(labels, kEllipsis);
    const int rest = shape.rank() - static_cast<int>(labels.size()) + (open ? 1 : 0);
    if (open ? rest < 0 : rest != 0) {
      Fail(absl::StrCat("operand ", i, " has rank ", shape.rank(), " and its term ",
                        labels.size() - (open ? 1 : 0), " letters"));
    }
    Spell(labels, rest);
    if (open) ellipsis_ = std::max(ellipsis_, rest);
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const Label label = labels[axis];
      int64_t& length = lengths_.try_emplace(label, shape[axis]).first->second;
      if (label < 0 && length == 1) length = shape[axis];
      if (length == shape[axis] || (label < 0 && shape[axis] == 1)) continue;
      Fail(absl::StrCat(
          label < 0 ? "the axes of ... do not broadcast" : std::string(1, static_cast<char>(label)),
          label < 0 ? "" : " has two lengths", ", ", length, " and ", shape[axis]));
    }
  }

  // "..." and the letters that occur once.
  Labels Implied() const {
    std::map<Label, int> times;
    for (const Labels& labels : terms_) {
      for (const Label label : labels) ++times[label];
    }
    Labels output{kEllipsis};
    for (const auto& [label, count] : times) {
      if (label > 0 && count == 1) output.push_back(label);
    }
    return output;
  }

  void SetOutput(Labels output) {
    if (ellipsis_ > 0 && !Has(output, kEllipsis)) Fail("the result lacks the axes of ...");
    Spell(output, ellipsis_);
    for (size_t i = 0; i < output.size(); ++i) {
      const std::string name(1, static_cast<char>(output[i]));
      if (!lengths_.contains(output[i])) Fail(absl::StrCat(name, " of the result is in no term"));
      if (std::find(output.begin(), output.begin() + i, output[i]) != output.begin() + i) {
        Fail(absl::StrCat(name, " is twice in the result"));
      }
    }
    output_ = std::move(output);
  }

  const std::string text_;
  VariableSpan operands_;
  std::vector<Labels> terms_;
  Labels output_;
  int ellipsis_ = 0;  // the most axes that "..." stands for
  std::map<Label, int64_t> lengths_;
};

// A value whose axes have names.
struct Factor {
  Variable value;
  Labels labels;

  // With its axes in the given order, all of them.
  Variable Ordered(const Labels& order) const {
    if (order == labels) return value;
    absl::InlinedVector<int, 8> axes;
    for (const Label label : order) {
      axes.push_back(static_cast<int>(absl::c_find(labels, label) - labels.begin()));
    }
    return Permute(value, axes);
  }
  int64_t Length(Label label) const {
    return value.shape()[static_cast<int>(absl::c_find(labels, label) - labels.begin())];
  }
};

// Each label once.
Factor WithDiagonals(Factor x) {
  for (size_t j = 1; j < x.labels.size(); ++j) {
    const Label label = x.labels[j];
    const size_t i = absl::c_find(x.labels, label) - x.labels.begin();
    if (i == j) continue;
    absl::InlinedVector<int, 8> order;
    Labels rest;
    for (size_t k = 0; k < x.labels.size(); ++k) {
      if (k == i || k == j) continue;
      order.push_back(static_cast<int>(k));
      rest.push_back(x.labels[k]);
    }
    order.push_back(static_cast<int>(i));
    order.push_back(static_cast<int>(j));
    rest.push_back(label);
    x = {Diagonal(Permute(x.value, order)), std::move(rest)};
    j = 0;
  }
  return x;
}

// Summed over the labels that `stays` is false of.
template <class Stays>
Factor Summed(const Factor& x, Stays stays) {
  absl::InlinedVector<int, 8> axes;
  Labels rest;
  for (size_t i = 0; i < x.labels.size(); ++i) {
    if (stays(x.labels[i])) {
      rest.push_back(x.labels[i]);
    } else {
      axes.push_back(static_cast<int>(i));
    }
  }
  return axes.empty() ? x : Factor{Sum(x.value, Axes(axes)), std::move(rest)};
}

Labels operator+(Labels a, const Labels& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// The product of both, summed over what `stays` is false of.
template <class Stays>
Factor Contracted(const Factor& left, const Factor& right, Stays stays) {
  const Factor a = Summed(left, [&](Label l) { return stays(l) || Has(right.labels, l); });
  const Factor b = Summed(right, [&](Label l) { return stays(l) || Has(left.labels, l); });
  Labels shared, summed, of_a, of_b;
  for (const Label label : a.labels) {
    (!Has(b.labels, label) ? of_a : stays(label) ? shared : summed).push_back(label);
  }
  for (const Label label : b.labels) {
    if (!Has(a.labels, label)) of_b.push_back(label);
  }
  // The lengths of labels, 1 where x has no such axis.
  const auto lengths = [](const Factor& x, const Labels& labels) {
    Shape shape;
    for (const Label label : labels) shape.Append(Has(x.labels, label) ? x.Length(label) : 1);
    return shape;
  };
  const Labels kept = shared + of_a + of_b;
  if (summed.empty() || (of_a.empty() && of_b.empty())) {
    const Variable x = Reshape(a.Ordered(shared + of_a + summed), lengths(a, kept + summed));
    const Variable y = Reshape(b.Ordered(shared + of_b + summed), lengths(b, kept + summed));
    return Summed({x * y, kept + summed}, [&](Label label) { return Has(kept, label); });
  }
  // [shared, of_a, summed] x [shared, summed, of_b], each of the last as one axis.
  const auto matrix = [&](const Factor& x, const Labels& rows, const Labels& columns) {
    Shape shape = lengths(x, shared);
    shape.Append(NumElements(lengths(x, rows)));
    shape.Append(NumElements(lengths(x, columns)));
    return Reshape(x.Ordered(shared + rows + columns), shape);
  };
  const Variable product = MatMul(matrix(a, of_a, summed), matrix(b, summed, of_b));
  Shape result = product.shape();
  result.Remove(result.rank() - 1);
  result.Remove(result.rank() - 1);
  for (const Label label : of_a) result.Append(a.Length(label));
  for (const Label label : of_b) result.Append(b.Length(label));
  return {Reshape(product, result), kept};
}

Variable Contract(const Equation& equation, VariableSpan operands) {
  DType dtype = DType::kFloat32;
  for (const Variable& operand : operands) dtype = Promote(dtype, operand.dtype());
  std::vector<Factor> factors;
  for (size_t i = 0; i < operands.size(); ++i) {
    factors.push_back(WithDiagonals({Cast(operands[i], dtype), equation.terms()[i]}));
  }
  Factor product = factors[0];
  for (size_t i = 1; i < factors.size(); ++i) {
    product = Contracted(product, factors[i], [&](Label label) {
      bool read = Has(equation.output(), label);
      for (size_t later = i + 1; later < factors.size(); ++later) {
        read |= Has(factors[later].labels, label);
      }
      return read;
    });
  }
  return Summed(product, [&](Label label) { return Has(equation.output(), label); })
      .Ordered(equation.output());
}

void CheckVectors(std::string_view op, const Variable& a, const Variable& b, bool same,
                  SourceLocation where) {
  if (a.rank() == 1 && b.rank() == 1 && (!same || a.dim(0) == b.dim(0))) return;
  Error error(op, absl::StrCat("needs two vectors", same ? " of one length" : "", ", not ",
                               ToString(a.shape()), " and ", ToString(b.shape())));
  const Variable inputs[] = {a, b};
  internal::RethrowWithPlace(error, inputs, where);
}

}  // namespace

Variable Einsum(std::string_view equation, VariableSpan operands, SourceLocation where) {
  const WhereScope scope(where, "einsum");
  try {
    return Contract(Equation(equation, operands), operands);
  } catch (Error& error) {
    internal::RethrowWithPlace(error, operands, where);
  }
}

Variable Dot(const Variable& a, const Variable& b, SourceLocation where) {
  const WhereScope scope(where, "dot");
  CheckVectors("dot", a, b, /*same=*/true, where);
  return Sum(a * b);
}

Variable Outer(const Variable& a, const Variable& b, SourceLocation where) {
  const WhereScope scope(where, "outer");
  CheckVectors("outer", a, b, /*same=*/false, where);
  return Unsqueeze(a, 1) * b;
}

Variable Trace(const Variable& x, SourceLocation where) {
  const WhereScope scope(where, "trace");
  if (x.rank() < 2) {
    internal::ThrowAt("trace", absl::StrCat("needs rank 2 or more, not ", ToString(x.shape())), x,
                      where);
  }
  return Sum(Diagonal(x), -1);
}

}  // namespace wengert
