// The simple recurrent layer, tanh or relu, over a sequence: forward and backward through time.
#include <algorithm>

#include "ops/kernels/recurrent.h"
#include "ops/kernels/recurrent_sequence.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/rnn.cc"
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

struct ForwardCell {
  static constexpr bool kResetsBefore = false;
  const Sequence& s;
  const float* bias;
  bool relu;
  float* y;  // x weight_ih at first

  void Step(int64_t n, int64_t t, int64_t, const float* product, float* h) const {
    const F32 d;
    float* const out = y + s.At(n, t) * s.hidden;
    for (int64_t j = 0; j < s.hidden; j += kLanes) {
      const VF32 from_x = hn::Add(hn::LoadU(d, out + j), hn::LoadU(d, bias + j));
      const VF32 sum = hn::Add(from_x, hn::LoadU(d, product + j));
      // NaN goes through relu, as everywhere.
      const VF32 next = relu ? hn::IfThenZeroElse(hn::Le(sum, hn::Zero(d)), sum) : Tanh(d, sum);
      hn::StoreU(next, d, h + j);
      StoreLanes(next, std::min(kLanes, s.hidden - j), out + j);
    }
  }
};

struct BackwardCell {
  static constexpr bool kPassesOn = false, kResetsBefore = false;
  const Sequence& s;
  const Rows& dy;
  bool relu;
  const float* y;
  float* dgates;
  int64_t dgates_row;

  void Step(int64_t n, int64_t t, int64_t, const float* dh, float* dproduct) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    const float* const out = y + at * hidden;
    const float* const dy_row = dy.At(n, t);
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const VF32 h = hn::LoadU(d, out + j);
      const VF32 dout = hn::Add(hn::LoadU(d, dh + j), hn::LoadU(d, dy_row + j));
      const VF32 dsum =
          relu ? hn::IfThenElseZero(hn::Gt(h, hn::Zero(d)), dout) : hn::Mul(dout, TanhSlope(h));
      StoreLanes(dsum, std::min(kLanes, hidden - j), dproduct + j);
    }
    std::copy_n(dproduct, hidden, dgates + at * dgates_row);
  }
  void Skip(int64_t n, int64_t t) const {
    std::fill_n(dgates + s.At(n, t) * dgates_row, s.hidden, 0.0f);
  }
};

}  // namespace

void RnnForwardTarget(const SequenceInputs& in, bool relu, Tensor& y, Tensor& h_last) {
  const Sequence s(in);
  const Tensor bias = in.bias->Contiguous();
  const StepWeight weight(*in.weight_hh, s.steps);
  ProjectInput(in, y);
  const ForwardCell cell{
      .s = s, .bias = bias.data<float>(), .relu = relu, .y = y.mutable_data<float>()};
  float* const h_to = h_last.mutable_data<float>();
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    ForwardPiece(s, weight, cell, first, rows, cell.y, h_to);
  });
}

void RnnBackwardTarget(const SequenceInputs& in, bool relu, const Tensor& y, const Tensor& dy,
                       const Tensor& dh_last, const SequenceGradients& out) {
  const Sequence s(in);
  const Rows dy_rows(dy);
  const Tensor last_dh = dh_last.Contiguous();
  const StepWeight weight(in.weight_hh->Permute({1, 0}), s.steps);
  Tensor dgates = SpacedRows(s, s.hidden);
  const BackwardCell cell{.s = s,
                          .dy = dy_rows,
                          .relu = relu,
                          .y = y.data<float>(),
                          .dgates = dgates.mutable_data<float>(),
                          .dgates_row = dgates.strides()[1]};
  float* const dh_to = out.h0 ? out.h0->mutable_data<float>() : nullptr;
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    BackwardPiece(s, weight, cell, first, rows, last_dh.data<float>(), dh_to);
  });
  FinishGradients(in, s, y, dgates, dgates, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(RnnForwardTarget);
HWY_EXPORT(RnnBackwardTarget);

void RnnForward(const SequenceInputs& in, bool relu, Tensor& y, Tensor& h_last) {
  HWY_DYNAMIC_DISPATCH(RnnForwardTarget)(in, relu, y, h_last);
}
void RnnBackward(const SequenceInputs& in, bool relu, const Tensor& y, const Tensor& dy,
                 const Tensor& dh_last, const SequenceGradients& out) {
  HWY_DYNAMIC_DISPATCH(RnnBackwardTarget)(in, relu, y, dy, dh_last, out);
}

}  // namespace wengert
#endif  // HWY_ONCE
