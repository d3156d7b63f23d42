// LineEditor: reads lines from a terminal with editing and a history that lasts.
//
// Wraps libedit. One at a time; main thread. The history lies in "$XDG_STATE_HOME/hotset/history" or
// "~/.local/state/hotset/history"; where that cannot be written, lines are remembered for this run alone.
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

// Where the history is kept; empty when the environment names no place.
std::string history_path();

}  // namespace hotset
