// Writes a Vocabulary as the tokenizer.ggml.* keys that read_vocabulary reads.
#pragma once

#include "runtime/format/gguf_writer.h"
#include "runtime/text/vocabulary.h"

namespace hotset {

void write_vocabulary(const Vocabulary& vocabulary, GgufWriter& writer);

}  // namespace hotset
