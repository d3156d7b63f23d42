// Compute programs: SPIR-V specialised into pipelines, through a pipeline cache that is kept on disk.
//
// All programs share one layout: no descriptor sets, push constants only (buffers are passed as 64-bit addresses).
// A ProgramCache is owned by one engine and used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/device.h"

namespace hotset {

// Push constants of every program; 128 is what every Vulkan device has (minMaxPushConstantsSize).
constexpr uint32_t kMaxPushBytes = 128;

// A pipeline; valid as long as its ProgramCache.
struct Program {
  VkPipeline pipeline = VK_NULL_HANDLE;
};

class ProgramCache {
 public:
  // `directory`: where the cache file lies; empty keeps nothing. A missing, foreign or broken file is ignored.
  static Result<std::unique_ptr<ProgramCache>> create(Device& device, const std::string& directory);
  ~ProgramCache();
  ProgramCache(const ProgramCache&) = delete;
  ProgramCache& operator=(const ProgramCache&) = delete;

  // A pipeline of `spirv` with specialisation constants 0, 1, 2, ... = `constants`. Full subgroups of the device's size.
  Result<Program> create_program(std::span<const uint32_t> spirv, std::span<const uint32_t> constants, const char* name);

  // Writes the cache file when programs were made since the last save.
  Status save();

  VkPipelineLayout layout() const { return layout_; }

 private:
  explicit ProgramCache(Device& device) : device_(device) {}
  Status init(const std::string& directory);

  Device& device_;
  std::string path_;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  std::vector<VkPipeline> pipelines_;
  size_t loaded_bytes_ = 0;  // size of the cache as read; a different size is worth saving
};

}  // namespace hotset
