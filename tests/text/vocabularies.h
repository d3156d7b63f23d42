// Vocabularies for the tests of this floor.
#pragma once

#include <memory>
#include <string>

#include "runtime/text/tokenizer.h"

namespace hotset::test {

// 256 bytes, a few merges, control tokens; the rule is "qwen2". What tests break piece by piece.
Vocabulary small_vocabulary();

// The tokenizer of a GGUF file; nullptr when the file does not exist. A ".gz" file is unpacked into the build folder first.
std::unique_ptr<Tokenizer> tokenizer_of(const std::string& path);

}  // namespace hotset::test
