// ByteLevelEncoder: byte-pair encoding over the bytes of words, as GPT-2 and most models after it have it.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>

#include "runtime/text/fragment_encoder.h"
#include "runtime/text/merge_table.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/vocabulary.h"

namespace hotset {

class ByteLevelEncoder final : public FragmentEncoder {
 public:
  // `pieces`: the bytes of each token, which must outlive the encoder. Without a list of merges, ids are ranks (tiktoken).
  static Result<std::unique_ptr<ByteLevelEncoder>> create(const Vocabulary& vocabulary, const TextIndex& ids,
                                                          const std::vector<std::string>& pieces,
                                                          std::unique_ptr<PreTokenizer> pre_tokenizer);

  Status encode(std::string_view text, bool at_start, std::vector<TokenId>& ids) const override;

 private:
  ByteLevelEncoder() = default;
  Status bytes_to_symbols(std::string_view word, std::vector<TokenId>& symbols) const;

  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  MergeTable merges_;
  std::array<TokenId, 256> byte_tokens_{};
  std::unordered_map<std::string_view, TokenId> whole_words_;  // filled where merges may be ignored
  TokenId unk_ = kNoToken;
};

}  // namespace hotset
