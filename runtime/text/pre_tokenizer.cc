#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/text/pre_tokenizer.h"

#include <pcre2.h>

#include <algorithm>

#include "platform/log.h"

namespace hotset {

namespace {

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

// Cuts `text` into pieces of three characters, the first of one to three.
void append_triples(std::string_view text, std::vector<std::string_view>& words) {
  const auto starts_character = [&](size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80; };
  size_t left = 0;  // characters from `i` on
  for (size_t i = 0; i < text.size(); ++i) left += starts_character(i) ? 1 : 0;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!starts_character(i)) continue;
    if (left % 3 == 0 && i > begin) {
      words.push_back(text.substr(begin, i - begin));
      begin = i;
    }
    --left;
  }
  if (begin < text.size()) words.push_back(text.substr(begin));
}

}  // namespace

struct PreTokenizer::Step {
  std::unique_ptr<pcre2_code, CodeDeleter> code;
  bool triples = false;

  Status split(std::string_view text, pcre2_match_data* match, std::vector<std::string_view>& words) const;
};

Status PreTokenizer::Step::split(std::string_view text, pcre2_match_data* match, std::vector<std::string_view>& words) const {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (size_t offset = 0; offset < text.size();) {
    int rc = pcre2_match(code.get(), subject, text.size(), offset, PCRE2_NO_UTF_CHECK, match, nullptr);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
      rc = pcre2_match(code.get(), subject, text.size(), offset, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, nullptr);
    }
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
      return error(Code::kOutOfMemory, "splitting text into words failed at byte %zu (PCRE2 error %d)", offset, rc);
    }
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match);
    // Text between matches is a word of its own.
    const size_t begin = rc < 0 ? text.size() : range[0];
    const size_t end = rc < 0 ? text.size() : range[1];
    if (begin > offset) words.push_back(text.substr(offset, begin - offset));
    if (end > begin) {
      if (triples) append_triples(text.substr(begin, end - begin), words);
      else words.push_back(text.substr(begin, end - begin));
    }
    offset = end;
  }
  return ok_status();
}

PreTokenizer::PreTokenizer(const PreTokenizerRule& rule) : rule_(rule) {}
PreTokenizer::~PreTokenizer() = default;

Result<std::unique_ptr<PreTokenizer>> PreTokenizer::create(std::string_view name) {
  const PreTokenizerRule* rule = find_pre_tokenizer_rule(name);
  if (rule == nullptr) {
    log_line(LogLevel::kWarn, "unknown pre-tokeniser '%.*s': splitting words by the default rule, which may cost quality",
             static_cast<int>(std::min<size_t>(name.size(), 64)), name.data());
    rule = find_pre_tokenizer_rule("default");
  }
  return create(*rule);
}

Result<std::unique_ptr<PreTokenizer>> PreTokenizer::create(const PreTokenizerRule& rule) {
  std::unique_ptr<PreTokenizer> made(new PreTokenizer(rule));
  for (const SplitStep& step : rule.steps) HOTSET_RETURN_IF_ERROR(made->add_step(step));
  return made;
}

Status PreTokenizer::add_step(const SplitStep& step) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  auto compiled = std::make_unique<Step>();
  compiled->triples = step.triples;
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(step.pattern), PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                     &code, &offset, nullptr));
  if (compiled->code == nullptr) {
    return error(Code::kOutOfMemory, "pre-tokeniser '%.*s': pattern not compiled (PCRE2 error %d at %zu)",
                 static_cast<int>(rule_.name.size()), rule_.name.data(), code, static_cast<size_t>(offset));
  }
  // Only speed hangs on this: where the system forbids JIT code, PCRE2 interprets.
  (void)pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);
  steps_.push_back(std::move(compiled));
  return ok_status();
}

Status PreTokenizer::split(std::string_view text, std::vector<std::string_view>& words) const {
  const std::unique_ptr<pcre2_match_data, MatchDataDeleter> match(pcre2_match_data_create(1, nullptr));
  if (match == nullptr) return error(Code::kOutOfMemory, "no memory to split text into words");
  std::vector<std::string_view> before;
  std::vector<std::string_view> after{text};
  for (const auto& step : steps_) {
    const bool is_last = step == steps_.back();
    std::vector<std::string_view>& out = is_last ? words : after;
    std::swap(before, after);
    after.clear();
    for (const std::string_view piece : before) HOTSET_RETURN_IF_ERROR(step->split(piece, match.get(), out));
  }
  return ok_status();
}

}  // namespace hotset
