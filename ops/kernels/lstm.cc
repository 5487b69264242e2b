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
  const Sequence& s;
  const Rows& x_gates;
  float *y, *gates, *cells;
  float* c;  // [rows, row_length]
  int64_t row_length;

  void Step(int64_t n, int64_t t, int64_t row, const float* product, float* h) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    const float* const x = x_gates.At(n, t);
    float* const c_row = c + row * row_length;
    float* const gate = gates + at * kGates * hidden;
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const auto sum = [&](int64_t offset) HWY_ATTR {
        return hn::Add(hn::LoadU(d, x + offset + j), hn::LoadU(d, product + offset + j));
      };
      const VF32 i = Sigmoid(d, sum(0)), f = Sigmoid(d, sum(hidden)), g = Tanh(d, sum(2 * hidden)),
                 o = Sigmoid(d, sum(3 * hidden));
      const VF32 cell = hn::MulAdd(f, hn::LoadU(d, c_row + j), hn::Mul(i, g));
      const VF32 out = hn::Mul(o, Tanh(d, cell));
      hn::StoreU(cell, d, c_row + j);
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
  static constexpr bool kPassesOn = false;
  const Sequence& s;
  const Rows& dy;
  const float *c0, *gates, *cells;
  float *dx, *dc;
  int64_t row_length;

  void Step(int64_t n, int64_t t, int64_t row, const float* dh, float* dgates) const {
    const F32 d;
    const int64_t hidden = s.hidden, at = s.At(n, t);
    const float* const gate = gates + at * kGates * hidden;
    const float* const cell = cells + at * hidden;
    const float* const before = s.IsFirst(n, t) ? c0 + n * hidden : cells + s.Before(n, t) * hidden;
    const float* const dy_row = dy.At(n, t);
    float* const dc_row = dc + row * row_length;
    for (int64_t j = 0; j < hidden; j += kLanes) {
      const VF32 i = hn::LoadU(d, gate + j), f = hn::LoadU(d, gate + hidden + j),
                 g = hn::LoadU(d, gate + 2 * hidden + j), o = hn::LoadU(d, gate + 3 * hidden + j);
      const VF32 squashed = Tanh(d, hn::LoadU(d, cell + j));
      const VF32 dout = hn::Add(hn::LoadU(d, dh + j), hn::LoadU(d, dy_row + j));
      const VF32 dcell =
          hn::MulAdd(hn::Mul(dout, o), TanhSlope(squashed), hn::LoadU(d, dc_row + j));
      hn::StoreU(hn::Mul(dcell, f), d, dc_row + j);
      const int64_t count = std::min(kLanes, hidden - j);
      float* const to = dgates + j;
      StoreLanes(hn::Mul(hn::Mul(dcell, g), SigmoidSlope(i)), count, to);
      StoreLanes(hn::Mul(hn::Mul(dcell, hn::LoadU(d, before + j)), SigmoidSlope(f)), count,
                 to + hidden);
      StoreLanes(hn::Mul(hn::Mul(dcell, i), TanhSlope(g)), count, to + 2 * hidden);
      StoreLanes(hn::Mul(hn::Mul(dout, squashed), SigmoidSlope(o)), count, to + 3 * hidden);
    }
    std::copy_n(dgates, kGates * hidden, dx + at * kGates * hidden);
  }
  void Skip(int64_t n, int64_t t) const {
    std::fill_n(dx + s.At(n, t) * kGates * s.hidden, kGates * s.hidden, 0.0f);
  }
};

}  // namespace

void LstmForwardTarget(const SequenceInputs& in, const Tensor& c0, Tensor& y, Tensor& h_last,
                       Tensor& c_last, Tensor& gates, Tensor& cells) {
  const Sequence s(in);
  const Rows x_gates(*in.x_gates);
  const Tensor first_c = c0.Contiguous();
  const Tensor weight = in.weight->Contiguous();
  float* const y_data = y.mutable_data<float>();
  float* const gates_data = gates.mutable_data<float>();
  float* const cells_data = cells.mutable_data<float>();
  float* const h_to = h_last.mutable_data<float>();
  float* const c_to = c_last.mutable_data<float>();
  const int64_t row_length = ScratchRow(s.hidden);
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    Tensor scratch = Tensor::Empty({rows, row_length});
    float* const c = scratch.mutable_data<float>();
    CopyRows(rows, s.hidden, first_c.data<float>() + first * s.hidden, s.hidden, c, row_length);
    const ForwardCell cell{.s = s,
                           .x_gates = x_gates,
                           .y = y_data,
                           .gates = gates_data,
                           .cells = cells_data,
                           .c = c,
                           .row_length = row_length};
    ForwardPiece(s, weight, cell, first, rows, y_data, h_to);
    CopyRows(rows, s.hidden, c, row_length, c_to + first * s.hidden, s.hidden);
  });
}

void LstmBackwardTarget(const SequenceInputs& in, const Tensor& c0, const Tensor& y,
                        const Tensor& gates, const Tensor& cells, const Tensor& dy,
                        const Tensor& dh_last, const Tensor& dc_last, const LstmGradients& out) {
  const Sequence s(in);
  const Rows dy_rows(dy);
  const Tensor first_c = c0.Contiguous();
  const Tensor last_dh = dh_last.Contiguous(), last_dc = dc_last.Contiguous();
  const Tensor weight = in.weight->Permute({1, 0}).Contiguous();
  float* const dx = out.x_gates->mutable_data<float>();
  float* const dh0 = out.h0 ? out.h0->mutable_data<float>() : nullptr;
  float* const dc0 = out.c0 ? out.c0->mutable_data<float>() : nullptr;
  const int64_t row_length = ScratchRow(s.hidden);
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    Tensor scratch = Tensor::Empty({rows, row_length});
    float* const dc = scratch.mutable_data<float>();
    CopyRows(rows, s.hidden, last_dc.data<float>() + first * s.hidden, s.hidden, dc, row_length);
    const BackwardCell cell{.s = s,
                            .dy = dy_rows,
                            .c0 = first_c.data<float>(),
                            .gates = gates.data<float>(),
                            .cells = cells.data<float>(),
                            .dx = dx,
                            .dc = dc,
                            .row_length = row_length};
    BackwardPiece(s, weight, cell, first, rows, last_dh.data<float>(), dh0);
    if (dc0) CopyRows(rows, s.hidden, dc, row_length, dc0 + first * s.hidden, s.hidden);
  });
  if (out.weight) RecurrentWeightGradient(s, y, *out.x_gates, *out.weight);
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
                  const Tensor& dc_last, const LstmGradients& out) {
  HWY_DYNAMIC_DISPATCH(LstmBackwardTarget)
  (in, c0, y, gates, cells, dy, dh_last, dc_last, out);
}

}  // namespace wengert
#endif  // HWY_ONCE
