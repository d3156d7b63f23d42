#include "platform/vulkan/program.h"

#include "platform/file.h"
#include "platform/log.h"

namespace hotset {
namespace {

constexpr uint64_t kMaxCacheFileBytes = 256u << 20;
constexpr size_t kMaxConstants = 32;

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
  // The driver checks the header and drops data that is not its own.
  VkPipelineCacheCreateInfo info = {VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  info.initialDataSize = content.size();
  info.pInitialData = content.data();
  VkResult result = device_.fn().vkCreatePipelineCache(device_.handle(), &info, nullptr, &cache_);
  if (result != VK_SUCCESS) {
    info.initialDataSize = 0;
    result = device_.fn().vkCreatePipelineCache(device_.handle(), &info, nullptr, &cache_);
  }
  HOTSET_VK("vkCreatePipelineCache", result);
  loaded_bytes_ = content.size();
  const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, kMaxPushBytes};
  VkPipelineLayoutCreateInfo layout = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  HOTSET_VK("vkCreatePipelineLayout", device_.fn().vkCreatePipelineLayout(device_.handle(), &layout, nullptr, &layout_));
  return ok_status();
}

ProgramCache::~ProgramCache() {
  const VolkDeviceTable& fn = device_.fn();
  for (VkPipeline pipeline : pipelines_) fn.vkDestroyPipeline(device_.handle(), pipeline, nullptr);
  fn.vkDestroyPipelineLayout(device_.handle(), layout_, nullptr);
  fn.vkDestroyPipelineCache(device_.handle(), cache_, nullptr);
}

Result<Program> ProgramCache::create_program(std::span<const uint32_t> spirv, std::span<const uint32_t> constants, const char* name) {
  HOTSET_CHECK(constants.size() <= kMaxConstants);
  const VolkDeviceTable& fn = device_.fn();
  VkShaderModuleCreateInfo module_info = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = spirv.size_bytes();
  module_info.pCode = spirv.data();
  VkShaderModule module = VK_NULL_HANDLE;
  HOTSET_VK("vkCreateShaderModule", fn.vkCreateShaderModule(device_.handle(), &module_info, nullptr, &module));
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
  const VkResult result = fn.vkCreateComputePipelines(device_.handle(), cache_, 1, &info, nullptr, &pipeline);
  fn.vkDestroyShaderModule(device_.handle(), module, nullptr);
  if (result != VK_SUCCESS) return vk_error("vkCreateComputePipelines", result).with_context(name);
  pipelines_.push_back(pipeline);
  return Program{pipeline};
}

Status ProgramCache::save() {
  if (path_.empty()) return ok_status();
  size_t size = 0;
  HOTSET_VK("vkGetPipelineCacheData", device_.fn().vkGetPipelineCacheData(device_.handle(), cache_, &size, nullptr));
  if (size == loaded_bytes_) return ok_status();
  std::string content(size, '\0');
  HOTSET_VK("vkGetPipelineCacheData", device_.fn().vkGetPipelineCacheData(device_.handle(), cache_, &size, content.data()));
  content.resize(size);
  HOTSET_RETURN_IF_ERROR(write_whole_file(path_, content));
  loaded_bytes_ = size;
  return ok_status();
}

}  // namespace hotset
