// Timestamps: how long commands took on the device, by pairs of queries round them.
//
// A pair is part of a command buffer and is written anew each time that it runs. One thread at a time, as the command buffers.
#pragma once

#include <cstdint>
#include <vector>

#include "platform/vulkan/device.h"

namespace hotset {

class Timestamps {
 public:
  explicit Timestamps(Device& device) : device_(device) {}
  ~Timestamps();
  Timestamps(const Timestamps&) = delete;
  Timestamps& operator=(const Timestamps&) = delete;

  // The compute queue has them; without, nothing else may be called.
  bool available() const { return device_.limits().timestamp_period_ns > 0; }
  // Another pair. Error: no memory.
  Result<uint32_t> new_pair();
  // Between the begin and the end of a command buffer.
  void start(VkCommandBuffer commands, uint32_t pair) const;
  void stop(VkCommandBuffer commands, uint32_t pair) const;
  // Of a pair whose commands have finished; 0: not known.
  uint64_t elapsed_ns(uint32_t pair) const;

 private:
  static constexpr uint32_t kPoolPairs = 128;

  VkQueryPool pool_of(uint32_t pair) const { return pools_[pair / kPoolPairs]; }

  Device& device_;
  std::vector<VkQueryPool> pools_;  // of kPoolPairs pairs each
  uint32_t pairs_ = 0;
};

}  // namespace hotset
