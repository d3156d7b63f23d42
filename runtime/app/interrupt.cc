#include "runtime/app/interrupt.h"

#include <atomic>

namespace hotset {
namespace {

// The handler reaches nothing but statics. Lock-free atomics are what it may touch.
std::atomic<Session*> watched_session{nullptr};
std::atomic<int> press_count{0};
static_assert(std::atomic<Session*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

constexpr int kInterruptedExit = 130;  // 128 + SIGINT, as shells count it

void on_interrupt() {
  if (press_count.fetch_add(1) > 0) leave_process(kInterruptedExit);
  if (Session* session = watched_session.load()) session->request_stop();
}

// Counting begins anew.
auto fresh_handler() {
  press_count = 0;
  return on_interrupt;
}

}  // namespace

Interrupt::Interrupt() : handler_(fresh_handler()) {}

Interrupt::~Interrupt() { watched_session = nullptr; }

void Interrupt::watch(Session* session) { watched_session = session; }

bool Interrupt::pressed() const { return press_count > 0; }

void Interrupt::forget() { press_count = 0; }

}  // namespace hotset
