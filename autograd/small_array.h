// A short array on the stack whose length is known when it is made. On the path that every node
// takes, where absl::InlinedVector's out-of-line destruction was a tenth of the time.
#ifndef WENGERT_AUTOGRAD_SMALL_ARRAY_H_
#define WENGERT_AUTOGRAD_SMALL_ARRAY_H_

#include <cstddef>

#include "absl/types/span.h"

namespace wengert::internal {

// Elements are default-initialized: numbers and pointers start undefined.
template <class T, size_t kInline>
class SmallArray {
 public:
  explicit SmallArray(size_t size) : size_(size) {
    if (size > kInline) [[unlikely]]
      data_ = new T[size];
  }
  ~SmallArray() {
    if (data_ != inline_) [[unlikely]]
      delete[] data_;
  }
  SmallArray(const SmallArray&) = delete;

  size_t size() const { return size_; }
  T* data() { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  operator absl::Span<const T>() const { return absl::Span<const T>(data_, size_); }

 private:
  T inline_[kInline];
  T* data_ = inline_;
  size_t size_;
};

}  // namespace wengert::internal

#endif  // WENGERT_AUTOGRAD_SMALL_ARRAY_H_
