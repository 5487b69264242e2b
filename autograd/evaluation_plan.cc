#include "autograd/evaluation_plan.h"

#include "autograd/op.h"

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

bool CanJoin(const Node& node) {
  return node.op->grouping != Grouping::kNone && node.num_inputs <= kMaxTerms &&
         node.outputs()[0].size() > kTiny;
}

}  // namespace

void EvaluationPlan::Clear() {
  entries_.clear();
  run_order_.clear();
  steps_.clear();
  order_ = SequenceOrder();
  groupable_ = 0;
  grouped_ = false;
}

Entry& EvaluationPlan::Visit(Node* node) {
  if (Entry* entry = Find(node)) return *entry;
  order_.Saw(node);
  groupable_ += CanJoin(*node);
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
    const bool joins = CanJoin(node);
    OpenGroup* own = joins ? FindOpen(node.outputs()[0].shape()) : nullptr;
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
    if (!joins) {
      steps_.push_back({static_cast<uint32_t>(run_order_.size()), 1});
      Place(index);
      continue;
    }
    if (own && (own->members.size() == kMaxMembers ||
                own->waiting_bytes + waiting_bytes > kMaxWaitingBytes)) {
      Close(*own);
      own = nullptr;
    }
    if (!own) own = &Open(node.outputs()[0].shape());
    own->waiting_bytes += waiting_bytes;
    entry.group = static_cast<uint8_t>(own - open_ + 1);
    own->members.push_back(index);
    for (const Variable& input : node.inputs()) {
      Entry* read = Find(input.node());
      if (read && read->group == entry.group) ++read->group_reads;
    }
  }
  for (OpenGroup& group : open_) {
    if (!group.members.empty()) Close(group);
  }
}

EvaluationPlan::OpenGroup* EvaluationPlan::FindOpen(const Shape& shape) {
  for (OpenGroup& group : open_) {
    if (!group.members.empty() && *group.shape == shape) return &group;
  }
  return nullptr;
}

EvaluationPlan::OpenGroup& EvaluationPlan::Open(const Shape& shape) {
  OpenGroup* free = nullptr;
  for (OpenGroup& group : open_) {
    if (group.members.empty()) free = &group;
  }
  if (!free) {
    free = &open_[next_victim_++ % kMaxOpen];
    Close(*free);
  }
  free->shape = &shape;
  free->opened = run_order_.size();
  free->waiting_bytes = 0;
  return *free;
}

void EvaluationPlan::Close(OpenGroup& group) {
  steps_.push_back(
      {static_cast<uint32_t>(run_order_.size()), static_cast<uint32_t>(group.members.size())});
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
