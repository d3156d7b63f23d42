// ReadSum: a kernel that reads memory as fast as the device can, and what a stop of the device costs. For measurements.
//
// Times are the whole of a submit as the host sees it, until it has been waited for. One thread.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "platform/vulkan/commands.h"
#include "platform/vulkan/memory.h"
#include "platform/vulkan/program.h"

namespace hotset {

class ReadSum {
 public:
  static constexpr uint32_t kMostReads = 8;

  // `memory` outlives it. Errors: no room in the budget for the sums (2 MiB at most), or what the device says.
  static Result<std::unique_ptr<ReadSum>> create(DeviceMemory& memory);

  // Reads `bytes` (a multiple of 16) at `address`, `times` over (at most kMostReads) in one submit.
  Result<uint64_t> read_ns(uint64_t address, uint64_t bytes, uint32_t times);
  // Two small reads at `address` (of 4 KiB) in one submit; or in two, with a look of the host at the first one's sum between them.
  Result<uint64_t> pair_ns(uint64_t address, bool stop_between);
  // A submit of nothing.
  Result<uint64_t> round_trip_ns();

  // What the first reading of the last read_ns found: the sum of all words, modulo 2^32.
  uint32_t last_sum() const { return last_sum_; }

 private:
  explicit ReadSum(DeviceMemory& memory);
  Status init();
  // The dispatch that reads `bytes` at `address` and writes part `part` of sums_.
  void record_read(uint64_t address, uint64_t bytes, uint32_t part);
  Status record_reads(VkCommandBuffer commands, uint64_t address, uint64_t bytes, uint32_t first_part, uint32_t parts);
  Status run(std::span<const VkCommandBuffer> commands);

  DeviceMemory& memory_;
  Device& device_;
  const uint32_t workgroup_;  // invocations
  const uint32_t subgroup_;
  Buffer sums_;  // uint [kMostReads][workgroups][subgroups], mapped
  std::unique_ptr<ProgramCache> programs_;
  Program program_;
  CommandPool pool_;
  std::unique_ptr<Recorder> recorder_;
  std::array<VkCommandBuffer, 2> commands_ = {};
  uint32_t last_sum_ = 0;
};

}  // namespace hotset
