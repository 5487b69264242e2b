// Tensor: memory with a dtype, a shape and strides. Always computed; knows nothing of gradients.
#ifndef WENGERT_TENSOR_TENSOR_H_
#define WENGERT_TENSOR_TENSOR_H_

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "tensor/dtype.h"
#include "tensor/error.h"
#include "tensor/pool.h"
#include "tensor/shape.h"

namespace wengert {

// Copying a Tensor shares its memory; Clone() copies the elements. Views (Narrow, Permute, Expand,
// Flip, Squeeze, Unsqueeze, Reshape where strides allow) share too and never copy. Axes may be
// negative. Misuse throws Error.
class Tensor {
 public:
  Tensor() = default;  // undefined: no memory

  static Tensor Empty(const Shape& shape, DType dtype = DType::kFloat32);  // uninitialized
  static Tensor Full(const Shape& shape, double value, DType dtype = DType::kFloat32);
  static Tensor Zeros(const Shape& shape, DType dtype = DType::kFloat32);
  static Tensor Ones(const Shape& shape, DType dtype = DType::kFloat32);
  // start, start + step, ... before stop. Throws on step 0 or a non-finite bound.
  static Tensor Arange(double start, double stop, double step = 1, DType dtype = DType::kInt64);
  // `count` values, evenly apart, from start to stop, both included. Throws on a non-finite bound.
  static Tensor Linspace(double start, double stop, int64_t count, DType dtype = DType::kFloat32);
  // [rows, columns], 1 on the main diagonal, else 0; without `columns`: square.
  static Tensor Eye(int64_t rows, DType dtype = DType::kFloat32) { return Eye(rows, rows, dtype); }
  static Tensor Eye(int64_t rows, int64_t columns, DType dtype = DType::kFloat32);
  // Copies `values` (T an element type; std::vector<bool> too). Without a shape: rank 1.
  template <class T>
  static Tensor FromVector(const std::vector<T>& values);
  template <class T>
  static Tensor FromVector(const std::vector<T>& values, const Shape& shape);
  template <class T>
  static Tensor FromSpan(absl::Span<const T> values, const Shape& shape);

  bool defined() const { return static_cast<bool>(storage_); }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }  // in elements, may be 0 or negative
  int64_t offset() const { return offset_; }           // of the first element, in elements
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_[NormalizeAxis(axis, rank(), "dim")]; }
  int64_t size() const { return NumElements(shape_); }
  int64_t bytes() const { return size() * static_cast<int64_t>(SizeOf(dtype_)); }
  bool IsContiguous() const {  // row-major without gaps
    if (rank() == 0) return true;
    if (rank() == 1) return shape_[0] <= 1 || strides_[0] == 1;
    return StridesAreContiguous();
  }
  // True when no other Tensor shares the memory.
  bool OwnsStorage() const { return storage_ && storage_->unique(); }
  bool SharesStorage(const Tensor& other) const {
    return storage_ && storage_.get() == other.storage_.get();
  }

  // `length` elements of `axis`: start, start + step, ... (step may be negative, not 0).
  Tensor Narrow(int axis, int64_t start, int64_t length, int64_t step = 1) const;
  Tensor Permute(absl::Span<const int> order) const;
  Tensor Permute(std::initializer_list<int> order) const {
    return Permute(absl::MakeConstSpan(order.begin(), order.size()));
  }
  Tensor Transpose(int axis_a, int axis_b) const;
  Tensor T() const { return Transpose(-2, -1); }
  Tensor Expand(const Shape& shape) const;  // broadcast with stride 0
  Tensor Flip(int axis) const;
  Tensor Squeeze(int axis) const;    // removes an axis of length 1
  Tensor Unsqueeze(int axis) const;  // inserts one; axis in [-rank - 1, rank]
  // One dimension may be -1. Copies only when the strides allow no view.
  Tensor Reshape(const Shape& shape) const;

  Tensor Clone() const;          // own contiguous memory
  Tensor Contiguous() const;     // *this when contiguous already, else a Clone
  Tensor To(DType dtype) const;  // converts as convert.h says; shares when the dtype is the same
  // Writes the elements of `source` (broadcast to this shape, converted to this dtype) here; the
  // two may overlap. Both throw when this is expanded: elements that share memory.
  void CopyFrom(const Tensor& source);
  void Fill(double value);

  // The first element. T must be the element type.
  template <class T>
  const T* data() const {
    CheckType(DTypeOf<T>());
    return reinterpret_cast<const T*>(storage_->data()) + offset_;
  }
  template <class T>
  T* mutable_data() {
    CheckType(DTypeOf<T>());
    return reinterpret_cast<T*>(storage_->data()) + offset_;
  }
  const std::byte* raw() const { return storage_->data() + offset_ * SizeOf(dtype_); }
  std::byte* raw() { return storage_->data() + offset_ * SizeOf(dtype_); }

  // One element, by index (negative indices count from the end) or of a tensor of size 1, converted
  // to T, an element type.
  template <class T>
  T at(std::initializer_list<int64_t> index) const;
  template <class T>
  T item() const;
  template <class T>
  std::vector<T> ToVector() const;  // row-major, converted

  // As NumPy prints: "[[1. 2.]\n [3. 4.]]", summarised with ... above 1,000 elements.
  std::string ToString() const;

  // A view with the given geometry over the same memory; for kernels, unchecked.
  Tensor WithGeometry(Shape shape, Strides strides, int64_t offset) const;

 private:
  friend class Node;
  // What the tape knows of a value that is still to be computed.
  Tensor(const Shape& shape, DType dtype)
      : shape_(shape), strides_(ContiguousStrides(shape)), dtype_(dtype) {}
  bool StridesAreContiguous() const;
  void CheckType(DType asked) const {
    if (asked != dtype_ || !storage_) ThrowBadAccess(asked);
  }
  [[noreturn]] void ThrowBadAccess(DType asked) const;
  void CheckDefined(std::string_view op) const {
    if (!storage_) throw Error(op, "the tensor is undefined");
  }
  int64_t ElementOffset(absl::Span<const int64_t> index) const;

  Shape shape_;
  Strides strides_;
  int64_t offset_ = 0;
  StoragePtr storage_;
  DType dtype_ = DType::kFloat32;
};

std::ostream& operator<<(std::ostream& stream, const Tensor& tensor);

// True when dtype, shape and every bit of every element agree.
bool BitwiseEqual(const Tensor& a, const Tensor& b);
// True when no element is NaN or infinite. Fast: a pass over memory.
bool AllFinite(const Tensor& tensor);

}  // namespace wengert

#endif  // WENGERT_TENSOR_TENSOR_H_
