// Reads a model file's vocabulary (the tokenizer.ggml.* keys) for the Tokenizer.
#pragma once

#include "platform/status.h"
#include "runtime/format/gguf.h"
#include "runtime/text/tokenizer.h"

namespace hotset {

// Copies everything, so the file may be closed. Errors: no vocabulary, or keys of a wrong type. Whether it makes sense is
// Tokenizer::create's to say.
Result<Vocabulary> read_vocabulary(const GgufFile& file);

}  // namespace hotset
