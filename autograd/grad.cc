// Grad: walks the recorded nodes from the outputs by falling sequence and records the gradient with
// the ops' rules. Rules only return; adding up and checking is done here.
#include "autograd/grad.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "autograd/accumulate.h"
#include "autograd/op.h"
#include "autograd/order.h"
#include "autograd/pattern.h"
#include "autograd/slice.h"
#include "autograd/small_array.h"
#include "autograd/thread_state.h"

namespace wengert {
namespace {

using internal::thread_state;
using Terms = absl::InlinedVector<Variable, 1>;

// A node that the walk has reached.
struct Entry {
  Entry(Node* n, size_t slot) : node(n), first_slot(static_cast<uint32_t>(slot)) {}

  Node* node;
  uint32_t first_slot;  // of output 0, in Workspace::cotangents
  bool needed = false;  // an input of the differentiation lies at or below it
  bool target = false;
};

// The vectors of a walk, kept by the thread: fresh ones would be mapped anew for every long chain.
struct Workspace {
  std::vector<Entry> entries;
  std::vector<uint32_t> order;  // memory of a SequenceOrder
  // The first cotangent that reached each public output of an entry, and each leaf that is an
  // input; then, once asked for, the sum. Mostly there is one; `more_of` tells where the others
  // are.
  std::vector<Variable> cotangents;
  std::vector<uint32_t> more_of;  // 0, or 1 + index into `more`; empty while there are none
  std::vector<Terms> more;
};
thread_local std::vector<Workspace> spare_workspaces;

// Rules record at the line of the op that they differentiate.
class RuleScope {
 public:
  explicit RuleScope(bool create_graph)
      : has_where_(thread_state.has_where),
        where_(thread_state.where),
        no_grad_(!create_graph || !thread_state.grad_enabled) {
    thread_state.has_where = true;
  }
  ~RuleScope() {
    thread_state.has_where = has_where_;
    thread_state.where = where_;
  }

 private:
  bool has_where_;
  SourceLocation where_;
  NoGradGuard no_grad_;
};

std::string Describe(const Variable& v) {
  std::string text = absl::StrCat(std::string(Name(v.dtype())), ToString(v.shape()));
  const std::string_view path = LayerPath(VariableSpan(&v, 1));
  if (!path.empty()) absl::StrAppend(&text, " ", std::string(path));
  return text;
}

class Differentiation {
 public:
  Differentiation(VariableSpan outputs, VariableSpan inputs, const GradOptions& options)
      : outputs_(outputs), inputs_(inputs), options_(options) {
    if (!spare_workspaces.empty()) {
      work_ = std::move(spare_workspaces.back());
      spare_workspaces.pop_back();
    }
  }
  ~Differentiation() {
    work_.entries.clear();
    work_.cotangents.clear();
    work_.more_of.clear();
    work_.more.clear();
    if (entries_.capacity() < 1 << 20) spare_workspaces.push_back(std::move(work_));
  }

  std::vector<Variable> Run() {
    first_sequence_ = thread_state.next_sequence;
    CheckInputs();
    Collect();
    order_.Sort(entries_, work_.order);
    FindNeeded();
    const RuleScope scope(options_.create_graph);
    Seed();
    for (size_t i = entries_.size(); i-- > 0;) Differentiate(entries_[order_[i]]);
    return Collected();
  }

 private:
  Entry* Find(const Node* node) {
    const uint32_t slot = node->grad_slot;
    if (slot >= entries_.size() || entries_[slot].node != node) return nullptr;
    return &entries_[slot];
  }

  // The index in `cotangents` where those of `v` are collected; -1 when nobody wants them.
  int64_t SlotOf(const Variable& v) {
    const Node* node = v.node();
    if (!node->requires_grad()) return -1;
    if (node->leaf()) {
      const auto found = leaf_slots_.find(node);
      return found == leaf_slots_.end() ? -1 : found->second;
    }
    const Entry* entry = Find(node);
    if (!entry || !(entry->needed || all_needed_)) return -1;
    return int64_t{entry->first_slot} + v.index();
  }

  void AddTerm(int64_t index, Variable term) {
    Variable& first = cotangents_[index];
    if (!first.defined()) {
      first = std::move(term);
      return;
    }
    if (work_.more_of.empty()) work_.more_of.resize(cotangents_.size());
    uint32_t& more = work_.more_of[index];
    if (more == 0) {
      work_.more.emplace_back();
      more = static_cast<uint32_t>(work_.more.size());
    }
    work_.more[more - 1].push_back(std::move(term));
  }

  // Adds the terms of a slot up. The sum stays in the slot.
  const Variable& Combine(int64_t index) {
    Variable& first = cotangents_[index];
    if (!work_.more_of.empty() && work_.more_of[index] != 0) {
      Terms terms{std::move(first)};
      for (Variable& term : work_.more[work_.more_of[index] - 1]) terms.push_back(std::move(term));
      work_.more_of[index] = 0;
      internal::MergeAssembled(terms);
      first = internal::Accumulate(terms);
    }
    if (first.defined()) internal::Resume(first);
    return first;
  }

  void CheckInputs() {
    if (inputs_.empty()) throw Error("grad", "no inputs");
    if (outputs_.empty()) throw Error("grad", "no outputs");
    if (!options_.cotangents.empty() && options_.cotangents.size() != outputs_.size()) {
      throw Error("grad", absl::StrCat(options_.cotangents.size(), " cotangents for ",
                                       outputs_.size(), " outputs"));
    }
    oldest_ = UINT64_MAX;
    for (const Variable& input : inputs_) {
      if (!input.defined()) throw Error("grad", "an input is undefined");
      if (!input.requires_grad()) {
        if (input.node()->flags & Node::kWithoutGraph) ThrowWithoutGraph();
        throw Error("grad", absl::StrCat("input ", Describe(input),
                                         " does not require gradients: it is a constant, was "
                                         "detached, or was recorded without gradients"));
      }
      oldest_ = std::min(oldest_, input.node()->sequence);  // 0 for leaves
      if (input.node()->leaf() && !leaf_slots_.contains(input.node())) {
        leaf_slots_[input.node()] = static_cast<int64_t>(cotangents_.size());
        cotangents_.emplace_back();
      }
    }
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const Variable& output = outputs_[i];
      if (!output.defined()) throw Error("grad", "an output is undefined");
      if (options_.cotangents.empty()) {
        if (output.size() != 1) {
          throw Error("grad", absl::StrCat("output ", ToString(output.shape()),
                                           " is not a scalar: give its cotangent"));
        }
        continue;
      }
      const Variable& cotangent = options_.cotangents[i];
      if (!(cotangent.shape() == output.shape()) || cotangent.dtype() != output.dtype()) {
        throw Error("grad", absl::StrCat("cotangent ", Describe(cotangent), " for output ",
                                         Describe(output)));
      }
    }
  }

  [[noreturn]] static void ThrowWithoutGraph() {
    throw Error("grad",
                "differentiates through a gradient that was taken without create_graph; set "
                "create_graph, or Detach() the gradient where it is meant as a constant");
  }

  [[noreturn]] static void ThrowFreed(const Node& node) {
    Error error("grad", "this graph was freed: ValueAndGrad lets go of the tape");
    error.AddPlace(node.where(), "");
    throw error;
  }

  void Visit(const Variable& v) {
    Node* node = v.node();
    if (!node->requires_grad()) {
      if (node->flags & Node::kWithoutGraph) ThrowWithoutGraph();
      if (node->flags & Node::kFreed) ThrowFreed(*node);
      return;
    }
    if (node->leaf()) {
      all_needed_ &= leaf_slots_.contains(node);
      return;
    }
    if (node->sequence < oldest_) {
      all_needed_ = false;
      return;
    }
    if (Find(node)) return;
    order_.Saw(node);
    node->grad_slot = static_cast<uint32_t>(entries_.size());
    entries_.emplace_back(node, cotangents_.size());
    for (int o = 0; o < node->num_public; ++o) cotangents_.emplace_back();
  }

  void Collect() {
    for (const Variable& output : outputs_) Visit(output);
    for (size_t i = 0; i < entries_.size(); ++i) {
      Node* node = entries_[i].node;
      if (node->sequence <= oldest_) continue;  // no input lies below
      internal::FindComposite(*node);
      for (const Variable& input : node->inputs()) Visit(input);
    }
  }

  void FindNeeded() {
    for (const Variable& input : inputs_) {
      if (input.node()->leaf()) continue;
      if (Entry* entry = Find(input.node())) entry->needed = entry->target = true;
    }
    if (all_needed_) return;
    for (size_t i = 0; i < entries_.size(); ++i) {
      Entry& entry = entries_[order_[i]];
      for (const Variable& input : entry.node->inputs()) {
        if (entry.needed) break;
        entry.needed = SlotOf(input) >= 0;
      }
    }
  }

  void Seed() {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const int64_t slot = SlotOf(outputs_[i]);
      if (slot < 0) continue;
      AddTerm(slot, options_.cotangents.empty()
                        ? Variable(Tensor::Ones(outputs_[i].shape(), outputs_[i].dtype()))
                        : options_.cotangents[i]);
    }
  }

  void Differentiate(Entry& entry) {
    if (!entry.needed && !all_needed_) return;
    Node& node = *entry.node;
    thread_state.where = node.where();
    bool any = false;
    for (int o = 0; o < node.num_public; ++o) any |= Combine(entry.first_slot + o).defined();
    if (!any) return;
    const absl::Span<Variable> dy(&cotangents_[entry.first_slot], node.num_public);

    const VariableSpan x = node.inputs();
    internal::SmallArray<bool, 4> needs(x.size());
    internal::SmallArray<int64_t, 4> slot_of(x.size());
    bool needs_any = false;
    for (size_t i = 0; i < x.size(); ++i) {
      slot_of[i] = SlotOf(x[i]);
      needs_any |= needs[i] = slot_of[i] >= 0;
    }
    if (!needs_any) return;
    Gradients gradients = internal::IsNarrow(node) ? NarrowGradients(node, x, dy, Needs(needs))
                                                   : ApplyRule(node, x, dy, Needs(needs));
    if (!entry.target) {
      for (Variable& v : dy) v = Variable();  // nobody else reads it: its memory can go early
    }
    if (gradients.size() > x.size()) ThrowWrongRule(node, "gives too many cotangents");
    for (size_t i = 0; i < gradients.size(); ++i) {
      Variable& gradient = gradients[i];
      if (!needs[i] || !gradient.defined()) continue;
      if (!(gradient.shape() == x[i].shape()) || gradient.dtype() != x[i].dtype()) {
        ThrowWrongRule(node, absl::StrCat("gives ", Describe(gradient), " for input ", i,
                                          ", which is ", Describe(x[i])));
      }
      AddTerm(slot_of[i], std::move(gradient));
    }
  }

  static Gradients ApplyRule(Node& node, VariableSpan x, VariableSpan dy, Needs needs) {
    internal::SmallArray<Variable, 1> y(node.num_outputs);
    for (int o = 0; o < node.num_outputs; ++o) y[o] = Variable::Share(&node, o);
    try {
      return node.op->vjp(node, x, y, dy, needs);
    } catch (Error& error) {
      if (!error.has_place()) error.AddPlace(node.where(), LayerPath(node));
      throw;
    }
  }

  // The cotangent of a slice is as large as what was cut: it waits for those of the other slices,
  // with which Combine merges it, in eager mode and past the limits of what may be pending too.
  static Gradients NarrowGradients(Node& node, VariableSpan x, VariableSpan dy, Needs needs) {
    const EagerGuard lazy(false);
    Gradients gradients = ApplyRule(node, x, dy, needs);
    internal::HoldBack(gradients[0]);
    return gradients;
  }

  [[noreturn]] static void ThrowWrongRule(const Node& node, std::string_view what) {
    Error error(node.op->name, absl::StrCat("the gradient rule ", std::string(what)));
    error.AddPlace(node.where(), LayerPath(node));
    throw error;
  }

  std::vector<Variable> Collected() {
    std::vector<Variable> gradients;
    gradients.reserve(inputs_.size());
    for (const Variable& input : inputs_) {
      const int64_t slot = SlotOf(input);
      Variable gradient = slot < 0 ? Variable() : Combine(slot);
      if (!gradient.defined()) {
        if (options_.unused == Unused::kError) {
          throw Error("grad", absl::StrCat("no output depends on input ", gradients.size(), ", ",
                                           Describe(input)));
        }
        gradient = Variable(Tensor::Zeros(input.shape(), input.dtype()));
      }
      Node* node = gradient.node();
      if (!options_.create_graph && !node->leaf() && node->sequence >= first_sequence_ &&
          !node->requires_grad()) {
        node->flags |= Node::kWithoutGraph;
      }
      gradients.push_back(std::move(gradient));
    }
    return gradients;
  }

  VariableSpan outputs_, inputs_;
  const GradOptions& options_;
  uint64_t first_sequence_ = 0;  // nodes from here on were recorded by this differentiation
  uint64_t oldest_ = 0;          // no input is older: the walk stops below
  bool all_needed_ = true;       // every path that was walked ends in an input
  Workspace work_;
  std::vector<Entry>& entries_ = work_.entries;
  std::vector<Variable>& cotangents_ = work_.cotangents;
  internal::SequenceOrder order_;
  // Leaves are shared between threads: no scratch of a differentiation lives in them.
  absl::flat_hash_map<const Node*, int64_t> leaf_slots_;
};

}  // namespace

std::vector<Variable> Grad(VariableSpan outputs, VariableSpan inputs, const GradOptions& options,
                           SourceLocation where) {
  try {
    return Differentiation(outputs, inputs, options).Run();
  } catch (Error& error) {
    internal::RethrowWithPlace(error, {}, where);
  }
}

}  // namespace wengert
