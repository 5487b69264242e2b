// What the scan and the sequence ops share.
#ifndef WENGERT_OPS_SCAN_H_
#define WENGERT_OPS_SCAN_H_

#include <string>
#include <string_view>
#include <vector>

#include "ops/ops.h"

namespace wengert::internal {

// Scan, but for its checks. lengths: [N] int64, or undefined.
Scanned ScanOver(Variable x, std::vector<Variable> state, ScanStep step, bool reverse,
                 const Variable& lengths);

// x is [N, T, ...] with steps; throws Error if not.
void CheckSteps(std::string_view op, const Variable& x, const Variable& reads,
                SourceLocation where);

// The lengths as int64, after a look at each. Throws Error.
Tensor CheckLengths(std::string_view op, const Variable& x, const Tensor& lengths,
                    const Variable& reads, SourceLocation where);

}  // namespace wengert::internal

#endif  // WENGERT_OPS_SCAN_H_
