#include "ops/kernels/recurrent_sequence.h"

#include "absl/types/span.h"
#include "ops/kernels/matmul.h"
#include "ops/kernels/small_gemm.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

// What each step multiplied with the weights, as rows: h before the step, x, and 1 for the bias.
struct Operands {
  int64_t hidden, in, row;  // widths, and the distance of rows
  Tensor rows;
};

Operands GatherOperands(const SequenceInputs& in, const Sequence& s, const Tensor& y) {
  const Rows x(*in.x);
  const int64_t width = in.x->shape()[2], row = ScratchRow(width + s.hidden + 1);
  Operands operands{
      .hidden = s.hidden, .in = width, .row = row, .rows = Tensor::Empty({s.steps, s.n, row})};
  float* const to = operands.rows.mutable_data<float>();
  const float* const from = y.data<float>();
  const float* const h0 = s.h0.data<float>();
  ParallelFor(s.steps, [&](int64_t t) {
    for (int64_t n = 0; n < s.n; ++n) {
      // Padding meets gradients of 0: any finite numbers do.
      const bool has_before = !s.IsFirst(n, t) && s.HasStep(n, t);
      float* const at = to + s.At(n, t) * row;
      std::copy_n(has_before ? from + s.Before(n, t) * s.hidden : h0 + n * s.hidden, s.hidden, at);
      std::copy_n(x.At(n, t), width, at + s.hidden);
      at[s.hidden + width] = 1;
    }
  });
  return operands;
}

// Some of the operands' columns, transposed, times d. Null: not wanted.
struct Wanted {
  Tensor* result;
  int64_t first, rows;  // columns of the operands, rows of the result
};

// All of them as one product of depth T N.
void MultiplyOperands(const Operands& operands, const Tensor& d, absl::Span<const Wanted> wanted) {
  int64_t first = INT64_MAX, end = 0;
  for (const Wanted& w : wanted) {
    if (!w.result) continue;
    first = std::min(first, w.first);
    end = std::max(end, w.first + w.rows);
  }
  if (end == 0) return;
  // Tiles of all rows: each packs its columns of d once, the larger operand.
  const int64_t width = d.shape()[2];
  const int64_t columns = std::clamp<int64_t>((width / 4 + 15) / 16 * 16, 64, 256);
  ParallelFor((width + columns - 1) / columns, [&](int64_t task) {
    const int64_t column = task * columns, count = std::min(columns, width - column);
    const int64_t product_row = ScratchRow(count);
    Tensor product = Tensor::Empty({end - first, product_row});
    float* const sums = product.mutable_data<float>();
    SmallGemm(GemmArguments<float>{.m = end - first,
                                   .n = count,
                                   .k = d.shape()[0] * d.shape()[1],
                                   .a = operands.rows.data<float>() + first,
                                   .a_row = 1,
                                   .a_column = operands.row,
                                   .b = d.data<float>() + column,
                                   .b_row = d.strides()[1],
                                   .b_column = 1,
                                   .c = sums,
                                   .c_row = product_row});
    for (const Wanted& w : wanted) {
      if (!w.result) continue;
      CopyRows(w.rows, count, sums + (w.first - first) * product_row, product_row,
               w.result->mutable_data<float>() + column, width);
    }
  });
}

Tensor AsMatrix(const Tensor& x) { return x.Reshape({x.shape()[0] * x.shape()[1], x.shape()[2]}); }

}  // namespace

StepWeight::StepWeight(const Tensor& weight, int64_t steps)
    : rows(weight.shape()[0]),
      columns(weight.shape()[1]),
      packed(steps > 2),
      data(packed ? Tensor::Empty({PackedSize(rows, columns)}) : weight.Contiguous()) {
  if (!packed) return;
  const GemmArguments<float> product = {.n = columns,
                                        .k = rows,
                                        .b = weight.data<float>(),
                                        .b_row = weight.strides()[0],
                                        .b_column = weight.strides()[1]};
  PackB(product, data.mutable_data<float>());
}

void ForPiecesOfBatch(int64_t n, absl::FunctionRef<void(int64_t, int64_t)> f) {
  // Each piece reads all weights at each step, from L2: fewer rows are slower. More rows leave
  // threads idle.
  const int64_t rows = n < 32 ? 8 : 16;
  ParallelFor((n + rows - 1) / rows, [&](int64_t i) { f(i * rows, std::min(rows, n - i * rows)); });
}

void ProjectInput(const SequenceInputs& in, Tensor& gates) {
  Tensor matrix = AsMatrix(gates);
  MatMulKernel(AsMatrix(*in.x), *in.weight_ih, matrix);
}

Tensor SpacedRows(const Sequence& s, int64_t width) {
  return Tensor::Empty({s.steps, s.n, ScratchRow(width)}).Narrow(2, 0, width);
}

void FinishGradients(const SequenceInputs& in, const Sequence& s, const Tensor& y,
                     const Tensor& dgates, const Tensor& dproduct, const SequenceGradients& out) {
  if (out.x) {
    Tensor dx = AsMatrix(*out.x);
    MatMulKernel(AsMatrix(dgates), in.weight_ih->Permute({1, 0}), dx);
  }
  if (!out.weight_ih && !out.weight_hh && !out.bias) return;
  const Operands operands = GatherOperands(in, s, y);
  const Wanted by_hidden{out.weight_hh, 0, operands.hidden};
  const Wanted by_input{out.weight_ih, operands.hidden, operands.in};
  const Wanted by_one{out.bias, operands.hidden + operands.in, 1};
  if (dgates.SharesStorage(dproduct)) {
    MultiplyOperands(operands, dgates, {by_hidden, by_input, by_one});
  } else {
    MultiplyOperands(operands, dgates, {by_input, by_one});
    MultiplyOperands(operands, dproduct, {by_hidden});
  }
}

}  // namespace wengert
