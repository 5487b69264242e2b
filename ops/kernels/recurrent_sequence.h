// What the recurrent kernels share outside of their SIMD loops: the walk through time, scratch, and
// the products before and after it.
#ifndef WENGERT_OPS_KERNELS_RECURRENT_SEQUENCE_H_
#define WENGERT_OPS_KERNELS_RECURRENT_SEQUENCE_H_

#include <algorithm>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "ops/kernels/recurrent.h"
#include "tensor/tensor.h"

namespace wengert {

// [T, N, width], read in rows of dense numbers.
class Rows {
 public:
  explicit Rows(const Tensor& x)
      : x_(x.strides()[2] == 1 || x.shape()[2] == 1 ? x : x.Contiguous()),
        data_(x_.data<float>()),
        row_(x_.strides()[1]),
        step_(x_.strides()[0]) {}
  const float* At(int64_t n, int64_t t) const { return data_ + n * row_ + t * step_; }

 private:
  Tensor x_;
  const float* data_;
  int64_t row_, step_;
};

// Who takes which step.
struct Sequence {
  explicit Sequence(const SequenceInputs& in)
      : n(in.h0->shape()[0]),
        steps(in.x->shape()[0]),
        hidden(in.h0->shape()[1]),
        reverse(in.reverse),
        h0(in.h0->Contiguous()),
        lengths(in.lengths ? in.lengths->Contiguous() : Tensor()),
        lengths_data(in.lengths ? lengths.data<int64_t>() : nullptr) {}

  int64_t TimeOf(int64_t step) const { return reverse ? steps - 1 - step : step; }
  bool HasStep(int64_t row, int64_t t) const { return !lengths_data || t < lengths_data[row]; }
  // Whether `t` is the first step that the row takes.
  bool IsFirst(int64_t row, int64_t t) const {
    if (!reverse) return t == 0;
    return t == (lengths_data ? std::min(lengths_data[row], steps) : steps) - 1;
  }
  // The row of a [T, N, ...] array, and that of the step before.
  int64_t At(int64_t row, int64_t t) const { return t * n + row; }
  int64_t Before(int64_t row, int64_t t) const { return At(row, reverse ? t + 1 : t - 1); }

  int64_t n, steps, hidden;
  bool reverse;
  Tensor h0, lengths;
  const int64_t* lengths_data;
};

// The distance between rows of scratch that holds `width` numbers: whole vectors may be stored past
// its end, and rows do not share the sets of a cache.
inline int64_t ScratchRow(int64_t width) {
  constexpr int64_t kMostLanes = 16;
  return (width / kMostLanes + 2) * kMostLanes;
}

// [rows, width] between scratch and tensors.
inline void CopyRows(int64_t rows, int64_t width, const float* from, int64_t from_row, float* to,
                     int64_t to_row) {
  for (int64_t r = 0; r < rows; ++r) std::copy_n(from + r * from_row, width, to + r * to_row);
}

// A matrix that every step multiplies with: packed (see PackB) unless the steps are too few for it
// to pay. The products' bits are the same.
struct StepWeight {
  StepWeight(const Tensor& weight, int64_t steps);
  int64_t rows, columns;
  bool packed;
  Tensor data;
};

// Calls f(first, rows) for pieces of the batch, in parallel.
void ForPiecesOfBatch(int64_t n, absl::FunctionRef<void(int64_t first, int64_t rows)> f);

// gates = x weight_ih, [T, N, G H].
void ProjectInput(const SequenceInputs& in, Tensor& gates);

// [T, N, width] with rows ScratchRow(width) apart: what reads a column of it then does not meet the
// same set of a cache with each row.
Tensor SpacedRows(const Sequence& s, int64_t width);

// What is left when dgates, the gradient of x weight_ih + bias, and dproduct, that of h weight_hh
// (the same but for the GRU), are known: gradients of x, the weights and the bias. y: [T, N, H].
void FinishGradients(const SequenceInputs& in, const Sequence& s, const Tensor& y,
                     const Tensor& dgates, const Tensor& dproduct, const SequenceGradients& out);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_RECURRENT_SEQUENCE_H_
