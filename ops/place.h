// Where errors of composed functions point: at the line that called them.
#ifndef WENGERT_OPS_PLACE_H_
#define WENGERT_OPS_PLACE_H_

#include "autograd/op.h"
#include "ops/ops.h"

namespace wengert::internal {

// Returns f(). The ops that it records and the Errors that it throws name the line `where`, and the
// parameter among `inputs` if there is one, and say that they are in `function`.
template <class F>
auto Placed(std::string_view function, VariableSpan inputs, SourceLocation where, F f) {
  const WhereScope scope(where, function);
  try {
    return f();
  } catch (Error& error) {
    RethrowWithPlace(error, inputs, where);
  }
}

// The axis counted from 0; `op` and the line are named where there is none.
inline int AxisAt(int axis, int rank, std::string_view op, const Variable& x,
                  SourceLocation where) {
  try {
    return NormalizeAxis(axis, rank, op);
  } catch (Error& error) {
    RethrowWithPlace(error, {&x, 1}, where);
  }
}

}  // namespace wengert::internal

#endif  // WENGERT_OPS_PLACE_H_
