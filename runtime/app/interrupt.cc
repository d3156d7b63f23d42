#include "runtime/app/interrupt.h"

#include <unistd.h>

#include <atomic>

namespace hotset {
namespace {

// A signal handler reaches nothing but statics. Lock-free atomics are what it may touch.
std::atomic<Session*> watched_session{nullptr};
std::atomic<int> press_count{0};
static_assert(std::atomic<Session*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

constexpr int kInterruptedExit = 130;  // 128 + SIGINT, as shells count it

void on_interrupt(int) {
  if (press_count.fetch_add(1) > 0) ::_exit(kInterruptedExit);
  if (Session* session = watched_session.load()) session->request_stop();
}

}  // namespace

Interrupt::Interrupt() {
  press_count = 0;
  struct sigaction action = {};
  action.sa_handler = on_interrupt;  // without SA_RESTART, so that a read at the prompt ends
  ::sigaction(SIGINT, &action, &before_);
}

Interrupt::~Interrupt() {
  ::sigaction(SIGINT, &before_, nullptr);
  watched_session = nullptr;
}

void Interrupt::watch(Session* session) { watched_session = session; }

bool Interrupt::pressed() const { return press_count > 0; }

void Interrupt::forget() { press_count = 0; }

}  // namespace hotset
