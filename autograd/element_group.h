// Nodes that run together: one loop over blocks that fit the L1 cache, interpreted. The tape plans
// groups (evaluation_plan.h); the ops bring the loop (OpTable::run_group).
#ifndef WENGERT_AUTOGRAD_ELEMENT_GROUP_H_
#define WENGERT_AUTOGRAD_ELEMENT_GROUP_H_

#include <cstdint>

#include "absl/types/span.h"
#include "autograd/node.h"

namespace wengert {

// What a node of a group computes.
enum class GroupRole : uint8_t {
  kFull,  // a value of the group's shape
  // One value per row, the group's shape taken as rows and columns: the sums of rows, element-wise
  // functions of row values, and row values expanded, of which nothing is stored.
  kRowValue,
  kEnd,  // a sum over all rows, or over everything; read after the group only
};

// An input of a node in a group: what another node of the group computes, or a tensor.
struct GroupOperand {
  const Tensor* tensor;  // null: the result of the node at `place`
  uint32_t place;
};

struct GroupNode {
  const Node* node;
  GroupRole role;
  const GroupOperand* operands;  // one per input
  Tensor* result;                // where to store it; null: only the group reads it
  uint32_t last_read;            // place of the last node in the group that reads it; 0: none
};

struct ElementGroup {
  const Shape* shape;
  int64_t columns;  // of a row; 0: no node has to do with rows
  // In an order in which each can be computed.
  absl::Span<const GroupNode> nodes;
};

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_ELEMENT_GROUP_H_
