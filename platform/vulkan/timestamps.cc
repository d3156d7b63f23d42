#include "platform/vulkan/timestamps.h"

namespace hotset {

Timestamps::~Timestamps() {
  for (const VkQueryPool pool : pools_) device_.fn().vkDestroyQueryPool(device_.handle(), pool, device_.allocator());
}

Result<uint32_t> Timestamps::new_pair() {
  if (pairs_ == pools_.size() * kPoolPairs) {
    VkQueryPoolCreateInfo info = {VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = 2 * kPoolPairs;
    VkQueryPool pool = VK_NULL_HANDLE;
    HOTSET_VK("vkCreateQueryPool", device_.fn().vkCreateQueryPool(device_.handle(), &info, device_.allocator(), &pool));
    pools_.push_back(pool);
  }
  return pairs_++;
}

void Timestamps::start(VkCommandBuffer commands, uint32_t pair) const {
  const uint32_t first = 2 * (pair % kPoolPairs);
  device_.fn().vkCmdResetQueryPool(commands, pool_of(pair), first, 2);
  device_.fn().vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT, pool_of(pair), first);
}

void Timestamps::stop(VkCommandBuffer commands, uint32_t pair) const {
  device_.fn().vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT, pool_of(pair), 2 * (pair % kPoolPairs) + 1);
}

uint64_t Timestamps::elapsed_ns(uint32_t pair) const {
  uint64_t times[2] = {};
  const VkResult result = device_.fn().vkGetQueryPoolResults(device_.handle(), pool_of(pair), 2 * (pair % kPoolPairs), 2, sizeof times, times,
                                                             sizeof times[0], VK_QUERY_RESULT_64_BIT);
  if (result != VK_SUCCESS) return 0;
  const uint32_t bits = device_.limits().timestamp_bits;
  const uint64_t mask = bits >= 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
  return static_cast<uint64_t>(static_cast<double>((times[1] - times[0]) & mask) * device_.limits().timestamp_period_ns);
}

}  // namespace hotset
