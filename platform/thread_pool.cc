#include "platform/thread_pool.h"

#include <algorithm>
#include <exception>

#include "platform/check.h"
#include "platform/clock.h"
#include "platform/word_wait.h"

namespace hotset {
namespace {

constexpr uint32_t kOpen = 1u << 31;

// How long a thread looks for a change before it sleeps. Longer than the host's work between two runs of a decoder; waking a
// sleeper costs 50 us and more.
constexpr uint64_t kSpin_ns = 40'000;
constexpr uint32_t kLooks = 32;  // before the core is offered to others, who may be the ones waited for

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The value after it has changed from `old`.
uint32_t wait_for_change(const std::atomic<uint32_t>& value, uint32_t old, bool can_spin) {
  const uint64_t start = now_ns();
  do {
    for (uint32_t i = 0; i < kLooks; ++i) {
      const uint32_t now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      relax();
    }
    std::this_thread::yield();
  } while (can_spin && now_ns() - start < kSpin_ns);
  sleep_while(value, old);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(uint32_t threads) : can_spin_(threads <= std::thread::hardware_concurrency()) {
  workers_.reserve(std::max(threads, 1u) - 1);
  for (uint32_t worker = 1; worker < threads; ++worker) {
    try {
      workers_.emplace_back([this, worker] { work_until_stopped(worker); });
    } catch (const std::exception&) {
      break;
    }
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  wake_.fetch_add(1, std::memory_order_release);
  wake_all(wake_);
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::start_job(Call call, void* work, Attendance attendance) {
  HOTSET_CHECK(job_.call == nullptr);  // no run inside a run
  job_ = {call, work, job_.number + 1};
  next_part_.store(0, std::memory_order_relaxed);
  absent_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
  // Open before waking: who sees the new value of wake_ must find the gate open, or the job done.
  gate_.store(kOpen, std::memory_order_release);
  wake_.fetch_add(1, std::memory_order_release);
  wake_all(wake_);
  call(work, 0);
  if (attendance == Attendance::kAll) {
    for (uint32_t absent = absent_.load(std::memory_order_acquire); absent != 0;) absent = wait_for_change(absent_, absent, can_spin_);
  }
  uint32_t inside = gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  while (inside != 0) inside = wait_for_change(gate_, inside, can_spin_);
  job_.call = nullptr;
}

bool ThreadPool::enter() {
  uint32_t gate = gate_.load(std::memory_order_relaxed);
  do {
    if ((gate & kOpen) == 0) return false;
  } while (!gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire, std::memory_order_relaxed));
  return true;
}

void ThreadPool::leave() {
  if (gate_.fetch_sub(1, std::memory_order_release) == 1) wake_one(gate_);
}

void ThreadPool::work_until_stopped(uint32_t worker) {
  uint32_t seen = 0;
  uint64_t last_job = 0;
  for (;;) {
    seen = wait_for_change(wake_, seen, can_spin_);
    if (stop_.load(std::memory_order_relaxed)) return;
    if (!enter()) continue;
    // A worker that was late for one job may have come into the next before its wake.
    if (job_.number != last_job) {
      last_job = job_.number;
      job_.call(job_.work, worker);
      if (absent_.fetch_sub(1, std::memory_order_release) == 1) wake_one(absent_);
    }
    leave();
  }
}

void ThreadPool::barrier() {
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 < threads()) {
    wait_for_change(phase_, phase, can_spin_);
    return;
  }
  arrived_.store(0, std::memory_order_relaxed);
  next_part_.store(0, std::memory_order_relaxed);
  phase_.store(phase + 1, std::memory_order_release);
  wake_all(phase_);
}

}  // namespace hotset
