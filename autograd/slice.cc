#include "autograd/slice.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/record.h"

namespace wengert::internal {
namespace {

// The first and last position that a piece covers.
std::pair<int64_t, int64_t> Interval(const Place& place) {
  const int64_t last = place.start + place.step * (place.length - 1);
  return {std::min(place.start, last), std::max(place.start, last)};
}

}  // namespace

Spec NarrowOp::Infer(VariableSpan x) const {
  const int64_t dim = x[0].shape()[axis];
  const auto [first, last] = Interval(place);
  if (place.length < 0 || place.step == 0 || (place.length > 0 && (first < 0 || last >= dim))) {
    throw Error(kName,
                absl::StrCat("axis ", axis, " of ", ToString(x[0].shape()), ": start ", place.start,
                             ", length ", place.length, ", step ", place.step, " is out of range"));
  }
  Shape shape = x[0].shape();
  shape[axis] = place.length;
  return {std::move(shape), x[0].dtype()};
}

void NarrowOp::Forward(TensorSpan x, Tensor& y) const {
  y = x[0].Narrow(axis, place.start, place.length, place.step);
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
    gradients.push_back(needs[i] ? Apply(NarrowOp{.axis = axis, .place = places[i]}, {dy})
                                 : Variable());
  }
  return gradients;
}

std::vector<OpCase> NarrowOp::Cases() {
  std::vector<OpCase> cases;
  const struct {
    Shape shape;
    NarrowOp op;
  } list[] = {
      {{5}, {.axis = 0, .place = {1, 3, 1}}},       {{5}, {.axis = 0, .place = {0, 5, 1}}},
      {{7}, {.axis = 0, .place = {1, 3, 2}}},       {{7}, {.axis = 0, .place = {6, 4, -2}}},
      {{3, 4}, {.axis = 1, .place = {2, 2, 1}}},    {{3, 4}, {.axis = 0, .place = {2, 1, 1}}},
      {{2, 5, 3}, {.axis = 1, .place = {0, 2, 3}}}, {{3, 4}, {.axis = 0, .place = {1, 0, 1}}}};
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
  } list[] = {{{{3}}, {.axis = 0, .dim = 5, .places = {{1, 3, 1}}}},
              {{{2, 3}}, {.axis = 1, .dim = 9, .places = {{2, 3, 3}}}},
              {{{3, 2}}, {.axis = 0, .dim = 3, .places = {{2, 3, -1}}}},
              {{{0, 2}}, {.axis = 0, .dim = 3, .places = {{0, 0, 1}}}},
              {{{2, 3}, {2, 1}, {2, 4}},
               {.axis = 1, .dim = 8, .places = {{0, 3, 1}, {3, 1, 1}, {4, 4, 1}}}},
              {{{2, 3}, {2, 1}, {2, 2}},
               {.axis = 1, .dim = 8, .places = {{5, 3, 1}, {0, 1, 1}, {2, 2, 1}}}},
              {{{2, 3}, {0, 3}, {1, 3}},
               {.axis = 0, .dim = 3, .places = {{0, 2, 1}, {2, 0, 1}, {2, 1, 1}}}},
              {{{2, 2, 3}, {2, 2, 3}}, {.axis = 1, .dim = 4, .places = {{0, 2, 2}, {1, 2, 2}}}}};
  for (const auto& [shapes, op] : list) {
    cases.push_back(OpCase::Linear(
        absl::StrCat("axis ", op.axis, " of ", op.dim, ", ", shapes.size(), " pieces"), shapes,
        [op = op](VariableSpan x) { return Apply(op, x); }));
  }
  return cases;
}

bool IsNarrow(const Node& node) { return node.op == &kOpTable<NarrowOp>; }

void HoldBack(const Variable& assembled) {
  if (!assembled.node()->pending_slot) return;
  PendingList& pending = PendingList::Get();
  pending.Remove(assembled.node());
  pending.bytes_recorded -= assembled.output().bytes();
}

void Resume(const Variable& v) {
  Node* const node = v.node();
  if (node->op != &kOpTable<AssembleOp> || node->pending_slot || v.output().defined()) return;
  PendingList::Get().Add(node, v.output().bytes());
  if (Eager()) RunNow(v);
}

void MergeAssembled(absl::InlinedVector<Variable, 1>& terms) {
  // The first such term sets the axis: sums that mix axes are rare and stay as they are. What is
  // merged depends on the ops alone, not on what is computed already, so the bits do not either.
  const auto assembled = [](const Variable& v) -> const AssembleOp* {
    return v.node()->op == &kOpTable<AssembleOp> ? &v.node()->attributes_as<AssembleOp>() : nullptr;
  };
  std::vector<std::pair<int64_t, int64_t>> intervals;
  std::vector<std::pair<const Variable*, size_t>> pieces;  // of a term, which
  struct {
    int axis = -1;
    int64_t dim = 0;
  } merged;
  absl::InlinedVector<Variable, 1> rest;
  for (const Variable& term : terms) {
    const AssembleOp* op = assembled(term);
    if (op && merged.axis < 0) {
      merged.axis = op->axis;
      merged.dim = op->dim;
    }
    if (!op || op->axis != merged.axis || op->dim != merged.dim) {
      rest.push_back(term);
      continue;
    }
    for (size_t i = 0; i < op->places.size(); ++i) {
      pieces.emplace_back(&term, i);
      if (op->places[i].length > 0) intervals.push_back(Interval(op->places[i]));
    }
  }
  if (pieces.size() < 2) return;
  std::sort(intervals.begin(), intervals.end());
  for (size_t i = 1; i < intervals.size(); ++i) {
    if (intervals[i].first <= intervals[i - 1].second) return;  // they overlap: add them up
  }
  constexpr size_t kMost = 1 << 15;  // pieces of a node
  for (size_t begin = 0; begin < pieces.size(); begin += kMost) {
    const size_t end = std::min(pieces.size(), begin + kMost);
    AssembleOp part{.axis = merged.axis, .dim = merged.dim};
    std::vector<Variable> inputs;
    for (size_t k = begin; k < end; ++k) {
      const auto& [term, i] = pieces[k];
      const Place& place = assembled(*term)->places[i];
      const Variable& piece = term->node()->inputs()[i];
      // A term that is computed may have let go of its pieces.
      inputs.push_back(
          piece.defined() ? piece : Apply(NarrowOp{.axis = merged.axis, .place = place}, {*term}));
      part.places.push_back(place);
    }
    rest.push_back(Apply(std::move(part), VariableSpan(inputs)));
  }
  terms = std::move(rest);
}

}  // namespace wengert::internal
