// Interrupt: what Ctrl-C does. The first one asks what is running to stop, the second one leaves the program.
//
// One object at a time, for as long as Ctrl-C should be caught; its destructor gives it back. Main thread only.
#pragma once

#include "platform/interrupt_handler.h"
#include "runtime/engine/engine.h"

namespace hotset {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // Ctrl-C stops this session until the next call; nullptr: it only counts as pressed.
  void watch(Session* session);
  // Whether Ctrl-C came since the start or the last forget().
  bool pressed() const;
  void forget();

 private:
  const InterruptHandler handler_;
};

}  // namespace hotset
