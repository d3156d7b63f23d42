// A byte-level BPE vocabulary for synthetic models: the 256 bytes, a few merges, unused fillers up to the wanted size,
// and ChatML's control tokens last, as Qwen has them. Any text can be tokenised and any id printed.
#pragma once

#include <cstdint>

#include "tests/tools/gguf_writer.h"

namespace hotset::test {

inline constexpr uint32_t kSmallestVocabulary = 288;

// Adds the tokenizer.* keys. `size` is at least kSmallestVocabulary.
void add_synthetic_vocabulary(uint32_t size, GgufWriter& writer);

}  // namespace hotset::test
