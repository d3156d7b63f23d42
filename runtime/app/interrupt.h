// Interrupt: what Ctrl-C does. The first one asks what is running to stop, the second one leaves the program.
//
// One object at a time, for as long as Ctrl-C should be caught; its destructor gives it back. Main thread only. A thread of its own passes the
// wish on to the session, because a signal handler may not.
#pragma once

#include <condition_variable>
#include <hotset/hotset.hpp>
#include <mutex>
#include <thread>

#include "platform/interrupt_handler.h"

namespace hotset {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // As long as it lives, Ctrl-C stops a call of the session; without one it only counts as pressed.
  class Watch {
   public:
    Watch(Interrupt& interrupt, api::session& session) : interrupt_(interrupt) { interrupt_.set_session(&session); }
    ~Watch() { interrupt_.set_session(nullptr); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Interrupt& interrupt_;
  };

  // Whether Ctrl-C came since the start or the last forget().
  bool pressed() const;
  void forget();

 private:
  void set_session(api::session* session);
  void pass_on(std::stop_token ended);

  const InterruptHandler handler_;
  std::mutex lock_;
  std::condition_variable_any ended_or_watched_;
  api::session* session_ = nullptr;  // guarded by lock_
  std::jthread passes_on_;
};

}  // namespace hotset
