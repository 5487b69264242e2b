// LSTM over a sequence: forward and backward through time.
#include <algorithm>

#include "ops/kernels/recurrent.h"
#include "ops/kernels/recurrent_sequence.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/lstm.cc"
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

constexpr int kGates = 4;  // i, f, g, o

struct ForwardCell {
  static constexpr bool kResetsBefore = false;
  const Sequence& s;
  const float* bias;
  float *y, *gates, *cells;  // gates: x weight_ih at first
  float* c;                  // [rows, c_row]
  int64_t c_row;

  void Step(int64_t n, int64_t t, int64_t row, const float* product, float* h) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    float* const gate = gates + at * kGates * hidden;
    float* const state = c + row * c_row;
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const auto sum = [&](int64_t offset) HWY_ATTR {
        const VF32 from_x = hn::Add(hn::LoadU(d, gate + offset), hn::LoadU(d, bias + offset));
        return hn::Add(from_x, hn::LoadU(d, product + offset));
      };
      const VF32 i = Sigmoid(d, sum(j)), f = Sigmoid(d, sum(hidden + j)),
                 g = Tanh(d, sum(2 * hidden + j)), o = Sigmoid(d, sum(3 * hidden + j));
      const VF32 cell = hn::MulAdd(f, hn::LoadU(d, state + j), hn::Mul(i, g));
      const VF32 out = hn::Mul(o, Tanh(d, cell));
      hn::StoreU(cell, d, state + j);
      hn::StoreU(out, d, h + j);
      const int64_t count = std::min(kLanes, hidden - j);
      StoreLanes(i, count, gate + j);
      StoreLanes(f, count, gate + hidden + j);
      StoreLanes(g, count, gate + 2 * hidden + j);
      StoreLanes(o, count, gate + 3 * hidden + j);
      StoreLanes(cell, count, cells + at * hidden + j);
      StoreLanes(out, count, y + at * hidden + j);
    }
  }
};

// With dh and dc the gradients of h' and c':
//   do = dh tanh(c'),  dc += dh o tanh'(c'),  di = dc g,  df = dc c,  dg = dc i,  then dc <- dc f.
struct BackwardCell {
  static constexpr bool kPassesOn = false, kResetsBefore = false;
  const Sequence& s;
  const Rows& dy;
  const float *c0, *gates, *cells;
  float *dgates, *dc;
  int64_t dgates_row, c_row;

  void Step(int64_t n, int64_t t, int64_t row, const float* dh, float* dproduct) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    const float* const gate = gates + at * kGates * hidden;
    const float* const cell = cells + at * hidden;
    const float* const before = s.IsFirst(n, t) ? c0 + n * hidden : cells + s.Before(n, t) * hidden;
    const float* const dy_row = dy.At(n, t);
    float* const dc_row = dc + row * c_row;
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const VF32 i = hn::LoadU(d, gate + j), f = hn::LoadU(d, gate + hidden + j),
                 g = hn::LoadU(d, gate + 2 * hidden + j), o = hn::LoadU(d, gate + 3 * hidden + j);
      const VF32 squashed = Tanh(d, hn::LoadU(d, cell + j));
      const VF32 dout = hn::Add(hn::LoadU(d, dh + j), hn::LoadU(d, dy_row + j));
      const VF32 dcell =
          hn::MulAdd(hn::Mul(dout, o), TanhSlope(squashed), hn::LoadU(d, dc_row + j));
      hn::StoreU(hn::Mul(dcell, f), d, dc_row + j);
      const int64_t count = std::min(kLanes, hidden - j);
      float* const to = dproduct + j;
      StoreLanes(hn::Mul(hn::Mul(dcell, g), SigmoidSlope(i)), count, to);
      StoreLanes(hn::Mul(hn::Mul(dcell, hn::LoadU(d, before + j)), SigmoidSlope(f)), count,
                 to + hidden);
      StoreLanes(hn::Mul(hn::Mul(dcell, i), TanhSlope(g)), count, to + 2 * hidden);
      StoreLanes(hn::Mul(hn::Mul(dout, squashed), SigmoidSlope(o)), count, to + 3 * hidden);
    }
    std::copy_n(dproduct, kGates * hidden, dgates + at * dgates_row);
  }
  void Skip(int64_t n, int64_t t) const {
    std::fill_n(dgates + s.At(n, t) * dgates_row, kGates * s.hidden, 0.0f);
  }
};

}  // namespace

void LstmForwardTarget(const SequenceInputs& in, const Tensor& c0, Tensor& y, Tensor& h_last,
                       Tensor& c_last, Tensor& gates, Tensor& cells) {
  const Sequence s(in);
  const Tensor first_c = c0.Contiguous(), bias = in.bias->Contiguous();
  const StepWeight weight(*in.weight_hh, s.steps);
  ProjectInput(in, gates);
  const int64_t c_row = ScratchRow(s.hidden);
  ForwardCell whole{.s = s,
                    .bias = bias.data<float>(),
                    .y = y.mutable_data<float>(),
                    .gates = gates.mutable_data<float>(),
                    .cells = cells.mutable_data<float>(),
                    .c = nullptr,
                    .c_row = c_row};
  float* const h_to = h_last.mutable_data<float>();
  float* const c_to = c_last.mutable_data<float>();
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    Tensor scratch = Tensor::Empty({rows, c_row});
    ForwardCell cell = whole;
    cell.c = scratch.mutable_data<float>();
    CopyRows(rows, s.hidden, first_c.data<float>() + first * s.hidden, s.hidden, cell.c, c_row);
    ForwardPiece(s, weight, cell, first, rows, cell.y, h_to);
    CopyRows(rows, s.hidden, cell.c, c_row, c_to + first * s.hidden, s.hidden);
  });
}

void LstmBackwardTarget(const SequenceInputs& in, const Tensor& c0, const Tensor& y,
                        const Tensor& gates, const Tensor& cells, const Tensor& dy,
                        const Tensor& dh_last, const Tensor& dc_last, const SequenceGradients& out,
                        Tensor* dc0) {
  const Sequence s(in);
  const Rows dy_rows(dy);
  const Tensor first_c = c0.Contiguous(), last_dh = dh_last.Contiguous(),
               last_dc = dc_last.Contiguous();
  const StepWeight weight(in.weight_hh->Permute({1, 0}), s.steps);
  Tensor dgates = SpacedRows(s, kGates * s.hidden);
  const int64_t c_row = ScratchRow(s.hidden);
  const BackwardCell whole{.s = s,
                           .dy = dy_rows,
                           .c0 = first_c.data<float>(),
                           .gates = gates.data<float>(),
                           .cells = cells.data<float>(),
                           .dgates = dgates.mutable_data<float>(),
                           .dc = nullptr,
                           .dgates_row = dgates.strides()[1],
                           .c_row = c_row};
  float* const dh_to = out.h0 ? out.h0->mutable_data<float>() : nullptr;
  float* const dc_to = dc0 ? dc0->mutable_data<float>() : nullptr;
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    Tensor scratch = Tensor::Empty({rows, c_row});
    BackwardCell cell = whole;
    cell.dc = scratch.mutable_data<float>();
    CopyRows(rows, s.hidden, last_dc.data<float>() + first * s.hidden, s.hidden, cell.dc, c_row);
    BackwardPiece(s, weight, cell, first, rows, last_dh.data<float>(), dh_to);
    if (dc_to) CopyRows(rows, s.hidden, cell.dc, c_row, dc_to + first * s.hidden, s.hidden);
  });
  FinishGradients(in, s, y, dgates, dgates, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(LstmForwardTarget);
HWY_EXPORT(LstmBackwardTarget);

void LstmForward(const SequenceInputs& in, const Tensor& c0, Tensor& y, Tensor& h_last,
                 Tensor& c_last, Tensor& gates, Tensor& cells) {
  HWY_DYNAMIC_DISPATCH(LstmForwardTarget)(in, c0, y, h_last, c_last, gates, cells);
}
void LstmBackward(const SequenceInputs& in, const Tensor& c0, const Tensor& y, const Tensor& gates,
                  const Tensor& cells, const Tensor& dy, const Tensor& dh_last,
                  const Tensor& dc_last, const SequenceGradients& out, Tensor* dc0) {
  HWY_DYNAMIC_DISPATCH(LstmBackwardTarget)
  (in, c0, y, gates, cells, dy, dh_last, dc_last, out, dc0);
}

}  // namespace wengert
#endif  // HWY_ONCE
