// Finds the name that GGUF files give to the pre-tokeniser of a tokenizer.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "platform/status.h"

namespace hotset {

// `pre_tokenizer` is that member of the document. It is run beside every named rule (pre_tokenizer_rules.h) on a text in which all of them
// split differently, so it does not matter how a pattern is spelled; of rules that split alike one with the same `ignore_merges` is taken.
// Error (kUnsupported): no rule splits so, or it has a part that is not known, which is named.
Result<std::string> match_pre_tokenizer(const nlohmann::json& pre_tokenizer, bool ignore_merges);

}  // namespace hotset
