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
#include "autograd/small_array.h"
#include "autograd/thread_state.h"

namespace wengert::internal {
namespace {

constexpr int64_t kDonateBytes = 4096;  // below, a fresh buffer is as cheap as asking

// A pending node in the plan of one evaluation.
struct Entry {
  Node* node;
  uint32_t reads = 0;  // by nodes of the plan, still to come
  bool keep = false;   // its values outlive the evaluation
  bool keep_residuals = false;
};

// An evaluation nests inside another (a composite without a kernel runs its Definition), so the
// vectors of a plan are borrowed from the thread and given back with their capacity.
struct Plan {
  std::vector<Entry> entries;
  std::vector<uint32_t> order;  // slots by sequence; empty: the slots run backwards already
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
    OrderBySequence(plan_.entries, plan_.order);
    DecideKeeping();
    const FlushToZeroScope flush_to_zero;
    const size_t size = plan_.entries.size();
    for (size_t i = 0; i < size; ++i) {
      Entry& entry = plan_.entries[plan_.order.empty() ? size - 1 - i : plan_.order[i]];
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

  uint32_t Visit(Node* node) {
    if (const Entry* entry = Find(node)) {
      return static_cast<uint32_t>(entry - plan_.entries.data());
    }
    node->evaluate_slot = static_cast<uint32_t>(plan_.entries.size());
    plan_.entries.push_back({node});
    return node->evaluate_slot;
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
      const bool rule_reads = node->requires_grad() && !final_;
      const Uses uses = node->op->uses;
      const VariableSpan inputs = node->inputs();
      for (size_t k = 0; k < inputs.size(); ++k) {
        const Variable& input = inputs[k];
        if (input.output().defined()) continue;
        Entry& entry = plan_.entries[Visit(input.node())];
        ++entry.reads;
        const bool residual = input.index() >= input.node()->num_public;
        (residual ? entry.keep_residuals : entry.keep) |= rule_reads && uses.input(k);
      }
      plan_.entries[i].keep |= rule_reads && uses.output;
    }
  }

  // Kept is what a gradient rule reads (found in Collect) and what anyone outside refers to: a
  // handle, or a node that is not part of this evaluation. All else is dropped after its last
  // reader here.
  void DecideKeeping() {
    for (Entry& entry : plan_.entries) {
      const bool outside = entry.node->references > entry.reads;
      entry.keep |= outside;
      entry.keep_residuals |= outside || (entry.node->requires_grad() && !final_);
    }
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

  void RunNode(Entry& entry) {
    Node& node = *entry.node;
    const OpTable& op = *node.op;
    const VariableSpan inputs = node.inputs();
    SmallArray<const Tensor*, 8> in(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) in[i] = &inputs[i].output();
    absl::InlinedVector<std::pair<Tensor*, int>, 4> donated;  // donor, output
    try {
      if (!op.makes_outputs) {
        for (int o = 0; o < node.num_outputs; ++o) {
          const Tensor& output = node.outputs()[o];
          if (output.defined()) continue;  // a residual that was kept
          if (op.donates || (op.elementwise && output.bytes() >= kDonateBytes)) {
            const size_t first = op.elementwise ? 0 : o;
            const size_t end = op.elementwise ? inputs.size() : o + 1;
            for (size_t i = first; i < end && !output.defined(); ++i) {
              Tensor* donor = Donate(entry, i, o);
              if (!donor) continue;
              in[i] = &output;
              donated.emplace_back(donor, o);
            }
          }
          if (!output.defined()) node.AllocateOutput(o);
        }
      }
      ++thread_state.kernel_calls;
      op.forward(node, {in.data(), in.size()},
                 {node.outputs(), static_cast<size_t>(node.num_outputs)});
      if (thread_state.anomaly) CheckFinite(node, in);
    } catch (Error& error) {
      Undo(node, donated);
      if (!error.has_place()) error.AddPlace(node.where(), LayerPath(node));
      throw;
    } catch (...) {
      Undo(node, donated);
      throw;
    }
    if (node.pending_slot) PendingList::Remove(&node);
  }

  // After an exception: the node is pending again, and its inputs have what they gave. It is as it
  // was, since an op that donates does not throw once it has written.
  static void Undo(Node& node, absl::Span<const std::pair<Tensor*, int>> donated) {
    for (const auto& [donor, o] : donated) node.GiveBackOutput(o, *donor);
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
      const Range range = RangeOf(node.outputs()[o]);
      if (range.finite) continue;
      std::string inputs;
      for (const Tensor* tensor : in) {
        const Range r = RangeOf(*tensor);
        absl::StrAppend(&inputs, inputs.empty() ? "" : ", ", ToString(tensor->shape()), " in [",
                        r.lowest, ", ", r.highest, "]", r.finite ? "" : " (not finite)");
      }
      throw Error(node.op->name,
                  absl::StrCat("the first value that is not finite; inputs: ", inputs));
    }
  }

  struct Range {
    double lowest = INFINITY, highest = -INFINITY;
    bool finite = true;
  };
  static Range RangeOf(const Tensor& tensor) {
    Range range;
    if (!IsFloating(tensor.dtype())) return range;
    for (const double value : tensor.ToVector<double>()) {
      range.finite &= std::isfinite(value);
      range.lowest = std::min(range.lowest, value);
      range.highest = std::max(range.highest, value);
    }
    return range;
  }

  VariableSpan targets_;
  absl::Span<Node* const> nodes_;  // run too, but not held: their values may be dropped
  bool final_;
  Plan plan_;
};

}  // namespace

void Run(VariableSpan targets, bool final) { Evaluation(targets, {}, final).Run(); }
void RunPending(absl::Span<Node* const> nodes) { Evaluation({}, nodes, false).Run(); }

}  // namespace wengert::internal
