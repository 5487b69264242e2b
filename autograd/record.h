// Making nodes: what recording an op costs, inline, so that the element-wise ops of a tiny network
// take tens of nanoseconds. Internal to the tape and the ops.
#ifndef WENGERT_AUTOGRAD_RECORD_H_
#define WENGERT_AUTOGRAD_RECORD_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <vector>

#include "autograd/modes.h"
#include "autograd/thread_state.h"
#include "autograd/variable.h"

namespace wengert::internal {

// ---- The slab: nodes come in blocks of 64 bytes from lists that belong to a thread ----

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kUseSlab = false;  // the sanitizer then sees a use after free
#else
inline constexpr bool kUseSlab = true;
#endif
inline constexpr size_t kNodeBlock = 64;
inline constexpr size_t kMaxNodeBlocks = 16;  // larger nodes (a concat of many) come from the heap

struct FreeNodeBlock {
  FreeNodeBlock* next;
};

// Trivially destructible, so that using it takes no check of whether it lives; the end of the
// thread empties it.
struct Slab {
  FreeNodeBlock* free[kMaxNodeBlocks + 1];  // by size in blocks
  std::byte* chunk;
  std::byte* chunk_end;
  std::vector<Node*>* cascade;  // of the Node::Free under way
  bool registered;
};
inline constinit thread_local Slab slab = {};

void* AllocateNodeSlowly(size_t blocks);  // throws std::bad_alloc

inline void* AllocateNode(size_t blocks) {
  if (kUseSlab && blocks <= kMaxNodeBlocks) {
    if (FreeNodeBlock* block = slab.free[blocks]) [[likely]] {
      slab.free[blocks] = block->next;
      return block;
    }
  }
  return AllocateNodeSlowly(blocks);
}

// A node with one reference, owned by the caller, who constructs the inputs (MakeInput), the
// outputs (MakeOutput) and the attributes.
inline Node* NewNode(const OpTable* op, size_t num_inputs, int num_outputs, int num_public,
                     size_t attribute_bytes, SourceLocation where) {
  const size_t bytes =
      sizeof(Node) + num_outputs * sizeof(Tensor) + num_inputs * sizeof(Variable) + attribute_bytes;
  const size_t blocks = (bytes + kNodeBlock - 1) / kNodeBlock;
  Node* node = static_cast<Node*>(AllocateNode(blocks));
  ++thread_state.live_nodes;
  node->op = op;
  node->sequence = 0;
  node->file = where.file_name();
  node->references = 1;
  node->evaluate_slot = node->grad_slot = node->pending_slot = 0;
  node->line = static_cast<uint16_t>(std::min<uint32_t>(where.line(), UINT16_MAX));
  node->num_inputs = static_cast<uint16_t>(num_inputs);
  node->num_outputs = static_cast<uint8_t>(num_outputs);
  node->num_public = static_cast<uint8_t>(num_public);
  node->flags = 0;
  node->blocks = kUseSlab && blocks <= kMaxNodeBlocks ? static_cast<uint8_t>(blocks) : 0;
  return node;
}

// ---- The pending nodes of a thread, oldest first, with holes; bounds how much can wait ----

struct PendingList {
  std::vector<Node*> nodes;  // slot 0 is never used: a node's pending_slot 0 means "not listed"
  size_t next_check = 0;
  int64_t bytes_recorded = 0;  // since the last check
  PendingLimits limits;

  static PendingList& Get() {
    // By a plain pointer: a thread_local that needs a destructor costs a check at each use.
    return of_thread_ ? *of_thread_ : Make();
  }
  void Add(Node* node, int64_t bytes) {
    node->pending_slot = static_cast<uint32_t>(nodes.size());
    nodes.push_back(node);
    bytes_recorded += bytes;
  }
  // The newest from the back, so that a steady loop does not grow the list.
  void Remove(Node* node) {
    nodes[node->pending_slot] = nullptr;
    node->pending_slot = 0;
    while (!nodes.back() && nodes.size() > 1) nodes.pop_back();
  }
  bool OverLimit() const {
    // Not from within an evaluation: that one has its plan made.
    return (nodes.size() > next_check || bytes_recorded > limits.bytes) &&
           thread_state.evaluations == 0;
  }
  // Evaluates what is pending, but for the newest few.
  void EvaluateOldest();

 private:
  friend struct PendingOwner;
  static PendingList& Make();
  static inline constinit thread_local PendingList* of_thread_ = nullptr;
};

// ---- Recording ----

void RunNow(const Variable& recorded);  // eager mode

// Links a node whose outputs and attributes are made: number, gradient edges, pending work.
// `input_flags`: the union of the inputs' flags. `bytes`: of the outputs.
inline Variable Link(Node* node, uint8_t input_flags, int64_t bytes) {
  node->sequence = thread_state.next_sequence++;
  if (thread_state.grad_enabled && node->op->differentiable &&
      IsFloating(node->outputs()[0].dtype())) {
    node->flags = input_flags & (Node::kRequiresGrad | Node::kWithoutGraph);
  }
  Variable result = Variable::Adopt(node);
  PendingList& pending = PendingList::Get();
  pending.Add(node, bytes);
  if (Eager()) [[unlikely]] {
    RunNow(result);
  } else if (pending.OverLimit()) [[unlikely]] {
    pending.EvaluateOldest();
  }
  return result;
}

// Records an op with one output. The inputs are defined and fit: the caller has checked. Inlined
// always: a copy of attributes that were just written in smaller pieces waits for those stores.
template <size_t kInputs, class Attributes>
[[gnu::always_inline]] inline Variable RecordOne(const OpTable* op,
                                                 const Variable* const (&inputs)[kInputs],
                                                 const Shape& shape, DType dtype,
                                                 const Attributes& attributes,
                                                 SourceLocation where) {
  static_assert(std::is_trivially_copyable_v<Attributes>);
  Node* node = NewNode(op, kInputs, 1, 1, sizeof(Attributes),
                       thread_state.has_where ? thread_state.where : where);
  // At offsets that are constants here.
  Tensor* const output = node->outputs();
  Variable* const edges = reinterpret_cast<Variable*>(output + 1);
  node->MakeOutput(0, shape, dtype);
  new (edges + kInputs) Attributes(attributes);
  uint8_t flags = 0;
  for (size_t i = 0; i < kInputs; ++i) {
    new (edges + i) Variable(*inputs[i]);
    flags |= inputs[i]->node()->flags;
  }
  return Link(node, flags, output->bytes());
}

}  // namespace wengert::internal

#endif  // WENGERT_AUTOGRAD_RECORD_H_
