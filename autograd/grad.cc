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
#include "autograd/slice.h"
#include "autograd/small_array.h"
#include "autograd/thread_state.h"

namespace wengert {
namespace {

using internal::thread_state;
using Terms = absl::InlinedVector<Variable, 1>;

// The cotangents that reached one value, to be added up: mostly there is one.
struct Slot {
  Variable first;
  uint32_t more = 0;  // 1 + index into Workspace::more
};

// A node that the walk has reached.
struct Entry {
  Node* node;
  uint32_t first_slot;  // of output 0, in Workspace::slots
  bool needed = false;  // an input of the differentiation lies at or below it
  bool target = false;
};

// The vectors of a walk, kept by the thread: fresh ones would be mapped anew for every long chain.
struct Workspace {
  std::vector<Entry> entries;
  std::vector<uint32_t> order;
  std::vector<Slot> slots;
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
    work_.slots.clear();
    work_.more.clear();
    if (entries_.capacity() < 1 << 20) spare_workspaces.push_back(std::move(work_));
  }

  std::vector<Variable> Run() {
    first_sequence_ = thread_state.next_sequence;
    CheckInputs();
    Collect();
    backwards_ = internal::OrderBySequence(entries_, order_);
    FindNeeded();
    const RuleScope scope(options_.create_graph);
    Seed();
    for (size_t i = entries_.size(); i-- > 0;) Differentiate(EntryByRank(i));
    return Collected();
  }

 private:
  Entry& EntryByRank(size_t rank) {  // 0 is the oldest
    return entries_[backwards_ ? entries_.size() - 1 - rank : order_[rank]];
  }
  Entry* Find(const Node* node) {
    const uint32_t slot = node->grad_slot;
    if (slot >= entries_.size() || entries_[slot].node != node) return nullptr;
    return &entries_[slot];
  }

  // The slot where cotangents of `v` are collected; -1 when nobody wants them.
  int64_t SlotOf(const Variable& v) {
    const Node* node = v.node();
    if (!node->requires_grad()) return -1;
    if (node->leaf()) {
      const auto found = leaf_slots_.find(node);
      return found == leaf_slots_.end() ? -1 : found->second;
    }
    const Entry* entry = Find(node);
    return entry && entry->needed ? int64_t{entry->first_slot} + v.index() : -1;
  }

  void AddTerm(int64_t index, Variable term) {
    Slot& slot = slots_[index];
    if (!slot.first.defined()) {
      slot.first = std::move(term);
      return;
    }
    if (slot.more == 0) {
      work_.more.emplace_back();
      slot.more = static_cast<uint32_t>(work_.more.size());
    }
    work_.more[slot.more - 1].push_back(std::move(term));
  }

  // Adds the terms of a slot up. The sum stays in the slot.
  const Variable& Combine(Slot& slot) {
    if (slot.more) {
      Terms terms{std::move(slot.first)};
      for (Variable& term : work_.more[slot.more - 1]) terms.push_back(std::move(term));
      slot.more = 0;
      internal::MergeAssembled(terms);
      slot.first = internal::Accumulate(terms);
    }
    return slot.first;
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
        leaf_slots_[input.node()] = static_cast<int64_t>(slots_.size());
        slots_.emplace_back();
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
    if (node->leaf() || node->sequence < oldest_ || Find(node)) return;
    node->grad_slot = static_cast<uint32_t>(entries_.size());
    entries_.push_back({node, static_cast<uint32_t>(slots_.size())});
    for (int o = 0; o < node->num_public; ++o) slots_.emplace_back();
  }

  void Collect() {
    for (const Variable& output : outputs_) Visit(output);
    for (size_t i = 0; i < entries_.size(); ++i) {
      const Node* node = entries_[i].node;
      if (node->sequence <= oldest_) continue;  // no input lies below
      for (const Variable& input : node->inputs()) Visit(input);
    }
  }

  void FindNeeded() {
    for (const Variable& input : inputs_) {
      if (input.node()->leaf()) continue;
      if (Entry* entry = Find(input.node())) entry->needed = entry->target = true;
    }
    for (size_t i = 0; i < entries_.size(); ++i) {
      Entry& entry = EntryByRank(i);
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
    if (!entry.needed) return;
    Node& node = *entry.node;
    thread_state.where = node.where();
    internal::SmallArray<Variable, 2> dy(node.num_public);
    bool any = false;
    for (int o = 0; o < node.num_public; ++o) {
      Slot& slot = slots_[entry.first_slot + o];
      Combine(slot);
      any |= slot.first.defined();
      dy[o] = entry.target ? slot.first : std::move(slot.first);
    }
    if (!any) return;

    const VariableSpan x = node.inputs();
    internal::SmallArray<bool, 4> needs(x.size());
    internal::SmallArray<int64_t, 4> slot_of(x.size());
    bool needs_any = false;
    for (size_t i = 0; i < x.size(); ++i) {
      slot_of[i] = SlotOf(x[i]);
      needs_any |= needs[i] = slot_of[i] >= 0;
    }
    if (!needs_any) return;
    Gradients gradients = ApplyRule(node, x, dy, Needs(needs));
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
    internal::SmallArray<Variable, 2> y(node.num_outputs);
    for (int o = 0; o < node.num_outputs; ++o) y[o] = Variable::Share(&node, o);
    try {
      return node.op->vjp(node, x, y, dy, needs);
    } catch (Error& error) {
      if (!error.has_place()) error.AddPlace(node.where(), LayerPath(node));
      throw;
    }
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
      Variable gradient = slot < 0 ? Variable() : Combine(slots_[slot]);
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
  Workspace work_;
  std::vector<Entry>& entries_ = work_.entries;
  std::vector<uint32_t>& order_ = work_.order;
  std::vector<Slot>& slots_ = work_.slots;
  bool backwards_ = false;
  // Leaves are shared between threads: no scratch of a differentiation lives in them.
  absl::flat_hash_map<const Node*, int64_t> leaf_slots_;
};

}  // namespace

std::vector<Variable> Grad(VariableSpan outputs, VariableSpan inputs, const GradOptions& options) {
  return Differentiation(outputs, inputs, options).Run();
}

ValueAndGradients ValueAndGrad(absl::FunctionRef<Variable()> f,
                               absl::Span<const Parameter> parameters) {
  const NoGradGuard with_grad(/*no_grad=*/false);
  std::vector<Variable> leaves;
  leaves.reserve(parameters.size());
  for (const Parameter& parameter : parameters) leaves.push_back(parameter.variable());
  std::vector<Variable> results;
  results.push_back(f());
  std::vector<Variable> gradients = Grad(VariableSpan(results), leaves, {.unused = Unused::kZero});
  for (Variable& gradient : gradients) results.push_back(std::move(gradient));
  internal::Run(results, /*final=*/true);
  ValueAndGradients out{.value = std::move(results[0])};
  out.gradients.assign(std::make_move_iterator(results.begin() + 1),
                       std::make_move_iterator(results.end()));
  return out;
}

}  // namespace wengert
