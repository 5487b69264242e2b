// ParallelFor: what runs where, exceptions, and the floating-point control of its workers.

#include "tensor/parallel.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/error.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace wengert {
namespace {

class ParallelTest : public testing::Test {
 protected:
  ~ParallelTest() override { SetNumThreads(threads_); }

 private:
  const int threads_ = NumThreads();
};

// The threads that a loop ran on.
std::set<std::thread::id> ThreadsUsed(int tasks) {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  ParallelFor(tasks, [&](int64_t) {
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  return ids;
}

// Ends only if `threads` run at once.
void MeetInALoop(int threads) {
  SetNumThreads(threads);
  std::atomic<int> arrived = 0;
  ParallelFor(threads, [&](int64_t) {
    ++arrived;
    while (arrived < threads) std::this_thread::yield();
  });
}

TEST_F(ParallelTest, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    SetNumThreads(threads);
    EXPECT_EQ(NumThreads(), threads);
    for (const int tasks : {0, 1, 2, 7, 64, 1000}) {
      std::vector<std::atomic<int>> runs(tasks);
      ParallelFor(tasks, [&](int64_t task) { ++runs[task]; });
      for (const std::atomic<int>& count : runs) EXPECT_EQ(count, 1);
    }
  }
}

TEST_F(ParallelTest, RejectsNoThreads) {
  try {
    SetNumThreads(0);
    FAIL() << "no exception";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[set_num_threads] the number of threads must be at least 1");
  }
}

TEST_F(ParallelTest, UsesTheTeam) { MeetInALoop(2); }

TEST_F(ParallelTest, WorkersThatWentToSleepAreWokenAndTeamsChangeTheirSize) {
  for (const int threads : {2, 5, 2, 8, 3}) {
    MeetInALoop(threads);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    MeetInALoop(threads);
  }
}

TEST_F(ParallelTest, NestedLoopsRunSerially) {
  SetNumThreads(2);
  std::atomic<int> total = 0;
  ParallelFor(4, [&](int64_t) {
    const std::thread::id outer = std::this_thread::get_id();
    ParallelFor(5, [&](int64_t) { total += std::this_thread::get_id() == outer; });
  });
  EXPECT_EQ(total, 20);
}

TEST_F(ParallelTest, OtherThreadsRunSeriallyUnlessGuarded) {
  SetNumThreads(2);
  std::thread([] {
    EXPECT_THAT(ThreadsUsed(100), testing::ElementsAre(std::this_thread::get_id()));
    const ParallelGuard guard;
    MeetInALoop(2);
  }).join();
}

TEST_F(ParallelTest, TheLowestTasksExceptionComesOut) {
  for (const int threads : {1, 2, 3, 8}) {
    SetNumThreads(threads);
    for (int trial = 0; trial < 50; ++trial) {
      std::vector<std::atomic<int>> runs(100);
      try {
        ParallelFor(100, [&](int64_t task) {
          ++runs[task];
          if (task % 10 == 7) throw std::runtime_error(std::to_string(task));
        });
        FAIL() << "no exception";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "7");
      }
      for (int task = 0; task < 7; ++task) EXPECT_EQ(runs[task], 1);
    }
    EXPECT_EQ(ThreadsUsed(1).size(), 1u);  // and the team is usable afterwards
  }
}

#if defined(__SSE__)
TEST_F(ParallelTest, WorkersFlushToZeroWhereTheCallerDoes) {
  SetNumThreads(4);
  const auto count_zeros = [] {
    std::atomic<int> zeros = 0;
    ParallelFor(64, [&](int64_t) {
      volatile float tiny = std::numeric_limits<float>::min();
      volatile float half = tiny * 0.5f;
      zeros += half == 0.0f;
    });
    return zeros.load();
  };
  const unsigned control = _mm_getcsr();
  EXPECT_EQ(count_zeros(), 0);
  _mm_setcsr(control | 0x8040);
  EXPECT_EQ(count_zeros(), 64);
  _mm_setcsr(control);
  EXPECT_EQ(count_zeros(), 0);
}
#endif

}  // namespace
}  // namespace wengert
