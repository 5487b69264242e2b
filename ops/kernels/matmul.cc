#include "ops/kernels/matmul.h"

#include <algorithm>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "ops/kernels/onednn.h"
#include "ops/kernels/small_gemm.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

// Float32 products of more multiply-adds than this go to oneDNN. Below it SmallGemm is as fast or
// faster (14 times at 4^3, 2.5 at 32^3, 1.1 at 96^3), and needs no tens of milliseconds for code
// generation at its first call. With few rows or columns the product streams through one operand,
// where oneDNN is ahead sooner.
//
// Of larger ones, measured on 40 shapes of B with 1 to 192 rows of A, on one thread and two:
// - Inner products read a transposed B as it lies, where the library transposes it first: 1.0
// to 2.0
//   times as fast with few rows, 1.4 to 3.4 times with 64 columns and 32 to 192 rows.
// - Rows of B of 8 KB and more cost the library 1.0 to 2.5 times our time with 32 to 96 rows.
bool IsLibraryWork(const Tensor& a, const Tensor& b) {
  const int ra = a.rank(), rb = b.rank();
  const int64_t m = a.shape()[ra - 2], n = b.shape()[rb - 1], k = a.shape()[ra - 1];
  const int64_t most = std::min(m, n) < 8 ? 64 * 64 * 64 : 96 * 96 * 96;
  if (m * n * k <= most) return false;
  if (a.strides()[ra - 1] != 1) return true;
  if (b.strides()[rb - 2] == 1) {
    return k < (m <= 16 ? 256 : 512) || (m > 32 && n > 512) || m > 192;
  }
  const bool far_apart = b.strides()[rb - 1] == 1 && b.strides()[rb - 2] >= 2048;
  return !far_apart || n < 2048 || m < 32 || m > 96 || k > 2048;
}
// Multiply-adds (about 5 us of them) below which a task is not worth a thread's while.
constexpr int64_t kTaskWork = 1 << 17;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The leading dimensions of a product: a loop over pairs of matrices. Neighbouring dimensions are
// merged where both operands allow.
class Batches {
 public:
  Batches(const Tensor& a, const Tensor& b, const Shape& result) {
    for (int i = 0; i < result.rank() - 2; ++i) {
      const int64_t dim = result[i];
      count_ *= dim;
      if (dim == 1) continue;
      const int64_t step_a = Step(a, i - (result.rank() - a.rank()));
      const int64_t step_b = Step(b, i - (result.rank() - b.rank()));
      if (rank_ > 0 && a_[rank_ - 1] == step_a * dim && b_[rank_ - 1] == step_b * dim) {
        --rank_;
        dims_[rank_] *= dim;
      } else {
        dims_[rank_] = dim;
      }
      a_[rank_] = step_a;
      b_[rank_] = step_b;
      ++rank_;
    }
  }
  int64_t count() const { return count_; }
  // Where the operands' matrices of pair `index` begin, in elements.
  std::pair<int64_t, int64_t> Offsets(int64_t index) const {
    int64_t a = 0, b = 0;
    for (int i = rank_ - 1; i >= 0; --i) {
      const int64_t position = i > 0 ? index % dims_[i] : index;
      if (i > 0) index /= dims_[i];
      a += position * a_[i];
      b += position * b_[i];
    }
    return {a, b};
  }

 private:
  static int64_t Step(const Tensor& x, int axis) {
    return axis < 0 || x.shape()[axis] == 1 ? 0 : x.strides()[axis];
  }

  int rank_ = 0;
  int64_t count_ = 1;
  int64_t dims_[kMaxRank], a_[kMaxRank], b_[kMaxRank];
};

template <class T>
GemmArguments<T> Arguments(const Tensor& a, const Tensor& b, Tensor& y) {
  const int ra = a.rank(), rb = b.rank(), ry = y.rank();
  return {.m = y.shape()[ry - 2],
          .n = y.shape()[ry - 1],
          .k = a.shape()[ra - 1],
          .a = a.data<T>(),
          .a_row = a.strides()[ra - 2],
          .a_column = a.strides()[ra - 1],
          .b = b.data<T>(),
          .b_row = b.strides()[rb - 2],
          .b_column = b.strides()[rb - 1],
          .c = y.mutable_data<T>(),
          .c_row = y.shape()[ry - 1]};
}

// A matrix as BLAS takes it: rows `ld` apart, as it is or transposed.
struct BlasMatrix {
  bool fits, transpose;
  int64_t ld;
};
BlasMatrix AsBlas(int64_t rows, int64_t columns, int64_t row, int64_t column) {
  // The stride of an axis of length 1 means nothing.
  if ((column == 1 || columns == 1) && (rows == 1 || row >= columns)) {
    return {true, false, rows == 1 ? columns : row};
  }
  if ((row == 1 || rows == 1) && (columns == 1 || column >= rows)) {
    return {true, true, columns == 1 ? rows : column};
  }
  return {false, false, 0};
}
BlasMatrix AsBlas(const Tensor& x) {
  const int r = x.rank();
  return AsBlas(x.shape()[r - 2], x.shape()[r - 1], x.strides()[r - 2], x.strides()[r - 1]);
}

// A dense copy, in which matrices that a broadcast repeats stand once.
Tensor DenseMatrices(Tensor x) {
  const Shape shape = x.shape();
  for (int i = 0; i < x.rank() - 2; ++i) {
    if (x.strides()[i] == 0 && x.shape()[i] > 1) x = x.Narrow(i, 0, 1);
  }
  return x.Contiguous().Expand(shape);
}

void ByLibrary(Tensor a, Tensor b, Tensor& y, const FinishTile* finish) {
  BlasMatrix blas_a = AsBlas(a), blas_b = AsBlas(b);
  if (!blas_a.fits) blas_a = AsBlas(a = DenseMatrices(a));
  if (!blas_b.fits) blas_b = AsBlas(b = DenseMatrices(b));
  const GemmArguments<float> g = Arguments<float>(a, b, y);
  const Batches batches(a, b, y.shape());
  const auto multiply = [&](int64_t i) {
    const auto [offset_a, offset_b] = batches.Offsets(i);
    Sgemm(g.m, g.n, g.k, g.a + offset_a, blas_a.ld, blas_a.transpose, g.b + offset_b, blas_b.ld,
          blas_b.transpose, g.c + i * g.m * g.n, g.n, finish);
  };
  // Few large matrices are split inside, by Sgemm.
  if (batches.count() >= 16 || g.m * g.n * g.k < 8 * kTaskWork) {
    ParallelFor(batches.count(), multiply);
  } else {
    for (int64_t i = 0; i < batches.count(); ++i) multiply(i);
  }
}

// Tasks are runs of small matrices, or tiles of large ones.
template <class T>
void ByOwnKernel(const Tensor& a, const Tensor& b, Tensor& y, const FinishTile* finish) {
  const GemmArguments<T> g = Arguments<T>(a, b, y);
  const int64_t work = g.m * g.n * g.k;
  if (y.rank() == 2 && work < 2 * kTaskWork) {
    SmallGemm(g);
    if (finish) (*finish)(0, g.m, 0, g.n);
    return;
  }
  const Batches batches(a, b, y.shape());
  const auto matrix = [&](int64_t i) {
    const auto [offset_a, offset_b] = batches.Offsets(i);
    GemmArguments<T> one = g;
    one.a += offset_a;
    one.b += offset_b;
    one.c += i * g.m * g.n;
    return one;
  };
  if (work < 2 * kTaskWork) {
    const int64_t run = CeilDiv(kTaskWork, std::max<int64_t>(work, 64));
    ParallelFor(CeilDiv(batches.count(), run), [&](int64_t task) {
      const int64_t end = std::min(batches.count(), (task + 1) * run);
      for (int64_t i = task * run; i < end; ++i) SmallGemm(matrix(i));
    });
    return;
  }
  // Halves the longer side until there are enough tiles; each reads its own rows of A and columns
  // of B, so square ones read least.
  const int64_t wanted = std::min<int64_t>(work / kTaskWork, work < 1 << 28 ? 16 : 64);
  int64_t rows = g.m, columns = g.n;
  constexpr int64_t kMinRows = 16, kMinColumns = 48;
  while (CeilDiv(g.m, rows) * CeilDiv(g.n, columns) * 2 <= wanted) {
    const bool rows_fit = rows >= 2 * kMinRows, columns_fit = columns >= 2 * kMinColumns;
    if (!rows_fit && !columns_fit) break;
    int64_t& side = rows_fit && (!columns_fit || rows > columns) ? rows : columns;
    side = CeilDiv(side / 2, 16) * 16;  // whole vectors
  }
  const int64_t row_tiles = CeilDiv(g.m, rows), column_tiles = CeilDiv(g.n, columns);
  const int64_t tiles = row_tiles * column_tiles;
  ParallelFor(batches.count() * tiles, [&](int64_t task) {
    GemmArguments<T> tile = matrix(task / tiles);
    const int64_t row = task % tiles / column_tiles * rows;
    const int64_t column = task % column_tiles * columns;
    tile.m = std::min(rows, g.m - row);
    tile.n = std::min(columns, g.n - column);
    tile.a += row * g.a_row;
    tile.b += column * g.b_column;
    tile.c += row * g.c_row + column;
    SmallGemm(tile);
    if (finish) (*finish)(row, tile.m, column, tile.n);
  });
}

// The gradient of weights from few rows, [k, m] transposed times [k, n]: as long to write as to
// compute. Each of its sums is one chain over k, so its bits depend on no cut, and it can be added
// to others' while their tile is in cache.
bool IsUpdate(const Tensor& a, const Tensor& b) {
  return a.rank() == 2 && b.rank() == 2 && a.strides()[0] == 1 && b.strides()[1] == 1 &&
         a.shape()[1] > 0 && a.shape()[1] <= kGemmPanelDepth && a.shape()[0] >= 8 &&
         b.shape()[1] >= 16;
}

// Calls f(row, rows, column, columns) for tiles of y that stay in L2. `work`: multiply-adds in all.
void ForUpdateTiles(const Tensor& y, int64_t work,
                    absl::FunctionRef<void(int64_t, int64_t, int64_t, int64_t)> f) {
  constexpr int64_t kRows = 128, kMinColumns = 96, kMaxColumns = 256, kTasks = 8;
  const int64_t m = y.shape()[0], n = y.shape()[1];
  const int64_t rows = std::min(m, kRows), row_tiles = CeilDiv(m, rows);
  const int64_t columns =
      std::clamp(CeilDiv(n * row_tiles / kTasks, 48) * 48, kMinColumns, kMaxColumns);
  const int64_t column_tiles = CeilDiv(n, columns), tiles = row_tiles * column_tiles;
  const auto tile = [&](int64_t i) {
    const int64_t row = i / column_tiles * rows, column = i % column_tiles * columns;
    f(row, std::min(rows, m - row), column, std::min(columns, n - column));
  };
  if (work >= 2 * kTaskWork) return ParallelFor(tiles, tile);
  for (int64_t i = 0; i < tiles; ++i) tile(i);
}

// A tile of y = a b, or of y += a b.
template <class T>
void UpdateTile(const Tensor& a, const Tensor& b, Tensor& y, bool accumulate, int64_t row,
                int64_t rows, int64_t column, int64_t columns) {
  GemmArguments<T> tile = Arguments<T>(a, b, y);
  tile.m = rows;
  tile.n = columns;
  tile.a += row * tile.a_row;
  tile.b += column * tile.b_column;
  tile.c += row * tile.c_row + column;
  tile.rows_alike = true;
  tile.accumulate = accumulate;
  SmallGemm(tile);
}

int64_t Work(const Tensor& a, const Tensor& y) { return y.size() * a.shape()[1]; }

template <class T>
void Update(const Tensor& a, const Tensor& b, Tensor& y, const FinishTile* finish) {
  ForUpdateTiles(y, Work(a, y), [&](int64_t row, int64_t rows, int64_t column, int64_t columns) {
    UpdateTile<T>(a, b, y, /*accumulate=*/false, row, rows, column, columns);
    if (finish) (*finish)(row, rows, column, columns);
  });
}

template <class T>
void Multiply(const Tensor& a, const Tensor& b, Tensor& y, const FinishTile* finish) {
  if (IsUpdate(a, b)) return Update<T>(a, b, y, finish);
  if constexpr (std::is_same_v<T, float>) {
    if (IsLibraryWork(a, b)) return ByLibrary(a, b, y, finish);
  }
  ByOwnKernel<T>(a, b, y, finish);
}

template <class T>
void AddTo(Tensor& y, const Tensor& x) {
  constexpr int64_t kChunk = 1 << 15;
  T* const to = y.mutable_data<T>();
  const T* const from = x.data<T>();
  ParallelFor(CeilDiv(y.size(), kChunk), [&](int64_t task) {
    const int64_t end = std::min(y.size(), (task + 1) * kChunk);
    for (int64_t i = task * kChunk; i < end; ++i) to[i] += from[i];
  });
}

template <class T>
void MultiplyAndSum(const Tensor* before, absl::Span<const Tensor* const> factors, Tensor& y) {
  if (before) y.CopyFrom(*before);
  bool begun = before;
  for (size_t i = 0; i < factors.size();) {
    int64_t work = 0;
    size_t end = i;  // of a run of updates, tile by tile
    for (; end < factors.size() && IsUpdate(*factors[end], *factors[end + 1]); end += 2) {
      work += Work(*factors[end], y);
    }
    if (end > i) {
      ForUpdateTiles(y, work, [&](int64_t row, int64_t rows, int64_t column, int64_t columns) {
        for (size_t k = i; k < end; k += 2) {
          UpdateTile<T>(*factors[k], *factors[k + 1], y, begun || k > i, row, rows, column,
                        columns);
        }
      });
      i = end;
    } else {
      Tensor product = begun ? Tensor::Empty(y.shape(), y.dtype()) : y;
      Multiply<T>(*factors[i], *factors[i + 1], product, nullptr);
      if (begun) AddTo<T>(y, product);
      i += 2;
    }
    begun = true;
  }
}

}  // namespace

void MatMulKernel(const Tensor& a, const Tensor& b, Tensor& y, const FinishTile* finish) {
  if (y.dtype() == DType::kFloat64) return Multiply<double>(a, b, y, finish);
  Multiply<float>(a, b, y, finish);
}

void MatMulSumKernel(const Tensor* before, absl::Span<const Tensor* const> factors, Tensor& y) {
  if (y.dtype() == DType::kFloat64) return MultiplyAndSum<double>(before, factors, y);
  MultiplyAndSum<float>(before, factors, y);
}

}  // namespace wengert
