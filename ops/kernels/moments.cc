// Means and variances. A piece of x is read for its sum and, while it lies in L2, for the
// deviations from its own mean. Pieces are combined by their means and sums of squares, in double
// (T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm for
// Computing Sample Variances", 1979).
#include "ops/kernels/moments.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/kernels/sum_functions.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/moments.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Sums over d = x - pivot, in lanes of T. Inputs are read in whole vectors, past their end.

// For c < width, over the rows r of d = x[r * stride + c] - pivot[c]: sums[c] += d, squares[c] +=
// d^2. The buffers have room for whole vectors.
template <class T>
void AddRows(const T* HWY_RESTRICT x, int64_t rows, int64_t stride, int64_t width,
             const T* HWY_RESTRICT pivot, T* HWY_RESTRICT sums, T* HWY_RESTRICT squares) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t c = 0; c < width; c += lanes) {
    const auto p = hn::LoadU(d, pivot + c);
    auto sum = hn::LoadU(d, sums + c), square = hn::LoadU(d, squares + c);
    for (int64_t r = 0; r < rows; ++r) {
      const auto v = hn::Sub(hn::LoadU(d, x + r * stride + c), p);
      sum = hn::Add(sum, v);
      square = hn::MulAdd(v, v, square);
    }
    hn::StoreU(sum, d, sums + c);
    hn::StoreU(square, d, squares + c);
  }
}

// The two sums of x[0, n).
template <class T>
void SumRow(const T* HWY_RESTRICT x, int64_t n, T pivot, T* sum, T* square) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto p = hn::Set(d, pivot);
  auto sum0 = hn::Zero(d), sum1 = sum0, square0 = sum0, square1 = sum0;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto v0 = hn::Sub(hn::LoadU(d, x + i), p), v1 = hn::Sub(hn::LoadU(d, x + i + lanes), p);
    sum0 = hn::Add(sum0, v0);
    sum1 = hn::Add(sum1, v1);
    square0 = hn::MulAdd(v0, v0, square0);
    square1 = hn::MulAdd(v1, v1, square1);
  }
  for (; i < n; i += lanes) {
    const auto inside = hn::FirstN(d, static_cast<size_t>(std::min(lanes, n - i)));
    const auto v = hn::IfThenElseZero(inside, hn::Sub(hn::LoadU(d, x + i), p));
    sum0 = hn::Add(sum0, v);
    square0 = hn::MulAdd(v, v, square0);
  }
  *sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  *square = hn::GetLane(hn::SumOfLanes(d, hn::Add(square0, square1)));
}

}  // namespace

void AddRowsFloat(const float* x, int64_t rows, int64_t stride, int64_t width, const float* pivot,
                  float* sums, float* squares) {
  AddRows(x, rows, stride, width, pivot, sums, squares);
}
void AddRowsDouble(const double* x, int64_t rows, int64_t stride, int64_t width,
                   const double* pivot, double* sums, double* squares) {
  AddRows(x, rows, stride, width, pivot, sums, squares);
}
void SumRowFloat(const float* x, int64_t n, float pivot, float* sum, float* square) {
  SumRow(x, n, pivot, sum, square);
}
void SumRowDouble(const double* x, int64_t n, double pivot, double* sum, double* square) {
  SumRow(x, n, pivot, sum, square);
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(AddRowsFloat);
HWY_EXPORT(AddRowsDouble);
HWY_EXPORT(SumRowFloat);
HWY_EXPORT(SumRowDouble);

namespace {

void AddDeviations(const float* x, int64_t rows, int64_t stride, int64_t width, const float* pivot,
                   float* sums, float* squares) {
  HWY_DYNAMIC_DISPATCH(AddRowsFloat)(x, rows, stride, width, pivot, sums, squares);
}
void AddDeviations(const double* x, int64_t rows, int64_t stride, int64_t width,
                   const double* pivot, double* sums, double* squares) {
  HWY_DYNAMIC_DISPATCH(AddRowsDouble)(x, rows, stride, width, pivot, sums, squares);
}
void SumDeviations(const float* x, int64_t n, float pivot, float* sum, float* square) {
  HWY_DYNAMIC_DISPATCH(SumRowFloat)(x, n, pivot, sum, square);
}
void SumDeviations(const double* x, int64_t n, double pivot, double* sum, double* square) {
  HWY_DYNAMIC_DISPATCH(SumRowDouble)(x, n, pivot, sum, square);
}

// What is known of a piece.
struct Part {
  double count, mean, squares;  // squares: the sum of those of the deviations from the mean
};

// From the sum in lanes, and what it is off by: the sums over the deviations from `pivot`, which
// is about the mean.
Part MakePart(int64_t elements, double sum, double pivot, double deviations, double squares) {
  const double count = static_cast<double>(elements), off = deviations / count;
  if (!std::isfinite(off)) return {count, sum / count, squares};
  return {count, pivot + off, std::max(squares - deviations * off, 0.0)};
}

template <class T>
Part PartOfRow(const T* x, int64_t n) {
  const double total = GetSumFunctions<T>().row_sum(x, n);
  const T pivot = static_cast<T>(total / static_cast<double>(n));
  double sums = 0, squares = 0;
  for (int64_t i = 0; i < n; i += kSumBlock) {
    T sum, square;
    SumDeviations(x + i, std::min(kSumBlock, n - i), pivot, &sum, &square);
    sums += sum;
    squares += square;
  }
  return MakePart(n, total, pivot, sums, squares);
}

template <class T>
void PartsOfColumns(const T* x, const ColumnPieces& cut, int64_t stride, int64_t rows,
                    int64_t width, Part* to) {
  constexpr int64_t kRoom = 64;  // at least a vector
  alignas(64) double totals[kSumStrip], sums[kSumStrip + kRoom], squares[kSumStrip + kRoom];
  alignas(64) T pivot[kSumStrip + kRoom], block_sums[kSumStrip + kRoom];
  alignas(64) T block_squares[kSumStrip + kRoom];
  SumsOfColumns(x, cut, stride, rows, width, totals);
  const int64_t wide = cut.group * width;
  for (int64_t c = 0; c < width; ++c) {
    pivot[c] = static_cast<T>(totals[c] / static_cast<double>(rows));
    sums[c] = squares[c] = 0;
  }
  for (int64_t c = width; c < wide; ++c) pivot[c] = pivot[c - width];
  std::fill_n(pivot + wide, kRoom, T{0});
  const auto add_block = [&](int64_t first, int64_t wide_rows, int64_t row_width) {
    std::fill_n(block_sums, row_width + kRoom, T{0});
    std::fill_n(block_squares, row_width + kRoom, T{0});
    AddDeviations(x + first * stride, wide_rows, stride * cut.group, row_width, pivot, block_sums,
                  block_squares);
    for (int64_t begin = 0; begin < row_width; begin += width) {
      for (int64_t c = 0; c < width; ++c) {
        sums[c] += block_sums[begin + c];
        squares[c] += block_squares[begin + c];
      }
    }
  };
  const int64_t whole = rows / cut.group, rest = rows % cut.group;
  for (int64_t r = 0; r < whole; r += kSumBlockRows) {
    add_block(r * cut.group, std::min(kSumBlockRows, whole - r), wide);
  }
  if (rest > 0) add_block(whole * cut.group, 1, rest * width);
  for (int64_t c = 0; c < width; ++c) {
    to[c] = MakePart(rows, totals[c], pivot[c], sums[c], squares[c]);
  }
}

template <class T>
void Moments(const Tensor& x, uint32_t axes, Tensor& mean, Tensor& variance) {
  const auto finish = [means = mean.mutable_data<T>(), variances = variance.mutable_data<T>()](
                          int64_t i, const Part* part, int64_t apart, int64_t n) {
    if (n == 1) {
      means[i] = static_cast<T>(part->mean);
      variances[i] = static_cast<T>(part->squares / part->count);
      return;
    }
    Total<double> sum = {}, squares = {};
    double count = 0;
    for (int64_t p = 0; p < n; ++p) {
      const Part& one = part[p * apart];
      count += one.count;
      sum.Add(one.count * one.mean);
    }
    const double of_all = sum.Result() / count;
    for (int64_t p = 0; p < n; ++p) {
      const Part& one = part[p * apart];
      squares.Add(one.squares + one.count * (one.mean - of_all) * (one.mean - of_all));
    }
    means[i] = static_cast<T>(of_all);
    variances[i] = static_cast<T>(squares.Result() / count);
  };
  AsRowsOrColumns<T>(
      x, axes,
      [&](const T* rows, Dim outer, int64_t count) {
        ForRows<Part>(rows, outer, count, &PartOfRow<T>, finish);
      },
      [&](const T* columns, Dim outer, Dim count, int64_t inner) {
        ForColumns<Part>(columns, outer, count, inner, &PartsOfColumns<T>, finish);
      });
}

}  // namespace

void MomentsKernel(const Tensor& x, uint32_t axes, Tensor& mean, Tensor& variance) {
  if (x.size() == 0) {
    mean.Fill(std::numeric_limits<double>::quiet_NaN());
    variance.Fill(std::numeric_limits<double>::quiet_NaN());
  } else if (x.dtype() == DType::kFloat64) {
    Moments<double>(x, axes, mean, variance);
  } else {
    Moments<float>(x, axes, mean, variance);
  }
}

}  // namespace wengert
#endif  // HWY_ONCE
