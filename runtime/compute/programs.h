// Programs: every pipeline of the operations, made on first use from the embedded shaders and kept; and the code books that some
// of them read, 26 KB of device memory beside every budget.
//
// One per engine, one thread at a time. Keys are a shader and its specialisation constants.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "platform/status.h"
#include "platform/vulkan/memory.h"
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
  // `cache_directory`: as ProgramCache::create. Errors: that one's, no memory on the device.
  static Result<std::unique_ptr<Programs>> create(Device& device, const std::string& cache_directory);

  Result<Program> get(const ProgramKey& key);
  ProgramCache& cache() { return *cache_; }
  // Address of codebook_words().
  uint64_t codebooks() const { return codebooks_.address(); }
  size_t count() const { return programs_.size(); }

 private:
  Programs(Device& device, std::unique_ptr<ProgramCache> cache) : cache_(std::move(cache)), memory_(device, kCodebookBudgetBytes) {}
  Status upload_codebooks();

  static constexpr uint64_t kCodebookBudgetBytes = 1 << 20;  // with the driver's padding
  std::unique_ptr<ProgramCache> cache_;
  std::map<ProgramKey, Program> programs_;
  DeviceMemory memory_;
  Buffer codebooks_;
};

}  // namespace hotset
