#include "platform/vulkan/program.h"

#include <cstring>
#include <string_view>

#include "platform/file.h"
#include "platform/log.h"

namespace hotset {
namespace {

constexpr uint64_t kMaxCacheFileBytes = 256u << 20;
constexpr size_t kMaxConstants = 32;

// Before the driver's data in the cache file. Drivers may trust what follows their own header, so bytes that were not
// written by save() must not reach them.
struct CacheHeader {
  char magic[8] = {'h', 'o', 't', 's', 'e', 't', 'P', '1'};
  uint64_t size_bytes = 0;
  uint64_t hash = 0;
};

CacheHeader header_of(std::string_view data) {
  CacheHeader header;
  header.size_bytes = data.size();
  header.hash = 0xcbf29ce484222325u;  // FNV-1a, 64 bits
  for (const char byte : data) header.hash = (header.hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
  return header;
}

// The driver's data in a cache file; empty unless the file is whole.
std::string_view checked_data(std::string_view file) {
  if (file.size() < sizeof(CacheHeader)) return {};
  const std::string_view data = file.substr(sizeof(CacheHeader));
  const CacheHeader expected = header_of(data);
  return std::memcmp(file.data(), &expected, sizeof expected) == 0 ? data : std::string_view();
}

}  // namespace

Result<std::unique_ptr<ProgramCache>> ProgramCache::create(Device& device, const std::string& directory) {
  std::unique_ptr<ProgramCache> programs(new ProgramCache(device));
  HOTSET_RETURN_IF_ERROR(programs->init(directory));
  return programs;
}

Status ProgramCache::init(const std::string& directory) {
  std::string content;
  if (!directory.empty()) {
    path_ = directory + "/pipelines-" + device_.cache_key() + ".bin";
    auto file = read_whole_file(path_, kMaxCacheFileBytes);
    if (file.ok()) content = std::move(file).value();
  }
  const std::string_view data = checked_data(content);
  // The driver checks its own header and drops data of another driver or build.
  VkPipelineCacheCreateInfo info = {VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  info.initialDataSize = data.size();
  info.pInitialData = data.data();
  VkResult result = device_.fn().vkCreatePipelineCache(device_.handle(), &info, device_.allocator(), &cache_);
  if (result != VK_SUCCESS) {
    info.initialDataSize = 0;
    result = device_.fn().vkCreatePipelineCache(device_.handle(), &info, device_.allocator(), &cache_);
  }
  HOTSET_VK("vkCreatePipelineCache", result);
  loaded_bytes_ = data.size();
  const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, kMaxPushBytes};
  VkPipelineLayoutCreateInfo layout = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  HOTSET_VK("vkCreatePipelineLayout", device_.fn().vkCreatePipelineLayout(device_.handle(), &layout, device_.allocator(), &layout_));
  return ok_status();
}

ProgramCache::~ProgramCache() {
  const DeviceFunctions& fn = device_.fn();
  for (VkPipeline pipeline : pipelines_) fn.vkDestroyPipeline(device_.handle(), pipeline, device_.allocator());
  fn.vkDestroyPipelineLayout(device_.handle(), layout_, device_.allocator());
  fn.vkDestroyPipelineCache(device_.handle(), cache_, device_.allocator());
}

Result<Program> ProgramCache::create_program(std::span<const uint32_t> spirv, std::span<const uint32_t> constants, const char* name) {
  HOTSET_CHECK(constants.size() <= kMaxConstants);
  const DeviceFunctions& fn = device_.fn();
  VkShaderModuleCreateInfo module_info = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = spirv.size_bytes();
  module_info.pCode = spirv.data();
  VkShaderModule module = VK_NULL_HANDLE;
  HOTSET_VK("vkCreateShaderModule", fn.vkCreateShaderModule(device_.handle(), &module_info, device_.allocator(), &module));
  VkSpecializationMapEntry entries[kMaxConstants];
  for (uint32_t i = 0; i < constants.size(); ++i) entries[i] = {i, static_cast<uint32_t>(i * sizeof(uint32_t)), sizeof(uint32_t)};
  const VkSpecializationInfo specialization = {static_cast<uint32_t>(constants.size()), entries, constants.size_bytes(), constants.data()};
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, nullptr,
                                                                  device_.limits().subgroup_size};
  VkComputePipelineCreateInfo info = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.pNext = device_.can_require_subgroup_size() ? &subgroup : nullptr;
  info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &specialization;
  info.layout = layout_;
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult result = fn.vkCreateComputePipelines(device_.handle(), cache_, 1, &info, device_.allocator(), &pipeline);
  fn.vkDestroyShaderModule(device_.handle(), module, device_.allocator());
  if (result != VK_SUCCESS) return vk_error("vkCreateComputePipelines", result).with_context(name);
  pipelines_.push_back(pipeline);
  return Program{pipeline};
}

Status ProgramCache::save() {
  if (path_.empty()) return ok_status();
  size_t size = 0;
  HOTSET_VK("vkGetPipelineCacheData", device_.fn().vkGetPipelineCacheData(device_.handle(), cache_, &size, nullptr));
  if (size == loaded_bytes_) return ok_status();
  std::string data(size, '\0');
  HOTSET_VK("vkGetPipelineCacheData", device_.fn().vkGetPipelineCacheData(device_.handle(), cache_, &size, data.data()));
  data.resize(size);
  const CacheHeader header = header_of(data);
  const std::string content = std::string(reinterpret_cast<const char*>(&header), sizeof header) + data;
  HOTSET_RETURN_IF_ERROR(write_whole_file(path_, content));
  loaded_bytes_ = size;
  return ok_status();
}

}  // namespace hotset
