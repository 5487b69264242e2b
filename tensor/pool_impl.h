// Inside the buffer pool: size classes and the Pool. Only for tensor/pool*.cc.
#ifndef WENGERT_TENSOR_POOL_IMPL_H_
#define WENGERT_TENSOR_POOL_IMPL_H_

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "tensor/pool.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace wengert {

inline constexpr size_t kLine = sizeof(Storage);
// A block is the header, the elements rounded up to a size class, and one more line, so that a
// vector that starts after the last element stays inside. Powers of two thus waste only two lines.
inline constexpr size_t kOverhead = 2 * kLine;
inline constexpr size_t kMaxSmallBytes = size_t{64} << 10;
inline constexpr size_t kMaxBytes = size_t{1} << 62;
inline constexpr size_t kChunkBytes = size_t{1} << 20;
inline constexpr size_t kHugePage = size_t{2} << 20;

// One to four lines, then four classes per doubling.
constexpr int SizeClass(size_t bytes) {
  const size_t last_line = bytes == 0 ? 0 : (bytes - 1) / kLine;
  if (last_line < 4) return static_cast<int>(last_line);
  const int exponent = std::bit_width(last_line) - 1;
  return 4 * (exponent - 1) + static_cast<int>(last_line >> (exponent - 2) & 3);
}
constexpr size_t ClassBytes(int size_class) {
  if (size_class < 4) return (size_class + 1) * kLine;
  return (size_t{5} + size_class % 4) * kLine << (size_class / 4 - 1);
}
inline constexpr int kSmallClasses = SizeClass(kMaxSmallBytes) + 1;
inline constexpr int kClasses = SizeClass(kMaxBytes) + 1;
static_assert(ClassBytes(SizeClass(kMaxSmallBytes)) == kMaxSmallBytes);
static_assert(ClassBytes(SizeClass(257)) == 320 && ClassBytes(SizeClass(641)) == 768);

// How many buffers of a small class change threads at once: some 128 KiB, so that what a thread
// keeps stays small beside what it may use, and the lock is taken rarely.
inline constexpr auto kBatchSizes = [] {
  std::array<int, kSmallClasses> sizes;
  for (int i = 0; i < kSmallClasses; ++i) {
    sizes[i] = static_cast<int>(std::clamp<size_t>(kChunkBytes / 8 / ClassBytes(i), 2, 512));
  }
  return sizes;
}();

class Pool {
 public:
  // What one thread keeps of one small class: a list to take from and give to, and perhaps one full
  // batch beside it, so that a thread whose use swings around a boundary does not lock each time.
  struct Magazine {
    Storage* list = nullptr;
    Storage* spare = nullptr;
    int list_size = 0;
  };
  struct Region {
    std::byte* begin = nullptr;
    std::byte* end = nullptr;
    size_t size() const { return end - begin; }
  };
  struct ThreadCache {
    Magazine magazines[kSmallClasses];
    Region fresh;  // never handed out
    // Bytes that this thread took minus those that it gave back: negative where it frees what
    // others allocated. The peak is the most since this thread's last FoldPeak.
    std::atomic<int64_t> live_bytes = 0;
    std::atomic<int64_t> peak_bytes = 0;
  };

  static Storage* AllocateSmall(size_t bytes);
  static void FreeSmall(Storage* storage);
  Storage* AllocateLarge(size_t bytes);
  void FreeLarge(Storage* storage);

  PoolStatistics Statistics();
  void ResetPeak();
  void SetLimit(int64_t bytes);
  void Trim();

  static Pool& Get() {
    static Pool* const pool = new Pool;  // outlives every static tensor
    return *pool;
  }

 private:
  Pool();

  static size_t BlockBytes(const Storage* storage) { return storage->capacity_ + kLine; }
  static Storage* MakeStorage(std::byte* block, int size_class, size_t block_bytes);
  static Storage* HandOut(ThreadCache* cache, Storage* storage);
  static void OnThreadExit(void* cache);

  // Trivially destructible: usable until the very end of a thread. Null before the thread's first
  // buffer and after its exit handler; a buffer freed later still makes a new cache.
  static inline thread_local constinit ThreadCache* thread_cache_ = nullptr;

  // Below, `mutex_` is held where the name ends in Locked.
  ThreadCache* GetThreadCache();
  Storage* Refill(ThreadCache* cache, int size_class);
  void GiveBatch(ThreadCache* cache, int size_class, Storage* list, int size);
  void GiveBatchLocked(int size_class, Storage* list, int size);
  Region FreshRegionLocked(size_t block_bytes);
  void KeepRegionLocked(Region region);
  std::byte* AskSystemLocked(size_t bytes, size_t asked);
  void TrimLocked();
  void FoldPeakLocked(ThreadCache* own);
  int64_t LiveBytesLocked() const;
  [[noreturn]] void RefuseLocked(size_t asked, const std::string& reason) const;

  std::mutex mutex_;
  pthread_key_t thread_exit_;
  std::vector<ThreadCache*> caches_;
  std::vector<Region> fresh_regions_;  // what is left of chunks
  // Lists of batches; written under the lock, and looked at without it to see whether to take it.
  std::atomic<Storage*> batches_[kSmallClasses] = {};
  Storage* free_large_[kClasses] = {};  // lists of buffers
  int64_t ended_threads_live_bytes_ = 0;
  int64_t large_live_bytes_ = 0;
  int64_t peak_bytes_ = 0;
  int64_t system_bytes_ = 0;
  int64_t system_allocations_ = 0;
  int64_t limit_ = 0;
  const size_t page_bytes_;
};

}  // namespace wengert

#endif  // WENGERT_TENSOR_POOL_IMPL_H_
