// The block kernels, compiled once per SIMD target from the rows' value column.
#include "ops/kernels/elementwise.h"

#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/elementwise.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/simd_elementary-inl.h"
#include "ops/kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr double kSqrtHalf = std::numbers::sqrt2 / 2;

// Integers go through the same expressions one by one: the compiler makes vectors of the loops.
template <class T>
struct OneLane {
  using Lane = T;
};
template <class T>
T Zero(OneLane<T>) {
  return T{0};
}
#define INTEGER template <class T, class = std::enable_if_t<std::is_integral_v<T>>>
INTEGER T Add(T a, T b) {
  return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) +
                        static_cast<std::make_unsigned_t<T>>(b));
}
INTEGER T Sub(T a, T b) {
  return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) -
                        static_cast<std::make_unsigned_t<T>>(b));
}
INTEGER T Mul(T a, T b) {
  return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
INTEGER T Neg(T a) { return Sub(T{0}, a); }
INTEGER T Abs(T a) { return a < T{0} ? Neg(a) : a; }
INTEGER T Floor(T a) { return a; }
INTEGER T Ceil(T a) { return a; }
INTEGER T Round(T a) { return a; }
INTEGER T Trunc(T a) { return a; }
INTEGER T SignOf(OneLane<T>, T a) { return static_cast<T>((a > T{0}) - (a < T{0})); }
INTEGER bool Lt(T a, T b) { return a < b; }
INTEGER bool Gt(T a, T b) { return a > b; }
INTEGER bool Le(T a, T b) { return a <= b; }
INTEGER bool Ge(T a, T b) { return a >= b; }
INTEGER bool IsNan(T) { return false; }
INTEGER T IfThenElse(bool condition, T yes, T no) { return condition ? yes : no; }
#undef INTEGER
inline bool Or(bool a, bool b) { return a || b; }

template <class V>
HWY_INLINE auto IsNan(V v) -> decltype(hn::IsNaN(v)) {
  return hn::IsNaN(v);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V SignOf(D d, V x) {
  return hn::IfThenElse(hn::Or(hn::Eq(x, hn::Zero(d)), hn::IsNaN(x)), x,
                        hn::CopySign(hn::Set(d, 1), x));
}

// The probability that a standard normal number is below x, and its density.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V NormalCdf(D d, V x) {
  const V half = hn::Set(d, 0.5);
  return hn::MulAdd(Erf(d, hn::Mul(x, hn::Set(d, kSqrtHalf))), half, half);
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V NormalPdf(D d, V x) {
  const V exponent = hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5));
  return hn::Mul(Exp(d, exponent), hn::Set(d, kSqrtHalf * std::numbers::inv_sqrtpi));
}

#define UNARY(op, Function, types, value, ...)                               \
  struct Function##Value {                                                   \
    template <class D, class V>                                              \
    static HWY_INLINE V Of([[maybe_unused]] D d, V x, [[maybe_unused]] V p0, \
                           [[maybe_unused]] V p1) {                          \
      return value;                                                          \
    }                                                                        \
  };
#define BINARY(op, Function, types, value, ...)              \
  struct Function##Value {                                   \
    template <class D, class V>                              \
    static HWY_INLINE V Of([[maybe_unused]] D d, V a, V b) { \
      return value;                                          \
    }                                                        \
  };
#define COMPARISON(op, Function, value) \
  struct Function##Value {              \
    template <class T>                  \
    static bool Of(T a, T b) {          \
      return value;                     \
    }                                   \
  };
#define UNARY_WITH_NUMBERS UNARY
#include "ops/kernels/elementwise_rows.inc"
#undef UNARY
#undef UNARY_WITH_NUMBERS
#undef BINARY
#undef COMPARISON

// The elements that do not fill a vector are computed in a full one all the same, so an element's
// bits do not depend on where it stands.
template <class D, class T, class V>
HWY_INLINE void StorePart(D d, V v, T* out, int64_t count) {
  if (count == 1) {
    *out = hn::GetLane(v);
    return;
  }
  HWY_ALIGN T lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  std::memcpy(out, lanes, static_cast<size_t>(count) * sizeof(T));
}

template <class F, class T>
void UnaryBlock(const void* const* in, void* out, int64_t n, const double* numbers) {
  const T* x = static_cast<const T*>(in[0]);
  T* y = static_cast<T*>(out);
  if constexpr (std::is_floating_point_v<T>) {
    const hn::ScalableTag<T> d;
    const auto p0 = hn::Set(d, static_cast<T>(numbers[0]));
    const auto p1 = hn::Set(d, static_cast<T>(numbers[1]));
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      hn::StoreU(F::Of(d, hn::LoadU(d, x + i), p0, p1), d, y + i);
    }
    if (i < n) StorePart(d, F::Of(d, hn::LoadU(d, x + i), p0, p1), y + i, n - i);
  } else {
    const T p0 = static_cast<T>(numbers[0]), p1 = static_cast<T>(numbers[1]);
    for (int64_t i = 0; i < n; ++i) y[i] = F::Of(OneLane<T>(), x[i], p0, p1);
  }
}

template <class F, class T, bool kScalarA, bool kScalarB>
void BinaryBlock(const void* const* in, void* out, int64_t n, const double*) {
  const T* a = static_cast<const T*>(in[0]);
  const T* b = static_cast<const T*>(in[1]);
  T* y = static_cast<T*>(out);
  if constexpr (std::is_floating_point_v<T>) {
    const hn::ScalableTag<T> d;
    const auto first_a = hn::Set(d, *a);
    const auto first_b = hn::Set(d, *b);
    const auto load_a = [&](int64_t i) HWY_ATTR {
      if constexpr (kScalarA)
        return (void)i, first_a;
      else
        return hn::LoadU(d, a + i);
    };
    const auto load_b = [&](int64_t i) HWY_ATTR {
      if constexpr (kScalarB)
        return (void)i, first_b;
      else
        return hn::LoadU(d, b + i);
    };
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) hn::StoreU(F::Of(d, load_a(i), load_b(i)), d, y + i);
    if (i < n) StorePart(d, F::Of(d, load_a(i), load_b(i)), y + i, n - i);
  } else {
    const T first_a = *a, first_b = *b;
    for (int64_t i = 0; i < n; ++i) {
      y[i] = F::Of(OneLane<T>(), kScalarA ? first_a : a[i], kScalarB ? first_b : b[i]);
    }
  }
}

template <class F, class T, bool kScalarA, bool kScalarB>
void ComparisonBlock(const void* const* in, void* out, int64_t n, const double*) {
  const T* a = static_cast<const T*>(in[0]);
  const T* b = static_cast<const T*>(in[1]);
  uint8_t* y = static_cast<uint8_t*>(out);
  const T first_a = *a, first_b = *b;
  for (int64_t i = 0; i < n; ++i) {
    y[i] = F::Of(kScalarA ? first_a : a[i], kScalarB ? first_b : b[i]);
  }
}

// a b + c with one rounding, as std::fma, which computes it where a target has no instruction: the
// bits are the same for all targets.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V FusedMulAdd(D d, V a, V b, V c) {
#if HWY_NATIVE_FMA
  static_cast<void>(d);
  return hn::MulAdd(a, b, c);
#else
  HWY_ALIGN hn::TFromD<D> of_a[hn::MaxLanes(d)], of_b[hn::MaxLanes(d)], of_c[hn::MaxLanes(d)];
  hn::Store(a, d, of_a);
  hn::Store(b, d, of_b);
  hn::Store(c, d, of_c);
  for (size_t i = 0; i < hn::Lanes(d); ++i) of_c[i] = std::fma(of_a[i], of_b[i], of_c[i]);
  return hn::Load(d, of_c);
#endif
}

// Bit i of kScalars: operand i is one element for all.
template <class T, unsigned kScalars>
void MulAddBlock(const void* const* in, void* out, int64_t n, const double*) {
  const T* const x[] = {static_cast<const T*>(in[0]), static_cast<const T*>(in[1]),
                        static_cast<const T*>(in[2])};
  T* y = static_cast<T*>(out);
  const T first[] = {*x[0], *x[1], *x[2]};
  if constexpr (std::is_floating_point_v<T>) {
    const hn::ScalableTag<T> d;
    const auto a = hn::Set(d, first[0]), b = hn::Set(d, first[1]), c = hn::Set(d, first[2]);
    const auto at = [&](int64_t i) HWY_ATTR {
      return FusedMulAdd(d, kScalars & 1 ? a : hn::LoadU(d, x[0] + i),
                         kScalars & 2 ? b : hn::LoadU(d, x[1] + i),
                         kScalars & 4 ? c : hn::LoadU(d, x[2] + i));
    };
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) hn::StoreU(at(i), d, y + i);
    if (i < n) StorePart(d, at(i), y + i, n - i);
  } else {
    const auto of = [&](unsigned operand, int64_t i) {
      return kScalars >> operand & 1 ? first[operand] : x[operand][i];
    };
    for (int64_t i = 0; i < n; ++i) y[i] = Add(Mul(of(0, i), of(1, i)), of(2, i));
  }
}

template <class T, bool kScalarA, bool kScalarB>
void WhereBlock(const void* const* in, void* out, int64_t n, const double*) {
  const uint8_t* condition = static_cast<const uint8_t*>(in[0]);
  const T* a = static_cast<const T*>(in[1]);
  const T* b = static_cast<const T*>(in[2]);
  T* y = static_cast<T*>(out);
  const T first_a = *a, first_b = *b;
  for (int64_t i = 0; i < n; ++i) {
    const T yes = kScalarA ? first_a : a[i], no = kScalarB ? first_b : b[i];
    y[i] = condition[i] ? yes : no;
  }
}

constexpr bool kFloats = false, kNumeric = true;  // the rows' types column

template <class F, class T>
void AddUnary(BlockKernelTable& table, Row row) {
  table.kernels[static_cast<int>(row)][static_cast<int>(DTypeOf<T>())][0] = &UnaryBlock<F, T>;
}
template <class F, class T>
void AddBinary(BlockKernelTable& table, Row row) {
  auto& kernels = table.kernels[static_cast<int>(row)][static_cast<int>(DTypeOf<T>())];
  kernels[0] = &BinaryBlock<F, T, false, false>;
  kernels[1] = &BinaryBlock<F, T, true, false>;
  kernels[2] = &BinaryBlock<F, T, false, true>;
}
// Only rows for all numbers have integer kernels (a template, so that the others are not compiled).
template <class F, bool kAllNumbers>
void AddUnaryIntegers(BlockKernelTable& table, Row row) {
  if constexpr (kAllNumbers) {
    AddUnary<F, uint8_t>(table, row);
    AddUnary<F, int32_t>(table, row);
    AddUnary<F, int64_t>(table, row);
  }
}
template <class F, bool kAllNumbers>
void AddBinaryIntegers(BlockKernelTable& table, Row row) {
  if constexpr (kAllNumbers) {
    AddBinary<F, uint8_t>(table, row);
    AddBinary<F, int32_t>(table, row);
    AddBinary<F, int64_t>(table, row);
  }
}
// Bools are compared and chosen as the bytes that they are.
template <class F, class T>
void AddComparison(BlockKernelTable& table, Row row, DType dtype = DTypeOf<T>()) {
  auto& kernels = table.kernels[static_cast<int>(row)][static_cast<int>(dtype)];
  kernels[0] = &ComparisonBlock<F, T, false, false>;
  kernels[1] = &ComparisonBlock<F, T, true, false>;
  kernels[2] = &ComparisonBlock<F, T, false, true>;
}
template <class T, unsigned... kScalars>
void AddMulAdd(BlockKernelTable& table, std::integer_sequence<unsigned, kScalars...>) {
  auto& kernels = table.kernels[static_cast<int>(Row::kMulAdd)][static_cast<int>(DTypeOf<T>())];
  ((kernels[kScalars] = &MulAddBlock<T, kScalars>), ...);
}
template <class T>
void AddWhere(BlockKernelTable& table, DType dtype = DTypeOf<T>()) {
  auto& kernels = table.kernels[static_cast<int>(Row::kWhere)][static_cast<int>(dtype)];
  kernels[0] = &WhereBlock<T, false, false>;
  kernels[1] = &WhereBlock<T, true, false>;
  kernels[2] = &WhereBlock<T, false, true>;
  kernels[3] = &WhereBlock<T, true, true>;
}

void FillTable(BlockKernelTable& t) {
#define UNARY(op, Function, types, ...)                   \
  AddUnary<Function##Value, float>(t, Row::k##Function);  \
  AddUnary<Function##Value, double>(t, Row::k##Function); \
  AddUnaryIntegers<Function##Value, types>(t, Row::k##Function);
#define BINARY(op, Function, types, ...)                   \
  AddBinary<Function##Value, float>(t, Row::k##Function);  \
  AddBinary<Function##Value, double>(t, Row::k##Function); \
  AddBinaryIntegers<Function##Value, types>(t, Row::k##Function);
#define COMPARISON(op, Function, ...)                                         \
  AddComparison<Function##Value, uint8_t>(t, Row::k##Function, DType::kBool); \
  AddComparison<Function##Value, uint8_t>(t, Row::k##Function);               \
  AddComparison<Function##Value, int32_t>(t, Row::k##Function);               \
  AddComparison<Function##Value, int64_t>(t, Row::k##Function);               \
  AddComparison<Function##Value, float>(t, Row::k##Function);                 \
  AddComparison<Function##Value, double>(t, Row::k##Function);
#define UNARY_WITH_NUMBERS UNARY
#include "ops/kernels/elementwise_rows.inc"
#undef UNARY
#undef UNARY_WITH_NUMBERS
#undef BINARY
#undef COMPARISON
  constexpr std::make_integer_sequence<unsigned, 7> not_all = {};
  AddMulAdd<uint8_t>(t, not_all);
  AddMulAdd<int32_t>(t, not_all);
  AddMulAdd<int64_t>(t, not_all);
  AddMulAdd<float>(t, not_all);
  AddMulAdd<double>(t, not_all);
  AddWhere<uint8_t>(t, DType::kBool);
  AddWhere<uint8_t>(t);
  AddWhere<int32_t>(t);
  AddWhere<int64_t>(t);
  AddWhere<float>(t);
  AddWhere<double>(t);
}

}  // namespace

void FillBlockKernelTable(BlockKernelTable& table) { FillTable(table); }

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(FillBlockKernelTable);

const BlockKernelTable& MakeBlockKernelTable() {
  auto* table = new BlockKernelTable;
  HWY_DYNAMIC_DISPATCH(FillBlockKernelTable)(*table);
  return *table;
}

}  // namespace wengert
#endif  // HWY_ONCE
