// What `hotset convert` does: a checkpoint folder (config.json, safetensors, tokenizer.json) becomes one GGUF.
//
// Tensors are read, expanded and rounded a few rows at a time on all threads, so memory stays small whatever the model. A conversion that
// ends early leaves OUT.part and OUT.part.state, and the same call goes on from there.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "platform/status.h"

namespace hotset {

struct ConvertOptions {
  std::string folder;
  std::string out;
  std::string type;      // "Q4_K"; empty: what the checkpoint's own numbers need
  uint32_t threads = 0;  // 0: one per core
};

struct ConvertReport {
  std::string architecture;
  std::string type;
  uint64_t tensors = 0;
  uint64_t ignored = 0;       // weights that no run needs
  uint64_t source_bytes = 0;  // of the checkpoint's files
  uint64_t file_bytes = 0;
  uint64_t resumed_bytes = 0;  // that an earlier run had written
};

// How far the file is; false stops it.
using ConvertProgress = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;

// The names that ConvertOptions::type takes.
std::vector<std::string> convert_types();

// Errors: what is wrong with the checkpoint, each in one line; a type that is not among convert_types(); a model that this build could not
// run; kInvalidArgument where OUT is there already; kIo for a full disk; kCancelled.
Result<ConvertReport> convert_model(const ConvertOptions& options, const ConvertProgress& progress);

}  // namespace hotset
