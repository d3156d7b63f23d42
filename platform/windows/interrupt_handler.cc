#include "platform/interrupt_handler.h"

#include <atomic>

#include "platform/windows/wide.h"

namespace hotset {
namespace {

std::atomic<void (*)()> current_handler{nullptr};

// Runs in a thread that the system makes for it.
BOOL WINAPI on_control(DWORD event) {
  void (*const handler)() = current_handler.load();
  if (!handler || (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)) return FALSE;
  handler();
  return TRUE;
}

}  // namespace

struct InterruptHandler::State {};

InterruptHandler::InterruptHandler(void (*handler)()) {
  current_handler = handler;
  ::SetConsoleCtrlHandler(on_control, TRUE);
}

InterruptHandler::~InterruptHandler() {
  ::SetConsoleCtrlHandler(on_control, FALSE);
  current_handler = nullptr;
}

void leave_process(int exit_code) {
  ::TerminateProcess(::GetCurrentProcess(), static_cast<UINT>(exit_code));
  for (;;) ::Sleep(INFINITE);  // the process has ended when the call returns
}

}  // namespace hotset
