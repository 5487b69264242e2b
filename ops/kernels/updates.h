// One pass over a parameter, its state and its gradient, float32, for each row of update_rows.inc.
#ifndef WENGERT_OPS_KERNELS_UPDATES_H_
#define WENGERT_OPS_KERNELS_UPDATES_H_

#include <cstdint>
#include <string_view>

namespace wengert {

// What may come with every update, before its formula.
struct Regularization {
  double l1 = 0;     // the gradient of l1 * sum |w| is added,
  double l2 = 0;     // that of l2 * sum w^2,
  double decay = 0;  // and then w loses this part of itself, whatever the gradient
};

namespace internal {
// Of "(w, m, v)": 3.
constexpr int CountNames(std::string_view list) {
  int count = 1;
  for (const char c : list) count += c == ',';
  return count;
}
}  // namespace internal

// The numbers of each formula, and its kernel. in: the parameter, its states; out the same, and may
// be the same memory. The numbers round to float32 as the ops' numbers do, and each operation
// rounds as its op does, so the bits are those of the formula in ops.
#define WENGERT_UNWRAP(...) __VA_ARGS__
#define UPDATE(op, Name, numbers, values, sample, formula)                            \
  struct Name##Update {                                                               \
    static constexpr std::string_view kName = #op;                                    \
    static constexpr int kValues = internal::CountNames(#values);                     \
    static constexpr Name##Update Sample() { return {WENGERT_UNWRAP sample}; }        \
    WENGERT_UNWRAP numbers                                                            \
  };                                                                                  \
  void UpdateKernel(const Name##Update& update, const Regularization& regularization, \
                    const float* const* in, const float* gradient, float* const* out, int64_t n);
#include "ops/kernels/update_rows.inc"
#undef UPDATE
#undef WENGERT_UNWRAP

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_UPDATES_H_
