// ParallelFor on a team of threads of our own.
//
// A loop never waits for a thread that has not begun to work on it: where other programs want the
// cores too, a worker that the system does not run costs nothing, and the caller does its tasks.
// (OpenMP's regions end at a barrier for all, which then takes a time slice each: a step of a few
// milliseconds took ten times as long on two busy cores.)

#include "tensor/parallel.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/fixed_array.h"
#include "tensor/error.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace wengert {
namespace {

const std::thread::id kMainThread = std::this_thread::get_id();
thread_local int parallel_guards = 0;

// What the process may use: OMP_NUM_THREADS, as for its libraries, or else its cores.
int InitialTeamSize() {
  if (const char* variable = std::getenv("OMP_NUM_THREADS")) {
    const int threads = std::atoi(variable);
    if (threads >= 1) return threads;
  }
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return CPU_COUNT(&cores);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}
std::atomic<int>& TeamSize() {
  static std::atomic<int> size = InitialTeamSize();
  return size;
}

#if defined(__SSE__)
using FloatControl = unsigned;
// The low six bits are sticky status, not control.
FloatControl GetFloatControl() { return _mm_getcsr() & ~0x3fu; }
void SetFloatControl(FloatControl control) { _mm_setcsr(control); }
#elif defined(__aarch64__)
using FloatControl = uint64_t;
FloatControl GetFloatControl() {
  uint64_t control;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  return control;
}
void SetFloatControl(FloatControl control) { asm volatile("msr fpcr, %0" : : "r"(control)); }
#else
using FloatControl = int;
FloatControl GetFloatControl() { return 0; }
void SetFloatControl(FloatControl) {}
#endif

// The tasks that one thread starts with. Others take from it when their own are done.
struct alignas(64) TaskRange {
  std::atomic<int64_t> next;
  int64_t end;
};

struct Loop {
  Loop(int64_t tasks, int threads, absl::FunctionRef<void(int64_t)> body)
      : body(body), threads(threads), ranges(threads), failed_task(tasks) {
    // Neighbouring tasks start on the same thread in every loop, so that what one loop leaves in a
    // core's cache serves the next; a thread that is done helps the others, so that a slow core
    // does not hold up the team.
    for (int i = 0; i < threads; ++i) {
      ranges[i].next.store(tasks * i / threads, std::memory_order_relaxed);
      ranges[i].end = tasks * (i + 1) / threads;
    }
  }

  void Run(int self) {
    for (int i = 0; i < threads; ++i) {
      TaskRange& range = ranges[(self + i) % threads];
      int64_t task;
      while ((task = range.next.fetch_add(1, std::memory_order_relaxed)) < range.end) {
        if (task > failed_task.load(std::memory_order_relaxed)) break;
        try {
          body(task);
        } catch (...) {
          const std::lock_guard lock(error_mutex);
          if (task < failed_task.load(std::memory_order_relaxed)) {
            failed_task.store(task, std::memory_order_relaxed);
            error = std::current_exception();
          }
        }
      }
    }
  }

  const absl::FunctionRef<void(int64_t)> body;
  const int threads;
  absl::FixedArray<TaskRange, 16> ranges;
  const FloatControl control = GetFloatControl();
  std::atomic<int64_t> failed_task;
  std::exception_ptr error;
  std::mutex error_mutex;
};

thread_local bool in_loop = false;

inline void Pause() {
#if defined(__SSE__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Calls ready() until it is true or a while has passed; first keeps the core, then offers it.
template <class F>
bool Spin(std::chrono::microseconds most, const F& ready) {
  constexpr int kPauses = 2000;  // 50 to 100 us
  for (int i = 0; i < kPauses; ++i) {
    if (ready()) return true;
    Pause();
  }
  const auto end = std::chrono::steady_clock::now() + most;
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      std::this_thread::yield();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

// The workers of one calling thread.
class Team {
 public:
  Team() = default;
  Team(const Team&) = delete;
  ~Team() {
    state_.store(kQuit);
    for (const auto& worker : workers_) Wake(*worker);
    for (const auto& worker : workers_) worker->thread.join();
  }

  void Run(Loop& loop) {
    while (static_cast<int>(workers_.size()) < loop.threads - 1 && AddWorker()) continue;
    loop_ = &loop;
    const uint64_t number = (state_.load(std::memory_order_relaxed) / kLoop + 1) * kLoop;
    state_.store(number | kOpen);
    const size_t wanted = std::min<size_t>(workers_.size(), loop.threads - 1);
    for (size_t i = 0; i < wanted; ++i) Wake(*workers_[i]);
    loop.Run(0);
    state_.fetch_and(~kOpen);  // from here on nobody joins
    const auto done = [this] { return state_.load(std::memory_order_acquire) % kOpen == 0; };
    while (!Spin(std::chrono::seconds(1), done)) continue;
  }

 private:
  // state_: the number of the loop, whether it takes workers, and how many work on it.
  static constexpr uint64_t kOpen = 1 << 20, kLoop = kOpen * 2, kQuit = ~uint64_t{0};
  static constexpr std::chrono::milliseconds kPatience{2};  // of a worker, before it sleeps

  struct alignas(64) Worker {
    std::atomic<bool> sleeps = false;
    std::thread thread;
  };

  // False if the system gives no more threads: others do what it would.
  bool AddWorker() {
    auto worker = std::make_unique<Worker>();
    const int self = static_cast<int>(workers_.size()) + 1;
    const uint64_t seen = state_.load(std::memory_order_relaxed) / kLoop;
    try {
      workers_.reserve(workers_.size() + 1);
      worker->thread = std::thread([this, &of = *worker, self, seen] { Work(of, self, seen); });
    } catch (const std::system_error&) {
      return false;
    }
    workers_.push_back(std::move(worker));
    return true;
  }

  static void Wake(Worker& worker) {
    if (worker.sleeps.load() && worker.sleeps.exchange(false)) worker.sleeps.notify_one();
  }

  void Work(Worker& worker, int self, uint64_t seen) {
    in_loop = true;
    omp_set_num_threads(1);  // of a library that a task calls
    uint64_t state;
    const auto has_news = [&] {
      state = state_.load();
      return state / kLoop != seen && (state & kOpen);
    };
    for (;;) {
      while (!Spin(kPatience, has_news)) {
        worker.sleeps.store(true);
        if (has_news()) {
          worker.sleeps.store(false);
        } else {
          worker.sleeps.wait(true);
        }
      }
      if (state == kQuit) return;
      if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire)) continue;
      seen = state / kLoop;
      if (self < loop_->threads) {
        SetFloatControl(loop_->control);
        loop_->Run(self);
      }
      state_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::atomic<uint64_t> state_ = 0;
  Loop* loop_ = nullptr;
  std::vector<std::unique_ptr<Worker>> workers_;
};

// The main thread's lives as long as the process: a worker may be at work while it exits.
Team& ThisThreadsTeam() {
  if (std::this_thread::get_id() == kMainThread) {
    static Team& team = *new Team();
    return team;
  }
  thread_local Team team;
  return team;
}

}  // namespace

int NumThreads() { return TeamSize().load(std::memory_order_relaxed); }

void SetNumThreads(int threads) {
  if (threads < 1) throw Error("set_num_threads", "the number of threads must be at least 1");
  TeamSize().store(threads, std::memory_order_relaxed);
}

ParallelGuard::ParallelGuard() { ++parallel_guards; }
ParallelGuard::~ParallelGuard() { --parallel_guards; }

void ParallelFor(int64_t tasks, absl::FunctionRef<void(int64_t task)> body) {
  const int threads = NumThreads();
  if (tasks <= 1 || threads == 1 || in_loop ||
      (parallel_guards == 0 && std::this_thread::get_id() != kMainThread)) {
    for (int64_t task = 0; task < tasks; ++task) body(task);
    return;
  }
  Loop loop(tasks, threads, body);
  {
    const struct InLoop {
      InLoop() { in_loop = true; }
      ~InLoop() { in_loop = false; }
    } scope;
    ThisThreadsTeam().Run(loop);
  }
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace wengert
