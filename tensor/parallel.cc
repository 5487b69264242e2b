// ParallelFor over libgomp, the runtime that Debian's oneDNN uses too: a second one would fight
// over the cores.

#include "tensor/parallel.h"

#include <omp.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "absl/container/fixed_array.h"
#include "tensor/error.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace wengert {
namespace {

const std::thread::id kMainThread = std::this_thread::get_id();
thread_local int parallel_guards = 0;

std::atomic<int>& TeamSize() {
  static std::atomic<int> size = omp_get_max_threads();
  return size;
}
// Read at the start, before a program or a kernel limits OpenMP for calls of its own.
[[maybe_unused]] const int kInitialTeamSize = TeamSize();

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

// Holds the caller's control word on a worker. Restoring matters: a program may use the same OpenMP
// threads itself.
class FloatControlScope {
 public:
  explicit FloatControlScope(FloatControl control)
      : saved_(GetFloatControl()), changed_(control != saved_) {
    if (changed_) SetFloatControl(control);
  }
  ~FloatControlScope() {
    if (changed_) SetFloatControl(saved_);
  }

 private:
  const FloatControl saved_;
  const bool changed_;
};

// libgomp is not instrumented: to the thread sanitizer its barriers look like races. It looks for
// those between std::thread threads.
#if defined(__SANITIZE_THREAD__)
constexpr bool kTeams = false;
#else
constexpr bool kTeams = true;
#endif

// The tasks that one thread starts with. Others take from it when their own are done.
struct alignas(64) TaskRange {
  std::atomic<int64_t> next;
  int64_t end;
};

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
  if (!kTeams || tasks <= 1 || threads == 1 || omp_in_parallel() ||
      (parallel_guards == 0 && std::this_thread::get_id() != kMainThread)) {
    for (int64_t task = 0; task < tasks; ++task) body(task);
    return;
  }
  // Neighbouring tasks start on the same thread in every loop, so that what one loop leaves in a
  // core's cache serves the next; a thread that is done helps the others, so that a slow core does
  // not hold up the team.
  absl::FixedArray<TaskRange, 16> ranges(threads);
  for (int i = 0; i < threads; ++i) {
    ranges[i].next.store(tasks * i / threads, std::memory_order_relaxed);
    ranges[i].end = tasks * (i + 1) / threads;
  }
  const FloatControl control = GetFloatControl();
  std::atomic<int64_t> failed_task = tasks;
  std::exception_ptr error;
  std::mutex error_mutex;
  // Always the whole team: libgomp ends the threads that a smaller team does not use and must
  // create them again.
#pragma omp parallel num_threads(threads)
  {
    const FloatControlScope scope(control);
    const int self = omp_get_thread_num();
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
  if (error) std::rethrow_exception(error);
}

}  // namespace wengert
