// What `hotset pack` does: a side file of a model in which each expert is one aligned run of bytes (offload/pack_file.h).
#pragma once

#include <functional>
#include <string>

#include "platform/status.h"

namespace hotset {

struct PackReport {
  uint32_t layers = 0;
  uint32_t experts = 0;  // per layer
  uint64_t expert_bytes = 0;
  uint64_t file_bytes = 0;
};

// How far it is, in bytes of experts; false stops it.
using PackModelProgress = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;

// Writes the pack of a model. Errors: what is wrong with the model, kCancelled, kInvalidArgument when `pack_path` is another file,
// kIo; no half file is left.
Result<PackReport> pack_model(const std::string& model_path, const std::string& pack_path, const PackModelProgress& progress);

// Reads a pack and compares every expert with its checksum. Errors: what is wrong with either, kCancelled.
Result<PackReport> check_pack(const std::string& model_path, const std::string& pack_path, const PackModelProgress& progress);

}  // namespace hotset
