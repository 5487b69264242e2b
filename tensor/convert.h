// The one rule by which elements change their type.
#ifndef WENGERT_TENSOR_CONVERT_H_
#define WENGERT_TENSOR_CONVERT_H_

#include <limits>
#include <type_traits>

namespace wengert {

// As static_cast, and defined everywhere: a float beyond an integer type gives its nearest end and
// NaN gives 0; integers wrap; bool is != 0, so NaN is true. Branch-free, for loops of it.
template <class To, class From>
constexpr To ConvertElement(From value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // Both are powers of two or 0, so a float holds them exactly; max() itself it may not.
    constexpr From kLow = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From kEnd = From(2) * static_cast<From>(std::numeric_limits<To>::max() / 2 + 1);
    const bool inside = value > kLow && value < kEnd;  // false for NaN
    const To result = static_cast<To>(inside ? value : From(0));
    const To at_end = value >= kEnd ? std::numeric_limits<To>::max() : result;
    return value <= kLow ? std::numeric_limits<To>::min() : at_end;
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace wengert

#endif  // WENGERT_TENSOR_CONVERT_H_
