// Small buffers belong to threads: here they change hands. Run it under the thread sanitizer too.
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

constexpr size_t kKiB = 1 << 10, kMiB = 1 << 20;

TEST(PoolThreadTest, FreedInAnotherThread) {
  const int64_t live = GetPoolStatistics().live_bytes;
  int64_t system_bytes = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<StoragePtr> batch;
    for (int i = 0; i < 5000; ++i) batch.push_back(StoragePtr::Allocate(i % 600));
    std::thread([&] {
      for (int i = 0; i < 1000; ++i) batch[i] = StoragePtr::Allocate(i);
      batch.clear();
    }).join();
    EXPECT_EQ(GetPoolStatistics().live_bytes, live);
    if (round == 2) system_bytes = GetPoolStatistics().system_bytes;
  }
  EXPECT_EQ(GetPoolStatistics().system_bytes, system_bytes)
      << "what one thread frees, others reuse";
}

TEST(PoolThreadTest, AConsumerDoesNotHoardWhatAProducerAllocates) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<StoragePtr> batch;  // what is under way
  bool done = false;
  std::thread consumer([&] {
    std::unique_lock lock(mutex);
    while (!done) {
      changed.wait(lock, [&] { return !batch.empty() || done; });
      batch.clear();
      changed.notify_one();
    }
  });
  const int64_t before = GetPoolStatistics().system_bytes;
  for (int i = 0; i < 2000; ++i) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return batch.empty(); });
    for (int j = 0; j < 100; ++j) batch.push_back(StoragePtr::Allocate(500));
    changed.notify_one();
  }
  {
    const std::lock_guard lock(mutex);
    done = true;
  }
  changed.notify_one();
  consumer.join();
  EXPECT_LE(GetPoolStatistics().system_bytes, before + static_cast<int64_t>(4 * kMiB))
      << "of 128 MB that passed through";
}

TEST(PoolThreadTest, AThreadThatEndsLeavesItsBuffersToOthers) {
  const auto work = [] {
    std::vector<StoragePtr> held;
    for (int i = 0; i < 20000; ++i) held.push_back(StoragePtr::Allocate(i % 2000));
  };
  std::thread(work).join();
  const PoolStatistics after_one = GetPoolStatistics();
  for (int i = 0; i < 5; ++i) std::thread(work).join();
  EXPECT_EQ(GetPoolStatistics().system_bytes, after_one.system_bytes);
  EXPECT_EQ(GetPoolStatistics().live_bytes, after_one.live_bytes);
}

TEST(PoolThreadTest, BuffersOutliveTheirThread) {
  StoragePtr survivor;
  std::thread([&] {
    survivor = StoragePtr::Allocate(300);
    std::memset(survivor->data(), 7, 300);
  }).join();
  std::thread([] { StoragePtr::Allocate(300); }).join();
  EXPECT_EQ(survivor->data()[299], std::byte{7});
}

TEST(PoolThreadTest, ThreadLocalsMayFreeLate) {
  const int64_t before = GetPoolStatistics().live_bytes;
  std::thread([] {
    static thread_local StoragePtr late;
    late = StoragePtr::Allocate(10);
  }).join();
  EXPECT_EQ(GetPoolStatistics().live_bytes, before);
}

// Destroyed after main returns; the sanitizers would see a pool that is gone by then.
StoragePtr& StaticStorage() {
  static StoragePtr storage;
  return storage;
}
TEST(PoolThreadTest, StaticsMayFreeAfterMain) { StaticStorage() = StoragePtr::Allocate(10); }

TEST(PoolThreadTest, ManyThreadsExchangeBuffers) {
  constexpr int kThreads = 6, kSlots = 64, kRounds = 20000;
  struct Slot {
    std::mutex mutex;
    StoragePtr storage;
    std::byte fill;
  };
  std::vector<Slot> slots(kSlots);
  std::vector<std::thread> threads;
  std::vector<int> damaged(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(thread);
      for (int round = 0; round < kRounds; ++round) {
        const size_t bytes = random() % 50 ? random() % 300 : random() % (100 * kKiB);
        StoragePtr storage = StoragePtr::Allocate(bytes);
        const std::byte fill = static_cast<std::byte>(random());
        std::memset(storage->data(), static_cast<int>(fill), storage->capacity());
        Slot& slot = slots[random() % kSlots];
        const std::lock_guard lock(slot.mutex);
        if (slot.storage && (slot.storage->data()[0] != slot.fill ||
                             slot.storage->data()[slot.storage->capacity() - 1] != slot.fill)) {
          ++damaged[thread];
        }
        StoragePtr shared = slot.storage;
        slot.storage = std::move(storage);
        slot.fill = fill;
        if (round % 100 == 0) GetPoolStatistics();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(damaged, testing::Each(0));
}

}  // namespace
}  // namespace wengert
