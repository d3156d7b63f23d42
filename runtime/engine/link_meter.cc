#include "runtime/engine/link_meter.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "platform/clock.h"
#include "platform/threads.h"

namespace hotset {
namespace {

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

LinkMeter::LinkMeter(DeviceMemory& memory, const LinkMeterOptions& options) : memory_(memory), device_(memory.device()), options_(options) {}

Status LinkMeter::init() {
  HOTSET_ASSIGN(arena_, HostArena::create(options_.host_bytes));
  const auto words = std::span(reinterpret_cast<uint64_t*>(host().data()), host().size() / sizeof(uint64_t));
  std::iota(words.begin(), words.end(), uint64_t{0x9e3779b97f4a7c15u});  // any bytes but zero pages, which share one page of RAM
  auto imported = HostImport::create(device_, host(), {}, options_.import);
  import_refusal_ = imported.ok() ? (*imported)->refusal() : imported.status();
  // One piece holds it all, so a read may start anywhere.
  if (imported.ok() && (*imported)->covers(host().data(), host().size())) import_ = std::move(imported).value();
  HOTSET_ASSIGN(reader_, ReadSum::create(memory_));
  HOTSET_RETURN_IF_ERROR(make_slab());
  make_links();
  return warm_staging();
}

Status LinkMeter::make_slab() {
  for (uint64_t bytes = options_.device_bytes;; bytes /= 2) {
    auto slab = memory_.allocate(bytes, MemoryKind::kDevice, "link measurement");
    if (slab.ok()) {
      slab_[0] = std::move(slab).value();
      return ok_status();
    }
    if (bytes / 2 < options_.least_device_bytes) return slab.status();
  }
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

Result<uint64_t> LinkMeter::read_ns(ReadFrom from, uint64_t bytes, uint32_t times) {
  HOTSET_CHECK(has(from) && bytes <= (from == ReadFrom::kDevice ? device_bytes() : host_bytes()));
  return reader_->read_ns(from == ReadFrom::kDevice ? slab_[0].address() : *import_->device_address(host().data(), bytes), bytes, times);
}

Result<uint64_t> LinkMeter::host_read_ns() {
  const uint32_t parts = std::max(1u, options_.threads);
  const uint64_t part_bytes = host_bytes() / parts / 64 * 64;
  std::vector<uint64_t> found(parts);
  const uint64_t start_ns = now_ns();
  HOTSET_RETURN_IF_ERROR(parallel_for(parts, parts, [&](uint32_t i) {
    found[i] = sum_words(host().subspan(part_bytes * i, part_bytes));
    return ok_status();
  }));
  const uint64_t end_ns = now_ns();
  host_sum_ = std::accumulate(found.begin(), found.end(), uint64_t{0});
  return end_ns - start_ns;
}

}  // namespace hotset
