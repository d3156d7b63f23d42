#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/text/pre_tokenizer.h"

#include <pcre2.h>

namespace hotset {

namespace {

// Unicode's White_Space property. PCRE2's own \s also takes U+180E, which the tokenizers' regex engines do not.
#define WS R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})"

constexpr char kGpt2[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{L}\p{N})" WS "]+|[" WS "]+(?![^" WS "])|[" WS "]+";

// Qwen 2 and Llama 3 differ only in how many digits make a word.
#define MODERN(digits)                                                                                    \
  R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" digits R"(| ?[^\p{L}\p{N})" WS R"(]+[\r\n]*|[)" WS \
  R"(]*[\r\n]+|[)" WS "]+(?![^" WS "])|[" WS "]+"
constexpr char kQwen2[] = MODERN(R"(\p{N})");
constexpr char kLlama3[] = MODERN(R"(\p{N}{1,3})");
#undef MODERN
#undef WS

struct Rule {
  const char* name;
  const char* pattern;
  bool ignore_merges;
  bool adds_bos;
};

// Names as llama.cpp writes them into files.
constexpr Rule kRules[] = {
    {"qwen2", kQwen2, false, false},     {"deepseek-r1-qwen", kQwen2, false, false},
    {"gpt-2", kGpt2, false, false},      {"default", kGpt2, false, false},
    {"", kGpt2, false, false},           {"phi-2", kGpt2, false, false},
    {"llama-bpe", kLlama3, true, true},  {"llama3", kLlama3, true, true},
    {"llama-v3", kLlama3, true, true},
};

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct PreTokenizer::Pattern {
  explicit Pattern(pcre2_code* compiled) : code(compiled) {}
  ~Pattern() { pcre2_code_free(code); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;
  pcre2_code* const code;
};

PreTokenizer::PreTokenizer(std::unique_ptr<Pattern> pattern, bool ignore_merges, bool adds_bos)
    : pattern_(std::move(pattern)), ignore_merges_(ignore_merges), adds_bos_(adds_bos) {}
PreTokenizer::~PreTokenizer() = default;

Result<std::unique_ptr<PreTokenizer>> PreTokenizer::create(std::string_view name) {
  for (const Rule& rule : kRules) {
    if (name != rule.name) continue;
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(rule.pattern), PCRE2_ZERO_TERMINATED,
                                         PCRE2_UTF | PCRE2_UCP, &code, &offset, nullptr);
    if (compiled == nullptr) {
      return error(Code::kOutOfMemory, "pre-tokeniser '%s': pattern not compiled (PCRE2 error %d)", rule.name, code);
    }
    // Only speed hangs on this: where the system forbids JIT code, PCRE2 interprets.
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
    return std::unique_ptr<PreTokenizer>(
        new PreTokenizer(std::make_unique<Pattern>(compiled), rule.ignore_merges, rule.adds_bos));
  }
  return error(Code::kUnsupported, "unknown pre-tokeniser '%.*s' (known: qwen2, gpt-2, llama-bpe)",
               static_cast<int>(std::min<size_t>(name.size(), 64)), name.data());
}

Status PreTokenizer::split(std::string_view text, std::vector<std::string_view>& words) const {
  const std::unique_ptr<pcre2_match_data, MatchDataDeleter> match(pcre2_match_data_create(1, nullptr));
  if (match == nullptr) return error(Code::kOutOfMemory, "no memory to split text into words");
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (size_t offset = 0; offset < text.size();) {
    int rc = pcre2_match(pattern_->code, subject, text.size(), offset, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
      constexpr uint32_t kPlain = PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT;
      rc = pcre2_match(pattern_->code, subject, text.size(), offset, kPlain, match.get(), nullptr);
    }
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
      return error(Code::kOutOfMemory, "splitting text into words failed at byte %zu (PCRE2 error %d)", offset, rc);
    }
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
    // Text between matches is a word of its own.
    const size_t begin = rc < 0 ? text.size() : range[0];
    const size_t end = rc < 0 ? text.size() : range[1];
    if (begin > offset) words.push_back(text.substr(offset, begin - offset));
    if (end > begin) words.push_back(text.substr(begin, end - begin));
    offset = end;
  }
  return ok_status();
}

}  // namespace hotset
