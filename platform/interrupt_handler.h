// InterruptHandler: calls a function when Ctrl-C comes. The library uses none of this. Its halves are posix/interrupt_handler.cc and
// windows/interrupt_handler.cc.
#pragma once

#include <memory>

namespace hotset {

// One at a time; it catches Ctrl-C for as long as it lives and gives it back then.
class InterruptHandler {
 public:
  // `handler` runs amid whatever the program does, or in a thread of the system's own: it may touch lock-free atomics and call
  // leave_process(). A read of a terminal that waits meanwhile ends with EINTR.
  explicit InterruptHandler(void (*handler)());
  ~InterruptHandler();
  InterruptHandler(const InterruptHandler&) = delete;
  InterruptHandler& operator=(const InterruptHandler&) = delete;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// Ends the process at once: nothing is flushed or destroyed.
[[noreturn]] void leave_process(int exit_code);

}  // namespace hotset
