// Element types: their names and sizes, the C++ types behind them, and the one promotion table.
#ifndef WENGERT_TENSOR_DTYPE_H_
#define WENGERT_TENSOR_DTYPE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace wengert {

enum class DType : uint8_t { kBool, kUInt8, kInt32, kInt64, kFloat32, kFloat64 };
inline constexpr int kNumDTypes = 6;

namespace internal {
inline constexpr size_t kDTypeSizes[kNumDTypes] = {1, 1, 4, 8, 4, 8};
}
constexpr size_t SizeOf(DType dtype) { return internal::kDTypeSizes[static_cast<int>(dtype)]; }
constexpr bool IsFloating(DType dtype) { return dtype >= DType::kFloat32; }
std::string_view Name(DType dtype);  // "float32"

// The dtype of an op over both: the later in the order bool, uint8, int32, int64, float32, float64.
// (As in JAX, integers meet float32 as float32: nothing widens to float64 unless a float64 is
// there.)
constexpr DType Promote(DType a, DType b) { return a < b ? b : a; }

// The dtype of an op between a tensor and a C++ number written in the expression: the tensor's,
// unless the number is of a higher kind (a float beside integers gives float32, an integer beside
// bools int64).
constexpr DType PromoteWithNumber(DType tensor, bool number_is_floating) {
  if (IsFloating(tensor)) return tensor;
  if (number_is_floating) return DType::kFloat32;
  return tensor == DType::kBool ? DType::kInt64 : tensor;
}

template <class T>
constexpr DType DTypeOf() {
  if constexpr (std::is_same_v<T, bool>) {
    return DType::kBool;
  } else if constexpr (std::is_same_v<T, uint8_t>) {
    return DType::kUInt8;
  } else if constexpr (std::is_same_v<T, int32_t>) {
    return DType::kInt32;
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T> && sizeof(T) == 8) {
    return DType::kInt64;  // int64_t is long here; long long is the same to users
  } else if constexpr (std::is_same_v<T, float>) {
    return DType::kFloat32;
  } else {
    static_assert(std::is_same_v<T, double>, "not an element type of a tensor");
    return DType::kFloat64;
  }
}

// Calls f.template operator()<T>() with the C++ type of `dtype`: a generic lambda `[&]<class T>()`.
template <class F>
decltype(auto) DispatchDType(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kBool:
      return f.template operator()<bool>();
    case DType::kUInt8:
      return f.template operator()<uint8_t>();
    case DType::kInt32:
      return f.template operator()<int32_t>();
    case DType::kInt64:
      return f.template operator()<int64_t>();
    case DType::kFloat32:
      return f.template operator()<float>();
    case DType::kFloat64:
      break;
  }
  return f.template operator()<double>();
}

}  // namespace wengert

#endif  // WENGERT_TENSOR_DTYPE_H_
