// The names of the element types, NumPy's.
#include "tensor/dtype.h"

namespace wengert {

std::string_view Name(DType dtype) {
  constexpr std::string_view kNames[kNumDTypes] = {"bool",  "uint8",   "int32",
                                                   "int64", "float32", "float64"};
  return kNames[static_cast<int>(dtype)];
}

}  // namespace wengert
