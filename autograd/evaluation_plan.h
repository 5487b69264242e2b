// What one evaluation is to run: the pending ancestors of its targets, who reads them, and in which
// order and in which groups they run. Internal to the tape.
#ifndef WENGERT_AUTOGRAD_EVALUATION_PLAN_H_
#define WENGERT_AUTOGRAD_EVALUATION_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "autograd/element_group.h"
#include "autograd/order.h"
#include "autograd/variable.h"

namespace wengert::internal {

// A pending node in the plan of one evaluation.
struct Entry {
  explicit Entry(Node* n) : node(n) {}
  // Whether anyone outside the plan refers to the node: a handle, or a node that is not in it.
  bool IsHeld() const { return node->references > reads - more_reads; }

  Node* node;
  uint32_t reads = 0;        // by nodes of the plan, still to come
  uint32_t more_reads = 0;   // of these, by nodes that run in more than one step
  uint32_t group_reads = 0;  // of these, by nodes of the same group
  uint32_t place = 0;        // in the order of execution, once placed
  uint8_t group = 0;         // the open group that it is in, plus one; 0: none
  bool placed = false;
  GroupRole role = GroupRole::kFull;
  bool keep = false;      // its values outlive the evaluation
  bool again = false;     // in a group: its inputs are kept, or can be computed again themselves
  bool repeated = false;  // not stored: each group that reads it computes it
  bool keep_residuals = false;
};

class EvaluationPlan {
 public:
  // A run of the order of execution: one node, or the nodes of a group.
  struct Step {
    uint32_t first, count;
    uint32_t repeats = 0;  // of these, at the beginning, nodes that an earlier step computes too
    const Shape* shape = nullptr;  // of a group
    int64_t columns = 0;           // as in ElementGroup
  };

  // Adds the pending nodes among the targets and `nodes`, and all that is pending below them. With
  // `final`, no gradient rule will read the values again.
  void Collect(VariableSpan targets, absl::Span<Node* const> nodes, bool final);
  // Decides on the order. Unless `group`, each node is a step of its own.
  void Order(bool group);

  Entry* Find(const Node* node) {
    const uint32_t slot = node->evaluate_slot;
    if (slot >= entries_.size() || entries_[slot].node != node) return nullptr;
    return &entries_[slot];
  }
  const Entry* Find(const Node* node) const {
    return const_cast<EvaluationPlan*>(this)->Find(node);
  }
  size_t size() const { return entries_.size(); }
  bool grouped() const { return grouped_; }
  // Not grouped: the entry that runs as the rank-th.
  Entry& operator[](size_t rank) { return entries_[order_[rank]]; }
  // Grouped: the steps, and the entry at a place of the order.
  const std::vector<Step>& steps() const { return steps_; }
  Entry& At(size_t place) { return entries_[run_order_[place]]; }

  // Empties it for the next evaluation; the vectors keep their capacity.
  void Clear();
  bool IsHuge() const { return entries_.capacity() >= 1 << 20; }

 private:
  struct OpenGroup {
    const Shape* shape = nullptr;
    int64_t columns = 0;
    int64_t end_inner = -1;         // what sums at the end keep: -1 none yet, 0 sums over all
    std::vector<uint32_t> members;  // indices of entries
    size_t opened = 0;              // length of the order of execution then
    int64_t waiting_bytes = 0;      // of results that were computed since, for it to read
  };
  static constexpr size_t kMaxOpen = 8;

  // How a node could join a group.
  struct Fit {
    const Shape* shape = nullptr;  // of the group; null: it runs alone
    OpenGroup* group = nullptr;    // null: a new one
    GroupRole role = GroupRole::kFull;
    int64_t columns = 0;     // if not 0, what the group's must be
    int64_t end_inner = -1;  // if not -1, what the group's must be
  };

  Entry& Visit(Node* node);
  void PlanGroups();
  Fit FindFit(const Node& node);
  Fit FitOfElementwise(const Node& node);
  Fit FitOfSum(const Node& node);
  Fit FitOfExpand(const Node& node);
  bool IsFullInput(const Variable& input, const OpenGroup& group);
  bool IsRowInput(const Variable& input, const OpenGroup& group, const Shape& shape);
  Entry* FindOpen(const Variable& v);  // in an open group
  OpenGroup* FindOpen(const Shape& shape);
  OpenGroup& Open(const Shape& shape);
  void Close(OpenGroup& group);
  void Place(uint32_t index);
  void RepeatCheapValues();
  bool MayRepeat(const Entry& entry) const;
  const Step& StepOf(const Entry& entry) const { return steps_[step_of_[entry.place]]; }

  std::vector<Entry> entries_;
  SequenceOrder order_;
  std::vector<uint32_t> indices_;  // memory of order_
  size_t groupable_ = 0;
  bool grouped_ = false;
  std::vector<uint32_t> run_order_;
  std::vector<Step> steps_;
  std::vector<uint32_t> step_of_;  // places
  OpenGroup open_[kMaxOpen];
  size_t next_victim_ = 0;
};

}  // namespace wengert::internal

#endif  // WENGERT_AUTOGRAD_EVALUATION_PLAN_H_
