// Composites that are found, not asked for: users write plain ops, and when Evaluate or Grad first
// walks a pending graph, a chain of them that a composite computes faster becomes that composite.
//
// An op that can end such a chain has a matcher: kMatch of its struct, or `match` of its table. It
// goes down the chain, and where all of it fits puts the composite in its place:
//
//   void MatchReluOfScale(internal::Chain& chain) {
//     if (!chain.Down(0) || chain.node().op != &kOpTable<ScaleOp>) return;
//     chain.Replace(ReluOfScaleOp{...}, chain.node().inputs());
//   }
//
// Only what nobody else can see is replaced: who holds an intermediate gets the ops as they were
// written, and so does who debugs: nothing is found under EagerGuard and DetectAnomaly. A node is
// looked at once, so that what is computed and what is differentiated are the same ops.
#ifndef WENGERT_AUTOGRAD_PATTERN_H_
#define WENGERT_AUTOGRAD_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "autograd/op.h"
#include "autograd/thread_state.h"

namespace wengert::internal {

// Nodes that each read the next, from the end of a pattern downwards.
class Chain {
 public:
  explicit Chain(Node& last) : last_(last), node_(&last) {}
  Chain(const Chain&) = delete;

  // The lowest node so far; at first the last of the pattern.
  const Node& node() const { return *node_; }

  // Goes down to the node behind an input of node(), if it may be replaced: it is pending, nothing
  // refers to it but that edge (no other reader, no handle, and so no input of a Grad), and it
  // requires a gradient just as the composite would. Else false, and nothing changes.
  bool Down(size_t input);

  // Puts `op` on `inputs` in the place of the whole chain: where node() stands in the user's
  // program and in the order of recording, or as soon after it as all inputs are there. The last
  // node, of one public output like the composite's, becomes an alias of it. False, and nothing
  // changes, where an input was recorded after the nodes that go.
  template <class C>
  bool Replace(C op, VariableSpan inputs) {
    static_cast<void>(&Registered<C>::value);
    const uint64_t sequence = PlaceOf(inputs);
    if (sequence == 0) return false;
    const Specs outputs = InferAll(op, inputs);
    const Recording recording = BeginRecord(&kOpTable<C>, inputs, absl::MakeConstSpan(outputs),
                                            C::kResiduals, node_->where());
    new (recording.attributes) C(std::move(op));
    Link(recording.node, sequence);
    return true;
  }

 private:
  // The sequence number of a node that goes and is younger than all inputs; 0 if there is none.
  uint64_t PlaceOf(VariableSpan inputs) const;
  void Link(Node* composite, uint64_t sequence);

  Node& last_;
  const Node* node_;
  Node* below_ = nullptr;  // what the last node reads
};

// Whether another node may take the place of the one behind `v`: it is pending, nothing refers to
// it but that variable, and where its reader requires a gradient, it does so if its inputs do.
bool MayBeReplaced(const Variable& v, bool reader_requires_grad);

// Whether composites are looked for at all.
bool FindsComposites();

// Looks for a composite that ends in this node, unless that was done before. Nodes of the chain are
// freed then.
void FindCompositeAt(Node& last);
inline void FindComposite(Node& last) {
  if (last.op->match && !(last.flags & Node::kSettled)) FindCompositeAt(last);
}

// While it lives, nothing is found: a composite's Definition is differentiated as it is written.
class AsWritten {
 public:
  AsWritten() : previous_(std::exchange(thread_state.find_composites, false)) {}
  ~AsWritten() { thread_state.find_composites = previous_; }
  AsWritten(const AsWritten&) = delete;

 private:
  bool previous_;
};

}  // namespace wengert::internal

#endif  // WENGERT_AUTOGRAD_PATTERN_H_
