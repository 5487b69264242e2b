// The buffer pool's small buffers: lists that belong to a thread, without locks or atomic
// read-modify-writes, which change threads in batches.
#include "tensor/pool.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "tensor/pool_impl.h"

namespace wengert {
namespace {

// Only the owning thread writes, so a load and a store make an increment.
void Add(std::atomic<int64_t>& counter, int64_t difference) {
  counter.store(counter.load(std::memory_order_relaxed) + difference, std::memory_order_relaxed);
}

}  // namespace

inline Storage* Pool::HandOut(ThreadCache* cache, Storage* storage) {
  const int64_t live = cache->live_bytes.load(std::memory_order_relaxed) + BlockBytes(storage);
  cache->live_bytes.store(live, std::memory_order_relaxed);
  if (live > cache->peak_bytes.load(std::memory_order_relaxed)) {
    cache->peak_bytes.store(live, std::memory_order_relaxed);
  }
  ASAN_UNPOISON_MEMORY_REGION(storage->data(), storage->capacity_);
  storage->references_.store(1, std::memory_order_relaxed);
  return storage;
}

inline Storage* Pool::AllocateSmall(size_t bytes) {
  const int size_class = SizeClass(bytes);
  ThreadCache* cache = thread_cache_;
  if (cache != nullptr) [[likely]] {
    Magazine& magazine = cache->magazines[size_class];
    if (Storage* storage = magazine.list) [[likely]] {
      magazine.list = storage->next_free_;
      --magazine.list_size;
      return HandOut(cache, storage);
    }
  }
  Pool& pool = Get();
  cache = pool.GetThreadCache();
  return HandOut(cache, pool.Refill(cache, size_class));
}

inline void Pool::FreeSmall(Storage* storage) {
  const int size_class = storage->size_class_;
  ThreadCache* cache = thread_cache_;
  if (cache == nullptr) [[unlikely]]
    cache = Get().GetThreadCache();
  Magazine& magazine = cache->magazines[size_class];
  Add(cache->live_bytes, -static_cast<int64_t>(BlockBytes(storage)));
  storage->next_free_ = magazine.list;
  magazine.list = storage;
  ASAN_POISON_MEMORY_REGION(storage->data(), storage->capacity_);
  if (++magazine.list_size < kBatchSizes[size_class]) [[likely]]
    return;
  if (magazine.spare) Get().GiveBatch(cache, size_class, magazine.spare, magazine.list_size);
  magazine.spare = std::exchange(magazine.list, nullptr);
  magazine.list_size = 0;
}

Pool::ThreadCache* Pool::GetThreadCache() {
  if (thread_cache_ == nullptr) {
    auto* cache = new ThreadCache;
    const std::lock_guard lock(mutex_);
    caches_.push_back(cache);
    // A key, not a thread_local destructor: it runs after those, and again if one of the keys that
    // follow frees a tensor. The main thread's never runs, so static destructors find its cache.
    pthread_setspecific(thread_exit_, cache);
    thread_cache_ = cache;
  }
  return thread_cache_;
}

void Pool::OnThreadExit(void* ending) {
  auto* cache = static_cast<ThreadCache*>(ending);
  Pool& pool = Get();
  {
    const std::lock_guard lock(pool.mutex_);
    pool.FoldPeakLocked(cache);
    pool.ended_threads_live_bytes_ += cache->live_bytes.load(std::memory_order_relaxed);
    std::erase(pool.caches_, cache);
    pool.KeepRegionLocked(cache->fresh);
    for (int i = 0; i < kSmallClasses; ++i) {
      const Magazine& magazine = cache->magazines[i];
      if (magazine.list) pool.GiveBatchLocked(i, magazine.list, magazine.list_size);
      if (magazine.spare) pool.GiveBatchLocked(i, magazine.spare, kBatchSizes[i]);
    }
  }
  thread_cache_ = nullptr;
  delete cache;
}

// A buffer for a thread whose list is empty: from its spare batch, a batch that another thread
// gave, its fresh memory, or the system.
Storage* Pool::Refill(ThreadCache* cache, int size_class) {
  Magazine& magazine = cache->magazines[size_class];
  if (magazine.list == nullptr && magazine.spare != nullptr) {
    magazine.list = std::exchange(magazine.spare, nullptr);
    magazine.list_size = kBatchSizes[size_class];
  }
  std::atomic<Storage*>& batches = batches_[size_class];
  if (magazine.list == nullptr && batches.load(std::memory_order_relaxed) != nullptr) {
    const std::lock_guard lock(mutex_);
    if (Storage* batch = batches.load(std::memory_order_relaxed)) {
      batches.store(batch->next_batch_, std::memory_order_relaxed);
      magazine.list = batch;
      magazine.list_size = batch->batch_size_;
    }
  }
  if (Storage* storage = magazine.list) {
    magazine.list = storage->next_free_;
    --magazine.list_size;
    return storage;
  }
  const size_t block_bytes = ClassBytes(size_class) + kOverhead;
  if (cache->fresh.size() < block_bytes) {
    const std::lock_guard lock(mutex_);
    KeepRegionLocked(std::exchange(cache->fresh, {}));
    cache->fresh = FreshRegionLocked(block_bytes);
  }
  std::byte* block = cache->fresh.begin;
  cache->fresh.begin += block_bytes;
  return MakeStorage(block, size_class, block_bytes);
}

void Pool::GiveBatch(ThreadCache* cache, int size_class, Storage* list, int size) {
  const std::lock_guard lock(mutex_);
  FoldPeakLocked(cache);
  GiveBatchLocked(size_class, list, size);
}

void Pool::GiveBatchLocked(int size_class, Storage* list, int size) {
  list->batch_size_ = size;
  list->next_batch_ = batches_[size_class].load(std::memory_order_relaxed);
  batches_[size_class].store(list, std::memory_order_relaxed);
}

Pool::Region Pool::FreshRegionLocked(size_t block_bytes) {
  const auto fits = [&](const Region& region) { return region.size() >= block_bytes; };
  const auto kept = std::find_if(fresh_regions_.begin(), fresh_regions_.end(), fits);
  if (kept != fresh_regions_.end()) {
    const Region region = *kept;
    *kept = fresh_regions_.back();
    fresh_regions_.pop_back();
    return region;
  }
  std::byte* chunk = AskSystemLocked(kChunkBytes, block_bytes - kOverhead);
  ASAN_POISON_MEMORY_REGION(chunk, kChunkBytes);
  return {chunk, chunk + kChunkBytes};
}

void Pool::KeepRegionLocked(Region region) {
  if (region.size() >= ClassBytes(0) + kOverhead) fresh_regions_.push_back(region);
}

StoragePtr StoragePtr::Allocate(size_t bytes) {
  if (bytes <= kMaxSmallBytes) [[likely]]
    return StoragePtr(Pool::AllocateSmall(bytes));
  return StoragePtr(Pool::Get().AllocateLarge(bytes));
}

void StoragePtr::Free(Storage* storage) {
  if (storage->size_class_ < kSmallClasses) [[likely]] {
    Pool::FreeSmall(storage);
  } else {
    Pool::Get().FreeLarge(storage);
  }
}

PoolStatistics GetPoolStatistics() { return Pool::Get().Statistics(); }
void ResetPoolPeak() { Pool::Get().ResetPeak(); }
void SetPoolLimit(int64_t bytes) { Pool::Get().SetLimit(bytes); }
void TrimPool() { Pool::Get().Trim(); }

}  // namespace wengert
