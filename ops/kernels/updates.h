// One pass over a parameter, its state and its gradient, float32. in: parameter, states; out the
// same, and may be the same memory. The numbers round to float32 as the ops' numbers do, and each
// operation rounds as its op does, so the bits are those of the Definition.
#ifndef WENGERT_OPS_KERNELS_UPDATES_H_
#define WENGERT_OPS_KERNELS_UPDATES_H_

#include <cstdint>

namespace wengert {

struct SgdNumbers {
  double rate;
};
struct MomentumNumbers {
  double rate, momentum;
};
struct RmsPropNumbers {
  double rate, rho, one_minus_rho, epsilon;
};
struct AdamNumbers {
  double rate, beta1, one_minus_beta1, beta2, one_minus_beta2, epsilon;
};

void SgdKernel(const SgdNumbers& numbers, const float* const* in, const float* gradient,
               float* const* out, int64_t n);
void MomentumKernel(const MomentumNumbers& numbers, const float* const* in, const float* gradient,
                    float* const* out, int64_t n);
void RmsPropKernel(const RmsPropNumbers& numbers, const float* const* in, const float* gradient,
                   float* const* out, int64_t n);
void AdamKernel(const AdamNumbers& numbers, const float* const* in, const float* gradient,
                float* const* out, int64_t n);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_UPDATES_H_
