// For tests of errors: what a call says when it throws.
#ifndef WENGERT_TESTS_TENSOR_THROWN_MESSAGE_H_
#define WENGERT_TESTS_TENSOR_THROWN_MESSAGE_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "tensor/error.h"

namespace wengert {

// gMock's ThrowsMessage would do, at several times the compile time.
inline std::string ThrownMessage(absl::FunctionRef<void()> call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "(nothing was thrown)";
}

}  // namespace wengert

#endif  // WENGERT_TESTS_TENSOR_THROWN_MESSAGE_H_
