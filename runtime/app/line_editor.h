// LineEditor: reads lines from a terminal with editing and a history that lasts.
//
// Wraps libedit (line_editor.cc); where that is not there, as on Windows, the terminal's own editing (line_editor_plain.cc). One at a time;
// main thread. With libedit the history lies in "history" in state_directory(); where that cannot be written, lines are remembered for this
// run alone.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace hotset {

class LineEditor {
 public:
  explicit LineEditor(std::string prompt);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // The next line without its newline; nothing at the end of input or when a signal came.
  std::optional<std::string> read_line();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace hotset
