// Evaluation: collects the pending ancestors of the targets, orders them, runs each with buffers
// from the pool, and drops every value that nobody will read.
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "autograd/anomaly.h"
#include "autograd/element_group.h"
#include "autograd/evaluation_plan.h"
#include "autograd/flush_to_zero.h"
#include "autograd/op.h"
#include "autograd/record.h"
#include "autograd/small_array.h"
#include "autograd/thread_state.h"
#include "tensor/cache.h"

namespace wengert::internal {
namespace {

constexpr int64_t kDonateBytes = 4096;  // below, a fresh buffer is as cheap as asking

// An evaluation nests inside another (a composite without a kernel runs its Definition), so its
// vectors are borrowed from the thread and given back with their capacity.
struct Workspace {
  EvaluationPlan plan;
  std::vector<GroupNode> group;  // that runs
  std::vector<GroupOperand> operands;
};
thread_local std::vector<std::unique_ptr<Workspace>> spare_workspaces;

std::unique_ptr<Workspace> BorrowWorkspace() {
  if (spare_workspaces.empty()) return std::make_unique<Workspace>();
  std::unique_ptr<Workspace> workspace = std::move(spare_workspaces.back());
  spare_workspaces.pop_back();
  return workspace;
}

class Evaluation {
 public:
  Evaluation(VariableSpan targets, bool final)
      : targets_(targets), final_(final), workspace_(BorrowWorkspace()), plan_(workspace_->plan) {
    ++thread_state.evaluations;
  }
  ~Evaluation() {
    --thread_state.evaluations;
    plan_.Clear();
    if (!plan_.IsHuge()) spare_workspaces.push_back(std::move(workspace_));
  }

  // Runs `nodes` too, but does not hold them: their values may be dropped.
  void Run(absl::Span<Node* const> nodes) {
    plan_.Collect(targets_, nodes, final_);
    plan_.Order(/*group=*/!thread_state.anomaly);  // which looks at each value
    const FlushToZeroScope flush_to_zero;
    if (plan_.grouped()) {
      for (const EvaluationPlan::Step& step : plan_.steps()) RunStep(step);
    } else {
      const size_t size = plan_.size();
      for (size_t i = 0; i < size; ++i) RunOne(plan_[i]);
    }
    if (final_) LetGoOfTape();
  }

 private:
  void RunOne(Entry& entry) {
    DecideKeeping(entry);
    RunNode(entry);
    Release(entry);
  }

  // Kept is what a gradient rule reads (found in Collect) and what anyone outside refers to: a
  // handle, or a node that is not part of this evaluation. All else is dropped after its last
  // reader here. Asked before the node runs, when all its readers here are still to come.
  void DecideKeeping(Entry& entry) const {
    const bool outside = entry.IsHeld();
    entry.keep |= outside;
    entry.keep_residuals |= outside || (entry.node->requires_grad() && !final_);
  }

  // Moves the buffer of one input to output `o` if nobody can miss it; null otherwise. `reads`: by
  // nodes of the plan that run now, and not after this one.
  Tensor* Donate(const Entry& entry, size_t input, int o, uint32_t reads = 1) {
    Node& node = *entry.node;
    Node* donor = node.inputs()[input].node();
    Tensor& tensor = donor->outputs()[node.inputs()[input].index()];
    const Tensor& output = node.outputs()[o];
    if (thread_state.anomaly) return nullptr;  // its report shows the inputs
    if (tensor.dtype() != output.dtype() || !(tensor.shape() == output.shape()) ||
        !tensor.OwnsStorage() || !tensor.IsContiguous()) {
      return nullptr;
    }
    if (const Entry* donor_entry = plan_.Find(donor)) {
      // Dropped next anyway. Should a reader ever want it again, its edges are still there.
      if (donor_entry->keep || donor_entry->reads != reads) return nullptr;
    } else if (donor->UseCount() != 1 || node.requires_grad() || !entry.keep) {
      // Computed before: ours only if this edge is the last reference and is let go right after.
      return nullptr;
    }
    node.TakeOutput(o, tensor);
    donated_.push_back({&tensor, &node, o});
    return &tensor;
  }

  // Each output gets a buffer: that of an input, or a new one.
  void GiveMemory(const Entry& entry, SmallArray<const Tensor*, 8>& in) {
    Node& node = *entry.node;
    const OpTable& op = *node.op;
    for (int o = 0; o < node.num_outputs; ++o) {
      const Tensor& output = node.outputs()[o];
      if (output.defined()) continue;  // a residual that was kept
      if (op.donates || op.elementwise()) {
        const size_t first = op.elementwise() ? 0 : o;
        const size_t end = op.elementwise() ? in.size() : o + 1;
        for (size_t i = first; i < end && !output.defined(); ++i) {
          if (Donate(entry, i, o)) in[i] = &output;
        }
      }
      if (!output.defined()) node.AllocateOutput(o, output.bytes());
    }
  }

  void RunNode(Entry& entry) {
    Node& node = *entry.node;
    const OpTable& op = *node.op;
    const VariableSpan inputs = node.inputs();
    SmallArray<const Tensor*, 8> in(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) in[i] = &inputs[i].output();
    try {
      const int64_t bytes = node.outputs()[0].bytes();
      if (op.elementwise() && bytes < kDonateBytes) [[likely]] {
        node.AllocateOutput(0, bytes);
      } else if (!op.makes_outputs) {
        GiveMemory(entry, in);
      }
      ++thread_state.kernel_calls;
      op.forward(node, {in.data(), in.size()},
                 {node.outputs(), static_cast<size_t>(node.num_outputs)});
      if (thread_state.anomaly) [[unlikely]]
        CheckFinite(node, in);
    } catch (Error& error) {
      Undo(node);
      if (!error.has_place()) error.AddPlace(node.where(), LayerPath(node));
      throw;
    } catch (...) {
      Undo(node);
      throw;
    }
    if (!donated_.empty()) donated_.clear();
    if (node.pending_slot) PendingList::Get().Remove(&node);
  }

  // After an exception: the node is pending again, and its inputs have what they gave. It is as it
  // was, since an op that donates does not throw once it has written.
  void Undo(Node& node) {
    ReturnDonations();
    for (int o = 0; o < node.num_outputs; ++o) Node::DropValue(node.outputs()[o]);
  }

  void ReturnDonations() {
    for (const Donation& d : donated_) d.to->GiveBackOutput(d.output, *d.donor);
    donated_.clear();
  }

  static void Drop(const Entry& entry) {
    Node& node = *entry.node;
    for (int o = 0; o < node.num_outputs; ++o) {
      const bool keep = o < node.num_public ? entry.keep : entry.keep_residuals;
      if (!keep) Node::DropValue(node.outputs()[o]);
    }
  }

  void RunStep(const EvaluationPlan::Step& step) {
    decltype(OpTable::run_group) run = nullptr;
    for (uint32_t i = 0; i < step.count && !run && step.count > 1; ++i) {
      run = plan_.At(step.first + i).node->op->run_group;
    }
    run ? RunGroup(step, run) : RunEach(step);
  }
  void RunEach(const EvaluationPlan::Step& step) {
    for (uint32_t i = 0; i < step.count; ++i) {
      Entry& entry = plan_.At(step.first + i);
      if (i >= step.repeats) {
        RunOne(entry);
      } else {
        if (!entry.node->outputs()[0].defined()) RunNode(entry);
        Release(entry);
      }
    }
  }

  // Runs nodes as one loop. What only the group reads gets no memory: to a later reader it is
  // pending again, as if it had been dropped.
  void RunGroup(const EvaluationPlan::Step& step, decltype(OpTable::run_group) run) {
    DescribeGroup(step);
    for (const GroupNode& member : group_) {
      // A sum over a tensor with gaps adds in another order.
      if (member.node->op->grouping != Grouping::kSum) continue;
      const Tensor* const x = member.operands[0].tensor;
      if (x && !x->IsContiguous()) return RunEach(step);
    }
    bool running = false;
    try {
      for (uint32_t i = 0; i < step.count; ++i) {
        if (group_[i].result) GiveMemoryInGroup(plan_.At(step.first + i), i);
      }
      running = true;
      run({step.shape, step.columns, group_});
    } catch (...) {
      if (running) donated_.clear();  // overwritten in part: the donors, of the plan, are pending
      ReturnDonations();
      for (uint32_t i = 0; i < step.count; ++i) {
        Node::DropValue(plan_.At(step.first + i).node->outputs()[0]);
      }
      if (running) throw;
      // No memory for all of it: as far as it goes, and then the error of the node that it ends at.
      return RunEach(step);
    }
    donated_.clear();
    for (uint32_t i = 0; i < step.count; ++i) {
      Entry& entry = plan_.At(step.first + i);
      if (!IsAlias(*entry.node)) {
        ++thread_state.kernel_calls;
      } else if (IsReadOutside(entry)) {
        RunNode(entry);  // a view
      }
      if (entry.node->pending_slot) PendingList::Get().Remove(entry.node);
    }
    for (uint32_t i = 0; i < step.count; ++i) Release(plan_.At(step.first + i));
  }

  // Another name, within a group, for its input.
  static bool IsAlias(const Node& node) { return node.op->grouping == Grouping::kExpand; }
  static bool IsReadOutside(const Entry& entry) {
    return entry.keep || entry.reads > entry.group_reads;
  }

  // Fills group_ and operands_.
  void DescribeGroup(const EvaluationPlan::Step& step) {
    size_t num_operands = 0;
    for (uint32_t i = 0; i < step.count; ++i) {
      Entry& entry = plan_.At(step.first + i);
      if (i < step.repeats) {
        entry.place = step.first + i;  // where this group computes it
      } else {
        DecideKeeping(entry);
      }
      num_operands += entry.node->num_inputs;
    }
    operands_.resize(num_operands);
    group_.resize(step.count);
    GroupOperand* operand = operands_.data();
    for (uint32_t i = 0; i < step.count; ++i) {
      Entry& entry = plan_.At(step.first + i);
      group_[i] = {entry.node, entry.role, operand, nullptr, 0};
      // One that needs no gradient lets go of its inputs once it is stored.
      entry.again = entry.node->requires_grad();
      for (const Variable& input : entry.node->inputs()) {
        const Entry* read = plan_.Find(input.node());
        const bool inside = read && read->place >= step.first && !input.output().defined();
        *operand++ = {inside ? nullptr : &input.output(), inside ? read->place - step.first : 0};
        entry.again &= !read || read->keep || (inside && read->again);
        if (!inside) continue;
        uint32_t place = read->place - step.first;
        group_[place].last_read = i;
        while (IsAlias(*group_[place].node) && !group_[place].operands[0].tensor) {
          place = group_[place].operands[0].place;
          group_[place].last_read = i;
        }
        // Its alias will be a view of it.
        if (IsAlias(*entry.node) && IsReadOutside(entry)) {
          group_[place].result = &plan_.At(step.first + place).node->outputs()[0];
        }
      }
      if (IsAlias(*entry.node)) continue;
      if (IsForRulesOnly(entry) && entry.again) entry.keep = false;
      if (IsReadOutside(entry) || entry.role == GroupRole::kEnd) {
        group_[i].result = &entry.node->outputs()[0];
      }
    }
  }

  // A large value that is kept for gradient rules alone: to compute it again, in the loop that
  // reads it, costs less than to write and read it.
  static bool IsForRulesOnly(const Entry& entry) {
    return entry.keep && !entry.IsHeld() && entry.reads == entry.group_reads &&
           entry.role != GroupRole::kEnd && entry.node->outputs()[0].bytes() >= cache_bytes;
  }

  // Memory for what the node at place `i` of the group stores: that of an input, if no node after
  // it reads that, or new.
  void GiveMemoryInGroup(const Entry& entry, uint32_t i) {
    Node& node = *entry.node;
    const Tensor& output = node.outputs()[0];
    // Of the group's shape only: row by row and task by task, the readers of others are elsewhere.
    const bool may_take = entry.role == GroupRole::kFull && output.bytes() >= kDonateBytes;
    for (size_t k = 0; k < node.num_inputs && may_take; ++k) {
      const Node* donor = node.inputs()[k].node();
      // Only of this plan: if the group fails half-way, it can be computed again.
      if (!group_[i].operands[k].tensor || !plan_.Find(donor)) continue;
      uint32_t reads = 0;
      for (uint32_t j = 0; j <= i; ++j) {
        for (const Variable& input : group_[j].node->inputs()) reads += input.node() == donor;
      }
      const Tensor* given = Donate(entry, k, 0, reads);
      if (!given) continue;
      for (GroupOperand& operand : operands_) {
        if (operand.tensor == given) operand.tensor = &output;
      }
      return;
    }
    node.AllocateOutput(0, output.bytes());
  }

  void Release(Entry& entry) {
    Node& node = *entry.node;
    for (const Variable& input : node.inputs()) {
      Entry* read = plan_.Find(input.node());
      if (read && --read->reads == 0) Drop(*read);
    }
    if (entry.reads == 0) Drop(entry);
    // A value that needs no gradient and is stored needs its inputs no more. One that is not stored
    // keeps them: a reader may be computed again through it.
    if (entry.keep && !node.requires_grad()) node.DropInputs();
  }

  void LetGoOfTape() {
    for (const Variable& target : targets_) {
      if (target.node()->leaf()) continue;
      target.node()->DropInputs();
      if (target.requires_grad()) {
        target.node()->flags ^= Node::kRequiresGrad | Node::kFreed;
      }
    }
  }

  struct Donation {
    Tensor* donor;
    Node* to;
    int output;
  };

  VariableSpan targets_;
  bool final_;
  std::unique_ptr<Workspace> workspace_;
  EvaluationPlan& plan_;
  std::vector<GroupNode>& group_ = workspace_->group;
  std::vector<GroupOperand>& operands_ = workspace_->operands;
  absl::InlinedVector<Donation, 4> donated_;  // to the nodes that run
};

}  // namespace

void Run(VariableSpan targets, bool final) { Evaluation(targets, final).Run({}); }
void RunPending(absl::Span<Node* const> nodes) { Evaluation({}, /*final=*/false).Run(nodes); }
void RunDetached(uint64_t since) {
  std::vector<Node*> detached;
  const std::vector<Node*>& pending = PendingList::Get().nodes;
  for (size_t i = pending.size(); i-- > 1;) {
    Node* node = pending[i];
    if (!node) continue;
    if (node->sequence < since) break;
    const bool detaches = !node->op->differentiable && node->op->makes_outputs;
    if (detaches && node->inputs()[0].output().defined()) detached.push_back(node);
  }
  if (!detached.empty()) RunPending(detached);
}

}  // namespace wengert::internal
