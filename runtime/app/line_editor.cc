#include "runtime/app/line_editor.h"

#include <histedit.h>

#include <cstdio>
#include <cwchar>

#include "platform/file.h"
#include "platform/standard_streams.h"

namespace hotset {
namespace {

constexpr int kHistoryLines = 1000;

// Reads one character for libedit, whose own reader would go on after a signal.
int read_character(EditLine*, wchar_t* character) {
  std::mbstate_t state = {};
  while (true) {
    char byte = 0;
    const os::MovedBytes got = read_input({&byte, 1});
    if (got.error != 0) return -1;
    if (got.size_bytes == 0) return 0;
    const size_t used = std::mbrtowc(character, &byte, 1, &state);
    if (used == static_cast<size_t>(-2)) continue;  // more bytes to come
    if (used == static_cast<size_t>(-1)) state = {};  // not a character: skipped
    else return 1;
  }
}

std::string history_path() {
  const auto folder = state_directory();
  return folder.ok() ? *folder + "/history" : std::string();
}

}  // namespace

struct LineEditor::State {
  std::string prompt;
  std::string file;
  EditLine* editor = nullptr;
  History* history = nullptr;
  HistEvent event = {};
};

LineEditor::LineEditor(std::string prompt) : state_(std::make_unique<State>()) {
  state_->prompt = std::move(prompt);
  state_->file = history_path();
  state_->history = history_init();
  state_->editor = el_init("hotset", stdin, stdout, stderr);
  history(state_->history, &state_->event, H_SETSIZE, kHistoryLines);
  history(state_->history, &state_->event, H_SETUNIQUE, 1);
  if (!state_->file.empty()) history(state_->history, &state_->event, H_LOAD, state_->file.c_str());
  el_set(state_->editor, EL_CLIENTDATA, state_.get());
  el_set(state_->editor, EL_PROMPT, +[](EditLine* editor) {
    void* client = nullptr;
    el_get(editor, EL_CLIENTDATA, &client);
    return static_cast<State*>(client)->prompt.data();
  });
  el_set(state_->editor, EL_EDITOR, "emacs");
  el_set(state_->editor, EL_SIGNAL, 0);  // Ctrl-C is the program's (Interrupt)
  el_set(state_->editor, EL_GETCFN, read_character);
  el_set(state_->editor, EL_HIST, ::history, state_->history);
  el_set(state_->editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
}

LineEditor::~LineEditor() {
  el_end(state_->editor);
  history_end(state_->history);
}

std::optional<std::string> LineEditor::read_line() {
  int count = 0;
  const char* text = el_gets(state_->editor, &count);
  if (!text || count <= 0) return std::nullopt;
  std::string line(text, static_cast<size_t>(count));
  if (line.ends_with('\n')) line.pop_back();
  if (line.empty()) return line;
  history(state_->history, &state_->event, H_ENTER, line.c_str());
  if (!state_->file.empty()) history(state_->history, &state_->event, H_SAVE, state_->file.c_str());
  return line;
}

}  // namespace hotset
