// A reduction as work on rows: the reduced axes brought to the end, long rows cut into pieces,
// short ones sharing a task. All of it by shape alone.
#ifndef WENGERT_OPS_KERNELS_ROWS_H_
#define WENGERT_OPS_KERNELS_ROWS_H_

#include <algorithm>
#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"

namespace wengert {

constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// x as rows: [kept, reduced], each row contiguous (rows may be apart). axes: bit i, axis i of x is
// reduced. A view where x's strides allow it.
inline Tensor RowsOf(const Tensor& x, uint32_t axes) {
  absl::InlinedVector<int, 4> order;
  int64_t sizes[2] = {1, 1};
  for (const bool reduced : {false, true}) {
    for (int i = 0; i < x.rank(); ++i) {
      if ((axes >> i & 1) != reduced) continue;
      order.push_back(i);
      sizes[reduced] *= x.shape()[i];
    }
  }
  const Tensor rows = x.Permute(order).Reshape({sizes[0], sizes[1]});
  return sizes[1] == 1 || rows.strides()[1] == 1 ? rows : rows.Contiguous();
}

struct Dim {
  int64_t length, stride;
};
struct DimList {
  Dim dims[kMaxRank] = {};
  int size = 0;

  const Dim& back() const { return dims[size - 1]; }
  bool IsUnit() const { return size > 0 && back().stride == 1; }
};

// The axes of x that are reduced (or kept), without those of length 1, neighbours merged where
// strides allow.
inline DimList MergedDims(const Tensor& x, uint32_t axes, bool reduced) {
  DimList list;
  for (int i = 0; i < x.rank(); ++i) {
    const Dim dim = {x.shape()[i], x.strides()[i]};
    if ((axes >> i & 1) != reduced || dim.length == 1) continue;
    if (list.size > 0 && list.back().stride == dim.length * dim.stride) {
      list.dims[list.size - 1] = {list.back().length * dim.length, dim.stride};
    } else {
      list.dims[list.size++] = dim;
    }
  }
  return list;
}

// Sees the reduction of x as one of rows or of columns, by a copy if need be. rows(data, outer,
// count): row o is data[o * outer.stride + r], r < count. columns(data, outer, count, inner):
// column (o, c) is data[o * outer.stride + r * count.stride + c], r < count.length, c < inner.
// Results are in order of o, then c.
template <class T, class Rows, class Columns>
void AsRowsOrColumns(const Tensor& x, uint32_t axes, Rows rows, Columns columns) {
  const DimList kept = MergedDims(x, axes, false), reduced = MergedDims(x, axes, true);
  if (reduced.size == 1 && reduced.IsUnit() && kept.size <= 1) {
    return rows(x.data<T>(), kept.size == 1 ? kept.dims[0] : Dim{1, 0}, reduced.dims[0].length);
  }
  if (reduced.size == 1 && kept.IsUnit() && kept.size <= 2) {
    return columns(x.data<T>(), kept.size == 2 ? kept.dims[0] : Dim{1, 0}, reduced.dims[0],
                   kept.back().length);
  }
  const Tensor copy = RowsOf(x, axes);
  rows(copy.data<T>(), Dim{copy.dim(0), copy.strides()[0]}, copy.dim(1));
}

// How many pieces of `task` elements ForPieces makes of a row of `count`.
constexpr int64_t PiecesOf(int64_t count, int64_t task) { return CeilDiv(count, task); }

// Calls f(i, row, begin, length) for all pieces i of all rows: elements [begin, begin + length) of
// that row. Tasks have about `task` elements; count > 0.
template <class F>
void ForPieces(int64_t rows, int64_t count, int64_t task, F f) {
  const int64_t pieces = PiecesOf(count, task), total = rows * pieces;
  const int64_t each = std::max<int64_t>(1, task / count);
  ParallelFor(CeilDiv(total, each), [&](int64_t t) {
    const int64_t end = std::min(total, (t + 1) * each);
    for (int64_t i = t * each; i < end; ++i) {
      const int64_t begin = i % pieces * task;
      f(i, i / pieces, begin, std::min(task, count - begin));
    }
  });
}

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_ROWS_H_
