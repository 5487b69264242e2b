#include "ops/patterns.h"

namespace wengert::internal {
namespace {

constexpr int kNoRow = -1;

// Elements of a product from which on its bias and activation are worth taking into it: smaller
// results stay in cache between the ops, and tiny ones take longer to find than to compute.
constexpr int64_t kLargeProduct = 1 << 16;

bool IsActivation(const Node& node) {
  return IsRow(node, Row::kRelu) || IsRow(node, Row::kTanh) || IsRow(node, Row::kSigmoid);
}

}  // namespace

void MatchBlock(Chain& chain) {
  const Tensor& y = chain.node().outputs()[0];
  if (y.rank() != 4 && y.size() < kLargeProduct) return;  // as most element-wise ops
  BlockEnd end;
  if (chain.node().op->row == kNoRow) {
    end.pool = AsMaxPool2d(chain.node());
    if (!chain.Down(0)) return;
  }
  if (IsActivation(chain.node())) {
    end.activation = static_cast<Row>(chain.node().op->row);
    if (!chain.Down(0)) return;
  }
  if (IsRow(chain.node(), Row::kAdd)) {
    const VariableSpan terms = chain.node().inputs();
    const size_t bias = terms[0].rank() == 1 ? 0 : 1;
    end.bias = &terms[bias];
    if (end.bias->rank() != 1 || !chain.Down(1 - bias)) return;
  }
  if (const Conv2dGeometry* conv = AsConv2d(chain.node())) {
    ReplaceByConvBlock(chain, *conv, end);
  } else if (IsMatMul(chain.node())) {
    ReplaceByDense(chain, end);
  }
}

}  // namespace wengert::internal
