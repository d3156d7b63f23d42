// Programs: every pipeline of the operations, made on first use from the embedded shaders and kept.
//
// One per engine, one thread at a time. Keys are a shader and its specialisation constants.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "platform/status.h"
#include "platform/vulkan/program.h"

namespace hotset {

struct ProgramKey {
  const char* name = "";                  // of the shader, for errors and order
  std::span<const uint32_t> spirv;
  std::array<uint32_t, 12> constants = {};  // specialisation constants 0..11
  bool operator<(const ProgramKey& other) const {
    if (spirv.data() != other.spirv.data()) return spirv.data() < other.spirv.data();
    return constants < other.constants;
  }
};

class Programs {
 public:
  // `cache_directory`: as ProgramCache::create.
  static Result<std::unique_ptr<Programs>> create(Device& device, const std::string& cache_directory);

  Result<Program> get(const ProgramKey& key);
  ProgramCache& cache() { return *cache_; }
  size_t count() const { return programs_.size(); }

 private:
  explicit Programs(std::unique_ptr<ProgramCache> cache) : cache_(std::move(cache)) {}

  std::unique_ptr<ProgramCache> cache_;
  std::map<ProgramKey, Program> programs_;
};

}  // namespace hotset
