#include "runtime/text/byte_level_encoder.h"

#include "runtime/text/byte_alphabet.h"
#include "runtime/text/merge_rules.h"

namespace hotset {

Result<std::unique_ptr<ByteLevelEncoder>> ByteLevelEncoder::create(const Vocabulary& vocabulary, const TextIndex& ids,
                                                                  const std::vector<std::string>& pieces,
                                                                  std::unique_ptr<PreTokenizer> pre_tokenizer) {
  std::unique_ptr<ByteLevelEncoder> encoder(new ByteLevelEncoder);
  encoder->unk_ = vocabulary.unk;
  if (vocabulary.merges.empty()) {
    encoder->merges_ = merges_of_ranks(vocabulary, ids);
  } else {
    HOTSET_ASSIGN(encoder->merges_, merges_of_list(vocabulary, ids));
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const auto place = ids.find(byte_alphabet_character(static_cast<uint8_t>(byte)));
    encoder->byte_tokens_[byte] = place == ids.end() ? kNoToken : place->second;
  }
  if (pre_tokenizer->ignore_merges()) {
    encoder->whole_words_.reserve(pieces.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (vocabulary.type_of(i) == TokenType::kNormal) encoder->whole_words_.emplace(pieces[i], static_cast<TokenId>(i));
    }
  }
  encoder->pre_tokenizer_ = std::move(pre_tokenizer);
  return encoder;
}

Status ByteLevelEncoder::encode(std::string_view text, bool, std::vector<TokenId>& ids) const {
  std::vector<std::string_view> words;
  std::vector<TokenId> symbols;
  WordMerger merger(merges_);
  HOTSET_RETURN_IF_ERROR(pre_tokenizer_->split(text, words));
  for (const std::string_view word : words) {
    if (!whole_words_.empty()) {
      const auto whole = whole_words_.find(word);
      if (whole != whole_words_.end()) {
        ids.push_back(whole->second);
        continue;
      }
    }
    HOTSET_RETURN_IF_ERROR(bytes_to_symbols(word, symbols));
    merger.merge(symbols);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }
  return ok_status();
}

Status ByteLevelEncoder::bytes_to_symbols(std::string_view word, std::vector<TokenId>& symbols) const {
  symbols.clear();
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    const TokenId id = byte_tokens_[byte] != kNoToken ? byte_tokens_[byte] : unk_;
    if (id == kNoToken) return error(Code::kInvalidArgument, "the vocabulary has no token for byte 0x%02X", byte);
    symbols.push_back(id);
  }
  return ok_status();
}

}  // namespace hotset
