#include "ops/kernels/recurrent_sequence.h"

#include "ops/kernels/matmul.h"
#include "tensor/parallel.h"

namespace wengert {

void ForPiecesOfBatch(int64_t n, absl::FunctionRef<void(int64_t, int64_t)> f) {
  // Each piece reads all weights at each step, from L2: fewer rows are slower. More rows leave
  // threads idle, and SmallGemm would pack the weights at each step.
  const int64_t rows = n < 32 ? 8 : 16;
  ParallelFor((n + rows - 1) / rows, [&](int64_t i) { f(i * rows, std::min(rows, n - i * rows)); });
}

void RecurrentWeightGradient(const Sequence& s, const Tensor& y, const Tensor& dgates,
                             Tensor& weight) {
  Tensor before = Tensor::Empty(y.shape());  // the h that each step started from
  float* const to = before.mutable_data<float>();
  const float* const from = y.data<float>();
  const float* const h0 = s.h0.data<float>();
  ParallelFor(s.steps, [&](int64_t t) {
    for (int64_t n = 0; n < s.n; ++n) {
      // Padding meets gradients of 0: any finite numbers do.
      const bool has_before = !s.IsFirst(n, t) && s.HasStep(n, t);
      const float* const source = has_before ? from + s.Before(n, t) * s.hidden : h0 + n * s.hidden;
      std::copy_n(source, s.hidden, to + s.At(n, t) * s.hidden);
    }
  });
  const int64_t count = s.n * s.steps;
  const Tensor left = before.Reshape({count, s.hidden}).Permute({1, 0});
  MatMulKernel(left, dgates.Reshape({count, dgates.shape()[2]}), weight);
}

}  // namespace wengert
