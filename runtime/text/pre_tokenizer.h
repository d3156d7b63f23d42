// PreTokenizer: splits text into the words within which byte-pair merges happen.
//
// A named rule of published models, run by PCRE2. Immutable after creation; any thread may split.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"

namespace hotset {

class PreTokenizer {
 public:
  // `name` as GGUF files give it: "qwen2", "gpt-2" (also "default" and ""), "llama-bpe" and their aliases. Error: a name that
  // this build does not know.
  static Result<std::unique_ptr<PreTokenizer>> create(std::string_view name);
  ~PreTokenizer();
  PreTokenizer(const PreTokenizer&) = delete;
  PreTokenizer& operator=(const PreTokenizer&) = delete;

  // A word that is a token is taken whole, whatever the merges say.
  bool ignore_merges() const { return ignore_merges_; }
  // The models of this rule want a beginning token where their file does not say.
  bool adds_bos() const { return adds_bos_; }

  // Appends the words of `text` (valid UTF-8), which together are all of it. Error: the matcher ran out of memory.
  Status split(std::string_view text, std::vector<std::string_view>& words) const;

 private:
  struct Pattern;
  PreTokenizer(std::unique_ptr<Pattern> pattern, bool ignore_merges, bool adds_bos);

  const std::unique_ptr<Pattern> pattern_;
  const bool ignore_merges_;
  const bool adds_bos_;
};

}  // namespace hotset
