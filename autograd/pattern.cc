#include "autograd/pattern.h"

#include <algorithm>

#include "autograd/accumulate.h"
#include "autograd/record.h"

namespace wengert::internal {

bool MayBeReplaced(const Variable& v, bool reader_requires_grad) {
  if (!v.defined() || v.index() != 0) return false;
  const Node* node = v.node();
  if (node->leaf() || node->references != 1 || v.output().defined()) return false;
  bool requires_grad = false;
  for (const Variable& input : node->inputs()) {
    if (!input.defined()) return false;  // it let go of them
    requires_grad |= input.requires_grad();
  }
  // What was recorded without gradients, or comes of a gradient without a graph, is not to get them
  // from a composite that requires some.
  return !reader_requires_grad ||
         (node->requires_grad() == requires_grad && !(node->flags & Node::kWithoutGraph));
}

bool FindsComposites() { return thread_state.find_composites && !thread_state.anomaly && !Eager(); }

bool Chain::Down(size_t input) {
  const Variable& edge = node_->inputs()[input];
  if (!MayBeReplaced(edge, node_->requires_grad())) return false;
  Node* node = edge.node();
  if (node_ == &last_) below_ = node;
  node_ = node;
  return true;
}

uint64_t Chain::PlaceOf(VariableSpan inputs) const {
  uint64_t youngest = 0;
  for (const Variable& input : inputs) youngest = std::max(youngest, input.node()->sequence);
  // Where the first op stood its gradient is added to others' in the same order.
  if (youngest < node_->sequence) return node_->sequence;
  return youngest < below_->sequence ? below_->sequence : 0;
}

void Chain::Link(Node* composite, uint64_t sequence) {
  // BeginRecord prefers the line of a layer that is recording right now.
  composite->file = node_->file;
  composite->line = node_->line;
  composite->sequence = sequence;
  composite->flags = last_.flags & (Node::kRequiresGrad | Node::kWithoutGraph);
  // It is not listed as pending: the alias is, and runs it.

  // An alias has one output, one input and no attributes, so it fits where the op was.
  if (last_.op->destroy_attributes) last_.op->destroy_attributes(last_.attributes());
  last_.DropInputs();  // frees the chain
  for (int o = 1; o < last_.num_outputs; ++o) last_.outputs()[o].~Tensor();
  last_.op = AliasTable();
  last_.num_outputs = last_.num_public = 1;
  last_.num_inputs = 1;
  new (const_cast<Variable*>(last_.input_data())) Variable(Variable::Adopt(composite));
}

void FindCompositeAt(Node& last) {
  last.flags |= Node::kSettled;
  if (!FindsComposites()) return;
  if (last.outputs()[0].defined()) return;
  for (const Variable& input : last.inputs()) {
    if (!input.defined()) return;
  }
  Chain chain(last);
  last.op->match(chain);
}

}  // namespace wengert::internal
