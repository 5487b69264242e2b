// GRU that resets after the product, over a sequence: forward and backward through time.
#include <algorithm>

#include "ops/kernels/recurrent.h"
#include "ops/kernels/recurrent_sequence.h"
#include "ops/kernels/reduce.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/gru.cc"
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
  static constexpr bool kResetsBefore = false;
  const Sequence& s;
  const float *bias, *bias_hn;
  float *y, *gates, *candidates;  // gates: x weight_ih at first

  void Step(int64_t n, int64_t t, int64_t, const float* product, float* h) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    float* const gate = gates + at * kGates * hidden;
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const auto from_x = [&](int64_t offset) HWY_ATTR {
        return hn::Add(hn::LoadU(d, gate + offset), hn::LoadU(d, bias + offset));
      };
      const auto sum = [&](int64_t offset) HWY_ATTR {
        return hn::Add(from_x(offset), hn::LoadU(d, product + offset));
      };
      const VF32 r = Sigmoid(d, sum(j)), z = Sigmoid(d, sum(hidden + j));
      const VF32 from_h =
          hn::Add(hn::LoadU(d, product + 2 * hidden + j), hn::LoadU(d, bias_hn + j));
      const VF32 new_h = Tanh(d, hn::MulAdd(r, from_h, from_x(2 * hidden + j)));
      const VF32 out = hn::MulAdd(z, hn::Sub(hn::LoadU(d, h + j), new_h), new_h);
      hn::StoreU(out, d, h + j);
      const int64_t count = std::min(kLanes, hidden - j);
      StoreLanes(r, count, gate + j);
      StoreLanes(z, count, gate + hidden + j);
      StoreLanes(new_h, count, gate + 2 * hidden + j);
      StoreLanes(from_h, count, candidates + at * hidden + j);
      StoreLanes(out, count, y + at * hidden + j);
    }
  }
};

// With dh the gradient of h' = n + z (h - n), and n = tanh(x_n + r h_n):
//   dz = dh (h - n),  dn = dh (1 - z) tanh'(n),  dr = dn h_n,  dh_n = dn r,  and dh z goes to h.
struct BackwardCell {
  static constexpr bool kPassesOn = true, kResetsBefore = false;
  const Sequence& s;
  const Rows& dy;
  const float *y, *gates, *candidates;
  float *dgates, *dproducts;  // of x weight_ih and of h weight_hh, alike but for the last third
  int64_t dgates_row;

  void Step(int64_t n, int64_t t, int64_t, float* dh, float* dproduct) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    const float* const gate = gates + at * kGates * hidden;
    const float* const candidate = candidates + at * hidden;
    const float* const before =
        s.IsFirst(n, t) ? s.h0.data<float>() + n * hidden : y + s.Before(n, t) * hidden;
    const float* const dy_row = dy.At(n, t);
    float* const dgate = dgates + at * dgates_row;
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const VF32 r = hn::LoadU(d, gate + j), z = hn::LoadU(d, gate + hidden + j),
                 new_h = hn::LoadU(d, gate + 2 * hidden + j);
      const VF32 dout = hn::Add(hn::LoadU(d, dh + j), hn::LoadU(d, dy_row + j));
      const VF32 dpassed = hn::Mul(dout, z);
      const VF32 dz =
          hn::Mul(hn::Mul(dout, hn::Sub(hn::LoadU(d, before + j), new_h)), SigmoidSlope(z));
      const VF32 dn = hn::Mul(hn::Sub(dout, dpassed), TanhSlope(new_h));
      const VF32 dr = hn::Mul(hn::Mul(dn, hn::LoadU(d, candidate + j)), SigmoidSlope(r));
      hn::StoreU(dpassed, d, dh + j);
      const int64_t count = std::min(kLanes, hidden - j);
      StoreLanes(dr, count, dproduct + j);
      StoreLanes(dz, count, dproduct + hidden + j);
      StoreLanes(hn::Mul(dn, r), count, dproduct + 2 * hidden + j);
      StoreLanes(dn, count, dgate + 2 * hidden + j);
    }
    std::copy_n(dproduct, 2 * hidden, dgate);
    std::copy_n(dproduct, kGates * hidden, dproducts + at * dgates_row);
  }
  void Skip(int64_t n, int64_t t) const {
    const int64_t at = s.At(n, t) * dgates_row;
    std::fill_n(dgates + at, kGates * s.hidden, 0.0f);
    std::fill_n(dproducts + at, kGates * s.hidden, 0.0f);
  }
};

}  // namespace

void GruForwardTarget(const SequenceInputs& in, const Tensor& bias_hn, Tensor& y, Tensor& h_last,
                      Tensor& gates, Tensor& candidates) {
  const Sequence s(in);
  const StepWeight weight(*in.weight_hh, s.steps);
  const Tensor bias = in.bias->Contiguous(), last_bias = bias_hn.Contiguous();
  ProjectInput(in, gates);
  const ForwardCell cell{.s = s,
                         .bias = bias.data<float>(),
                         .bias_hn = last_bias.data<float>(),
                         .y = y.mutable_data<float>(),
                         .gates = gates.mutable_data<float>(),
                         .candidates = candidates.mutable_data<float>()};
  float* const h_to = h_last.mutable_data<float>();
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    ForwardPiece(s, weight, cell, first, rows, cell.y, h_to);
  });
}

void GruBackwardTarget(const SequenceInputs& in, const Tensor& y, const Tensor& gates,
                       const Tensor& candidates, const Tensor& dy, const Tensor& dh_last,
                       const SequenceGradients& out, Tensor* dbias_hn) {
  const Sequence s(in);
  const Rows dy_rows(dy);
  const Tensor last_dh = dh_last.Contiguous();
  const StepWeight weight(in.weight_hh->Permute({1, 0}), s.steps);
  Tensor dgates = SpacedRows(s, kGates * s.hidden), dproducts = SpacedRows(s, kGates * s.hidden);
  const BackwardCell cell{.s = s,
                          .dy = dy_rows,
                          .y = y.data<float>(),
                          .gates = gates.data<float>(),
                          .candidates = candidates.data<float>(),
                          .dgates = dgates.mutable_data<float>(),
                          .dproducts = dproducts.mutable_data<float>(),
                          .dgates_row = dgates.strides()[1]};
  float* const dh_to = out.h0 ? out.h0->mutable_data<float>() : nullptr;
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    BackwardPiece(s, weight, cell, first, rows, last_dh.data<float>(), dh_to);
  });
  FinishGradients(in, s, y, dgates, dproducts, out);
  if (dbias_hn) {
    constexpr uint32_t kTimeAndRows = 0b11;
    SumKernel(dproducts.Narrow(2, 2 * s.hidden, s.hidden), kTimeAndRows, *dbias_hn);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(GruForwardTarget);
HWY_EXPORT(GruBackwardTarget);

void GruForward(const SequenceInputs& in, const Tensor& bias_hn, Tensor& y, Tensor& h_last,
                Tensor& gates, Tensor& candidates) {
  HWY_DYNAMIC_DISPATCH(GruForwardTarget)(in, bias_hn, y, h_last, gates, candidates);
}
void GruBackward(const SequenceInputs& in, const Tensor& y, const Tensor& gates,
                 const Tensor& candidates, const Tensor& dy, const Tensor& dh_last,
                 const SequenceGradients& out, Tensor* dbias_hn) {
  HWY_DYNAMIC_DISPATCH(GruBackwardTarget)
  (in, y, gates, candidates, dy, dh_last, out, dbias_hn);
}

}  // namespace wengert
#endif  // HWY_ONCE
