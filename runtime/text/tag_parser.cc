#include "runtime/text/tag_parser.h"

#include <algorithm>
#include <utility>

#include "runtime/text/json_text.h"

namespace hotset {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr size_t kBeginBytes = 512;  // of text in no mark, by which it is told from calls while it comes

}  // namespace

TagParser::TagParser(const OutputSyntax& syntax, std::string_view prompt, ToolTypes types)
    : syntax_(syntax), types_(std::move(types)) {
  // Calls in no mark are looked for by begin_bare_calls().
  for (const ToolMarks& marks : syntax_.tools) content_marks_.push_back(marks.may_begin == nullptr ? marks.open : std::string_view());
  content_marks_.insert(content_marks_.end(), syntax_.dropped.begin(), syntax_.dropped.end());
  if (syntax_.reasoning_open.empty()) return;
  content_marks_.push_back(syntax_.reasoning_open);
  reasoning_marks_.push_back(syntax_.reasoning_close);
  if (!trimmed(prompt).ends_with(trimmed(syntax_.reasoning_open))) return;
  state_ = State::kReasoning;
  after_mark_ = true;
}

void TagParser::take(std::string_view text) {
  held_ += text;
  while (step()) {}
}

// Passes the next mark; false when none has come.
bool TagParser::step() {
  if (state_ == State::kBlock) return step_block();
  if (state_ == State::kContent && begin_bare_calls()) return true;
  const auto& marks = state_ == State::kContent ? content_marks_ : reasoning_marks_;
  const FoundMark found = find_mark(held_, marks);
  if (found.place == std::string::npos) {
    const size_t decided = held_.size() - begun_mark_bytes(held_, marks);
    emit(std::string_view(held_).substr(0, decided));
    held_.erase(0, decided);
    return false;
  }
  emit(std::string_view(held_).substr(0, found.place));
  held_.erase(0, found.place);
  pass_mark(found.index);
  return true;
}

// held_ begins with a mark of the present state.
void TagParser::pass_mark(size_t index) {
  if (state_ == State::kContent && index < syntax_.tools.size()) {
    begin_block(syntax_.tools[index]);
    return;
  }
  const auto& marks = state_ == State::kContent ? content_marks_ : reasoning_marks_;
  held_.erase(0, marks[index].size());
  const bool dropped = state_ == State::kContent && index < syntax_.tools.size() + syntax_.dropped.size();
  if (!dropped) state_ = state_ == State::kContent ? State::kReasoning : State::kContent;
  blanks_.clear();
  after_mark_ = true;
}

void TagParser::begin_block(const ToolMarks& marks) {
  state_ = State::kBlock;
  block_ = &marks;
  searched_ = marks.open.size();
}

// Whether the content's first text may be calls without a mark; the block has begun then.
bool TagParser::begin_bare_calls() {
  if (bare_calls_failed_ || !output().content.empty() || !output().tool_calls.empty()) return false;
  const size_t first = std::min(held_.find_first_not_of(kBlanks), held_.size());
  for (const ToolMarks& marks : syntax_.tools) {
    if (marks.may_begin == nullptr || !std::string_view(held_).substr(first).starts_with(marks.open)) continue;
    emit(std::string_view(held_).substr(0, first));
    held_.erase(0, first);
    begin_block(marks);
    return true;
  }
  return false;
}

// The text in no mark is read as other content is, from its begin.
void TagParser::give_up_bare_calls() {
  bare_calls_failed_ = true;
  state_ = State::kContent;
}

bool TagParser::step_block() {
  if (block_->may_begin != nullptr && !block_->may_begin(std::string_view(held_).substr(0, kBeginBytes))) {
    give_up_bare_calls();
    return true;
  }
  if (block_->close.empty()) return false;
  const size_t place = held_.find(block_->close, searched_);
  if (place == std::string::npos) {
    const size_t unsure = block_->close.size() - 1;
    searched_ = std::max(searched_, held_.size() > unsure ? held_.size() - unsure : 0);
    return false;
  }
  const std::string block = held_.substr(0, place + block_->close.size());
  held_.erase(0, block.size());
  close_block(block);
  return true;
}

void TagParser::close_block(std::string_view block) {
  state_ = State::kContent;
  auto calls = block_->parse(block, types_);
  if (!calls) {  // no call after all: the text as it came, with the blanks before it
    add_content(std::exchange(blanks_, std::string()));
    add_content(block);
    after_mark_ = false;
    return;
  }
  for (ToolCall& call : *calls) add_call(std::move(call));
  blanks_.clear();
  after_mark_ = true;
}

// A block that nothing closes, when the output has ended.
void TagParser::end_block() {
  if (block_->may_begin != nullptr && !block_->parse(held_, types_)) {
    give_up_bare_calls();
    take({});
    return;
  }
  close_block(std::exchange(held_, std::string()));
}

// Text of the present state, but for the white space at its ends.
void TagParser::emit(std::string_view text) {
  if (after_mark_) text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  if (text.empty()) return;
  after_mark_ = false;
  const size_t last = text.find_last_not_of(kBlanks);
  if (last == std::string_view::npos) {
    blanks_ += text;
    return;
  }
  const std::string out = std::exchange(blanks_, std::string(text.substr(last + 1))).append(text.substr(0, last + 1));
  if (state_ == State::kReasoning) add_reasoning(out);
  else add_content(out);
}

void TagParser::end() {
  if (state_ == State::kBlock && block_->may_begin != nullptr) end_block();
  if (state_ == State::kBlock) end_block();
  emit(std::exchange(held_, std::string()));
  if (state_ == State::kContent) add_content(blanks_);
}

}  // namespace hotset
