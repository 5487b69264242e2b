// Element-wise nodes that run together: one loop over blocks that fit the L1 cache, interpreted.
// The tape plans groups (evaluation_plan.h); the ops bring the loop (OpTable::run_group).
#ifndef WENGERT_AUTOGRAD_ELEMENT_GROUP_H_
#define WENGERT_AUTOGRAD_ELEMENT_GROUP_H_

#include <cstdint>

#include "absl/types/span.h"
#include "autograd/node.h"

namespace wengert {

// An input of a node in a group: what another node of the group computes, or a tensor.
struct GroupOperand {
  const Tensor* tensor;  // null: the result of the node at `place`
  uint32_t place;
};

struct GroupNode {
  const Node* node;
  const GroupOperand* operands;  // one per input
  Tensor* result;                // where to store it; null: only the group reads it
  uint32_t last_read;            // place of the last node in the group that reads it; 0: none
};

// In an order in which each can be computed. All results have one shape.
using ElementGroup = absl::Span<const GroupNode>;

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_ELEMENT_GROUP_H_
