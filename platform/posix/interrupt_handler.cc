#include "platform/interrupt_handler.h"

#include <signal.h>
#include <unistd.h>

namespace hotset {
namespace {

void (*current_handler)() = nullptr;  // set while SIGINT is not caught

void on_signal(int) { current_handler(); }

}  // namespace

struct InterruptHandler::State {
  struct sigaction before = {};
};

InterruptHandler::InterruptHandler(void (*handler)()) : state_(std::make_unique<State>()) {
  current_handler = handler;
  struct sigaction action = {};
  action.sa_handler = on_signal;  // without SA_RESTART, so that a read at the prompt ends
  ::sigaction(SIGINT, &action, &state_->before);
}

InterruptHandler::~InterruptHandler() { ::sigaction(SIGINT, &state_->before, nullptr); }

void leave_process(int exit_code) { ::_exit(exit_code); }

}  // namespace hotset
