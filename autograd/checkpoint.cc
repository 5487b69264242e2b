// Checkpoint: the function is recorded once and kept as a graph without values; computing it, and
// computing it again for the backward pass, runs copies of that graph. Random counters are part of
// the recorded ops, so copies draw the same numbers, and parameters are the leaves of the recording
// whatever is Set in between.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "autograd/accumulate.h"
#include "autograd/grad.h"
#include "autograd/op.h"
#include "autograd/order.h"
#include "autograd/record.h"
#include "autograd/state_update.h"
#include "autograd/thread_state.h"

namespace wengert {
namespace {

using internal::thread_state;

struct Recorded {
  std::vector<Variable> outputs;  // what f gave; then what updates of states observed
  uint64_t first_sequence;        // older values are captured from outside
  // What the graph reads from outside: aliases of the inputs, then captured values that require
  // gradients or are pending. The node's own inputs stand in for them, in this order.
  std::vector<Variable> outside;
};

bool Inside(const Recorded& recorded, const Variable& v) {
  const Node* node = v.node();
  if (node->leaf() || node->sequence < recorded.first_sequence) return false;
  // A computed value without edges is a constant.
  return node->num_inputs == 0 ? !v.output().defined() : node->inputs()[0].defined();
}

struct Entry {
  Node* node;
};

// The nodes inside, found from the outputs.
std::vector<Entry> NodesInside(const Recorded& recorded, VariableSpan outputs,
                               absl::flat_hash_map<const Node*, Node*>& seen) {
  std::vector<Entry> nodes;
  const auto visit = [&](const Variable& v) {
    if (Inside(recorded, v) && seen.emplace(v.node(), nullptr).second) nodes.push_back({v.node()});
  };
  for (const Variable& v : recorded.outside) seen.emplace(v.node(), nullptr);
  for (const Variable& v : outputs) visit(v);
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const Variable& input : nodes[i].node->inputs()) visit(input);
  }
  return nodes;
}

// Records the graph of `outputs`, of the recorded ones, again with `replacements` in place of
// recorded.outside.
std::vector<Variable> Replay(const Recorded& recorded, VariableSpan outputs,
                             VariableSpan replacements) {
  absl::flat_hash_map<const Node*, Node*> copies;
  std::vector<Entry> nodes = NodesInside(recorded, outputs, copies);
  std::vector<uint32_t> indices;
  internal::SequenceOrder order;
  for (const Entry& entry : nodes) order.Saw(entry.node);
  order.Sort(nodes, indices);
  std::vector<Variable> made;  // keeps the copies alive
  const auto replaced = [&](const Variable& v) -> Variable {
    for (size_t i = 0; i < recorded.outside.size(); ++i) {
      if (recorded.outside[i].SameAs(v)) return replacements[i];
    }
    const auto copy = copies.find(v.node());
    return copy == copies.end() || !copy->second ? v : Variable::Share(copy->second, v.index());
  };
  for (size_t i = 0; i < nodes.size(); ++i) {
    Node* node = nodes[order[i]].node;
    std::vector<Variable> inputs;
    for (const Variable& input : node->inputs()) inputs.push_back(replaced(input));
    Specs specs;
    for (int o = 0; o < node->num_outputs; ++o) {
      specs.push_back({node->outputs()[o].shape(), node->outputs()[o].dtype()});
    }
    const internal::Recording copy = internal::BeginRecord(
        node->op, inputs, specs, node->num_outputs - node->num_public, node->where());
    node->op->copy_attributes(copy.attributes, node->attributes());
    made.push_back(internal::EndRecord(copy));
    copies[node] = copy.node;
  }
  std::vector<Variable> results;
  for (const Variable& v : outputs) results.push_back(replaced(v));
  return results;
}

// Marks `output` and what it was computed from, down to nodes older than `first`, as not to be
// differentiated.
void ForgetGradients(const Variable& output, uint64_t first) {
  absl::flat_hash_set<const Node*> seen;
  std::vector<Node*> nodes;
  const auto visit = [&](const Variable& v) {
    if (!v.defined() || v.node()->leaf() || v.node()->sequence < first) return;
    if (seen.insert(v.node()).second) nodes.push_back(v.node());
  };
  visit(output);
  while (!nodes.empty()) {
    Node* node = nodes.back();
    nodes.pop_back();
    node->flags &= ~Node::kRequiresGrad;
    for (const Variable& input : node->inputs()) visit(input);
  }
}

struct CheckpointOp : Op<CheckpointOp> {
  static constexpr std::string_view kName = "checkpoint";
  static constexpr Uses kUses = Uses::Inputs();
  static constexpr bool kMakesOutputs = true;

  std::shared_ptr<const Recorded> recorded;

  Specs Infer(VariableSpan) const {
    Specs specs;
    for (const Variable& v : recorded->outputs) specs.push_back({v.shape(), v.dtype()});
    return specs;
  }
  void Forward(TensorSpan x, absl::Span<Tensor> y) const {
    const NoGradGuard no_grad;
    std::vector<Variable> constants;
    for (size_t i = 0; i < x.size(); ++i) constants.push_back(Variable(x[i]));
    const std::vector<Variable> values = Replay(*recorded, recorded->outputs, constants);
    Evaluate(values);
    for (size_t i = 0; i < values.size(); ++i) y[i] = values[i].value();
  }
  // What updates of states observed is constant: only the first output has a cotangent.
  Gradients Vjp(VariableSpan x, VariableSpan, VariableSpan dy, Needs needs) const {
    const bool create_graph = thread_state.grad_enabled;
    const NoGradGuard with_grad(/*no_grad=*/false);
    std::vector<Variable> aliases, wanted;
    for (size_t i = 0; i < x.size(); ++i) {
      aliases.push_back(x[i].requires_grad() ? internal::Alias(x[i]) : x[i]);
      if (needs[i]) wanted.push_back(aliases[i]);
    }
    const uint64_t first = thread_state.next_sequence;
    const std::vector<Variable> y =
        Replay(*recorded, VariableSpan(recorded->outputs).first(1), aliases);
    std::vector<Variable> found = Grad(
        y, wanted, {.cotangents = {dy[0]}, .create_graph = create_graph, .unused = Unused::kZero});
    if (!create_graph) {
      // Nothing will be differentiated through the copies again: their values need not be kept.
      ForgetGradients(y[0], first);
    }
    Gradients gradients;
    for (size_t i = 0, k = 0; i < x.size(); ++i) {
      gradients.push_back(needs[i] ? std::move(found[k++]) : Variable());
    }
    return gradients;
  }
  // What is checkpointed here is linear: the tape has no other op of its own.
  static std::vector<OpCase> Cases() {
    return OpCase::LinearOverShapes([](const Variable& x) {
      const auto twice = [](VariableSpan v) {
        return internal::Accumulate(std::vector{v[0], v[0]});
      };
      return Checkpoint(twice, {x});
    });
  }
};

}  // namespace

Variable Checkpoint(const Function& f, std::vector<Variable> inputs, SourceLocation where) {
  if (!f) {
    Error error("checkpoint", "the function is null");
    internal::RethrowWithPlace(error, inputs, where);
  }
  internal::CheckDefined("checkpoint", inputs, where);
  auto recorded = std::make_shared<Recorded>();
  StateUpdates updates;
  {
    const EagerGuard lazy(false);  // recorded to be replayed, not to be run
    const NoGradGuard with_grad(/*no_grad=*/false);
    for (const Variable& input : inputs) recorded->outside.push_back(internal::Alias(input));
    recorded->first_sequence = thread_state.next_sequence;
    recorded->outputs.push_back(f(recorded->outside));
    if (!recorded->outputs[0].defined()) {
      Error error("checkpoint", "the function returned an undefined Variable");
      internal::RethrowWithPlace(error, inputs, where);
    }
    for (StateUpdates::Update& update : updates.waiting()) {
      recorded->outputs.push_back(update.observed);
    }
  }
  absl::flat_hash_map<const Node*, Node*> seen;
  const std::vector<Entry> nodes = NodesInside(*recorded, recorded->outputs, seen);
  const auto capture = [&](const Variable& v) {
    const auto same = [&](const Variable& other) { return other.SameAs(v); };
    // A pending constant too: what is computed in here must be an input to the plan outside.
    if ((v.requires_grad() || !v.output().defined()) && !Inside(*recorded, v) &&
        std::none_of(recorded->outside.begin(), recorded->outside.end(), same)) {
      recorded->outside.push_back(v);
      inputs.push_back(v);
    }
  };
  for (const Entry& entry : nodes) {
    // Kept to be copied: the limits on pending work are not to run it.
    if (entry.node->pending_slot) internal::PendingList::Get().Remove(entry.node);
    for (const Variable& input : entry.node->inputs()) capture(input);
  }
  for (const Variable& v : recorded->outputs) capture(v);
  const bool differentiable =
      GradEnabled() && std::any_of(inputs.begin(), inputs.end(),
                                   [](const Variable& v) { return v.requires_grad(); });
  std::vector<Variable> outputs;
  if (differentiable) {
    const Variable y = Apply(CheckpointOp{.recorded = recorded}, VariableSpan(inputs), where);
    outputs = Outputs(y);
  } else {  // nothing will be computed again
    const NoGradGuard no_grad;
    outputs = Replay(*recorded, recorded->outputs, inputs);
  }
  for (size_t i = 0; i < updates.waiting().size(); ++i) {
    updates.waiting()[i].observed = outputs[1 + i];
  }
  updates.Release();
  return outputs[0];
}

}  // namespace wengert
