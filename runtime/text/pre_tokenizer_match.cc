#include "runtime/text/pre_tokenizer_match.h"

#include <algorithm>
#include <deque>
#include <string_view>
#include <vector>

#include "runtime/format/gguf_value.h"
#include "runtime/format/json_document.h"
#include "runtime/text/pre_tokenizer.h"

namespace hotset {
namespace {

using Json = nlohmann::json;

// What the tokenizers library splits by where a ByteLevel part says use_regex.
constexpr const char* kByteLevelPattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Of rules that split alike, the name that most models with them have.
constexpr std::string_view kUsualNames[] = {"gpt-2",  "qwen2",    "llama-bpe", "glm4",       "gpt-4o",       "deepseek-v3",    "kimi-k2", "qwen35",
                                            "tekken", "starcoder", "falcon",   "bailingmoe", "deepseek-llm", "deepseek-coder", "exaone-moe"};

// Letters of several scripts and cases, marks, digits in runs of one to seven, contractions, punctuation before and after letters and line
// ends, runs of blanks, tabs and line ends.
constexpr std::string_view kProbe =
    "Hello world! I'm you'RE they'll we'd he's it'Ve CAN'T don't camelCaseWord HTTPServer2Go ABCdef x86_64 3.14 1 12 123 1234 12345 1234567 "
    "a1b22c333d4444 (paren)[brk]{x} foo.bar_baz-qux \"quoted\" 'single' #tag @name $5.00 50% a+b=c <tag/> ~~ ^^ || `code` -- ... !? /path//to/ "
    "\n\nnew\nline\r\nwin\r\n\r\n  two   three    four\t\ttab \n  \n indented\n\t\tdeep   \n     trailing     \n"
    "\u00e9t\u00e9 \u00c0 la carte na\u00efve e\u0301te\u0301 \u00dcber\u00df Stra\u00dfe \u0416\u0443\u043a \u0436\u0443\u043a\u0438 \u041c\u043e\u0441\u043a\u0432\u0430123 "
    "\u4f60\u597d\u4e16\u754c\uff0c\u6d4b\u8bd5123\u3002\u4e2d\u6587abc \u3053\u3093\u306b\u3061\u306f\u30ab\u30bf\u30ab\u30ca\u6f22\u5b57 \u30fc \ud55c\uad6d\uc5b4 \uc548\ub155 "
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u0661\u0662\u0663 \u00b2\u00bd \u2167 \u01c5 \u02b0 "
    "\u2026\u201cq\u201d\u2018s\u2019\u2014\u3001\uff01\uff1a \U0001f600\U0001f468\u200d\U0001f469 \u20ac100 \u00a0nb\u00a0\u00a0sp\u3000wide "
    ".word !word /word \n.dot\n/slash ?\n/ !!\n\n//\n 'word 'Sword don'tx I'Mx \u00bf\u00e9 ab\u0301c\u0301 _under__score 1a 1.a 1,000,000.00 A.B.C. end.  ";

// A rule made of a tokenizer.json, with the patterns it points into.
struct FoundRule {
  std::deque<std::string> patterns;
  std::vector<SplitStep> steps;

  void add(std::string pattern) {
    patterns.push_back(std::move(pattern));
    steps.push_back({patterns.back().c_str()});
  }
};

bool flag_of(const Json& part, const char* name, bool absent) {
  const Json* flag = json_member(part, name);
  return flag && flag->is_boolean() ? flag->get<bool>() : absent;
}

std::string text_of(const Json& part, const char* name) {
  const Json* text = json_member(part, name);
  return text && text->is_string() ? text->get<std::string>() : "";
}

std::string quoted(const std::string& text) {
  std::string pattern;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// Matches become words and what lies between too. With "Removed" and `invert` the same comes out where the pattern matches everything.
Status add_split(const Json& part, FoundRule& rule) {
  const std::string behavior = text_of(part, "behavior");
  const bool keeps_matches = behavior == "Isolated" || (behavior == "Removed" && flag_of(part, "invert", false));
  const Json* pattern = json_member(part, "pattern");
  if (!keeps_matches || pattern == nullptr) return error(Code::kUnsupported, "a pre-tokeniser that splits as '%s' is not known", printable(behavior).c_str());
  const std::string regex = text_of(*pattern, "Regex");
  rule.add(regex.empty() ? quoted(text_of(*pattern, "String")) : regex);
  return ok_status();
}

Status add_part(const Json& part, FoundRule& rule) {
  const std::string type = text_of(part, "type");
  if (type == "Sequence") {
    const Json* parts = json_member(part, "pretokenizers");
    if (parts == nullptr || !parts->is_array()) return error(Code::kCorrupt, "a sequence of pre-tokenisers lists none");
    for (const Json& inner : *parts) HOTSET_RETURN_IF_ERROR(add_part(inner, rule));
    return ok_status();
  }
  if (type == "Split") return add_split(part, rule);
  if (type == "Digits") {
    rule.add(flag_of(part, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
    return ok_status();
  }
  if (type == "Punctuation") {
    rule.add(R"([\p{P}$+<=>^`|~])");
    return ok_status();
  }
  if (type != "ByteLevel") return error(Code::kUnsupported, "a pre-tokeniser of the type '%s' is not known", printable(type).c_str());
  if (flag_of(part, "add_prefix_space", true)) return error(Code::kUnsupported, "a byte-level pre-tokeniser that puts a blank before texts is not known");
  if (flag_of(part, "use_regex", true)) rule.add(kByteLevelPattern);
  return ok_status();
}

using Words = std::vector<std::string_view>;

Result<Words> split_probe(const PreTokenizerRule& rule) {
  HOTSET_ASSIGN(const auto splitter, PreTokenizer::create(rule));
  Words words;
  HOTSET_RETURN_IF_ERROR(splitter->split(kProbe, words));
  return words;
}

bool splits_so(const PreTokenizerRule& rule, const Words& words) {
  const auto own = split_probe(rule);
  return own.ok() && std::equal(own->begin(), own->end(), words.begin(), words.end(),
                                [](std::string_view a, std::string_view b) { return a.data() == b.data() && a.size() == b.size(); });
}

bool is_usual(const PreTokenizerRule& rule) { return std::find(std::begin(kUsualNames), std::end(kUsualNames), rule.name) != std::end(kUsualNames); }

// Usual names first, then any; of each those that ignore merges alike first.
const PreTokenizerRule* find_like(const Words& words, bool ignore_merges) {
  std::vector<const PreTokenizerRule*> alike;
  for (const PreTokenizerRule& rule : pre_tokenizer_rules()) {
    if (!rule.name.empty() && splits_so(rule, words)) alike.push_back(&rule);
  }
  const auto rank = [&](const PreTokenizerRule* rule) { return (is_usual(*rule) ? 0 : 2) + (rule->ignore_merges == ignore_merges ? 0 : 1); };
  const auto best = std::min_element(alike.begin(), alike.end(), [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  return best == alike.end() ? nullptr : *best;
}

}  // namespace

Result<std::string> match_pre_tokenizer(const Json& pre_tokenizer, bool ignore_merges) {
  FoundRule found;
  HOTSET_RETURN_IF_ERROR(add_part(pre_tokenizer, found));
  // An intersection of classes, which PCRE2 does not have: only Kimi's pattern is written so.
  const bool intersects = std::any_of(found.patterns.begin(), found.patterns.end(), [](const std::string& p) { return p.find(R"(&&[^\p{Han}])") != std::string::npos; });
  if (intersects) return std::string("kimi-k2");
  const PreTokenizerRule rule = {.name = "tokenizer.json", .steps = found.steps};
  HOTSET_ASSIGN(const Words words, split_probe(rule));
  if (const PreTokenizerRule* like = find_like(words, ignore_merges)) return std::string(like->name);
  return error(Code::kUnsupported, "no known pre-tokeniser splits words as this one does: '%s'",
               found.patterns.empty() ? "" : printable(found.patterns.back()).c_str());
}

}  // namespace hotset
