// PreTokenizer: splits text into the words within which byte-pair merges happen.
//
// A named rule of published models (pre_tokenizer_rules.h), run by PCRE2. Immutable after creation; any thread may split.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"
#include "runtime/text/pre_tokenizer_rules.h"

namespace hotset {

class PreTokenizer {
 public:
  // `name` as GGUF files give it. An unknown name gets the rule "default" and a warning in the log.
  static Result<std::unique_ptr<PreTokenizer>> create(std::string_view name);
  // A rule of one's own, which must outlive it. Error: a pattern that PCRE2 does not take.
  static Result<std::unique_ptr<PreTokenizer>> create(const PreTokenizerRule& rule);
  ~PreTokenizer();
  PreTokenizer(const PreTokenizer&) = delete;
  PreTokenizer& operator=(const PreTokenizer&) = delete;

  bool ignore_merges() const { return rule_.ignore_merges; }
  bool adds_bos() const { return rule_.adds_bos; }

  // Appends the words of `text` (valid UTF-8), which together are all of it. Error: the matcher ran out of memory.
  Status split(std::string_view text, std::vector<std::string_view>& words) const;

 private:
  struct Step;
  explicit PreTokenizer(const PreTokenizerRule& rule);
  Status add_step(const SplitStep& step);

  const PreTokenizerRule& rule_;
  std::vector<std::unique_ptr<const Step>> steps_;  // constant after create()
};

}  // namespace hotset
