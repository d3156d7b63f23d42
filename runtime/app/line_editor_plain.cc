#include "platform/standard_streams.h"
#include "runtime/app/line_editor.h"

namespace hotset {

struct LineEditor::State {
  std::string prompt;
  std::string read;  // behind the lines given out
};

LineEditor::LineEditor(std::string prompt) : state_(std::make_unique<State>()) { state_->prompt = std::move(prompt); }

LineEditor::~LineEditor() = default;

std::optional<std::string> LineEditor::read_line() {
  write_text(Stream::kOutput, state_->prompt);
  std::string& read = state_->read;
  for (size_t end = read.find('\n'); end == std::string::npos; end = read.find('\n')) {
    char chunk[4096];
    const os::MovedBytes got = read_input(chunk);
    if (got.error != 0 || got.size_bytes == 0) return std::nullopt;
    read.append(chunk, got.size_bytes);
  }
  std::string line = read.substr(0, read.find('\n'));
  read.erase(0, line.size() + 1);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace hotset
