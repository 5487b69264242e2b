// How sums are formed, for all that forms them: SumKernel over whole tensors, and groups of
// element-wise nodes block by block. The order of additions depends on the shape alone: lanes in
// blocks, blocks combined in double.
#ifndef WENGERT_OPS_KERNELS_SUM_FUNCTIONS_H_
#define WENGERT_OPS_KERNELS_SUM_FUNCTIONS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <vector>

#include "ops/kernels/rows.h"

namespace wengert {

// What blocks are combined in.
template <class T>
using Wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;

inline constexpr int64_t kSumBlock = 4096;     // elements of a row that are added up in T
inline constexpr int64_t kSumBlockRows = 128;  // rows of a column that are
inline constexpr int64_t kSumStrip = 1024;     // columns that are worked on together
inline constexpr int64_t kSumTask = 1 << 15;   // elements of a task; a multiple of kSumBlock

// A sum in double with the rounding errors of its additions (Neumaier's variant of Kahan's); of
// integers the plain sum, which wraps.
template <class W>
struct Total {
  W sum, lost;

  void Add(W value) {
    if constexpr (std::is_floating_point_v<W>) {
      const W next = sum + value;
      const W of_value = next - sum;
      lost += (sum - (next - of_value)) + (value - of_value);
      sum = next;
    } else {
      sum = static_cast<W>(static_cast<uint64_t>(sum) + static_cast<uint64_t>(value));
    }
  }
  W Result() const {
    if constexpr (std::is_floating_point_v<W>) {
      return std::isfinite(lost) ? sum + lost : sum;  // infinite sums lose NaN
    } else {
      return sum;
    }
  }
};

// In lanes. Inputs are read in whole vectors, past their end.
template <class T>
struct SumFunctions {
  // The sum of x[0, n), blocks of kSumBlock in T, those in Wide.
  Wide<T> (*row_sum)(const T* x, int64_t n);
  // buffer[c] += the sum over r of x[r * stride + c], c < width, four rows at a time. The buffer
  // has room for whole vectors; what is in it past `width` is of no use.
  void (*add_rows)(const T* x, int64_t rows, int64_t stride, int64_t width, T* buffer);
  // sums[j] += x[j], and for double what rounding lost to lost[j]. Whole vectors: the arrays have
  // room for them.
  void (*fold)(const T* x, int64_t n, Wide<T>* sums, Wide<T>* lost);
};
using SumTable = std::tuple<SumFunctions<uint8_t>, SumFunctions<int32_t>, SumFunctions<int64_t>,
                            SumFunctions<float>, SumFunctions<double>>;

template <class T>
const SumFunctions<T>& GetSumFunctions();  // for this processor

// How columns of `rows` rows of `inner` elements are cut. Narrow rows without gaps are taken
// several at a time, as one wide row; tall columns are cut into pieces of whole blocks.
struct ColumnPieces {
  int64_t group;  // rows in a wide one
  int64_t piece;  // rows
  int64_t pieces;

  ColumnPieces(int64_t rows, int64_t inner, bool gaps) {
    group = gaps ? 1 : std::clamp<int64_t>(kSumStrip / 2 / inner, 1, rows);
    const int64_t block = group * kSumBlockRows;
    const int64_t width = std::min(inner, kSumStrip);
    piece = CeilDiv(std::max<int64_t>(1, kSumTask / width), block) * block;
    pieces = CeilDiv(rows, piece);
  }
};

// The sums of the columns of one piece and strip, from its rows as they come.
template <class T>
class ColumnSum {
 public:
  // rows: narrow ones, `inner` elements each, inner <= kSumStrip; stride: from one wide row of
  // `group` of them to the next.
  ColumnSum(int64_t rows, int64_t stride, int64_t group, int64_t inner)
      : functions_(GetSumFunctions<T>()),
        rows_(CeilDiv(rows, group)),
        stride_(stride),
        width_(group * inner),
        last_width_((rows % group ? rows % group : group) * inner),
        inner_(inner) {
    std::memset(totals_, 0, static_cast<size_t>(inner + kRoom) * sizeof(Wide<T>));
    if constexpr (std::is_same_v<T, double>) {
      std::memset(lost_, 0, static_cast<size_t>(inner + kRoom) * sizeof(double));
    }
  }
  // The next `count` wide rows: a multiple of four, but at the end.
  void Add(const T* x, int64_t count) {
    while (count > 0) {
      if (row_ == rows_ - 1) return Fold(x, last_width_);
      const int64_t in_block = row_ % kSumBlockRows;
      const int64_t run = std::min({count, kSumBlockRows - in_block, rows_ - 1 - row_});
      if (in_block == 0) {
        std::memset(buffer_, 0, static_cast<size_t>(width_ + kRoom) * sizeof(T));
      }
      functions_.add_rows(x, run, stride_, width_, buffer_);
      row_ += run;
      x += run * stride_;
      count -= run;
      if (row_ % kSumBlockRows == 0 || row_ == rows_ - 1) Fold(buffer_, width_);
    }
  }
  void Result(Wide<T>* sums) const {
    for (int64_t j = 0; j < inner_; ++j) {
      sums[j] =
          Total<Wide<T>>{totals_[j], std::is_same_v<T, double> ? lost_[j] : Wide<T>{0}}.Result();
    }
  }

 private:
  static constexpr int64_t kRoom = 64;  // at least a vector

  void Fold(const T* x, int64_t end) {
    for (int64_t c = 0; c < end; c += inner_) functions_.fold(x + c, inner_, totals_, lost_);
  }

  const SumFunctions<T>& functions_;
  const int64_t rows_, stride_, width_, last_width_, inner_;
  int64_t row_ = 0;
  alignas(64) T buffer_[kSumStrip + 2 * kRoom];
  alignas(64) Wide<T> totals_[kSumStrip + kRoom];
  alignas(64) Wide<T> lost_[std::is_same_v<T, double> ? kSumStrip + kRoom : 1];
};

// The sums of the columns of a piece, for ForColumns.
template <class T>
void SumsOfColumns(const T* x, const ColumnPieces& cut, int64_t stride, int64_t rows, int64_t width,
                   Wide<T>* to) {
  ColumnSum<T> sum(rows, stride * cut.group, cut.group, width);
  sum.Add(x, CeilDiv(rows, cut.group));
  sum.Result(to);
}

// Reduces rows as AsRowsOrColumns gives them, in pieces. piece(x, n) makes the Part of n elements;
// finish(i, part, apart, n) makes result i of part[0], part[apart], ... of its n pieces.
template <class Part, class T, class Piece, class Finish>
void ForRows(const T* x, Dim outer, int64_t count, Piece piece, Finish finish) {
  const int64_t pieces = PiecesOf(count, kSumTask);
  std::vector<Part> parts(static_cast<size_t>(pieces > 1 ? outer.length * pieces : 0));
  ForPieces(outer.length, count, kSumTask,
            [&](int64_t i, int64_t o, int64_t begin, int64_t length) {
              const Part part = piece(x + o * outer.stride + begin, length);
              if (pieces > 1) {
                parts[static_cast<size_t>(i)] = part;
              } else {
                finish(o, &part, 1, 1);
              }
            });
  if (pieces == 1) return;
  for (int64_t o = 0; o < outer.length; ++o) finish(o, parts.data() + o * pieces, 1, pieces);
}

// Reduces columns as AsRowsOrColumns gives them, in strips and pieces; finish as of ForRows.
// piece(x, cut, stride, rows, width, to) makes a Part of each of the `width` columns of a piece of
// `rows` rows, `stride` apart.
template <class Part, class T, class Piece, class Finish>
void ForColumns(const T* x, Dim outer, Dim count, int64_t inner, Piece piece, Finish finish) {
  const int64_t strips = CeilDiv(inner, kSumStrip), strip_width = std::min(inner, kSumStrip);
  const ColumnPieces cut(count.length, inner, /*gaps=*/count.stride != inner);
  const int64_t pieces = cut.pieces, total = outer.length * strips * pieces;
  // Short columns share a task.
  const int64_t each =
      std::max<int64_t>(1, kSumTask / (std::min(cut.piece, count.length) * strip_width));
  std::vector<Part> parts(static_cast<size_t>(pieces > 1 ? total * strip_width : 0));
  const auto finish_strip = [&](int64_t i, const Part* part) {  // i: of all strips of all of outer
    const int64_t first = i % strips * kSumStrip, width = std::min(kSumStrip, inner - first);
    for (int64_t c = 0; c < width; ++c) {
      finish(i / strips * inner + first + c, part + c, strip_width, pieces);
    }
  };
  ParallelFor(CeilDiv(total, each), [&](int64_t task) {
    Part own_parts[kSumStrip];
    const int64_t end = std::min(total, (task + 1) * each);
    for (int64_t i = task * each; i < end; ++i) {
      const int64_t o = i / pieces / strips, first = i / pieces % strips * kSumStrip;
      const int64_t begin = i % pieces * cut.piece;
      Part* const to = pieces > 1 ? parts.data() + i * strip_width : own_parts;
      piece(x + o * outer.stride + begin * count.stride + first, cut, count.stride,
            std::min(cut.piece, count.length - begin), std::min(kSumStrip, inner - first), to);
      if (pieces == 1) finish_strip(i, to);
    }
  });
  if (pieces == 1) return;
  for (int64_t i = 0; i < outer.length * strips; ++i) {
    finish_strip(i, parts.data() + i * pieces * strip_width);
  }
}

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_SUM_FUNCTIONS_H_
