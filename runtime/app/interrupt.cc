#include "runtime/app/interrupt.h"

#include <atomic>
#include <chrono>

namespace hotset {
namespace {

// The handler reaches nothing but statics. Lock-free atomics are what it may touch.
std::atomic<int> press_count{0};
static_assert(std::atomic<int>::is_always_lock_free);

constexpr int kInterruptedExit = 130;                  // 128 + SIGINT, as shells count it
constexpr std::chrono::milliseconds kLookEvery{20};    // while a session is watched: less than a person notices

void on_interrupt() {
  if (press_count.fetch_add(1) > 0) leave_process(kInterruptedExit);
}

// Counting begins anew.
auto fresh_handler() {
  press_count = 0;
  return on_interrupt;
}

}  // namespace

Interrupt::Interrupt() : handler_(fresh_handler()), passes_on_([this](std::stop_token ended) { pass_on(std::move(ended)); }) {}

Interrupt::~Interrupt() = default;

void Interrupt::set_session(api::session* session) {
  const std::lock_guard guard(lock_);
  session_ = session;
  ended_or_watched_.notify_all();
}

void Interrupt::pass_on(std::stop_token ended) {
  std::unique_lock held(lock_);
  while (!ended.stop_requested()) {
    if (!session_) {
      ended_or_watched_.wait(held, ended, [&] { return session_ != nullptr; });
      continue;
    }
    if (press_count > 0) session_->stop();
    ended_or_watched_.wait_for(held, ended, kLookEvery, [&] { return session_ == nullptr; });
  }
}

bool Interrupt::pressed() const { return press_count > 0; }

void Interrupt::forget() { press_count = 0; }

}  // namespace hotset
