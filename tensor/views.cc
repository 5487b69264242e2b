// Views: the same memory with another shape, strides or offset.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tensor/tensor.h"

namespace wengert {
namespace {

// `to` with its -1, if any, replaced by what `from` leaves for it.
Shape InferShape(const Shape& from, const Shape& to) {
  const auto error = [&](const std::string& problem) {
    return Error("reshape", absl::StrCat(ToString(from), " to ", ToString(to), ": ", problem));
  };
  Shape result = to;
  int inferred = -1;
  for (int axis = 0; axis < to.rank(); ++axis) {
    if (to[axis] < -1) throw error("a dimension is negative");
    if (to[axis] != -1) continue;
    if (inferred >= 0) throw error("only one dimension may be -1");
    inferred = axis;
    result[axis] = 1;
  }
  const int64_t size = NumElements(from);
  const int64_t known = CheckedNumElements(result, "reshape");
  if (inferred >= 0) {
    if (known == 0) throw error("-1 is ambiguous beside a dimension of 0");
    if (size % known != 0) {
      throw error(absl::StrCat("the size ", size, " is not divisible by ", known));
    }
    result[inferred] = size / known;
  } else if (size != known) {
    throw error(absl::StrCat("the sizes differ, ", size, " and ", known));
  }
  return result;
}

// The strides that show the elements of `tensor` as `shape` (of the same size), if there are such.
// Axes are matched from the front in the smallest groups of equal size; the old axes of a group
// must then lie in memory as one.
std::optional<Strides> ViewStrides(const Tensor& tensor, const Shape& shape) {
  if (tensor.IsContiguous()) return ContiguousStrides(shape);
  Shape old_shape;
  Strides old_strides;
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    if (tensor.shape()[axis] == 1) continue;
    old_shape.Append(tensor.shape()[axis]);
    old_strides.Append(tensor.strides()[axis]);
  }
  Strides strides = ContiguousStrides(shape);
  int new_begin = 0;
  for (int old_begin = 0; old_begin < old_shape.rank();) {
    int old_end = old_begin + 1, new_end = new_begin + 1;
    int64_t old_size = old_shape[old_begin], new_size = shape[new_begin];
    while (old_size != new_size) {
      if (new_size < old_size) {
        new_size *= shape[new_end++];
      } else {
        old_size *= old_shape[old_end++];
      }
    }
    for (int axis = old_begin; axis + 1 < old_end; ++axis) {
      if (old_strides[axis] != old_strides[axis + 1] * old_shape[axis + 1]) return std::nullopt;
    }
    int64_t stride = old_strides[old_end - 1];
    for (int axis = new_end - 1; axis >= new_begin; --axis) {
      strides[axis] = stride;
      stride *= shape[axis];
    }
    old_begin = old_end;
    new_begin = new_end;
  }
  return strides;
}

}  // namespace

bool Tensor::StridesAreContiguous() const {
  int64_t stride = 1;
  bool in_order = true;
  for (int axis = rank() - 1; axis >= 0; --axis) {
    const int64_t dim = shape_[axis];
    if (dim == 0) return true;
    if (dim == 1) continue;
    in_order = in_order && strides_[axis] == stride;
    stride *= dim;
  }
  return in_order;
}

Tensor Tensor::WithGeometry(Shape shape, Strides strides, int64_t offset) const {
  Tensor result;
  result.shape_ = std::move(shape);
  result.strides_ = std::move(strides);
  result.offset_ = offset;
  result.storage_ = storage_;
  result.dtype_ = dtype_;
  return result;
}

Tensor Tensor::Narrow(int axis, int64_t start, int64_t length, int64_t step) const {
  CheckDefined("narrow");
  axis = NormalizeAxis(axis, rank(), "narrow");
  const int64_t dim = shape_[axis];
  const auto error = [&](const std::string& problem) {
    return Error("narrow",
                 absl::StrCat("axis ", axis, " of ", wengert::ToString(shape_), ": ", problem));
  };
  if (step == 0) throw error("the step must not be 0");
  int64_t last = start;
  const bool representable = length <= 1 || (!__builtin_mul_overflow(length - 1, step, &last) &&
                                             !__builtin_add_overflow(start, last, &last));
  const bool inside = length == 0 ? start >= 0 && start <= dim
                                  : length > 0 && start >= 0 && start < dim && representable &&
                                        last >= 0 && last < dim;
  if (!inside) {
    throw error(
        absl::StrCat("start ", start, ", length ", length, ", step ", step, " is out of range"));
  }
  Tensor result = *this;
  result.shape_[axis] = length;
  if (length > 0) result.offset_ += start * strides_[axis];
  if (length > 1) result.strides_[axis] *= step;
  return result;
}

Tensor Tensor::Permute(absl::Span<const int> order) const {
  CheckDefined("permute");
  bool valid = static_cast<int>(order.size()) == rank();
  bool used[kMaxRank] = {};
  Tensor result = *this;
  for (int i = 0; valid && i < rank(); ++i) {
    const int axis = order[i] < 0 ? order[i] + rank() : order[i];
    valid = axis >= 0 && axis < rank() && !std::exchange(used[axis], true);
    if (!valid) break;
    result.shape_[i] = shape_[axis];
    result.strides_[i] = strides_[axis];
  }
  if (!valid) {
    throw Error("permute",
                absl::StrCat("[", absl::StrJoin(order, ","), "] is not an order of the axes of ",
                             wengert::ToString(shape_)));
  }
  return result;
}

Tensor Tensor::Transpose(int axis_a, int axis_b) const {
  CheckDefined("transpose");
  axis_a = NormalizeAxis(axis_a, rank(), "transpose");
  axis_b = NormalizeAxis(axis_b, rank(), "transpose");
  Tensor result = *this;
  std::swap(result.shape_[axis_a], result.shape_[axis_b]);
  std::swap(result.strides_[axis_a], result.strides_[axis_b]);
  return result;
}

Tensor Tensor::Expand(const Shape& shape) const {
  CheckDefined("expand");
  CheckedNumElements(shape, "expand");
  if (!BroadcastsTo(shape_, shape)) {
    throw Error("expand", absl::StrCat(wengert::ToString(shape_), " does not broadcast to ",
                                       wengert::ToString(shape)));
  }
  Strides strides = Strides::Filled(shape.rank(), 0);
  const int shift = shape.rank() - rank();
  for (int axis = 0; axis < rank(); ++axis) {
    if (shape_[axis] == shape[axis + shift]) strides[axis + shift] = strides_[axis];
  }
  return WithGeometry(shape, std::move(strides), offset_);
}

Tensor Tensor::Flip(int axis) const {
  CheckDefined("flip");
  axis = NormalizeAxis(axis, rank(), "flip");
  Tensor result = *this;
  if (shape_[axis] > 1) {
    result.offset_ += (shape_[axis] - 1) * strides_[axis];
    result.strides_[axis] = -strides_[axis];
  }
  return result;
}

Tensor Tensor::Squeeze(int axis) const {
  CheckDefined("squeeze");
  axis = NormalizeAxis(axis, rank(), "squeeze");
  if (shape_[axis] != 1) {
    throw Error("squeeze", absl::StrCat("axis ", axis, " of ", wengert::ToString(shape_),
                                        " has length ", shape_[axis], ", not 1"));
  }
  Tensor result = *this;
  result.shape_.Remove(axis);
  result.strides_.Remove(axis);
  return result;
}

Tensor Tensor::Unsqueeze(int axis) const {
  CheckDefined("unsqueeze");
  if (rank() == kMaxRank) {
    throw Error("unsqueeze", absl::StrCat(wengert::ToString(shape_), " has the maximum rank, ",
                                          kMaxRank, ", already"));
  }
  if (axis < -rank() - 1 || axis > rank()) {
    throw Error("unsqueeze",
                absl::StrCat("axis ", axis, " is out of range for ", wengert::ToString(shape_)));
  }
  if (axis < 0) axis += rank() + 1;
  Tensor result = *this;
  // The stride of a length of 1 is never used; this one keeps row-major strides as they are.
  result.strides_.Insert(axis, axis < rank() ? shape_[axis] * strides_[axis] : 1);
  result.shape_.Insert(axis, 1);
  return result;
}

Tensor Tensor::Reshape(const Shape& shape) const {
  CheckDefined("reshape");
  Shape inferred = InferShape(shape_, shape);
  std::optional<Strides> strides = ViewStrides(*this, inferred);
  if (strides) return WithGeometry(std::move(inferred), *std::move(strides), offset_);
  Strides contiguous = ContiguousStrides(inferred);
  return Clone().WithGeometry(std::move(inferred), std::move(contiguous), 0);
}

}  // namespace wengert
