// The ways in which vocabularies say which tokens merge.
#pragma once

#include "platform/status.h"
#include "runtime/text/merge_table.h"
#include "runtime/text/vocabulary.h"

namespace hotset {

// Vocabulary::merges: pairs of tokens as "left right", first ones first. Error: a merge that is not two tokens, or that
// names a token that does not exist.
Result<MergeTable> merges_of_list(const Vocabulary& vocabulary, const TextIndex& ids);

// tiktoken's way, for a byte-level vocabulary without a list: any two tokens that together are a token merge into it, tokens
// with lower ids first.
MergeTable merges_of_ranks(const Vocabulary& vocabulary, const TextIndex& ids);

}  // namespace hotset
