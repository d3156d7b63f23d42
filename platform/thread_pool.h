// Threads that stay alive between short pieces of work, so that giving one out and waiting for its end takes about a
// microsecond: workers look for work for a moment before they sleep. Nothing is allocated after construction.
//
// One owner thread creates, runs and destroys a pool; it takes part in every run as worker 0.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace hotset {

class ThreadPool {
 public:
  // `threads` in all, the owner among them; at least 1. A system that gives fewer only makes the pool smaller.
  explicit ThreadPool(uint32_t threads);
  ~ThreadPool();  // sleepers are woken and joined
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  uint32_t threads() const { return static_cast<uint32_t>(workers_.size()) + 1; }

  // Calls work(part, worker) once for every part < parts, in any order, and returns when all have returned. worker < threads()
  // is the calling thread's number. A worker that wakes too late is not waited for.
  template <class Work>
  void run(uint32_t parts, Work&& work) {
    auto claim_all = [&](uint32_t worker) {
      for (uint32_t part = claim(); part < parts; part = claim()) work(part, worker);
    };
    if (parts <= 1 || workers_.empty()) {
      for (uint32_t part = 0; part < parts; ++part) work(part, 0u);
    } else {
      start(claim_all, Attendance::kWhoComes);
    }
  }

  // Calls work(worker) on every thread at the same time. Work of several phases: threads share out each with claim() and meet
  // at barrier() before the next. All threads must pass the same barriers.
  template <class Work>
  void run_phases(Work&& work) {
    start(work, Attendance::kAll);
  }

  // Inside run_phases: the next number that no thread has yet, from 0 in each phase.
  uint32_t claim() { return next_part_.fetch_add(1, std::memory_order_relaxed); }
  // Inside run_phases: returns when all threads have called it; what each wrote before is then seen by all.
  void barrier();

 private:
  enum class Attendance { kWhoComes, kAll };
  using Call = void (*)(void* work, uint32_t worker);

  struct Job {
    Call call = nullptr;
    void* work = nullptr;
    uint64_t number = 0;
  };

  template <class Work>
  void start(Work& work, Attendance attendance) {
    using Plain = std::remove_const_t<Work>;
    start_job([](void* context, uint32_t worker) { (*static_cast<Plain*>(context))(worker); }, const_cast<Plain*>(&work), attendance);
  }
  void start_job(Call call, void* work, Attendance attendance);
  void work_until_stopped(uint32_t worker);
  bool enter();
  void leave();

  std::vector<std::thread> workers_;
  bool can_spin_ = true;  // every thread has a core to itself

  // Written by the owner while the gate is closed and nobody is inside; read by workers inside.
  Job job_;

  // Top bit: the job may be entered; the rest: workers inside. Workers wait for changes of wake_, then try the gate.
  alignas(64) std::atomic<uint32_t> gate_{0};
  alignas(64) std::atomic<uint32_t> wake_{0};
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint32_t> next_part_{0};
  alignas(64) std::atomic<uint32_t> absent_{0};  // workers that have not finished a job of all
  alignas(64) std::atomic<uint32_t> arrived_{0};  // at the barrier
  alignas(64) std::atomic<uint32_t> phase_{0};
};

}  // namespace hotset
