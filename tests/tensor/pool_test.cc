#include "tensor/pool.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr size_t kKiB = 1 << 10, kMiB = 1 << 20;

bool IsAligned(const void* address, size_t alignment) {
  return reinterpret_cast<uintptr_t>(address) % alignment == 0;
}

std::vector<size_t> Sizes() {
  std::vector<size_t> sizes;
  for (size_t bytes = 0; bytes <= 5000; bytes += bytes < 700 ? 1 : 61) sizes.push_back(bytes);
  for (size_t bytes = 8 * kKiB; bytes <= 40 * kMiB; bytes += bytes / 5) {
    sizes.insert(sizes.end(), {bytes - 1, bytes, bytes + 1});
  }
  for (size_t power = 64; power <= 16 * kMiB; power *= 2) {
    sizes.insert(sizes.end(), {power - 1, power, power + 1});
  }
  return sizes;
}

TEST(PoolTest, BuffersAreAlignedWithRoomForAVectorPastTheEnd) {
  for (size_t bytes : Sizes()) {
    const StoragePtr storage = StoragePtr::Allocate(bytes);
    EXPECT_TRUE(IsAligned(storage->data(), 64)) << bytes;
    EXPECT_GE(storage->capacity(), bytes + 64) << bytes;
    // A quarter at most is lost to the class, beside fixed parts and whole pages.
    EXPECT_LE(storage->capacity(), bytes + bytes / 4 + (bytes > 64 * kKiB ? 8 * kKiB : 192));
    if (bytes >= 2 * kMiB) {
      EXPECT_TRUE(IsAligned(storage.get(), 2 * kMiB)) << bytes;
    }
    EXPECT_TRUE(storage->unique());
    std::memset(storage->data(), 0xA5, storage->capacity());
  }
}

TEST(PoolTest, LiveBuffersNeverOverlap) {
  std::mt19937 random(1);
  std::vector<std::pair<StoragePtr, unsigned char>> live(200);
  const std::vector<size_t> sizes = Sizes();
  for (int i = 0; i < 20000; ++i) {
    auto& [storage, fill] = live[random() % live.size()];
    if (storage) {
      for (size_t at : {size_t{0}, storage->capacity() / 2, storage->capacity() - 1}) {
        ASSERT_EQ(static_cast<unsigned char>(storage->data()[at]), fill);
      }
    }
    storage = StoragePtr::Allocate(std::min(sizes[random() % sizes.size()], 100 * kKiB));
    fill = static_cast<unsigned char>(random());
    std::memset(storage->data(), fill, storage->capacity());
  }
}

TEST(PoolTest, FreedBuffersAreReused) {
  for (size_t bytes : {size_t{4}, 60 * kKiB, 100 * kKiB, 5 * kMiB}) {
    const Storage* first = StoragePtr::Allocate(bytes).get();
    const PoolStatistics before = GetPoolStatistics();
    for (int i = 0; i < 10; ++i) EXPECT_EQ(StoragePtr::Allocate(bytes).get(), first);
    EXPECT_EQ(GetPoolStatistics().system_allocations, before.system_allocations);
  }
}

TEST(PoolTest, CopiesShareAndTheLastOneFrees) {
  const int64_t before = GetPoolStatistics().live_bytes;
  {
    StoragePtr a = StoragePtr::Allocate(100);
    StoragePtr b = a;
    EXPECT_FALSE(a->unique());
    StoragePtr c = std::move(a);
    EXPECT_FALSE(a);  // NOLINT: moved from, and empty
    b.reset();
    EXPECT_TRUE(c->unique());
    const StoragePtr& self = c;
    c = self;
    EXPECT_TRUE(c->unique());
    b = c;
    c = StoragePtr();
    EXPECT_TRUE(b->unique());
    EXPECT_GT(GetPoolStatistics().live_bytes, before);
  }
  EXPECT_EQ(GetPoolStatistics().live_bytes, before);
}

TEST(PoolTest, Statistics) {
  ResetPoolPeak();
  const PoolStatistics start = GetPoolStatistics();
  EXPECT_EQ(start.peak_bytes, start.live_bytes);
  int64_t highest;
  {
    std::vector<StoragePtr> held;
    for (size_t bytes : {size_t{1}, size_t{1000}, 50 * kKiB, 3 * kMiB, 33 * kMiB}) {
      const int64_t before = GetPoolStatistics().live_bytes;
      held.push_back(StoragePtr::Allocate(bytes));
      EXPECT_EQ(GetPoolStatistics().live_bytes - before,
                static_cast<int64_t>(held.back()->capacity() + sizeof(Storage)));
    }
    highest = GetPoolStatistics().live_bytes;
    EXPECT_GE(GetPoolStatistics().system_bytes, highest);
    EXPECT_EQ(GetPoolStatistics().peak_bytes, highest);
  }
  EXPECT_EQ(GetPoolStatistics().live_bytes, start.live_bytes);
  EXPECT_EQ(GetPoolStatistics().peak_bytes, highest);
  ResetPoolPeak();
  EXPECT_EQ(GetPoolStatistics().peak_bytes, start.live_bytes);
}

TEST(PoolTest, PeakOfOneThreadIsExact) {
  std::mt19937 random(5);
  ResetPoolPeak();
  int64_t live = GetPoolStatistics().live_bytes, peak = live;
  std::vector<StoragePtr> held(30);
  const auto bytes_of = [](StoragePtr& storage) -> int64_t {
    return storage ? storage->capacity() + sizeof(Storage) : 0;
  };
  for (int i = 0; i < 5000; ++i) {
    StoragePtr& storage = held[random() % held.size()];
    live -= bytes_of(storage);
    storage.reset();
    storage = StoragePtr::Allocate(random() % 10 ? random() % 5000 : random() % (400 * kKiB));
    live += bytes_of(storage);
    peak = std::max(peak, live);
  }
  EXPECT_EQ(GetPoolStatistics().live_bytes, live);
  EXPECT_EQ(GetPoolStatistics().peak_bytes, peak);
}

TEST(PoolTest, PeakOfSmallBuffersThatAreGone) {
  ResetPoolPeak();
  int64_t peak = GetPoolStatistics().live_bytes;
  {
    std::vector<StoragePtr> held;
    for (int i = 0; i < 50; ++i) {
      held.push_back(StoragePtr::Allocate(1000));
      peak += held.back()->capacity() + sizeof(Storage);
    }
  }
  EXPECT_EQ(GetPoolStatistics().peak_bytes, peak);
}

TEST(PoolTest, TrimGivesLargeBuffersBack) {
  TrimPool();
  const int64_t before = GetPoolStatistics().system_bytes;
  StoragePtr held = StoragePtr::Allocate(3 * kMiB);
  StoragePtr::Allocate(7 * kMiB);
  StoragePtr::Allocate(200 * kKiB);
  EXPECT_GE(GetPoolStatistics().system_bytes, before + static_cast<int64_t>(10 * kMiB));
  TrimPool();
  EXPECT_EQ(GetPoolStatistics().system_bytes,
            before + static_cast<int64_t>(held->capacity() + sizeof(Storage)));
  std::memset(held->data(), 1, held->capacity());
}

class PoolLimitTest : public testing::Test {
 protected:
  ~PoolLimitTest() override { SetPoolLimit(0); }
};

TEST_F(PoolLimitTest, RequestsPastItThrowAndNothingBreaks) {
  TrimPool();
  SetPoolLimit(GetPoolStatistics().system_bytes + static_cast<int64_t>(20 * kMiB));
  const int64_t live = GetPoolStatistics().live_bytes;
  EXPECT_THAT(ThrownMessage([] { StoragePtr::Allocate(64 * kMiB); }),
              MatchesRegex("\\[allocate\\] 64\\.0 MiB asked for, .* held from "
                           "the system, limit .* MiB, live .*"));
  EXPECT_EQ(GetPoolStatistics().live_bytes, live);
  // What is kept counts, and makes room when it must.
  StoragePtr::Allocate(12 * kMiB);
  const StoragePtr larger = StoragePtr::Allocate(14 * kMiB);
  EXPECT_THAT(ThrownMessage([] { StoragePtr::Allocate(12 * kMiB); }),
              StartsWith("[allocate] 12.0 MiB asked for, "));
  // Small buffers meet the limit too.
  std::vector<StoragePtr> held;
  EXPECT_THAT(ThrownMessage([&] {
                while (held.size() < 100000) held.push_back(StoragePtr::Allocate(1000));
              }),
              StartsWith("[allocate] 1.0 KiB asked for, "));
  EXPECT_LT(held.size(), 100000u);
  held.clear();
  EXPECT_TRUE(StoragePtr::Allocate(1000));
  SetPoolLimit(0);
  EXPECT_TRUE(StoragePtr::Allocate(64 * kMiB));
  EXPECT_EQ(ThrownMessage([] { SetPoolLimit(-1); }), "[set_pool_limit] -1 is negative");
}

TEST(PoolTest, WhatTheSystemRefusesThrows) {
  EXPECT_THAT(
      ThrownMessage([] { StoragePtr::Allocate(size_t{1} << 50); }),
      MatchesRegex("\\[allocate\\] 1\\.0 PiB asked for, the system refuses \\(Cannot allocate "
                   "memory\\), no limit, live .*"));
  for (const size_t bytes : {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 2, (size_t{1} << 62) + 1}) {
    EXPECT_THAT(ThrownMessage([&] { StoragePtr::Allocate(bytes); }),
                HasSubstr("EiB asked for, more than any system has"));
  }
  EXPECT_THAT(ThrownMessage([&] { StoragePtr::Allocate(size_t{1} << 62); }),
              HasSubstr("4.0 EiB asked for"));
  EXPECT_TRUE(StoragePtr::Allocate(100 * kKiB));
}

#if defined(__SANITIZE_ADDRESS__)
TEST(PoolDeathTest, UseAfterFreeIsFound) {
  for (const size_t bytes : {size_t{100}, 3 * kMiB}) {
    EXPECT_DEATH(
        {
          StoragePtr storage = StoragePtr::Allocate(bytes);
          volatile std::byte* data = storage->data();
          storage.reset();
          data[50] = std::byte{1};
        },
        "use-after-poison");
  }
}
#endif

}  // namespace
}  // namespace wengert
