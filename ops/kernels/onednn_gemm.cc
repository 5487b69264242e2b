// Matrix multiplication by oneDNN, cut into tiles of C by shape alone.

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "ops/kernels/onednn.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The rows and columns of a tile of C. K is never cut: that would change the sums.
struct Tile {
  int64_t rows, columns;
};

// Halves the longer side until there are enough tiles. A tile packs its own rows of A and columns
// of B, so square ones do least of it, and rates fall below the smallest sides used here. 2 MFLOP
// are 10-20 us, ten times what a region costs; beyond 8 tiles each must be worth more packing.
Tile ChooseTile(int64_t m, int64_t n, int64_t k) {
  const double flops = 2.0 * m * n * k;
  const double target = std::max(
      {std::min(flops / 2e6, 8.0), std::min(flops / 64e6, 16.0), std::min(flops / 1e9, 64.0)});
  constexpr int64_t kMinRows = 32, kMinColumns = 128;
  int64_t row_tiles = 1, column_tiles = 1;
  while (row_tiles * column_tiles * 2 <= target) {
    const bool rows_fit = m / (row_tiles * 2) >= kMinRows;
    const bool columns_fit = n / (column_tiles * 2) >= kMinColumns;
    if (!rows_fit && !columns_fit) break;
    const bool cut_rows = rows_fit && (!columns_fit || m / row_tiles > n / column_tiles);
    (cut_rows ? row_tiles : column_tiles) *= 2;
  }
  // Whole vectors, and whole register blocks (8 x 48 with AVX-512) where they are many.
  const int64_t rows = CeilDiv(m, row_tiles), columns = CeilDiv(n, column_tiles);
  const int64_t vector = columns >= 384 ? 48 : 16;
  return {std::min(m, CeilDiv(rows, 8) * 8), std::min(n, CeilDiv(columns, vector) * vector)};
}

// Writes the rows of `b` [n, k] as the columns of `to` [k, n].
void Transpose(int64_t n, int64_t k, const float* b, int64_t ldb, float* to) {
  constexpr int64_t kBlock = 16;
  for (int64_t p = 0; p < k; p += kBlock) {
    for (int64_t j = 0; j < n; j += kBlock) {
      const int64_t p_end = std::min(k, p + kBlock), j_end = std::min(n, j + kBlock);
      for (int64_t q = p; q < p_end; ++q) {
        for (int64_t i = j; i < j_end; ++i) to[q * n + i] = b[i * ldb + q];
      }
    }
  }
}

}  // namespace

void Sgemm(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, bool transpose_a,
           const float* b, int64_t ldb, bool transpose_b, float* c, int64_t ldc,
           const FinishTile* finish) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (int64_t i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, 0.0f);
    if (finish) (*finish)(0, m, 0, n);
    return;
  }
  // Where oneDNN would not pack a transposed B, packing it here takes a third off the time.
  StoragePtr copy;
  if (transpose_b && m >= 16 && m <= 64 && n >= 32 && n <= 96 && k >= 512) {
    copy = StoragePtr::Allocate(k * n * sizeof(float));
    auto* const packed = reinterpret_cast<float*>(copy->data());
    Transpose(n, k, b, ldb, packed);
    b = packed;
    ldb = n;
    transpose_b = false;
  }
  const Tile tile = ChooseTile(m, n, k);
  const int64_t column_tiles = CeilDiv(n, tile.columns);
  ParallelFor(CeilDiv(m, tile.rows) * column_tiles, [&](int64_t task) {
    const int64_t row = task / column_tiles * tile.rows;
    const int64_t column = task % column_tiles * tile.columns;
    const int64_t rows = std::min(tile.rows, m - row);
    const int64_t columns = std::min(tile.columns, n - column);
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', rows,
                                            columns, k, 1.0f, a + (transpose_a ? row : row * lda),
                                            lda, b + (transpose_b ? column * ldb : column), ldb,
                                            0.0f, c + row * ldc + column, ldc);
    omp_set_num_threads(threads);
    if (status != dnnl_success) {
      throw std::runtime_error("oneDNN sgemm: status " + std::to_string(status));
    }
    if (finish) (*finish)(row, rows, column, columns);
  });
}

}  // namespace wengert
