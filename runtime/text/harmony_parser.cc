#include "runtime/text/harmony_parser.h"

#include <utility>

#include "runtime/text/json_text.h"

namespace hotset {

namespace {

constexpr std::string_view kMessage = "<|message|>";
// Longer ones are text that looks like one. Real headers have about 60 bytes.
constexpr size_t kMaxHeaderBytes = 256;

// The first two begin a header.
const std::vector<std::string_view> kMarks = {"<|start|>", "<|channel|>", "<|end|>", "<|return|>", "<|call|>"};

// The word after `label` in a header.
std::string_view word_after(std::string_view header, std::string_view label) {
  const size_t place = header.find(label);
  if (place == std::string_view::npos) return {};
  header.remove_prefix(place + label.size());
  return header.substr(0, header.find_first_of(" <\n\t"));
}

}  // namespace

HarmonyParser::HarmonyParser(std::string_view prompt) {
  if (trimmed(prompt).ends_with("<|start|>assistant")) state_ = State::kHeader;
  for (const char* channel : {"analysis", "commentary", "final"}) {
    if (!prompt.ends_with(std::string("<|channel|>") + channel + std::string(kMessage))) continue;
    state_ = State::kBody;
    read_header(std::string("<|channel|>") + channel);
  }
}

void HarmonyParser::take(std::string_view text) {
  held_ += text;
  while (step()) {}
}

bool HarmonyParser::step() { return state_ == State::kHeader ? step_header() : step_text(); }

bool HarmonyParser::step_header() {
  const size_t place = held_.find(kMessage);
  if (place > kMaxHeaderBytes && held_.size() > kMaxHeaderBytes + kMessage.size()) {
    body_ = Body::kContent;  // not a header
    emit(std::string_view(held_).substr(0, kMaxHeaderBytes));
    held_.erase(0, kMaxHeaderBytes);
    state_ = State::kBetween;
    return true;
  }
  if (place == std::string::npos) return false;
  header_ = held_.substr(0, place + kMessage.size());
  held_.erase(0, header_.size());
  read_header(header_);
  state_ = State::kBody;
  return true;
}

void HarmonyParser::read_header(std::string_view header) {
  recipient_ = word_after(header, " to=");
  arguments_.clear();
  body_ = word_after(header, "<|channel|>") == "analysis" ? Body::kReasoning : Body::kContent;
  if (!recipient_.empty() && recipient_ != "user" && recipient_ != "all") body_ = Body::kCall;
}

// Text up to the next mark, of a body or between messages.
bool HarmonyParser::step_text() {
  const FoundMark found = find_mark(held_, kMarks);
  const bool has_mark = found.place != std::string::npos;
  const size_t decided = has_mark ? found.place : held_.size() - begun_mark_bytes(held_, kMarks);
  emit(std::string_view(held_).substr(0, decided));
  held_.erase(0, decided);
  if (!has_mark) return false;
  if (body_ == Body::kCall) close_call();
  const bool begins_header = found.index < 2;
  if (!begins_header) held_.erase(0, kMarks[found.index].size());
  state_ = begins_header ? State::kHeader : State::kBetween;
  body_ = Body::kContent;
  return true;
}

void HarmonyParser::emit(std::string_view text) {
  if (body_ == Body::kReasoning) add_reasoning(text);
  else if (body_ == Body::kCall) arguments_ += text;
  else add_content(text);
}

void HarmonyParser::close_call() {
  constexpr std::string_view kFunctions = "functions.";
  const std::string_view name = recipient_.starts_with(kFunctions) ? std::string_view(recipient_).substr(kFunctions.size()) : recipient_;
  const std::string_view arguments = trimmed(arguments_);
  if (arguments.empty() || is_json_object(arguments)) {
    add_call({"", std::string(name), arguments.empty() ? "{}" : std::string(arguments)});
  } else {
    add_content(header_ + arguments_);
  }
  body_ = Body::kContent;
  arguments_.clear();
}

void HarmonyParser::end() {
  const std::string rest = std::exchange(held_, std::string());
  if (state_ == State::kHeader) body_ = Body::kContent;
  emit(rest);
  if (body_ == Body::kCall) close_call();
}

}  // namespace hotset
