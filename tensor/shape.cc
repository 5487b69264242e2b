// Dims beyond the inline ranks, and shape arithmetic.
#include "tensor/shape.h"

#include <algorithm>
#include <cassert>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tensor/error.h"

namespace wengert {

Dims::Dims(const int64_t* dims, size_t rank) : inline_{}, rank_(0) {
  if (rank > kMaxRank) {
    throw Error("shape", absl::StrCat("[", absl::StrJoin(absl::MakeSpan(dims, rank), ","),
                                      "] has rank ", rank, ", above the maximum of ", kMaxRank));
  }
  if (rank > kInline) heap_ = new int64_t[kMaxRank];
  rank_ = static_cast<int32_t>(rank);
  std::copy_n(dims, rank, data());
}

Dims Dims::Filled(int rank, int64_t value) {
  if (rank < 0 || rank > kMaxRank) {
    throw Error("shape", absl::StrCat("rank ", rank, " is outside [0,", kMaxRank, "]"));
  }
  int64_t values[kMaxRank];
  std::fill_n(values, rank, value);
  return Dims(values, rank);
}

void Dims::CopyHeap(const Dims& other) {
  rank_ = 0;  // nothing to free if new throws
  int64_t* heap = new int64_t[kMaxRank];
  std::copy_n(other.heap_, other.rank_, heap);
  heap_ = heap;
  rank_ = other.rank_;
}

void Dims::Insert(int position, int64_t dim) {
  assert(position >= 0 && position <= rank_);
  if (rank_ == kMaxRank) {
    throw Error("shape", absl::StrCat(wengert::ToString(*this), " and one more dimension: rank ",
                                      rank_ + 1, " is above the maximum of ", kMaxRank));
  }
  if (rank_ == kInline) {
    int64_t* heap = new int64_t[kMaxRank];
    std::copy_n(inline_, kInline, heap);
    heap_ = heap;
  }
  ++rank_;
  int64_t* entries = data();
  std::copy_backward(entries + position, entries + rank_ - 1, entries + rank_);
  entries[position] = dim;
}

void Dims::Remove(int position) {
  assert(position >= 0 && position < rank_);
  int64_t* entries = data();
  std::copy(entries + position + 1, entries + rank_, entries + position);
  --rank_;
  if (rank_ == kInline) {
    std::copy_n(entries, kInline, inline_);
    delete[] entries;
  }
}

std::string ToString(const Dims& dims) { return absl::StrCat("[", absl::StrJoin(dims, ","), "]"); }

int64_t CheckedNumElements(const Shape& shape, std::string_view op) {
  constexpr int64_t kMaxElements = int64_t{1} << 62;
  // A dimension of 0 counts as 1 in the overflow check: the strides of such a shape must fit too.
  int64_t product = 1;
  bool zero = false;
  for (int64_t dim : shape) {
    if (dim < 0) {
      throw Error(op, absl::StrCat("shape ", ToString(shape), " has a negative dimension"));
    }
    zero |= dim == 0;
    if (__builtin_mul_overflow(product, std::max<int64_t>(dim, 1), &product) ||
        product > kMaxElements) {
      throw Error(op, absl::StrCat("shape ", ToString(shape), " has more than 2^62 elements"));
    }
  }
  return zero ? 0 : product;
}

Shape BroadcastShapes(const Shape& a, const Shape& b, std::string_view op) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  const int shift = longer.rank() - shorter.rank();
  Shape result = longer;
  for (int axis = 0; axis < shorter.rank(); ++axis) {
    int64_t& dim = result[axis + shift];
    if (dim == 1) {
      dim = shorter[axis];
    } else if (shorter[axis] != dim && shorter[axis] != 1) {
      throw Error(op,
                  absl::StrCat("shapes ", ToString(a), " and ", ToString(b), " do not broadcast"));
    }
  }
  return result;
}

bool BroadcastsTo(const Shape& from, const Shape& to) {
  const int shift = to.rank() - from.rank();
  if (shift < 0) return false;
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (from[axis] != 1 && from[axis] != to[axis + shift]) return false;
  }
  return true;
}

int NormalizeAxis(int axis, int rank, std::string_view op) {
  if (axis < -rank || axis >= rank) {
    throw Error(op, absl::StrCat("axis ", axis, " is out of range for rank ", rank));
  }
  return axis < 0 ? axis + rank : axis;
}

}  // namespace wengert
