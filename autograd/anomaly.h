// What DetectAnomaly reports. Internal to the tape.
#ifndef WENGERT_AUTOGRAD_ANOMALY_H_
#define WENGERT_AUTOGRAD_ANOMALY_H_

#include "absl/types/span.h"
#include "autograd/node.h"

namespace wengert::internal {

// Throws Error, with the ranges of the inputs, unless all public outputs are finite.
void CheckFinite(const Node& node, absl::Span<const Tensor* const> in);

}  // namespace wengert::internal

#endif  // WENGERT_AUTOGRAD_ANOMALY_H_
