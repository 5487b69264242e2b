#include "autograd/evaluation_plan.h"

#include <algorithm>
#include <utility>

#include "autograd/op.h"
#include "autograd/pattern.h"
#include "tensor/cache.h"

namespace wengert::internal {
namespace {

// Up to this many elements a value stays in L1 anyway, and a node costs more than its arithmetic.
constexpr int64_t kTiny = 1024;
// More nodes do not share more, and their values would not fit the cache.
constexpr size_t kMaxMembers = 64;
constexpr size_t kMaxTerms = 8;
// Results of other nodes that wait in the cache for a group that is still open. Without a bound, a
// sum of a hundred products would hold them all.
constexpr int64_t kMaxWaitingBytes = 2 << 20;

// Rows that are worth a call of a kernel each, and of which a few fit the cache.
constexpr int64_t kMinColumns = 32, kMaxColumns = 8192;
constexpr int64_t kMaxEndColumns = 1024;  // the sums of more do not fit the cache

bool MayJoin(const Node& node) {
  return node.op->grouping != Grouping::kNone && node.num_inputs <= kMaxTerms;
}

// Whether it can begin a group, as opposed to joining one only.
bool IsLarge(const Node& node) {
  switch (node.op->grouping) {
    case Grouping::kSum:
      return node.inputs()[0].size() > kTiny;
    case Grouping::kRow:
    case Grouping::kAccumulate:
      return node.outputs()[0].size() > kTiny;
    default:
      return false;
  }
}

// What a reduction over `axes` makes of a shape: [outer, reduced], or [reduced, inner].
struct Reduced {
  bool trailing, leading;  // both: over everything
  int64_t outer, reduced, inner;
};
Reduced Classify(const Shape& shape, uint32_t axes) {
  Reduced r = {true, true, 1, 1, 1};
  bool seen_reduced = false, seen_kept = false;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    if (axes >> i & 1) {
      r.leading &= !seen_kept;
      seen_reduced = true;
      r.reduced *= shape[i];
    } else {
      r.trailing &= !seen_reduced;
      seen_kept = true;
      (seen_reduced ? r.inner : r.outer) *= shape[i];
    }
  }
  return r;
}

}  // namespace

void EvaluationPlan::Clear() {
  entries_.clear();
  run_order_.clear();
  steps_.clear();
  step_of_.clear();
  order_ = SequenceOrder();
  groupable_ = 0;
  grouped_ = false;
  for (OpenGroup& group : open_) group.members.clear();  // after an exception
  next_victim_ = 0;
}

Entry& EvaluationPlan::Visit(Node* node) {
  if (Entry* entry = Find(node)) return *entry;
  order_.Saw(node);
  if (node->op->grouping != Grouping::kNone) groupable_ += IsLarge(*node);
  node->evaluate_slot = static_cast<uint32_t>(entries_.size());
  return entries_.emplace_back(node);
}

void EvaluationPlan::Collect(VariableSpan targets, absl::Span<Node* const> nodes, bool final) {
  for (const Variable& target : targets) {
    if (!target.defined()) throw Error("evaluate", "a variable is undefined");
    if (!target.output().defined()) Visit(target.node());
  }
  for (Node* node : nodes) Visit(node);
  // The list of entries is the work list too: no recursion, no second stack.
  for (size_t i = 0; i < entries_.size(); ++i) {
    Node* node = entries_[i].node;
    if (nodes.empty()) FindComposite(*node);
    const bool rule_reads = node->requires_grad() && !final;
    const Uses uses = node->op->uses;
    const VariableSpan inputs = node->inputs();
    for (size_t k = 0; k < inputs.size(); ++k) {
      const Variable& input = inputs[k];
      if (input.output().defined()) continue;
      Entry& entry = Visit(input.node());
      ++entry.reads;
      const bool residual = input.index() >= input.node()->num_public;
      (residual ? entry.keep_residuals : entry.keep) |= rule_reads && uses.input(k);
    }
    entries_[i].keep |= rule_reads && uses.output;
  }
}

void EvaluationPlan::Order(bool group) {
  order_.Sort(entries_, indices_);
  grouped_ = group && groupable_ >= 2;
  if (grouped_) PlanGroups();
}

// One pass in the order of recording, with one open group per shape. A node that reads a value of
// an open group, and cannot join it, closes it: the group runs before the node does. So open groups
// never read each other, and no search for cycles is needed.
void EvaluationPlan::PlanGroups() {
  for (size_t rank = 0; rank < entries_.size(); ++rank) {
    const uint32_t index = static_cast<uint32_t>(order_[rank]);
    Entry& entry = entries_[index];
    const Node& node = *entry.node;
    const Fit fit = FindFit(node);
    OpenGroup* own = fit.group;
    int64_t waiting_bytes = 0;
    for (const Variable& input : node.inputs()) {
      const Entry* read = Find(input.node());
      if (!read) continue;
      if (read->placed) {
        if (own && read->place >= own->opened) waiting_bytes += input.output().bytes();
      } else if (OpenGroup& from = open_[read->group - 1]; &from != own) {
        Close(from);
      }
    }
    if (!fit.shape) {
      steps_.push_back({.first = static_cast<uint32_t>(run_order_.size()), .count = 1});
      Place(index);
      continue;
    }
    if (own && fit.role == GroupRole::kFull &&
        (own->members.size() >= kMaxMembers ||
         own->waiting_bytes + waiting_bytes > kMaxWaitingBytes)) {
      Close(*own);
      own = nullptr;
    }
    if (!own) own = &Open(*fit.shape);
    if (fit.columns) own->columns = fit.columns;
    if (fit.end_inner >= 0) own->end_inner = fit.end_inner;
    own->waiting_bytes += waiting_bytes;
    entry.group = static_cast<uint8_t>(own - open_ + 1);
    entry.role = fit.role;
    own->members.push_back(index);
    for (const Variable& input : node.inputs()) {
      Entry* read = Find(input.node());
      if (read && read->group == entry.group) ++read->group_reads;
    }
  }
  for (OpenGroup& group : open_) {
    if (!group.members.empty()) Close(group);
  }
  RepeatCheapValues();
}

// Whether to compute a value in each group that reads it takes no more from memory than to read it.
bool EvaluationPlan::MayRepeat(const Entry& entry) const {
  const Node& node = *entry.node;
  const Tensor& output = node.outputs()[0];
  if (node.op->grouping != Grouping::kRow || entry.role != GroupRole::kFull || entry.keep ||
      entry.IsHeld() || entry.reads == entry.group_reads || output.bytes() < cache_bytes) {
    return false;
  }
  int full = 0;
  for (const Variable& input : node.inputs()) {
    if (input.size() != output.size()) continue;
    const Entry* read = Find(input.node());
    if (++full > 1 || (read && StepOf(*read).count > 1)) return false;  // it may not be stored
  }
  return true;
}

// A large value that only groups of its shape read is computed in each of them, from what it is
// made of, instead of stored in one and read in the others.
void EvaluationPlan::RepeatCheapValues() {
  step_of_.resize(run_order_.size());
  for (uint32_t s = 0; s < steps_.size(); ++s) {
    std::fill_n(step_of_.begin() + steps_[s].first, steps_[s].count, s);
  }
  bool any = false;
  for (const Step& step : steps_) {
    for (uint32_t i = 0; i < step.count && step.count > 1; ++i) {
      Entry& entry = At(step.first + i);
      any |= entry.repeated = MayRepeat(entry);
    }
  }
  if (!any) return;
  // Calls f(value, index of it) for each read, by a group, of a value of its shape from before.
  const auto for_reads = [&](const Step& step, auto f) {
    for (uint32_t i = 0; i < step.count && step.shape; ++i) {
      for (const Variable& input : At(step.first + i).node->inputs()) {
        Entry* read = Find(input.node());
        if (!read || !read->repeated || &StepOf(*read) == &step) continue;
        if (input.shape() == *step.shape) f(*read);
      }
    }
  };
  std::vector<uint32_t> reads(entries_.size());
  for (const Step& step : steps_) {
    for_reads(step, [&](Entry& read) { ++reads[&read - entries_.data()]; });
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    entries_[i].repeated &= entries_[i].reads == entries_[i].group_reads + reads[i];
  }
  std::vector<Step> steps;
  std::vector<uint32_t> order;
  for (const Step& step : steps_) {
    Step& next = steps.emplace_back(step);
    next.first = static_cast<uint32_t>(order.size());
    for_reads(step, [&](Entry& read) {
      const auto index = static_cast<uint32_t>(&read - entries_.data());
      ++read.group_reads;
      if (std::find(order.begin() + next.first, order.end(), index) != order.end()) return;
      order.push_back(index);
      ++next.repeats;
      for (const Variable& input : read.node->inputs()) {
        Entry* below = Find(input.node());
        if (below) ++below->reads, ++below->more_reads;
      }
    });
    next.count += next.repeats;
    for (uint32_t i = 0; i < step.count; ++i) order.push_back(run_order_[step.first + i]);
  }
  // Only now: StepOf reads the old places.
  for (const Step& step : steps) {
    for (uint32_t i = step.repeats; i < step.count; ++i) {
      entries_[order[step.first + i]].place = step.first + i;
    }
  }
  steps_ = std::move(steps);
  run_order_ = std::move(order);
}

EvaluationPlan::Fit EvaluationPlan::FindFit(const Node& node) {
  if (!MayJoin(node)) return {};
  switch (node.op->grouping) {
    case Grouping::kRow:
    case Grouping::kAccumulate:
      return FitOfElementwise(node);
    case Grouping::kSum:
      return FitOfSum(node);
    case Grouping::kExpand:
      return FitOfExpand(node);
    case Grouping::kNone:
      break;
  }
  return {};
}

EvaluationPlan::Fit EvaluationPlan::FitOfElementwise(const Node& node) {
  const Shape& shape = node.outputs()[0].shape();
  for (const Variable& input : node.inputs()) {
    const Entry* entry = FindOpen(input);
    if (!entry || entry->role != GroupRole::kRowValue || !(input.shape() == shape)) continue;
    OpenGroup& group = open_[entry->group - 1];
    // Of its shape it would read an expanded one.
    bool fits = !(shape == *group.shape) && group.members.size() < kMaxMembers;
    for (const Variable& x : node.inputs()) fits = fits && IsRowInput(x, group, shape);
    if (fits) return {.shape = group.shape, .group = &group, .role = GroupRole::kRowValue};
  }
  if (NumElements(shape) <= kTiny) return {};
  OpenGroup* group = FindOpen(shape);
  for (const Variable& x : node.inputs()) {
    if (group && !IsFullInput(x, *group)) group = nullptr;
  }
  return {.shape = &shape, .group = group};
}

EvaluationPlan::Fit EvaluationPlan::FitOfSum(const Node& node) {
  const Variable& x = node.inputs()[0];
  const Shape& shape = x.shape();
  if (NumElements(shape) <= kTiny || !IsFloating(x.dtype())) return {};
  OpenGroup* group = FindOpen(shape);
  if (const Entry* entry = FindOpen(x)) {
    // A sum over a tensor with gaps adds in another order.
    const bool expanded = entry->node->op->grouping == Grouping::kExpand;
    if (expanded || entry->role != GroupRole::kFull) return {};
  }
  const Reduced r = Classify(shape, node.op->reduced_axes(node));
  if (r.reduced == 1) return {};  // a reshape
  const auto agrees = [&](int64_t columns, int64_t end_inner) {
    return group && group->members.size() < kMaxMembers &&
           (columns < 0 || group->columns == 0 || group->columns == columns) &&
           (group->end_inner == -1 || group->end_inner == end_inner);
  };
  if (r.trailing && r.leading) {
    if (!agrees(-1, 0) || group->columns != 0) return {};
    return {.shape = &shape, .group = group, .role = GroupRole::kEnd, .end_inner = 0};
  }
  if (r.trailing) {
    if (r.reduced < kMinColumns || r.reduced > kMaxColumns) return {};
    if (!agrees(r.reduced, r.reduced)) group = nullptr;
    return {.shape = &shape, .group = group, .role = GroupRole::kRowValue, .columns = r.reduced};
  }
  if (r.leading && r.inner <= kMaxEndColumns && agrees(r.inner, r.inner)) {
    return {.shape = &shape, .group = group, .role = GroupRole::kEnd, .end_inner = r.inner};
  }
  return {};
}

// Another name, in the group, for a row value of it or for what is read from memory.
EvaluationPlan::Fit EvaluationPlan::FitOfExpand(const Node& node) {
  const Variable& x = node.inputs()[0];
  const Shape& shape = node.outputs()[0].shape();
  OpenGroup* group = FindOpen(shape);
  const Entry* entry = FindOpen(x);
  if (group && entry && &open_[entry->group - 1] == group) {
    if (entry->role == GroupRole::kRowValue && IsFullInput(x, *group) &&
        group->members.size() < kMaxMembers) {
      return {.shape = group->shape, .group = group, .role = GroupRole::kRowValue};
    }
    group = nullptr;  // x is in it in another role: it closes first
  }
  if (NumElements(shape) <= kTiny || x.size() == NumElements(shape)) return {};
  return {.shape = &shape, .group = group};
}

// Whether a node of the group's shape may read it: what the group computes must be full, or a row
// value with the summed axes kept, which broadcasts over the columns.
bool EvaluationPlan::IsFullInput(const Variable& input, const OpenGroup& group) {
  const Entry* entry = FindOpen(input);
  if (!entry || &open_[entry->group - 1] != &group) return true;
  return entry->role == GroupRole::kFull ||
         (entry->role == GroupRole::kRowValue && input.rank() == group.shape->rank());
}

// Whether a node that computes a row value of this shape may read it.
bool EvaluationPlan::IsRowInput(const Variable& input, const OpenGroup& group, const Shape& shape) {
  const Entry* entry = FindOpen(input);
  if (!entry || &open_[entry->group - 1] != &group) {
    return input.size() == 1 || input.shape() == shape;
  }
  return entry->role == GroupRole::kRowValue && input.shape() == shape;
}

Entry* EvaluationPlan::FindOpen(const Variable& v) {
  Entry* entry = Find(v.node());
  return entry && entry->group ? entry : nullptr;
}

EvaluationPlan::OpenGroup* EvaluationPlan::FindOpen(const Shape& shape) {
  for (OpenGroup& group : open_) {
    if (!group.members.empty() && *group.shape == shape) return &group;
  }
  return nullptr;
}

EvaluationPlan::OpenGroup& EvaluationPlan::Open(const Shape& shape) {
  if (OpenGroup* same = FindOpen(shape)) Close(*same);
  OpenGroup* free = nullptr;
  for (OpenGroup& group : open_) {
    if (group.members.empty()) free = &group;
  }
  if (!free) {
    free = &open_[next_victim_++ % kMaxOpen];
    Close(*free);
  }
  free->shape = &shape;
  free->columns = 0;
  free->end_inner = -1;
  free->opened = run_order_.size();
  free->waiting_bytes = 0;
  return *free;
}

void EvaluationPlan::Close(OpenGroup& group) {
  steps_.push_back({.first = static_cast<uint32_t>(run_order_.size()),
                    .count = static_cast<uint32_t>(group.members.size()),
                    .shape = group.shape,
                    .columns = group.columns});
  for (const uint32_t index : group.members) Place(index);
  group.members.clear();
}

void EvaluationPlan::Place(uint32_t index) {
  Entry& entry = entries_[index];
  entry.place = static_cast<uint32_t>(run_order_.size());
  entry.placed = true;
  entry.group = 0;
  run_order_.push_back(index);
}

}  // namespace wengert::internal
