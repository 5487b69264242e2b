#include "autograd/slice.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace wengert::internal {
namespace {

// The first and last position that a piece covers.
std::pair<int64_t, int64_t> Interval(const Place& place, int64_t length) {
  const int64_t last = place.start + place.step * (length - 1);
  return {std::min(place.start, last), std::max(place.start, last)};
}

}  // namespace

Spec NarrowOp::Infer(VariableSpan x) const {
  const int64_t dim = x[0].shape()[axis];
  const auto [first, last] = Interval(place, length);
  if (length < 0 || place.step == 0 || (length > 0 && (first < 0 || last >= dim))) {
    throw Error(kName,
                absl::StrCat("axis ", axis, " of ", ToString(x[0].shape()), ": start ", place.start,
                             ", length ", length, ", step ", place.step, " is out of range"));
  }
  Shape shape = x[0].shape();
  shape[axis] = length;
  return {std::move(shape), x[0].dtype()};
}

void NarrowOp::Forward(TensorSpan x, Tensor& y) const {
  y = x[0].Narrow(axis, place.start, length, place.step);
}

Gradients NarrowOp::Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
  return {Apply(AssembleOp{.axis = axis, .dim = x[0].shape()[axis], .places = {place}}, {dy})};
}

Spec AssembleOp::Infer(VariableSpan x) const {
  Shape shape = x[0].shape();
  shape[axis] = dim;
  return {std::move(shape), x[0].dtype()};
}

void AssembleOp::Forward(TensorSpan x, Tensor& y) const {
  int64_t covered = 0;
  for (size_t i = 0; i < x.size(); ++i) covered += x[i].shape()[axis];
  if (covered < dim) y.Fill(0);
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t length = x[i].shape()[axis];
    if (x[i].size() > 0) y.Narrow(axis, places[i].start, length, places[i].step).CopyFrom(x[i]);
  }
}

Gradients AssembleOp::Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs needs) const {
  Gradients gradients;
  for (size_t i = 0; i < x.size(); ++i) {
    gradients.push_back(
        needs[i]
            ? Apply(NarrowOp{.axis = axis, .length = x[i].shape()[axis], .place = places[i]}, {dy})
            : Variable());
  }
  return gradients;
}

std::vector<OpCase> NarrowOp::Cases() {
  std::vector<OpCase> cases;
  const struct {
    Shape shape;
    NarrowOp op;
  } list[] = {{{5}, {.axis = 0, .length = 3, .place = {1, 1}}},
              {{5}, {.axis = 0, .length = 5, .place = {0, 1}}},
              {{7}, {.axis = 0, .length = 3, .place = {1, 2}}},
              {{7}, {.axis = 0, .length = 4, .place = {6, -2}}},
              {{3, 4}, {.axis = 1, .length = 2, .place = {2, 1}}},
              {{3, 4}, {.axis = 0, .length = 1, .place = {2, 1}}},
              {{2, 5, 3}, {.axis = 1, .length = 2, .place = {0, 3}}},
              {{3, 4}, {.axis = 0, .length = 0, .place = {1, 1}}}};
  for (const auto& [shape, op] : list) {
    cases.push_back(OpCase::Linear(
        absl::StrCat(ToString(shape), " axis ", op.axis, ", ", op.place.start, ":", op.place.step),
        {shape}, [op = op](VariableSpan x) { return Apply(op, x); }));
  }
  return cases;
}

std::vector<OpCase> AssembleOp::Cases() {
  std::vector<OpCase> cases;
  const struct {
    std::vector<Shape> shapes;
    AssembleOp op;
  } list[] = {{{{3}}, {.axis = 0, .dim = 5, .places = {{1, 1}}}},
              {{{2, 3}}, {.axis = 1, .dim = 9, .places = {{2, 3}}}},
              {{{3, 2}}, {.axis = 0, .dim = 3, .places = {{2, -1}}}},
              {{{0, 2}}, {.axis = 0, .dim = 3, .places = {{0, 1}}}},
              {{{2, 3}, {2, 1}, {2, 4}}, {.axis = 1, .dim = 8, .places = {{0, 1}, {3, 1}, {4, 1}}}},
              {{{2, 3}, {2, 1}, {2, 2}}, {.axis = 1, .dim = 8, .places = {{5, 1}, {0, 1}, {2, 1}}}},
              {{{2, 3}, {0, 3}, {1, 3}}, {.axis = 0, .dim = 3, .places = {{0, 1}, {2, 1}, {2, 1}}}},
              {{{2, 2, 3}, {2, 2, 3}}, {.axis = 1, .dim = 4, .places = {{0, 2}, {1, 2}}}}};
  for (const auto& [shapes, op] : list) {
    cases.push_back(OpCase::Linear(
        absl::StrCat("axis ", op.axis, " of ", op.dim, ", ", shapes.size(), " pieces"), shapes,
        [op = op](VariableSpan x) { return Apply(op, x); }));
  }
  return cases;
}

void MergeAssembled(absl::InlinedVector<Variable, 1>& terms) {
  // The last term sets the axis: sums that mix axes are rare and stay as they are.
  const AssembleOp* model = nullptr;
  const auto assembled = [](const Variable& v) -> const AssembleOp* {
    const Node* node = v.node();
    // Only what is pending and ours alone; a computed one has nothing to save.
    return node->op == &kOpTable<AssembleOp> && node->references == 1 && !v.output().defined()
               ? &node->attributes_as<AssembleOp>()
               : nullptr;
  };
  std::vector<std::pair<int64_t, int64_t>> intervals;
  std::vector<Variable> pieces;
  AssembleOp merged;
  absl::InlinedVector<Variable, 1> rest;
  for (const Variable& term : terms) {
    const AssembleOp* op = assembled(term);
    if (op && !model) {
      model = op;
      merged.axis = op->axis;
      merged.dim = op->dim;
    }
    if (!op || op->axis != merged.axis || op->dim != merged.dim) {
      rest.push_back(term);
      continue;
    }
    for (size_t i = 0; i < op->places.size(); ++i) {
      const Variable& piece = term.node()->inputs()[i];
      pieces.push_back(piece);
      merged.places.push_back(op->places[i]);
      intervals.push_back(Interval(op->places[i], piece.shape()[op->axis]));
    }
  }
  if (pieces.size() < 2) return;
  std::sort(intervals.begin(), intervals.end());
  for (size_t i = 1; i < intervals.size(); ++i) {
    if (intervals[i].first <= intervals[i - 1].second) return;  // they overlap: add them up
  }
  rest.push_back(Apply(std::move(merged), VariableSpan(pieces)));
  terms = std::move(rest);
}

}  // namespace wengert::internal
