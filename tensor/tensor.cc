// Tensor: creation and access to elements.
#include "tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tensor/convert.h"

namespace wengert {
namespace {

// "6 elements", "1 element".
std::string Elements(int64_t count) {
  return absl::StrCat(count, count == 1 ? " element" : " elements");
}

template <class To>
To ReadElement(const Tensor& tensor, int64_t offset) {
  return DispatchDType(tensor.dtype(), [&]<class From>() {
    return ConvertElement<To>(tensor.data<From>()[offset]);
  });
}

void CheckCount(size_t count, const Shape& shape, std::string_view op) {
  const int64_t size = CheckedNumElements(shape, op);
  if (static_cast<int64_t>(count) != size) {
    throw Error(op, absl::StrCat(count, count == 1 ? " value" : " values", " for shape ",
                                 ToString(shape), ", which has ", Elements(size)));
  }
}

}  // namespace

Tensor Tensor::Empty(const Shape& shape, DType dtype) {
  const uint64_t size = CheckedNumElements(shape, "empty");
  const uint64_t element = SizeOf(dtype);
  Tensor result;
  // The pool refuses what no size_t can say in a readable message.
  result.storage_ = StoragePtr::Allocate(size <= SIZE_MAX / element ? size * element : SIZE_MAX);
  result.dtype_ = dtype;
  result.shape_ = shape;
  // In place: moving strides that were just written one by one stalls on store forwarding.
  result.strides_ = shape;
  int64_t stride = 1;
  int64_t* strides = result.strides_.data();
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[axis] = std::exchange(stride, stride * shape[axis]);
  }
  return result;
}

Tensor Tensor::Full(const Shape& shape, double value, DType dtype) {
  Tensor result = Empty(shape, dtype);
  result.Fill(value);
  return result;
}

Tensor Tensor::Zeros(const Shape& shape, DType dtype) { return Full(shape, 0, dtype); }
Tensor Tensor::Ones(const Shape& shape, DType dtype) { return Full(shape, 1, dtype); }

Tensor Tensor::Arange(double start, double stop, double step, DType dtype) {
  const auto error = [&](std::string_view problem) {
    return Error("arange", absl::StrCat("start ", start, ", stop ", stop, ", step ", step, ": ",
                                        std::string(problem)));
  };
  if (!std::isfinite(start) || !std::isfinite(stop) || !std::isfinite(step)) {
    throw error("all must be finite");
  }
  if (step == 0) throw error("the step must not be 0");
  const double length = std::max(0.0, std::ceil((stop - start) / step));
  if (!(length < 0x1p62)) throw error("more than 2^62 elements");
  Tensor result = Empty({static_cast<int64_t>(length)}, dtype);
  DispatchDType(dtype, [&]<class T>() {
    T* elements = result.mutable_data<T>();
    for (int64_t i = 0; i < result.dim(0); ++i) {
      elements[i] = ConvertElement<T>(start + static_cast<double>(i) * step);
    }
  });
  return result;
}

Tensor Tensor::Linspace(double start, double stop, int64_t count, DType dtype) {
  if (count < 0 || !std::isfinite(start) || !std::isfinite(stop)) {
    throw Error("linspace", absl::StrCat(count, " values from ", start, " to ", stop,
                                         ": bounds must be finite, their number not negative"));
  }
  Tensor result = Empty({count}, dtype);
  DispatchDType(dtype, [&]<class T>() {
    T* elements = result.mutable_data<T>();
    const double step = (stop - start) / static_cast<double>(std::max<int64_t>(count - 1, 1));
    for (int64_t i = 0; i < count; ++i) {
      // The end is exact, though count - 1 rounded steps need not be.
      const bool last = i == count - 1 && count > 1;
      elements[i] = ConvertElement<T>(last ? stop : start + static_cast<double>(i) * step);
    }
  });
  return result;
}

Tensor Tensor::Eye(int64_t rows, int64_t columns, DType dtype) {
  CheckedNumElements({rows, columns}, "eye");
  Tensor result = Zeros({rows, columns}, dtype);
  const int64_t length = std::min(rows, columns);
  if (length > 0) result.WithGeometry({length}, {columns + 1}, 0).Fill(1);
  return result;
}

template <class Element>
Tensor Tensor::FromSpan(absl::Span<const Element> values, const Shape& shape) {
  CheckCount(values.size(), shape, "from_span");
  Tensor result = Empty(shape, DTypeOf<Element>());
  if (!values.empty()) std::memcpy(result.raw(), values.data(), values.size() * sizeof(Element));
  return result;
}

template <class Element>
Tensor Tensor::FromVector(const std::vector<Element>& values, const Shape& shape) {
  CheckCount(values.size(), shape, "from_vector");
  Tensor result = Empty(shape, DTypeOf<Element>());
  if constexpr (std::is_same_v<Element, bool>) {
    std::copy(values.begin(), values.end(), result.mutable_data<bool>());
  } else if (!values.empty()) {
    std::memcpy(result.raw(), values.data(), values.size() * sizeof(Element));
  }
  return result;
}

template <class Element>
Tensor Tensor::FromVector(const std::vector<Element>& values) {
  return FromVector(values, {static_cast<int64_t>(values.size())});
}

int64_t Tensor::ElementOffset(absl::Span<const int64_t> index) const {
  CheckDefined("at");
  bool inside = static_cast<int>(index.size()) == rank();
  int64_t offset = 0;
  for (int axis = 0; inside && axis < rank(); ++axis) {
    const int64_t dim = shape_[axis];
    const int64_t i = index[axis] < 0 ? index[axis] + dim : index[axis];
    inside = i >= 0 && i < dim;
    offset += i * strides_[axis];
  }
  if (!inside) {
    throw Error("at", absl::StrCat("index [", absl::StrJoin(index, ","), "] is out of range for ",
                                   wengert::ToString(shape_)));
  }
  return offset;
}

template <class Element>
Element Tensor::at(std::initializer_list<int64_t> index) const {
  return ReadElement<Element>(*this,
                              ElementOffset(absl::MakeConstSpan(index.begin(), index.size())));
}

template <class Element>
Element Tensor::item() const {
  CheckDefined("item");
  if (size() != 1) {
    throw Error("item",
                absl::StrCat(wengert::ToString(shape_), " has ", Elements(size()), ", not 1"));
  }
  return ReadElement<Element>(*this, 0);
}

template <class Element>
std::vector<Element> Tensor::ToVector() const {
  CheckDefined("to_vector");
  const Tensor row_major = To(DTypeOf<Element>()).Contiguous();
  const auto* elements = reinterpret_cast<const Element*>(row_major.raw());
  return std::vector<Element>(elements, elements + size());
}

void Tensor::ThrowBadAccess(DType asked) const {
  CheckDefined("data");
  throw Error("data", absl::StrCat("asked for ", std::string(Name(asked)), ", but the tensor is ",
                                   std::string(Name(dtype_)), " ", wengert::ToString(shape_)));
}

bool BitwiseEqual(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  const Tensor left = a.Contiguous(), right = b.Contiguous();
  return std::memcmp(left.raw(), right.raw(), left.bytes()) == 0;
}

#define WENGERT_INSTANTIATE(T)                                                             \
  template Tensor Tensor::FromSpan<T>(absl::Span<const T> values, const Shape& shape);     \
  template Tensor Tensor::FromVector<T>(const std::vector<T>& values, const Shape& shape); \
  template Tensor Tensor::FromVector<T>(const std::vector<T>& values);                     \
  template T Tensor::at<T>(std::initializer_list<int64_t> index) const;                    \
  template T Tensor::item<T>() const;                                                      \
  template std::vector<T> Tensor::ToVector<T>() const
WENGERT_INSTANTIATE(bool);
WENGERT_INSTANTIATE(uint8_t);
WENGERT_INSTANTIATE(int32_t);
WENGERT_INSTANTIATE(int64_t);
WENGERT_INSTANTIATE(long long);
WENGERT_INSTANTIATE(float);
WENGERT_INSTANTIATE(double);
#undef WENGERT_INSTANTIATE

}  // namespace wengert
