#include "ops/kernels/index.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/kernels/rows.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int64_t kTask = 1 << 15;  // elements that a task moves
constexpr int64_t kStrip = 256;     // elements of a row that are added up together

[[noreturn]] void ThrowOutOfRange(std::string_view op, int64_t index, int64_t position,
                                  const Shape& shape, int64_t size) {
  std::string place;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    place = absl::StrCat(position % shape[axis], place.empty() ? "" : ",", place);
    position /= shape[axis];
  }
  throw Error(op, absl::StrCat("index ", index, " at [", place, "] is out of range: there are ",
                               size, " entries"));
}

// The indices as int64, all in [0, size).
class Indices {
 public:
  Indices(std::string_view op, const Tensor& indices, int64_t size)
      : tensor_(indices.To(DType::kInt64).Contiguous()) {
    const int64_t* values = data();
    for (int64_t i = 0; i < tensor_.size(); ++i) {
      if (values[i] < 0 || values[i] >= size) {
        ThrowOutOfRange(op, values[i], i, indices.shape(), size);
      }
    }
  }
  const int64_t* data() const { return tensor_.data<int64_t>(); }
  int64_t size() const { return tensor_.size(); }

 private:
  const Tensor tensor_;
};

int64_t Product(const Shape& shape, int begin, int end) {
  int64_t product = 1;
  for (int i = begin; i < end; ++i) product *= shape[i];
  return product;
}

// Calls f.template operator()<T>() with an unsigned type of the dtype's size: moving is the same
// for all types of one size.
template <class F>
void DispatchSize(DType dtype, F&& f) {
  switch (SizeOf(dtype)) {
    case 1:
      return f.template operator()<uint8_t>();
    case 4:
      return f.template operator()<uint32_t>();
    default:
      return f.template operator()<uint64_t>();
  }
}

// Where one sums up: floats in double; integers wrap.
template <class T>
using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;

// Positions grouped by their index, in rising order: those of index k are
// positions[starts[k]] ... positions[starts[k + 1] - 1].
struct Groups {
  std::vector<int64_t> starts, positions;

  Groups(const Indices& indices, int64_t dim) : starts(dim + 2), positions(indices.size()) {
    // One place further, so that the pass that fills the groups moves each start to its place.
    for (int64_t i = 0; i < indices.size(); ++i) ++starts[indices.data()[i] + 2];
    for (int64_t k = 2; k < dim + 2; ++k) starts[k] += starts[k - 1];
    for (int64_t i = 0; i < indices.size(); ++i) {
      positions[starts[indices.data()[i] + 1]++] = i;
    }
  }
};

// to[0, n) = the sum of the rows of `from` at positions[0, count).
template <class T>
void SumRowsAt(const T* from, int64_t row, const int64_t* positions, int64_t count, T* to) {
  if (count == 0) {
    std::fill_n(to, row, T{0});
    return;
  }
  if (count == 1) {
    std::memcpy(to, from + *positions * row, static_cast<size_t>(row) * sizeof(T));
    return;
  }
  using A = Accumulator<T>;
  A sums[kStrip];
  for (int64_t first = 0; first < row; first += kStrip) {
    const int64_t n = std::min(kStrip, row - first);
    std::fill_n(sums, n, A{0});
    for (int64_t p = 0; p < count; ++p) {
      const T* x = from + positions[p] * row + first;
      for (int64_t j = 0; j < n; ++j) sums[j] += static_cast<A>(x[j]);
    }
    for (int64_t j = 0; j < n; ++j) to[first + j] = static_cast<T>(sums[j]);
  }
}

}  // namespace

void GatherKernel(std::string_view op, const Tensor& x, const Tensor& indices, int axis,
                  Tensor& y) {
  const int64_t outer = Product(x.shape(), 0, axis), dim = x.shape()[axis];
  const Indices checked(op, indices, dim);
  if (y.size() == 0) return;
  const Tensor source = x.Contiguous();
  const int64_t count = checked.size(), row = Product(x.shape(), axis + 1, x.rank());
  const int64_t each = std::max<int64_t>(1, kTask / row);  // rows of a task
  DispatchSize(x.dtype(), [&]<class T>() {
    const T* from = reinterpret_cast<const T*>(source.raw());
    T* to = reinterpret_cast<T*>(y.raw());
    ParallelFor(CeilDiv(outer * count, each), [&](int64_t task) {
      const int64_t end = std::min(outer * count, (task + 1) * each);
      const T* block = from + task * each / count * dim * row;
      int64_t i = task * each % count;
      for (int64_t r = task * each; r < end; ++r) {
        const T* entry = block + checked.data()[i] * row;
        if (row == 1) {
          to[r] = *entry;
        } else {
          std::memcpy(to + r * row, entry, static_cast<size_t>(row) * sizeof(T));
        }
        if (++i == count) {
          i = 0;
          block += dim * row;
        }
      }
    });
  });
}

void ScatterAddKernel(std::string_view op, const Tensor& x, const Tensor& indices, int axis,
                      Tensor& y) {
  const int64_t outer = Product(y.shape(), 0, axis), dim = y.shape()[axis];
  const Indices checked(op, indices, dim);
  if (y.size() == 0) return;
  const Groups groups(checked, dim);
  const Tensor source = x.Contiguous();
  const int64_t count = checked.size(), row = Product(y.shape(), axis + 1, y.rank());
  // Tasks by destination, for the positions of one are added up in order: of about equal work,
  // however unequal the groups are.
  const int64_t work = dim + count, pieces = std::min(dim, CeilDiv(work * row, kTask));
  std::vector<int64_t> firsts(pieces + 1, dim);
  for (int64_t piece = 0, k = 0; piece < pieces; ++piece) {
    while (k < dim && k + groups.starts[k] < work * piece / pieces) ++k;
    firsts[piece] = k;
  }
  DispatchDType(x.dtype(), [&]<class T>() {
    if constexpr (std::is_same_v<T, bool>) {
      throw Error(op, "of bools: convert them to a number type first");
    } else {
      const T* from = source.data<T>();
      T* to = y.mutable_data<T>();
      ParallelFor(outer * pieces, [&](int64_t task) {
        const int64_t o = task / pieces, end = firsts[task % pieces + 1];
        for (int64_t k = firsts[task % pieces]; k < end; ++k) {
          const int64_t start = groups.starts[k];
          SumRowsAt(from + o * count * row, row, groups.positions.data() + start,
                    groups.starts[k + 1] - start, to + (o * dim + k) * row);
        }
      });
    }
  });
}

void GatherAlongKernel(std::string_view op, const Tensor& x, const Tensor& indices, int axis,
                       Tensor& y) {
  const int64_t dim = x.shape()[axis];
  const Indices checked(op, indices, dim);
  if (y.size() == 0) return;
  const Tensor source = x.Contiguous();
  const int64_t count = y.shape()[axis], inner = Product(y.shape(), axis + 1, y.rank());
  const int64_t rows = y.size() / inner, each = std::max<int64_t>(1, kTask / inner);
  DispatchSize(x.dtype(), [&]<class T>() {
    const T* from = reinterpret_cast<const T*>(source.raw());
    T* to = reinterpret_cast<T*>(y.raw());
    ParallelFor(CeilDiv(rows, each), [&](int64_t task) {
      const int64_t end = std::min(rows, (task + 1) * each);
      for (int64_t row = task * each; row < end; ++row) {
        const T* block = from + row / count * dim * inner;
        const int64_t* at = checked.data() + row * inner;
        for (int64_t j = 0; j < inner; ++j) to[row * inner + j] = block[at[j] * inner + j];
      }
    });
  });
}

void ScatterAddAlongKernel(std::string_view op, const Tensor& x, const Tensor& indices, int axis,
                           Tensor& y) {
  const int64_t dim = y.shape()[axis];
  const Indices checked(op, indices, dim);
  if (y.size() == 0) return;
  const Tensor source = x.Contiguous();
  const int64_t count = x.shape()[axis], inner = Product(y.shape(), axis + 1, y.rank());
  const int64_t outer = Product(y.shape(), 0, axis);
  // Columns of one o that are added up together: their sums take at most kTask doubles, or one
  // column's. Narrow blocks share a task.
  const int64_t width = std::clamp<int64_t>(kTask / dim, 1, std::min(inner, kStrip));
  const int64_t strips = CeilDiv(inner, width);
  const int64_t each = std::max<int64_t>(1, kTask / ((dim + count) * width));
  DispatchDType(x.dtype(), [&]<class T>() {
    if constexpr (std::is_same_v<T, bool>) {
      throw Error(op, "of bools: convert them to a number type first");
    } else {
      using A = Accumulator<T>;
      const T* from = source.data<T>();
      T* to = y.mutable_data<T>();
      ParallelFor(CeilDiv(outer * strips, each), [&](int64_t task) {
        std::vector<A> sums(dim * width);
        const int64_t end = std::min(outer * strips, (task + 1) * each);
        for (int64_t strip = task * each; strip < end; ++strip) {
          const int64_t o = strip / strips, first = strip % strips * width;
          const int64_t n = std::min(width, inner - first);
          std::fill(sums.begin(), sums.end(), A{0});
          for (int64_t i = 0; i < count; ++i) {
            const int64_t row = (o * count + i) * inner + first;
            for (int64_t j = 0; j < n; ++j) {
              sums[checked.data()[row + j] * width + j] += static_cast<A>(from[row + j]);
            }
          }
          for (int64_t k = 0; k < dim; ++k) {
            T* row = to + (o * dim + k) * inner + first;
            for (int64_t j = 0; j < n; ++j) row[j] = static_cast<T>(sums[k * width + j]);
          }
        }
      });
    }
  });
}

void TakeAlongLastKernel(std::string_view op, const Tensor& x, const Tensor& indices, Tensor& y) {
  const int64_t dim = x.shape()[x.rank() - 1];
  const Indices checked(op, indices, dim);
  if (y.size() == 0) return;
  const Tensor source = x.Contiguous();
  DispatchSize(x.dtype(), [&]<class T>() {
    const T* from = reinterpret_cast<const T*>(source.raw());
    T* to = reinterpret_cast<T*>(y.raw());
    ParallelFor(CeilDiv(y.size(), kTask), [&](int64_t task) {
      const int64_t end = std::min(y.size(), (task + 1) * kTask);
      for (int64_t r = task * kTask; r < end; ++r) to[r] = from[r * dim + checked.data()[r]];
    });
  });
}

void PutAlongLastKernel(std::string_view op, const Tensor& x, const Tensor& indices, Tensor& y) {
  const int64_t dim = y.shape()[y.rank() - 1];
  const Indices checked(op, indices, dim);
  y.Fill(0);
  if (y.size() == 0) return;
  const Tensor source = x.defined() ? x.Contiguous() : Tensor::Ones({1}, y.dtype());
  const int64_t step = x.defined() ? 1 : 0;
  DispatchSize(y.dtype(), [&]<class T>() {
    const T* from = reinterpret_cast<const T*>(source.raw());
    T* to = reinterpret_cast<T*>(y.raw());
    const int64_t rows = checked.size();
    ParallelFor(CeilDiv(rows, kTask), [&](int64_t task) {
      const int64_t end = std::min(rows, (task + 1) * kTask);
      for (int64_t r = task * kTask; r < end; ++r) {
        to[r * dim + checked.data()[r]] = from[r * step];
      }
    });
  });
}

}  // namespace wengert
