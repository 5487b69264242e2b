// The buffer pool's large buffers, what it asks of the system, its limit and its statistics.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tensor/error.h"
#include "tensor/pool_impl.h"

namespace wengert {
namespace {

std::string Readable(size_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " bytes");
  const int unit = (std::bit_width(bytes) - 1) / 10;
  return absl::StrFormat("%.1f %s", static_cast<double>(bytes) / (uint64_t{1} << 10 * unit),
                         kUnits[unit]);
}

}  // namespace

Pool::Pool() : page_bytes_(sysconf(_SC_PAGESIZE)) {
  pthread_key_create(&thread_exit_, &Pool::OnThreadExit);
}

Storage* Pool::MakeStorage(std::byte* block, int size_class, size_t block_bytes) {
  ASAN_UNPOISON_MEMORY_REGION(block, kLine);
  Storage* storage = new (block) Storage;
  storage->size_class_ = size_class;
  storage->capacity_ = block_bytes - kLine;
  return storage;
}

Storage* Pool::AllocateLarge(size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > kMaxBytes) RefuseLocked(bytes, "more than any system has");
  const int size_class = SizeClass(bytes);
  Storage*& list = free_large_[size_class];
  Storage* storage = list;
  if (storage != nullptr) {
    list = storage->next_free_;
  } else {
    const size_t page = page_bytes_;
    const size_t block_bytes = (ClassBytes(size_class) + kOverhead + page - 1) / page * page;
    storage = MakeStorage(AskSystemLocked(block_bytes, bytes), size_class, block_bytes);
  }
  FoldPeakLocked(thread_cache_);
  large_live_bytes_ += BlockBytes(storage);
  ASAN_UNPOISON_MEMORY_REGION(storage->data(), storage->capacity_);
  storage->references_.store(1, std::memory_order_relaxed);
  return storage;
}

void Pool::FreeLarge(Storage* storage) {
  const std::lock_guard lock(mutex_);
  FoldPeakLocked(thread_cache_);
  large_live_bytes_ -= BlockBytes(storage);
  Storage*& list = free_large_[storage->size_class_];
  storage->next_free_ = std::exchange(list, storage);
  ASAN_POISON_MEMORY_REGION(storage->data(), storage->capacity_);
}

std::byte* Pool::AskSystemLocked(size_t bytes, size_t asked) {
  const auto within_limit = [&] {
    return limit_ == 0 || (bytes <= static_cast<size_t>(limit_) &&
                           system_bytes_ <= limit_ - static_cast<int64_t>(bytes));
  };
  if (!within_limit()) TrimLocked();
  if (!within_limit()) {
    RefuseLocked(asked, absl::StrCat(Readable(system_bytes_), " held from the system"));
  }
  const size_t alignment = bytes >= kHugePage ? kHugePage : page_bytes_;
  const size_t span = bytes + alignment - page_bytes_;
  const auto map = [&] {
    return mmap(nullptr, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  };
  void* mapped = map();
  if (mapped == MAP_FAILED) {
    TrimLocked();
    mapped = map();
  }
  if (mapped == MAP_FAILED) {
    RefuseLocked(asked, absl::StrCat("the system refuses (", std::strerror(errno), ")"));
  }
  std::byte* begin = static_cast<std::byte*>(mapped);
  const size_t head = -reinterpret_cast<uintptr_t>(begin) % alignment;
  if (head > 0) munmap(begin, head);
  if (span > head + bytes) munmap(begin + head + bytes, span - head - bytes);
  begin += head;
  if (bytes >= kHugePage) madvise(begin, bytes, MADV_HUGEPAGE);
  system_bytes_ += bytes;
  ++system_allocations_;
  return begin;
}

void Pool::TrimLocked() {
  for (Storage*& list : free_large_) {
    while (Storage* storage = list) {
      list = storage->next_free_;
      const size_t block_bytes = BlockBytes(storage);
      ASAN_UNPOISON_MEMORY_REGION(storage, block_bytes);
      munmap(storage, block_bytes);
      system_bytes_ -= block_bytes;
    }
  }
}

void Pool::RefuseLocked(size_t asked, const std::string& reason) const {
  throw Error("allocate",
              absl::StrCat(Readable(asked), " asked for, ", reason, ", ",
                           limit_ > 0 ? absl::StrCat("limit ", Readable(limit_)) : "no limit",
                           ", live ", Readable(LiveBytesLocked())));
}

// Raises the peak to the most that may have been live since the last call. Small buffers of `own`,
// the calling thread, count with their highest sum in between, during which large_live_bytes_ did
// not change: with one thread the peak is exact.
void Pool::FoldPeakLocked(ThreadCache* own) {
  int64_t bytes = large_live_bytes_ + ended_threads_live_bytes_;
  for (const ThreadCache* cache : caches_)
    bytes += cache->peak_bytes.load(std::memory_order_relaxed);
  peak_bytes_ = std::max(peak_bytes_, bytes);
  if (own != nullptr) {
    own->peak_bytes.store(own->live_bytes.load(std::memory_order_relaxed),
                          std::memory_order_relaxed);
  }
}

int64_t Pool::LiveBytesLocked() const {
  int64_t bytes = large_live_bytes_ + ended_threads_live_bytes_;
  for (const ThreadCache* cache : caches_)
    bytes += cache->live_bytes.load(std::memory_order_relaxed);
  return bytes;
}

PoolStatistics Pool::Statistics() {
  const std::lock_guard lock(mutex_);
  FoldPeakLocked(thread_cache_);
  return {.live_bytes = LiveBytesLocked(),
          .peak_bytes = peak_bytes_,
          .system_bytes = system_bytes_,
          .system_allocations = system_allocations_};
}

void Pool::ResetPeak() {
  const std::lock_guard lock(mutex_);
  FoldPeakLocked(thread_cache_);
  peak_bytes_ = LiveBytesLocked();
}

void Pool::SetLimit(int64_t bytes) {
  if (bytes < 0) throw Error("set_pool_limit", absl::StrCat(bytes, " is negative"));
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}

void Pool::Trim() {
  const std::lock_guard lock(mutex_);
  TrimLocked();
}

}  // namespace wengert
