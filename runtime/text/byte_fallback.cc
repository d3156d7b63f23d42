#include "runtime/text/byte_fallback.h"

#include <cstdio>

namespace hotset {

ByteFallback::ByteFallback(const Vocabulary& vocabulary, const TextIndex& ids) : unk_(vocabulary.unk) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    const auto place = ids.find(name);
    byte_tokens_[byte] = place == ids.end() ? kNoToken : place->second;
  }
}

Status ByteFallback::append(std::string_view character, size_t first, std::vector<TokenId>& ids) const {
  bool has_bytes = true;
  for (const char c : character) has_bytes &= byte_tokens_[static_cast<unsigned char>(c)] != kNoToken;
  if (has_bytes) {
    for (const char c : character) ids.push_back(byte_tokens_[static_cast<unsigned char>(c)]);
    return ok_status();
  }
  if (unk_ == kNoToken) {
    return error(Code::kInvalidArgument, "the vocabulary has no token for '%.*s'",
                 static_cast<int>(character.size()), character.data());
  }
  if (ids.size() == first || ids.back() != unk_) ids.push_back(unk_);
  return ok_status();
}

}  // namespace hotset
