#include "runtime/engine/measure_machine.h"

#include <algorithm>
#include <vector>

#include "platform/bytes.h"
#include "platform/clock.h"
#include "platform/host_memory.h"
#include "platform/io_queue.h"
#include "platform/threads.h"
#include "runtime/engine/kernel_probe.h"
#include "runtime/engine/link_probe.h"
#include "runtime/compute/backend_vulkan.h"

namespace hotset {
namespace {

constexpr uint64_t kExpertBytes = 2ull << 20;  // a common size, and that of link_probe's copies
constexpr uint64_t kLeastFileBytes = 64ull << 20;
constexpr uint32_t kReadsAtOnce = 16;
constexpr uint32_t kReads = 128;
constexpr int kLoneReads = 7;

class DiskMeter {
 public:
  static Result<DiskMeter> open(const std::string& path, uint64_t block_bytes) {
    DiskMeter meter;
    HOTSET_ASSIGN(const auto plain, File::open(path));
    HOTSET_ASSIGN(meter.file_, plain->reopen_direct());
    if (meter.file_->size_bytes() < std::max(kLeastFileBytes, 2 * block_bytes)) {
      return error(Code::kInvalidArgument, "'%s' is too small to measure a disk with: %s are the least", path.c_str(),
                   format_bytes(std::max(kLeastFileBytes, 2 * block_bytes)).c_str());
    }
    meter.block_bytes_ = align_up(block_bytes, File::kMostDirectAlignment);
    HOTSET_ASSIGN(meter.memory_, HostArena::create(kReadsAtOnce * meter.block_bytes_));
    HOTSET_ASSIGN(meter.queue_, IoQueue::create({kReadsAtOnce, IoQueueKind::kAuto}));
    return meter;
  }

  // `count` reads, at most `at_once` under way.
  Result<uint64_t> read_ns(uint32_t count, uint32_t at_once) {
    std::vector<IoDone> done(kReadsAtOnce);
    const uint64_t start_ns = now_ns();
    uint32_t begun = 0;
    for (; begun < std::min(count, at_once); ++begun) submit(begun);
    while (queue_->under_way() > 0) {
      HOTSET_ASSIGN(const uint32_t ended, queue_->wait(done));
      for (uint32_t i = 0; i < ended; ++i) {
        if (done[i].error != 0) return read_error(*file_, 0, done[i].error);
        if (begun < count) submit(static_cast<uint32_t>(done[i].tag)), ++begun;
      }
    }
    return now_ns() - start_ns;
  }
  uint64_t block_bytes() const { return block_bytes_; }

 private:
  // Blocks all over the file, none twice before all have been.
  void submit(uint32_t slot) {
    const uint64_t blocks = file_->size_bytes() / block_bytes_;
    next_ = (next_ + blocks * 5 / 8 + 1) % blocks;
    const auto out = memory_->bytes().subspan(slot * block_bytes_, block_bytes_);
    queue_->submit({file_.get(), file_->direct(), next_ * block_bytes_, out, slot});
  }

  std::unique_ptr<File> file_;
  std::unique_ptr<HostArena> memory_;  // [kReadsAtOnce] blocks
  std::unique_ptr<IoQueue> queue_;
  uint64_t block_bytes_ = 0;
  uint64_t next_ = 0;
};

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

Result<DiskRates> measure_disk_rates(const std::string& path, uint64_t block_bytes) {
  HOTSET_ASSIGN(DiskMeter meter, DiskMeter::open(path, block_bytes));
  const auto block = static_cast<double>(meter.block_bytes());
  HOTSET_ASSIGN(const uint64_t many_ns, meter.read_ns(kReads, kReadsAtOnce));
  std::vector<uint64_t> lone_ns(kLoneReads);
  for (uint64_t& ns : lone_ns) {
    HOTSET_ASSIGN(ns, meter.read_ns(1, 1));
  }
  std::nth_element(lone_ns.begin(), lone_ns.begin() + kLoneReads / 2, lone_ns.end());
  DiskRates rates;
  rates.bytes_per_s = kReads * block / static_cast<double>(std::max<uint64_t>(many_ns, 1)) * 1e9;
  rates.read_ns = static_cast<uint64_t>(std::max(0.0, static_cast<double>(lone_ns[kLoneReads / 2]) - block / rates.bytes_per_s * 1e9));
  return rates;
}

Result<MachineLinks> measure_machine(const MeasureOptions& options) {
  if (options.device == "cpu") return error(Code::kUnsupported, "the CPU has no links to measure: name a Vulkan device");
  HOTSET_ASSIGN(const auto backend, BackendVulkan::open({options.device == "vulkan" ? "auto" : options.device, false}));
  const auto memory = backend->make_memory(backend->budget().free_bytes);
  LinkProbeOptions probe_options;
  probe_options.meter.threads = resolve_threads(options.threads);
  probe_options.kernels = [&] { return measure_kernels(*backend, probe_options.meter.threads); };
  HOTSET_ASSIGN(const LinkProbe probe, measure_links(*memory, probe_options));
  MachineLinks links = {one_line(backend->name()), probe.rates};
  if (options.disk_path.empty()) return links;
  HOTSET_ASSIGN(const DiskRates disk, measure_disk_rates(options.disk_path, kExpertBytes));
  links.rates.disk_bytes_per_s = disk.bytes_per_s;
  links.rates.disk_ns = disk.read_ns;
  return links;
}

}  // namespace hotset
