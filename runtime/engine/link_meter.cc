#include "runtime/engine/link_meter.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "platform/clock.h"
#include "platform/threads.h"
#include "shaders/params.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

constexpr uint64_t kQuadBytes = 16;
constexpr uint32_t kMaxWorkgroups = 8192;     // of a read: enough for every device, few sums
constexpr uint64_t kPairBytes = 4096;         // that a dispatch of pair_ns reads

// 64 lanes are the least that fill every vendor's units; on a software device lanes beyond a subgroup gain nothing.
uint32_t read_workgroup(const DeviceLimits& limits) { return limits.software ? limits.subgroup_size : std::max(256u, limits.subgroup_size); }

uint64_t sum_words(std::span<const std::byte> bytes) {
  const auto* words = reinterpret_cast<const uint64_t*>(bytes.data());
  uint64_t sums[4] = {};  // so that additions do not wait for each other
  for (size_t i = 0; i + 4 <= bytes.size() / sizeof(uint64_t); i += 4) {
    for (size_t k = 0; k < 4; ++k) sums[k] += words[i + k];
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

}  // namespace

Result<std::unique_ptr<LinkMeter>> LinkMeter::create(DeviceMemory& memory, const LinkMeterOptions& options) {
  std::unique_ptr<LinkMeter> meter(new LinkMeter(memory, options));
  HOTSET_RETURN_IF_ERROR(meter->init());
  return meter;
}

LinkMeter::LinkMeter(DeviceMemory& memory, const LinkMeterOptions& options)
    : memory_(memory),
      device_(memory.device()),
      options_(options),
      workgroup_(read_workgroup(device_.limits())),
      subgroup_(device_.limits().subgroup_size),
      pool_(device_, device_.compute().family()) {}

Status LinkMeter::init() {
  HOTSET_ASSIGN(arena_, HostArena::create(options_.host_bytes));
  const auto words = std::span(reinterpret_cast<uint64_t*>(host().data()), host().size() / sizeof(uint64_t));
  std::iota(words.begin(), words.end(), uint64_t{0x9e3779b97f4a7c15u});  // any bytes but zero pages, which share one page of RAM
  auto imported = HostImport::create(device_, host(), {}, options_.import);
  import_refusal_ = imported.ok() ? (*imported)->refusal() : imported.status();
  // One piece holds it all, so a read may start anywhere.
  if (imported.ok() && (*imported)->covers(host().data(), host().size())) import_ = std::move(imported).value();
  HOTSET_RETURN_IF_ERROR(make_slab());
  make_links();
  HOTSET_RETURN_IF_ERROR(make_program());
  return warm_staging();
}

Status LinkMeter::make_slab() {
  for (uint64_t bytes = options_.device_bytes;; bytes /= 2) {
    auto slab = memory_.allocate(bytes, MemoryKind::kDevice, "link measurement");
    if (slab.ok()) {
      slab_[0] = std::move(slab).value();
      break;
    }
    if (bytes / 2 < options_.least_device_bytes) return slab.status();
  }
  const uint64_t sums_bytes = uint64_t{kMostReads} * kMaxWorkgroups * (workgroup_ / subgroup_) * sizeof(uint32_t);
  HOTSET_ASSIGN(sums_, memory_.allocate(sums_bytes, MemoryKind::kReadback, "link measurement"));
  return ok_status();
}

// A way that the device or the budget refuses is one that is not there.
void LinkMeter::make_links() {
  for (const CopyPath path : {CopyPath::kMapped, CopyPath::kDirect, CopyPath::kStaging}) {
    if (path == CopyPath::kMapped && slab_[0].mapped().empty()) continue;
    if (path == CopyPath::kDirect && !import_) continue;
    const uint64_t staging_bytes = path == CopyPath::kStaging ? options_.staging_bytes : LinkVulkan::kSegments;
    auto link = LinkVulkan::create(memory_, slab_, {path, import_.get(), staging_bytes});
    if (link.ok()) links_[static_cast<size_t>(path)] = std::move(link).value();
  }
}

// Goes round the staging ring once: its pages may have had no memory behind them.
Status LinkMeter::warm_staging() {
  for (uint64_t done = 0; has(CopyPath::kStaging) && done < options_.staging_bytes; done += most_copy_bytes()) {
    HOTSET_RETURN_IF_ERROR(copy_ns(CopyPath::kStaging, 1, most_copy_bytes()).status());
  }
  return ok_status();
}

Status LinkMeter::make_program() {
  HOTSET_ASSIGN(programs_, ProgramCache::create(device_, ""));
  const uint32_t constants[] = {workgroup_, subgroup_};
  HOTSET_ASSIGN(read_sum_, programs_->create_program(shaders::read_sum, constants, "read_sum"));
  recorder_ = std::make_unique<Recorder>(device_, *programs_);
  for (VkCommandBuffer& commands : commands_) {
    HOTSET_ASSIGN(commands, pool_.allocate());
  }
  return ok_status();
}

std::span<const std::byte> LinkMeter::next_source(uint64_t bytes) {
  if (source_offset_bytes_ + bytes > host_bytes()) source_offset_bytes_ = 0;
  const auto source = std::as_const(*arena_).bytes().subspan(source_offset_bytes_, bytes);
  source_offset_bytes_ += bytes;
  return source;
}

Result<uint64_t> LinkMeter::copy_ns(CopyPath path, uint32_t copies, uint64_t copy_bytes) {
  HOTSET_CHECK(has(path) && copies * copy_bytes <= most_copy_bytes());
  LinkVulkan& link = *links_[static_cast<size_t>(path)];
  const auto source = next_source(copies * copy_bytes);
  const uint64_t start_ns = now_ns();
  for (uint32_t i = 0; i < copies; ++i) {
    // Back to front in the slab, as experts' slots do not follow each other: no two copies become one.
    HOTSET_RETURN_IF_ERROR(link.copy(source.subspan(i * copy_bytes, copy_bytes), SlabId{0}, (copies - 1 - i) * copy_bytes));
  }
  HOTSET_ASSIGN(const uint64_t value, link.submit());
  HOTSET_RETURN_IF_ERROR(link.wait(value));
  return now_ns() - start_ns;
}

Result<uint64_t> LinkMeter::write_ns(uint64_t bytes) {
  HOTSET_CHECK(has(CopyPath::kMapped) && bytes <= most_copy_bytes());
  const auto source = next_source(bytes);
  const auto target = slab_[0].mapped();
  const uint32_t parts = std::max(1u, options_.threads);
  const uint64_t start_ns = now_ns();
  HOTSET_RETURN_IF_ERROR(parallel_for(parts, parts, [&](uint32_t i) {
    const uint64_t begin = bytes * i / parts;
    std::memcpy(target.data() + begin, source.data() + begin, bytes * (i + 1) / parts - begin);
    return ok_status();
  }));
  return now_ns() - start_ns;
}

void LinkMeter::record_read(uint64_t address, uint64_t bytes, uint32_t part) {
  const uint64_t step_bytes = uint64_t{workgroup_} * shaders::kReadDepth * kQuadBytes;
  const uint64_t steps = (bytes + step_bytes - 1) / step_bytes;
  shaders::ReadSumPush push = {};
  push.from = address;
  push.out_ = sums_.address() + part * (sums_.size_bytes() / kMostReads);
  push.quads = static_cast<uint32_t>(bytes / kQuadBytes);
  push.steps = static_cast<uint32_t>((steps + kMaxWorkgroups - 1) / kMaxWorkgroups);
  recorder_->dispatch(read_sum_, push, static_cast<uint32_t>((steps + push.steps - 1) / push.steps));
}

Status LinkMeter::record_reads(VkCommandBuffer commands, uint64_t address, uint64_t bytes, uint32_t first_part, uint32_t parts) {
  HOTSET_RETURN_IF_ERROR(recorder_->begin(commands, true));
  for (uint32_t i = 0; i < parts; ++i) record_read(address, bytes, first_part + i);
  recorder_->barrier(WorkKind::kShader, WorkKind::kHost);
  return recorder_->end();
}

Status LinkMeter::run(std::span<const VkCommandBuffer> commands) {
  HOTSET_ASSIGN(const TimelinePoint point, device_.compute().submit(commands));
  return device_.compute().wait(point.value);
}

Result<uint64_t> LinkMeter::read_ns(ReadFrom from, uint64_t bytes, uint32_t times) {
  HOTSET_CHECK(has(from) && times > 0 && times <= kMostReads && bytes % kQuadBytes == 0);
  HOTSET_CHECK(bytes <= (from == ReadFrom::kDevice ? device_bytes() : host_bytes()));
  const uint64_t address = from == ReadFrom::kDevice ? slab_[0].address() : *import_->device_address(host().data(), bytes);
  const auto sums = std::span(reinterpret_cast<const uint32_t*>(sums_.mapped().data()), sums_.size_bytes() / sizeof(uint32_t) / kMostReads);
  std::memset(sums_.mapped().data(), 0, sums.size_bytes());
  HOTSET_RETURN_IF_ERROR(record_reads(commands_[0], address, bytes, 0, times));
  const uint64_t start_ns = now_ns();
  HOTSET_RETURN_IF_ERROR(run({commands_.data(), 1}));
  const uint64_t end_ns = now_ns();
  last_sum_ = std::accumulate(sums.begin(), sums.end(), 0u);
  return end_ns - start_ns;
}

Result<uint64_t> LinkMeter::host_read_ns() {
  const uint32_t parts = std::max(1u, options_.threads);
  const uint64_t part_bytes = host_bytes() / parts / kQuadBytes * kQuadBytes;
  std::vector<uint64_t> found(parts);
  const uint64_t start_ns = now_ns();
  HOTSET_RETURN_IF_ERROR(parallel_for(parts, parts, [&](uint32_t i) {
    found[i] = sum_words(host().subspan(part_bytes * i, part_bytes));
    return ok_status();
  }));
  const uint64_t end_ns = now_ns();
  last_sum_ = static_cast<uint32_t>(std::accumulate(found.begin(), found.end(), uint64_t{0}));  // used, so that it is computed
  return end_ns - start_ns;
}

Result<uint64_t> LinkMeter::round_trip_ns() {
  const uint64_t start_ns = now_ns();
  HOTSET_RETURN_IF_ERROR(run({}));
  return now_ns() - start_ns;
}

Result<uint64_t> LinkMeter::pair_ns(bool stop_between) {
  for (uint32_t i = 0; i < 2; ++i) HOTSET_RETURN_IF_ERROR(record_reads(commands_[i], slab_[0].address(), kPairBytes, i, 1));
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
