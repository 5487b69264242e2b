// What the recurrent kernels share: how a piece of the batch goes through time, forward and back.
// Compiled once per SIMD target: include inside foreach_target.h's passes only.
#if defined(WENGERT_OPS_KERNELS_RECURRENT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_RECURRENT_INL_H_
#undef WENGERT_OPS_KERNELS_RECURRENT_INL_H_
#else
#define WENGERT_OPS_KERNELS_RECURRENT_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"
#include "ops/kernels/recurrent_sequence.h"
#include "ops/kernels/simd_math-inl.h"
#include "ops/kernels/small_gemm.h"
#include "tensor/tensor.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF32 = hn::Vec<F32>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(F32()));

// Stores the first `count` lanes.
HWY_INLINE void StoreLanes(VF32 v, int64_t count, float* to) {
  const F32 d;
  if (count >= kLanes) {
    hn::StoreU(v, d, to);
  } else {
    hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, to);
  }
}

// The derivatives of sigmoid and tanh by their results.
HWY_INLINE VF32 SigmoidSlope(VF32 y) { return hn::NegMulAdd(y, y, y); }
HWY_INLINE VF32 TanhSlope(VF32 y) { return hn::NegMulAdd(y, y, hn::Set(F32(), 1.0f)); }

// c = a b for `rows` rows of scratch.
inline GemmArguments<float> RowsTimes(int64_t rows, const float* a, int64_t a_row,
                                      const StepWeight& b, float* c, int64_t c_row) {
  return {.m = rows,
          .n = b.columns,
          .k = b.rows,
          .a = a,
          .a_row = a_row,
          .a_column = 1,
          .b = b.data.data<float>(),
          .b_row = b.columns,
          .b_column = 1,
          .c = c,
          .c_row = c_row,
          .rows_alike = true,
          .b_packed = b.packed};
}

// The way of every cell through time, for rows [first, first + rows). cell.Step(n, t, row, product,
// h) has h weight_hh in product, takes h to h' in place and writes the outputs. If
// Cell::kResetsBefore, the last gate's part of the product is not of h but of what
// cell.Reset(n, t, product, h, reset_h) makes of it, with cell.weight_n.
template <class Cell>
void ForwardPiece(const Sequence& s, const StepWeight& weight, const Cell& cell, int64_t first,
                  int64_t rows, float* y, float* h_last) {
  const int64_t width = weight.columns + (Cell::kResetsBefore ? s.hidden : 0);
  const int64_t h_row = ScratchRow(s.hidden), product_row = ScratchRow(width);
  Tensor scratch = Tensor::Empty({rows, 2 * h_row + product_row});
  float* const h = scratch.mutable_data<float>();
  float* const reset_h = h + rows * h_row;
  float* const product = reset_h + rows * h_row;
  CopyRows(rows, s.hidden, s.h0.data<float>() + first * s.hidden, s.hidden, h, h_row);
  for (int64_t step = 0; step < s.steps; ++step) {
    const int64_t t = s.TimeOf(step);
    SmallGemm(RowsTimes(rows, h, h_row, weight, product, product_row));
    if constexpr (Cell::kResetsBefore) {
      for (int64_t row = 0; row < rows; ++row) {
        // Of a row at its end too: the result is not used, but it is a number.
        cell.Reset(first + row, t, product + row * product_row, h + row * h_row,
                   reset_h + row * h_row);
      }
      SmallGemm(
          RowsTimes(rows, reset_h, h_row, cell.weight_n, product + weight.columns, product_row));
    }
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t n = first + row;
      if (s.HasStep(n, t)) {
        cell.Step(n, t, row, product + row * product_row, h + row * h_row);
      } else {
        std::fill_n(y + s.At(n, t) * s.hidden, s.hidden, 0.0f);
      }
    }
  }
  CopyRows(rows, s.hidden, h, h_row, h_last + first * s.hidden, s.hidden);
}

// The way back. cell.Step(n, t, row, dh, dproduct) turns the gradient of h' into those of
// x weight_ih and of the product; what h gets on other ways than by the product, it leaves in dh if
// Cell::kPassesOn. If Cell::kResetsBefore, cell.Reset(n, t, from_n, dh, dproduct) then adds what
// comes by the last gate, whose part of dproduct was multiplied with cell.weight_n, transposed.
template <class Cell>
void BackwardPiece(const Sequence& s, const StepWeight& transposed_weight, const Cell& cell,
                   int64_t first, int64_t rows, const float* dh_last, float* dh0) {
  const F32 d;
  const int64_t width = transposed_weight.rows + (Cell::kResetsBefore ? s.hidden : 0);
  const int64_t h_row = ScratchRow(s.hidden), product_row = ScratchRow(width);
  Tensor scratch = Tensor::Empty({rows, 2 * h_row + product_row});
  float* const dh = scratch.mutable_data<float>();
  float* const from_product = dh + rows * h_row;
  float* const dproduct = from_product + rows * h_row;
  CopyRows(rows, s.hidden, dh_last + first * s.hidden, s.hidden, dh, h_row);
  for (int64_t step = s.steps; step-- > 0;) {
    const int64_t t = s.TimeOf(step);
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t n = first + row;
      if (s.HasStep(n, t)) {
        cell.Step(n, t, row, dh + row * h_row, dproduct + row * product_row);
      } else {
        cell.Skip(n, t);
        std::fill_n(dproduct + row * product_row, width, 0.0f);
      }
    }
    if constexpr (Cell::kResetsBefore) {
      SmallGemm(RowsTimes(rows, dproduct + transposed_weight.rows, product_row, cell.weight_n,
                          from_product, h_row));
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t n = first + row;
        if (!s.HasStep(n, t)) continue;
        cell.Reset(n, t, from_product + row * h_row, dh + row * h_row,
                   dproduct + row * product_row);
      }
    }
    SmallGemm(RowsTimes(rows, dproduct, product_row, transposed_weight, from_product, h_row));
    for (int64_t row = 0; row < rows; ++row) {
      if (!s.HasStep(first + row, t)) continue;  // dh waits for the row's end
      float* const to = dh + row * h_row;
      const float* const from = from_product + row * h_row;
      for (int64_t j = 0; j < s.hidden; j += kLanes) {
        VF32 sum = hn::LoadU(d, from + j);
        if (Cell::kPassesOn) sum = hn::Add(sum, hn::LoadU(d, to + j));
        hn::StoreU(sum, d, to + j);
      }
    }
  }
  if (dh0) CopyRows(rows, s.hidden, dh, h_row, dh0 + first * s.hidden, s.hidden);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif
