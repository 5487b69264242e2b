// Shapes and strides: a short list of int64 that lives inline up to rank 4, and the arithmetic on
// it (sizes with overflow checks, broadcasting, axes).
#ifndef WENGERT_TENSOR_SHAPE_H_
#define WENGERT_TENSOR_SHAPE_H_

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/types/span.h"

namespace wengert {

inline constexpr int kMaxRank = 8;

// Dimensions or strides, outermost first. 40 bytes: a tape node holds two of them, so ranks above 4
// (rare) are kept on the heap.
class Dims {
 public:
  Dims() : inline_{}, rank_(0) {}
  Dims(std::initializer_list<int64_t> dims) : Dims(dims.begin(), dims.size()) {}
  explicit Dims(absl::Span<const int64_t> dims) : Dims(dims.data(), dims.size()) {}
  // `rank` entries, all `value`. Throws Error above kMaxRank.
  static Dims Filled(int rank, int64_t value);

  Dims(const Dims& other) : rank_(other.rank_) { CopyEntries(other); }
  Dims(Dims&& other) noexcept : rank_(other.rank_) { TakeEntries(other); }
  Dims& operator=(const Dims& other) {
    if (this != &other) {
      Free();
      rank_ = other.rank_;
      CopyEntries(other);
    }
    return *this;
  }
  Dims& operator=(Dims&& other) noexcept {
    if (this != &other) {
      Free();
      rank_ = other.rank_;
      TakeEntries(other);
    }
    return *this;
  }
  ~Dims() { Free(); }

  int rank() const { return rank_; }
  bool empty() const { return rank_ == 0; }
  int64_t operator[](int i) const { return data()[i]; }
  int64_t& operator[](int i) { return data()[i]; }
  const int64_t* data() const { return rank_ <= kInline ? inline_ : heap_; }
  int64_t* data() { return rank_ <= kInline ? inline_ : heap_; }
  const int64_t* begin() const { return data(); }
  const int64_t* end() const { return data() + rank_; }
  int64_t* begin() { return data(); }
  int64_t* end() { return data() + rank_; }
  operator absl::Span<const int64_t>() const { return {data(), static_cast<size_t>(rank_)}; }

  void Append(int64_t dim) { Insert(rank_, dim); }
  void Insert(int position, int64_t dim);  // throws Error above kMaxRank
  void Remove(int position);

  friend bool operator==(const Dims& a, const Dims& b) {
    if (a.rank_ != b.rank_) return false;
    const int64_t *x = a.data(), *y = b.data();
    for (int i = 0; i < a.rank_; ++i) {
      if (x[i] != y[i]) return false;
    }
    return true;
  }

 private:
  static constexpr int kInline = 4;

  Dims(const int64_t* dims, size_t rank);  // throws Error above kMaxRank
  void CopyEntries(const Dims& other) {
    if (rank_ <= kInline) {
      std::memcpy(inline_, other.inline_, sizeof(inline_));
    } else {
      CopyHeap(other);
    }
  }
  void TakeEntries(Dims& other) {
    std::memcpy(inline_, other.inline_, sizeof(inline_));
    other.rank_ = 0;
  }
  void CopyHeap(const Dims& other);
  void Free() {
    if (rank_ > kInline) delete[] heap_;
  }

  union {
    int64_t inline_[kInline];
    int64_t* heap_;  // kMaxRank entries
  };
  int32_t rank_;
};

using Shape = Dims;
using Strides = Dims;

std::string ToString(const Dims& dims);  // "[32,28,28,1]"

// The number of elements (1 at rank 0). Throws Error when a dimension is negative or the product
// passes 2^62; the message starts with [op].
int64_t CheckedNumElements(const Shape& shape, std::string_view op);
// The same without checks, for shapes that have passed them.
inline int64_t NumElements(const Shape& shape) {
  int64_t product = 1;
  for (const int64_t dim : shape) product *= dim;
  return product;
}

// Row-major strides in elements.
inline Strides ContiguousStrides(const Shape& shape) {
  Strides strides = shape;
  int64_t* entries = strides.data();
  int64_t stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    const int64_t dim = entries[axis];
    entries[axis] = stride;
    stride *= dim;
  }
  return strides;
}

// NumPy broadcasting: aligned at the last axis, equal or 1. Throws Error naming both shapes.
Shape BroadcastShapes(const Shape& a, const Shape& b, std::string_view op);
// True when `from` broadcasts to exactly `to`.
bool BroadcastsTo(const Shape& from, const Shape& to);

// Maps a negative axis to rank + axis. Throws Error when outside [-rank, rank).
int NormalizeAxis(int axis, int rank, std::string_view op);

}  // namespace wengert

#endif  // WENGERT_TENSOR_SHAPE_H_
