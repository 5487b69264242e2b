// Evaluation: collects the pending ancestors of the targets, orders them, runs each with buffers
// from the pool, and drops every value that nobody will read.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "autograd/flush_to_zero.h"
#include "autograd/op.h"
#include "autograd/order.h"
#include "autograd/pattern.h"
#include "autograd/record.h"
#include "autograd/small_array.h"
#include "autograd/thread_state.h"

namespace wengert::internal {
namespace {

constexpr int64_t kDonateBytes = 4096;  // below, a fresh buffer is as cheap as asking

// A pending node in the plan of one evaluation.
struct Entry {
  explicit Entry(Node* n) : node(n) {}

  Node* node;
  uint32_t reads = 0;  // by nodes of the plan, still to come
  bool keep = false;   // its values outlive the evaluation
  bool keep_residuals = false;
};

// An evaluation nests inside another (a composite without a kernel runs its Definition), so the
// vectors of a plan are borrowed from the thread and given back with their capacity.
struct Plan {
  std::vector<Entry> entries;
  std::vector<uint32_t> order;  // memory of a SequenceOrder
};
thread_local std::vector<Plan> spare_plans;

class Evaluation {
 public:
  Evaluation(VariableSpan targets, absl::Span<Node* const> nodes, bool final)
      : targets_(targets), nodes_(nodes), final_(final) {
    ++thread_state.evaluations;
    if (!spare_plans.empty()) {
      plan_ = std::move(spare_plans.back());
      spare_plans.pop_back();
    }
  }
  ~Evaluation() {
    --thread_state.evaluations;
    plan_.entries.clear();
    plan_.order.clear();
    if (plan_.entries.capacity() < 1 << 20) spare_plans.push_back(std::move(plan_));
  }

  void Run() {
    Collect();
    order_.Sort(plan_.entries, plan_.order);
    const FlushToZeroScope flush_to_zero;
    const size_t size = plan_.entries.size();
    for (size_t i = 0; i < size; ++i) {
      Entry& entry = plan_.entries[order_[i]];
      DecideKeeping(entry);
      RunNode(entry);
      Release(entry);
    }
    if (final_) LetGoOfTape();
  }

 private:
  Entry* Find(const Node* node) {
    const uint32_t slot = node->evaluate_slot;
    if (slot >= plan_.entries.size() || plan_.entries[slot].node != node) return nullptr;
    return &plan_.entries[slot];
  }

  Entry& Visit(Node* node) {
    if (Entry* entry = Find(node)) return *entry;
    order_.Saw(node);
    node->evaluate_slot = static_cast<uint32_t>(plan_.entries.size());
    return plan_.entries.emplace_back(node);
  }

  void Collect() {
    for (const Variable& target : targets_) {
      if (!target.defined()) throw Error("evaluate", "a variable is undefined");
      if (!target.output().defined()) Visit(target.node());
    }
    for (Node* node : nodes_) Visit(node);
    // The list of entries is the work list too: no recursion, no second stack.
    for (size_t i = 0; i < plan_.entries.size(); ++i) {
      Node* node = plan_.entries[i].node;
      if (nodes_.empty()) FindComposite(*node);
      const bool rule_reads = node->requires_grad() && !final_;
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
      plan_.entries[i].keep |= rule_reads && uses.output;
    }
  }

  // Kept is what a gradient rule reads (found in Collect) and what anyone outside refers to: a
  // handle, or a node that is not part of this evaluation. All else is dropped after its last
  // reader here. Asked before the node runs, when all its readers here are still to come.
  void DecideKeeping(Entry& entry) const {
    const bool outside = entry.node->references > entry.reads;
    entry.keep |= outside;
    entry.keep_residuals |= outside || (entry.node->requires_grad() && !final_);
  }

  // Moves the buffer of one input to output `o` if nobody can miss it; null otherwise.
  Tensor* Donate(const Entry& entry, size_t input, int o) {
    Node& node = *entry.node;
    Node* donor = node.inputs()[input].node();
    Tensor& tensor = donor->outputs()[node.inputs()[input].index()];
    const Tensor& output = node.outputs()[o];
    if (thread_state.anomaly) return nullptr;  // its report shows the inputs
    if (tensor.dtype() != output.dtype() || !(tensor.shape() == output.shape()) ||
        !tensor.OwnsStorage() || !tensor.IsContiguous()) {
      return nullptr;
    }
    if (const Entry* donor_entry = Find(donor)) {
      // Dropped next anyway. Should a reader ever want it again, its edges are still there.
      if (donor_entry->keep || donor_entry->reads != 1) return nullptr;
    } else if (donor->UseCount() != 1 || node.requires_grad() || !entry.keep) {
      // Computed before: ours only if this edge is the last reference and is let go right after.
      return nullptr;
    }
    node.TakeOutput(o, tensor);
    return &tensor;
  }

  // Each output gets a buffer: that of an input, or a new one.
  void GiveMemory(const Entry& entry, SmallArray<const Tensor*, 8>& in) {
    Node& node = *entry.node;
    const OpTable& op = *node.op;
    for (int o = 0; o < node.num_outputs; ++o) {
      const Tensor& output = node.outputs()[o];
      if (output.defined()) continue;  // a residual that was kept
      if (op.donates || op.elementwise) {
        const size_t first = op.elementwise ? 0 : o;
        const size_t end = op.elementwise ? in.size() : o + 1;
        for (size_t i = first; i < end && !output.defined(); ++i) {
          Tensor* donor = Donate(entry, i, o);
          if (!donor) continue;
          in[i] = &output;
          donated_.emplace_back(donor, o);
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
      if (op.elementwise && bytes < kDonateBytes) [[likely]] {
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
    for (const auto& [donor, o] : donated_) node.GiveBackOutput(o, *donor);
    donated_.clear();
    for (int o = 0; o < node.num_outputs; ++o) Node::DropValue(node.outputs()[o]);
  }

  static void Drop(const Entry& entry) {
    Node& node = *entry.node;
    for (int o = 0; o < node.num_outputs; ++o) {
      const bool keep = o < node.num_public ? entry.keep : entry.keep_residuals;
      if (!keep) Node::DropValue(node.outputs()[o]);
    }
  }

  void Release(Entry& entry) {
    Node& node = *entry.node;
    for (const Variable& input : node.inputs()) {
      Entry* read = Find(input.node());
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

  static void CheckFinite(const Node& node, absl::Span<const Tensor* const> in) {
    for (int o = 0; o < node.num_public; ++o) {
      if (AllFinite(node.outputs()[o])) continue;
      std::string inputs;
      for (const Tensor* tensor : in) {
        const Range r = RangeOf(*tensor);
        absl::StrAppend(&inputs, inputs.empty() ? "" : ", ", ToString(tensor->shape()), " in [",
                        r.lowest, ", ", r.highest, "]", AllFinite(*tensor) ? "" : " (not finite)");
      }
      throw Error(node.op->name,
                  absl::StrCat("the first value that is not finite; inputs: ", inputs));
    }
  }

  struct Range {
    double lowest = INFINITY, highest = -INFINITY;
  };
  static Range RangeOf(const Tensor& tensor) {
    Range range;
    if (!IsFloating(tensor.dtype())) return range;
    for (const double value : tensor.ToVector<double>()) {
      range.lowest = std::min(range.lowest, value);
      range.highest = std::max(range.highest, value);
    }
    return range;
  }

  VariableSpan targets_;
  absl::Span<Node* const> nodes_;  // run too, but not held: their values may be dropped
  bool final_;
  Plan plan_;
  SequenceOrder order_;
  absl::InlinedVector<std::pair<Tensor*, int>, 4> donated_;  // to the node that runs: donor, output
};

}  // namespace

void Run(VariableSpan targets, bool final) { Evaluation(targets, {}, final).Run(); }
void RunPending(absl::Span<Node* const> nodes) { Evaluation({}, nodes, false).Run(); }
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
