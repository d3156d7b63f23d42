#include "runtime/text/output_parser.h"

#include <algorithm>
#include <utility>

#include "runtime/text/harmony_parser.h"
#include "runtime/text/tag_parser.h"

namespace hotset {

std::unique_ptr<OutputParser> OutputParser::create(const OutputSyntax& syntax, std::string_view prompt, std::string_view tools) {
  if (syntax.is_harmony) return std::make_unique<HarmonyParser>(prompt);
  return std::make_unique<TagParser>(syntax, prompt, ToolTypes(tools));
}

ModelOutput OutputParser::push(std::string_view text) {
  take(text);
  return std::exchange(news_, ModelOutput());
}

ModelOutput OutputParser::finish() {
  end();
  return std::exchange(news_, ModelOutput());
}

void OutputParser::add_reasoning(std::string_view text) {
  all_.reasoning += text;
  news_.reasoning += text;
}

void OutputParser::add_content(std::string_view text) {
  all_.content += text;
  news_.content += text;
}

void OutputParser::add_call(ToolCall call) {
  if (call.id.empty()) call.id = "call_" + std::to_string(all_.tool_calls.size());
  all_.tool_calls.push_back(call);
  news_.tool_calls.push_back(std::move(call));
}

size_t begun_mark_bytes(std::string_view text, const std::vector<std::string_view>& marks) {
  size_t most = 0;
  for (const std::string_view mark : marks) {
    size_t size = mark.empty() ? 0 : std::min(mark.size() - 1, text.size());
    while (size > most && !mark.starts_with(text.substr(text.size() - size))) --size;
    most = std::max(most, size);
  }
  return most;
}

FoundMark find_mark(std::string_view text, const std::vector<std::string_view>& marks) {
  FoundMark found;
  for (size_t i = 0; i < marks.size(); ++i) {
    if (marks[i].empty()) continue;
    const size_t place = text.find(marks[i]);
    const bool longer = place == found.place && place != std::string_view::npos && marks[i].size() > marks[found.index].size();
    if (place < found.place || longer) found = {place, i};
  }
  return found;
}

}  // namespace hotset
