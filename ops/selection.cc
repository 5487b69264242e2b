// What data selects: entries where a mask is true, rows by segment.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/place.h"

namespace wengert {
namespace {

// Where x is not 0, in row-major order: [count] int64.
Tensor FlatNonzero(const Tensor& x) {
  const Tensor dense = x.To(DType::kBool).Contiguous();
  const int64_t size = dense.size();
  const bool* set = size > 0 ? dense.data<bool>() : nullptr;
  Tensor places = Tensor::Empty({std::count(set, set + size, true)}, DType::kInt64);
  auto* place = places.mutable_data<int64_t>();
  for (int64_t i = 0; i < size; ++i) {
    if (set[i]) *place++ = i;
  }
  return places;
}

// Throws unless x's shape starts with the other.
void CheckLeading(std::string_view op, const Variable& x, const char* name, const Shape& leading) {
  bool fits = x.rank() >= leading.rank();
  for (int i = 0; fits && i < leading.rank(); ++i) fits = x.shape()[i] == leading[i];
  if (!fits) {
    throw Error(
        op, absl::StrCat("x ", ToString(x.shape()), " does not start with the shape of the ", name,
                         ", ", ToString(leading)));
  }
}

}  // namespace

Variable Nonzero(const Variable& x, SourceLocation where) {
  return internal::Placed("nonzero", {&x, 1}, where, [&]() -> Variable {
    const Tensor flat = FlatNonzero(x.value());
    Tensor indices = Tensor::Empty({flat.size(), x.rank()}, DType::kInt64);
    for (int64_t i = 0; i < flat.size(); ++i) {
      int64_t rest = flat.data<int64_t>()[i];
      auto* row = indices.mutable_data<int64_t>() + i * x.rank();
      for (int axis = x.rank() - 1; axis >= 0; --axis) {
        row[axis] = rest % x.shape()[axis];
        rest /= x.shape()[axis];
      }
    }
    return indices;
  });
}

Variable BooleanMask(const Variable& x, const Variable& mask, SourceLocation where) {
  return internal::Placed("boolean_mask", {&x, 1}, where, [&] {
    if (mask.dtype() != DType::kBool) {
      throw Error("boolean_mask",
                  absl::StrCat("the mask is ", std::string(Name(mask.dtype())), ", not bool"));
    }
    CheckLeading("boolean_mask", x, "mask", mask.shape());
    Shape shape{mask.size()};
    for (int i = mask.rank(); i < x.rank(); ++i) shape.Append(x.shape()[i]);
    return Gather(Reshape(x, shape), FlatNonzero(mask.value()));
  });
}

Variable SegmentSum(const Variable& x, const Variable& ids, int64_t num_segments,
                    SourceLocation where) {
  return internal::Placed("segment_sum", {&x, 1}, where, [&] {
    CheckLeading("segment_sum", x, "ids", ids.shape());
    return ScatterAdd(x, ids, num_segments);
  });
}

}  // namespace wengert
