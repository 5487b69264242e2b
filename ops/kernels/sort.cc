#include "ops/kernels/sort.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <type_traits>
#include <vector>

#include "ops/kernels/rows.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int64_t kTask = 1 << 13;  // elements of a task

// Unsigned numbers in the order of the elements, so that sorting compares integers.
template <class T>
using Key = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <class T>
Key<T> KeyOf(T x, bool descending) {
  using K = Key<T>;
  constexpr K kSign = K{1} << (8 * sizeof(K) - 1);
  K key;
  if constexpr (std::is_floating_point_v<T>) {
    if (x != x) return std::numeric_limits<K>::max();
    const K bits = std::bit_cast<K>(x == 0 ? T{0} : x);
    key = bits & kSign ? ~bits : bits | kSign;
  } else if constexpr (std::is_signed_v<T>) {
    key = static_cast<K>(x) ^ kSign;
  } else {
    key = x;
  }
  return descending ? ~key : key;
}

// A key and where it stands; positions make all entries distinct and the order stable.
struct WideEntry {
  uint64_t key;
  int64_t position;

  WideEntry(uint64_t k, int64_t at) : key(k), position(at) {}
  int64_t Position() const { return position; }
  bool operator<(const WideEntry& other) const {
    return key != other.key ? key < other.key : position < other.position;
  }
};
// Both in one number, of rows of less than 2^32 elements of 4 bytes or fewer.
struct NarrowEntry {
  uint64_t bits;

  NarrowEntry(uint64_t k, int64_t at) : bits(k << 32 | static_cast<uint64_t>(at)) {}
  int64_t Position() const { return static_cast<int64_t>(bits & 0xffffffff); }
  bool operator<(const NarrowEntry& other) const { return bits < other.bits; }
};

template <class Entry, class T>
void ArgSortRows(const T* x, int64_t rows, int64_t length, int64_t count, bool descending,
                 int64_t* y) {
  const int64_t each = std::max<int64_t>(1, kTask / length);
  ParallelFor(CeilDiv(rows, each), [&](int64_t task) {
    std::vector<Entry> entries;
    entries.reserve(length);
    for (int64_t r = task * each; r < std::min(rows, (task + 1) * each); ++r) {
      entries.clear();
      for (int64_t i = 0; i < length; ++i) {
        entries.emplace_back(KeyOf(x[r * length + i], descending), i);
      }
      const auto end = entries.begin() + count;
      if (count < length) std::nth_element(entries.begin(), end, entries.end());
      std::sort(entries.begin(), end);
      for (int64_t i = 0; i < count; ++i) y[r * count + i] = entries[i].Position();
    }
  });
}

}  // namespace

void ArgSortKernel(const Tensor& x, bool descending, Tensor& y) {
  if (y.size() == 0) return;
  const Tensor source = x.Contiguous();
  const int64_t length = x.dim(-1), count = y.dim(-1), rows = y.size() / count;
  int64_t* const to = y.mutable_data<int64_t>();
  DispatchDType(x.dtype(), [&]<class T>() {
    const T* const from = source.data<T>();
    if (sizeof(T) <= 4 && length < int64_t{1} << 32) {
      ArgSortRows<NarrowEntry>(from, rows, length, count, descending, to);
    } else {
      ArgSortRows<WideEntry>(from, rows, length, count, descending, to);
    }
  });
}

}  // namespace wengert
