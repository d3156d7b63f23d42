#include "runtime/compute/read_sum.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "platform/clock.h"
#include "shaders/params.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

constexpr uint64_t kQuadBytes = 16;
constexpr uint32_t kMaxWorkgroups = 8192;  // of a read: enough for every device, few sums
constexpr uint64_t kPairBytes = 4096;

// A GPU wants many lanes to have loads under way; on a software device lanes beyond a subgroup gain nothing.
uint32_t workgroup_size(const DeviceLimits& limits) {
  return limits.software ? limits.subgroup_size : std::min(limits.max_workgroup_size, std::max(256u, limits.subgroup_size));
}

}  // namespace

Result<std::unique_ptr<ReadSum>> ReadSum::create(DeviceMemory& memory) {
  std::unique_ptr<ReadSum> made(new ReadSum(memory));
  HOTSET_RETURN_IF_ERROR(made->init());
  return made;
}

ReadSum::ReadSum(DeviceMemory& memory)
    : memory_(memory),
      device_(memory.device()),
      workgroup_(workgroup_size(device_.limits())),
      subgroup_(device_.limits().subgroup_size),
      pool_(device_, device_.compute().family()) {}

Status ReadSum::init() {
  const uint64_t sums_bytes = uint64_t{kMostReads} * kMaxWorkgroups * (workgroup_ / subgroup_) * sizeof(uint32_t);
  HOTSET_ASSIGN(sums_, memory_.allocate(sums_bytes, MemoryKind::kReadback, "sums of a measurement"));
  HOTSET_ASSIGN(programs_, ProgramCache::create(device_, ""));
  const uint32_t constants[] = {workgroup_, subgroup_};
  HOTSET_ASSIGN(program_, programs_->create_program(shaders::read_sum, constants, "read_sum"));
  recorder_ = std::make_unique<Recorder>(device_, *programs_);
  for (VkCommandBuffer& commands : commands_) {
    HOTSET_ASSIGN(commands, pool_.allocate());
  }
  return ok_status();
}

void ReadSum::record_read(uint64_t address, uint64_t bytes, uint32_t part) {
  const uint64_t step_bytes = uint64_t{workgroup_} * shaders::kReadDepth * kQuadBytes;
  const uint64_t steps = (bytes + step_bytes - 1) / step_bytes;
  shaders::ReadSumPush push = {};
  push.from = address;
  push.out_ = sums_.address() + part * (sums_.size_bytes() / kMostReads);
  push.quads = static_cast<uint32_t>(bytes / kQuadBytes);
  push.steps = static_cast<uint32_t>((steps + kMaxWorkgroups - 1) / kMaxWorkgroups);
  recorder_->dispatch(program_, push, static_cast<uint32_t>((steps + push.steps - 1) / push.steps));
}

Status ReadSum::record_reads(VkCommandBuffer commands, uint64_t address, uint64_t bytes, uint32_t first_part, uint32_t parts) {
  HOTSET_RETURN_IF_ERROR(recorder_->begin(commands, true));
  for (uint32_t i = 0; i < parts; ++i) record_read(address, bytes, first_part + i);
  recorder_->barrier(WorkKind::kShader, WorkKind::kHost);
  return recorder_->end();
}

Status ReadSum::run(std::span<const VkCommandBuffer> commands) {
  HOTSET_ASSIGN(const TimelinePoint point, device_.compute().submit(commands));
  return device_.compute().wait(point.value);
}

Result<uint64_t> ReadSum::read_ns(uint64_t address, uint64_t bytes, uint32_t times) {
  HOTSET_CHECK(times > 0 && times <= kMostReads && bytes > 0 && bytes % kQuadBytes == 0);
  const auto sums = std::span(reinterpret_cast<const uint32_t*>(sums_.mapped().data()), sums_.size_bytes() / sizeof(uint32_t) / kMostReads);
  std::memset(sums_.mapped().data(), 0, sums.size_bytes());
  HOTSET_RETURN_IF_ERROR(record_reads(commands_[0], address, bytes, 0, times));
  const uint64_t start_ns = now_ns();
  HOTSET_RETURN_IF_ERROR(run({commands_.data(), 1}));
  const uint64_t end_ns = now_ns();
  last_sum_ = std::accumulate(sums.begin(), sums.end(), 0u);
  return end_ns - start_ns;
}

Result<uint64_t> ReadSum::round_trip_ns() {
  const uint64_t start_ns = now_ns();
  HOTSET_RETURN_IF_ERROR(run({}));
  return now_ns() - start_ns;
}

Result<uint64_t> ReadSum::pair_ns(uint64_t address, bool stop_between) {
  for (uint32_t i = 0; i < 2; ++i) HOTSET_RETURN_IF_ERROR(record_reads(commands_[i], address, kPairBytes, i, 1));
  const uint64_t start_ns = now_ns();
  if (stop_between) {
    HOTSET_RETURN_IF_ERROR(run({&commands_[0], 1}));
    std::memcpy(&last_sum_, sums_.mapped().data(), sizeof last_sum_);
    HOTSET_RETURN_IF_ERROR(run({&commands_[1], 1}));
  } else {
    HOTSET_RETURN_IF_ERROR(run(commands_));
  }
  return now_ns() - start_ns;
}

}  // namespace hotset
