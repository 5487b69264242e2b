// Tensor's copies: own memory, other element types, writing into a tensor.
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "tensor/convert.h"
#include "tensor/strided_copy.h"
#include "tensor/tensor.h"

namespace wengert {
namespace {

// The first and the last byte's end that a tensor of at least one element touches in its storage.
struct ByteRange {
  int64_t begin, end;
};
ByteRange TouchedBytes(const Tensor& tensor) {
  int64_t first = tensor.offset(), last = tensor.offset();
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    const int64_t reach = (tensor.shape()[axis] - 1) * tensor.strides()[axis];
    (reach < 0 ? first : last) += reach;
  }
  const int64_t size = SizeOf(tensor.dtype());
  return {first * size, (last + 1) * size};
}

bool MayOverlap(const Tensor& a, const Tensor& b) {
  if (!a.SharesStorage(b)) return false;
  const ByteRange x = TouchedBytes(a), y = TouchedBytes(b);
  return x.begin < y.end && y.begin < x.end;
}

void CheckWritable(const Tensor& tensor, std::string_view op) {
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    if (tensor.strides()[axis] == 0 && tensor.shape()[axis] > 1) {
      throw Error(op, absl::StrCat("cannot write to an expanded tensor: axis ", axis, " of ",
                                   ToString(tensor.shape()), " has stride 0"));
    }
  }
}

}  // namespace

Tensor Tensor::Clone() const {
  CheckDefined("clone");
  Tensor result = Empty(shape_, dtype_);
  CopyStrided(shape_, dtype_, raw(), strides_, dtype_, result.raw(), result.strides_);
  return result;
}

Tensor Tensor::Contiguous() const {
  CheckDefined("contiguous");
  return IsContiguous() ? *this : Clone();
}

Tensor Tensor::To(DType dtype) const {
  CheckDefined("to");
  if (dtype == dtype_) return *this;
  Tensor result = Empty(shape_, dtype);
  CopyStrided(shape_, dtype_, raw(), strides_, dtype, result.raw(), result.strides_);
  return result;
}

void Tensor::CopyFrom(const Tensor& source) {
  CheckDefined("copy_from");
  source.CheckDefined("copy_from");
  if (!BroadcastsTo(source.shape_, shape_)) {
    throw Error("copy_from", absl::StrCat(wengert::ToString(source.shape_),
                                          " does not broadcast to ", wengert::ToString(shape_)));
  }
  if (size() == 0) return;
  CheckWritable(*this, "copy_from");
  const Tensor from = MayOverlap(*this, source) ? source.Clone() : source;
  const Tensor expanded = from.Expand(shape_);
  CopyStrided(shape_, from.dtype_, from.raw(), expanded.strides_, dtype_, raw(), strides_);
}

void Tensor::Fill(double value) {
  CheckDefined("fill");
  if (size() == 0) return;
  CheckWritable(*this, "fill");
  alignas(double) std::byte element[sizeof(double)];
  DispatchDType(dtype_, [&]<class T>() {
    const T converted = ConvertElement<T>(value);
    std::memcpy(element, &converted, sizeof(T));
  });
  if (size() == 1) {  // the scalars of a tape
    std::memcpy(raw(), element, SizeOf(dtype_));
    return;
  }
  CopyStrided(shape_, dtype_, element, Strides::Filled(rank(), 0), dtype_, raw(), strides_);
}

}  // namespace wengert
