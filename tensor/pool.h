// The buffer pool: every element of every tensor lives in a Storage from here. Freed buffers are
// kept by size class and handed out again, so a steady training loop asks the system for nothing.
#ifndef WENGERT_TENSOR_POOL_H_
#define WENGERT_TENSOR_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace wengert {

// A reference-counted buffer: this 64-byte header, then the elements, aligned to 64 bytes. Sizes
// are rounded up so that a whole SIMD vector may be read and written past the last element.
class alignas(64) Storage {
 public:
  std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
  size_t capacity() const { return capacity_; }  // bytes, >= what was asked for
  bool unique() const { return references_.load(std::memory_order_acquire) == 1; }

 private:
  friend class StoragePtr;
  friend class Pool;
  std::atomic<int32_t> references_;
  int32_t size_class_;
  size_t capacity_;
  // While it is kept for reuse: the next of its list and, in the first of a batch of buffers that
  // passes between threads, the next batch and this one's size.
  Storage* next_free_;
  Storage* next_batch_;
  int32_t batch_size_;
};

// An owning handle to a Storage. Copies share; counting is atomic since tensors cross threads.
class StoragePtr {
 public:
  StoragePtr() = default;
  // At least `bytes` (uninitialized). Throws Error when the pool's limit or the system refuses.
  static StoragePtr Allocate(size_t bytes);

  StoragePtr(const StoragePtr& other) : storage_(other.storage_) {
    if (storage_) storage_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  StoragePtr(StoragePtr&& other) noexcept : storage_(std::exchange(other.storage_, nullptr)) {}
  StoragePtr& operator=(StoragePtr other) noexcept {
    std::swap(storage_, other.storage_);
    return *this;
  }
  ~StoragePtr() { reset(); }

  void reset() {
    // The last owner needs no atomic read-modify-write: nobody else can be counting.
    if (storage_ && (storage_->unique() ||
                     storage_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1)) {
      Free(storage_);
    }
    storage_ = nullptr;
  }
  Storage* get() const { return storage_; }
  Storage* operator->() const { return storage_; }
  explicit operator bool() const { return storage_ != nullptr; }

 private:
  explicit StoragePtr(Storage* storage) : storage_(storage) {}
  static void Free(Storage* storage);

  Storage* storage_ = nullptr;
};

struct PoolStatistics {
  int64_t live_bytes;          // in buffers that are held now (rounded to their size class)
  int64_t peak_bytes;          // the most since the start or ResetPoolPeak; with several threads
                               // allocating small buffers, an upper bound
  int64_t system_bytes;        // obtained from the system, live or kept for reuse
  int64_t system_allocations;  // how often the system was asked
};
PoolStatistics GetPoolStatistics();
void ResetPoolPeak();

// The most bytes that the pool may hold from the system; a request past it throws Error (after the
// kept buffers were given back). 0: no limit, the default.
void SetPoolLimit(int64_t bytes);
// Gives every kept large buffer back to the system.
void TrimPool();

}  // namespace wengert

#endif  // WENGERT_TENSOR_POOL_H_
