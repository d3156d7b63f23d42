// tiktoken's vocabulary files: a line a token, "BASE64 RANK", whose rank is its id and says how early it is merged.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"

namespace hotset {

struct TiktokenRanks {
  std::vector<std::string> tokens;  // by rank, in GPT-2's byte alphabet; empty where a rank has none
  std::vector<std::string> merges;  // the same rules as pairs, first ones first
};

// Error (kCorrupt): a line that is none, with its number; a token twice.
Result<TiktokenRanks> read_tiktoken_ranks(std::string_view text);

}  // namespace hotset
