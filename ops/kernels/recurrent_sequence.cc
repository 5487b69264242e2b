#include "ops/kernels/recurrent_sequence.h"

#include "ops/kernels/matmul.h"
#include "tensor/parallel.h"

namespace wengert {

void ForPiecesOfBatch(int64_t n, absl::FunctionRef<void(int64_t, int64_t)> f) {
  // Each piece reads all weights at each step, so few rows are slow; few pieces serve few threads.
  const int64_t rows = n <= 16 ? 8 : n <= 64 ? 16 : 32;
  ParallelFor((n + rows - 1) / rows, [&](int64_t i) { f(i * rows, std::min(rows, n - i * rows)); });
}

void RecurrentWeightGradient(const Sequence& s, const Tensor& y, const Tensor& dgates,
                             Tensor& weight) {
  Tensor before = Tensor::Empty(y.shape());  // the h that each step started from
  float* const to = before.mutable_data<float>();
  const float* const from = y.data<float>();
  const float* const h0 = s.h0.data<float>();
  ForPiecesOfBatch(s.n, [&](int64_t first, int64_t rows) {
    for (int64_t n = first; n < first + rows; ++n) {
      for (int64_t t = 0; t < s.steps; ++t) {
        // Padding meets gradients of 0: any finite numbers do.
        const bool first_step = s.IsFirst(n, t);
        const int64_t at = n * s.steps + t;
        const bool has_before = !first_step && s.HasStep(n, t);
        const float* const source =
            has_before ? from + (at - s.direction()) * s.hidden : h0 + n * s.hidden;
        std::copy_n(source, s.hidden, to + at * s.hidden);
      }
    }
  });
  const int64_t count = s.n * s.steps;
  const Tensor left = before.Reshape({count, s.hidden}).Permute({1, 0});
  MatMulKernel(left, dgates.Reshape({count, dgates.shape()[2]}), weight);
}

}  // namespace wengert
