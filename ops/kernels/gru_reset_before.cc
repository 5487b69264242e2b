// GRU that resets before the product, over a sequence: forward and backward through time.
#include <algorithm>

#include "ops/kernels/matmul.h"
#include "ops/kernels/recurrent.h"
#include "ops/kernels/recurrent_sequence.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/gru_reset_before.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/recurrent-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

constexpr int kGates = 3;  // r, z, n

struct ForwardCell {
  static constexpr bool kResetsBefore = true;
  const Sequence& s;
  const StepWeight& weight_n;  // [H, H]
  const float* bias;
  float *y, *gates, *resets;  // gates: x weight_ih at first

  HWY_INLINE VF32 FromX(const float* gate, int64_t offset) const {
    const F32 d;
    return hn::Add(hn::LoadU(d, gate + offset), hn::LoadU(d, bias + offset));
  }
  void Reset(int64_t n, int64_t t, const float* product, const float* h, float* reset_h) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    const bool has_step = s.HasStep(n, t);
    float* const gate = gates + at * kGates * hidden;
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const VF32 r = Sigmoid(d, hn::Add(FromX(gate, j), hn::LoadU(d, product + j)));
      const VF32 reset = hn::Mul(r, hn::LoadU(d, h + j));
      hn::StoreU(reset, d, reset_h + j);
      const int64_t count = std::min(kLanes, hidden - j);
      // In padding too: it meets gradients of 0, but must be a number.
      StoreLanes(reset, count, resets + at * hidden + j);
      if (has_step) StoreLanes(r, count, gate + j);
    }
  }
  void Step(int64_t n, int64_t t, int64_t, const float* product, float* h) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    float* const gate = gates + at * kGates * hidden;
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const auto sum = [&](int64_t offset) HWY_ATTR {
        return hn::Add(FromX(gate, offset), hn::LoadU(d, product + offset));
      };
      const VF32 z = Sigmoid(d, sum(hidden + j)), new_h = Tanh(d, sum(2 * hidden + j));
      const VF32 out = hn::MulAdd(z, hn::Sub(hn::LoadU(d, h + j), new_h), new_h);
      hn::StoreU(out, d, h + j);
      const int64_t count = std::min(kLanes, hidden - j);
      StoreLanes(z, count, gate + hidden + j);
      StoreLanes(new_h, count, gate + 2 * hidden + j);
      StoreLanes(out, count, y + at * hidden + j);
    }
  }
};

// With dh the gradient of h' = n + z (h - n), and n = tanh(x_n + (r h) weight_n):
//   dz = dh (h - n),  dn = dh (1 - z) tanh'(n),  d(r h) = dn weight_n',  dr = d(r h) h,
// and h gets dh z + d(r h) r besides what comes by r and z.
struct BackwardCell {
  static constexpr bool kPassesOn = true, kResetsBefore = true;
  const Sequence& s;
  const StepWeight& weight_n;  // [H, H], transposed
  const Rows& dy;
  const float *y, *gates;
  float* dgates;
  int64_t dgates_row;

  const float* Before(int64_t n, int64_t t) const {
    return s.IsFirst(n, t) ? s.h0.data<float>() + n * s.hidden : y + s.Before(n, t) * s.hidden;
  }
  void Step(int64_t n, int64_t t, int64_t, float* dh, float* dproduct) const {
    const F32 d;
    const int64_t hidden = s.hidden;
    const float* const gate = gates + s.At(n, t) * kGates * hidden;
    const float* const before = Before(n, t);
    const float* const dy_row = dy.At(n, t);
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const VF32 z = hn::LoadU(d, gate + hidden + j), new_h = hn::LoadU(d, gate + 2 * hidden + j);
      const VF32 dout = hn::Add(hn::LoadU(d, dh + j), hn::LoadU(d, dy_row + j));
      const VF32 dpassed = hn::Mul(dout, z);
      const VF32 dz =
          hn::Mul(hn::Mul(dout, hn::Sub(hn::LoadU(d, before + j), new_h)), SigmoidSlope(z));
      hn::StoreU(dpassed, d, dh + j);
      const int64_t count = std::min(kLanes, hidden - j);
      StoreLanes(dz, count, dproduct + hidden + j);
      StoreLanes(hn::Mul(hn::Sub(dout, dpassed), TanhSlope(new_h)), count,
                 dproduct + 2 * hidden + j);
    }
  }
  void Reset(int64_t n, int64_t t, const float* from_n, float* dh, float* dproduct) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    const float* const gate = gates + at * kGates * hidden;
    const float* const before = Before(n, t);
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const VF32 r = hn::LoadU(d, gate + j), dreset = hn::LoadU(d, from_n + j);
      hn::StoreU(hn::MulAdd(dreset, r, hn::LoadU(d, dh + j)), d, dh + j);
      StoreLanes(hn::Mul(hn::Mul(dreset, hn::LoadU(d, before + j)), SigmoidSlope(r)),
                 std::min(kLanes, hidden - j), dproduct + j);
    }
    std::copy_n(dproduct, kGates * hidden, dgates + at * dgates_row);
  }
  void Skip(int64_t n, int64_t t) const {
    std::fill_n(dgates + s.At(n, t) * dgates_row, kGates * s.hidden, 0.0f);
  }
};

}  // namespace

void GruResetBeforeForwardTarget(const SequenceInputs& in, Tensor& y, Tensor& h_last, Tensor& gates,
                                 Tensor& resets) {
  const Sequence s(in);
  const StepWeight weight_rz(in.weight_hh->Narrow(1, 0, 2 * s.hidden), s.steps),
      weight_n(in.weight_hh->Narrow(1, 2 * s.hidden, s.hidden), s.steps);
  const Tensor bias = in.bias->Contiguous();
  ProjectInput(in, gates);
  const ForwardCell cell{.s = s,
                         .weight_n = weight_n,
                         .bias = bias.data<float>(),
                         .y = y.mutable_data<float>(),
                         .gates = gates.mutable_data<float>(),
                         .resets = resets.mutable_data<float>()};
  float* const h_to = h_last.mutable_data<float>();
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    ForwardPiece(s, weight_rz, cell, first, rows, cell.y, h_to);
  });
}

void GruResetBeforeBackwardTarget(const SequenceInputs& in, const Tensor& y, const Tensor& gates,
                                  const Tensor& resets, const Tensor& dy, const Tensor& dh_last,
                                  const SequenceGradients& out) {
  const Sequence s(in);
  const Rows dy_rows(dy);
  const Tensor last_dh = dh_last.Contiguous();
  const Tensor weight = in.weight_hh->Permute({1, 0});
  const StepWeight weight_rz(weight.Narrow(0, 0, 2 * s.hidden), s.steps),
      weight_n(weight.Narrow(0, 2 * s.hidden, s.hidden), s.steps);
  Tensor dgates = SpacedRows(s, kGates * s.hidden);
  const BackwardCell cell{.s = s,
                          .weight_n = weight_n,
                          .dy = dy_rows,
                          .y = y.data<float>(),
                          .gates = gates.data<float>(),
                          .dgates = dgates.mutable_data<float>(),
                          .dgates_row = dgates.strides()[1]};
  float* const dh_to = out.h0 ? out.h0->mutable_data<float>() : nullptr;
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    BackwardPiece(s, weight_rz, cell, first, rows, last_dh.data<float>(), dh_to);
  });
  FinishGradients(in, s, y, dgates, dgates, out);
  if (out.weight_hh) {
    // What was multiplied with weight_n is r h, not h.
    const int64_t count = s.steps * s.n;
    Tensor by_resets = Tensor::Empty({s.hidden, s.hidden});
    MatMulKernel(resets.Reshape({count, s.hidden}).Permute({1, 0}),
                 dgates.Narrow(2, 2 * s.hidden, s.hidden).Reshape({count, s.hidden}), by_resets);
    CopyRows(s.hidden, s.hidden, by_resets.data<float>(), s.hidden,
             out.weight_hh->mutable_data<float>() + 2 * s.hidden, kGates * s.hidden);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(GruResetBeforeForwardTarget);
HWY_EXPORT(GruResetBeforeBackwardTarget);

void GruResetBeforeForward(const SequenceInputs& in, Tensor& y, Tensor& h_last, Tensor& gates,
                           Tensor& resets) {
  HWY_DYNAMIC_DISPATCH(GruResetBeforeForwardTarget)(in, y, h_last, gates, resets);
}
void GruResetBeforeBackward(const SequenceInputs& in, const Tensor& y, const Tensor& gates,
                            const Tensor& resets, const Tensor& dy, const Tensor& dh_last,
                            const SequenceGradients& out) {
  HWY_DYNAMIC_DISPATCH(GruResetBeforeBackwardTarget)(in, y, gates, resets, dy, dh_last, out);
}

}  // namespace wengert
#endif  // HWY_ONCE
