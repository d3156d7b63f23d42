#include "runtime/engine/link_probe.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "platform/clock.h"

namespace hotset {
namespace {

constexpr std::array kPaths = {CopyPath::kMapped, CopyPath::kDirect, CopyPath::kStaging};

// A small expert, and a batch of some of the common size.
constexpr uint64_t kSmallCopyBytes = 256 << 10;
constexpr uint64_t kCopyBytes = 2 << 20;
constexpr uint64_t kMostCopies = 4;
// A way that another one beats by less is kept, in the order of CopyPath: mapped takes no submit, direct no thread of the host.
constexpr double kWorthwhile = 0.9;

// Reads of the device's memory: larger than the caches of GPUs that have so much memory; what a software device reads in milliseconds.
constexpr uint64_t kMostDeviceBytes = 256 << 20;
constexpr uint64_t kLeastDeviceBytes = 16 << 20;
constexpr uint64_t kInPlaceBytes = 20 << 20;

// Turns that all measures take.
constexpr uint32_t kLeastRounds = 3;
constexpr uint32_t kMostRounds = 21;

using Sample = std::function<Result<uint64_t>()>;

struct Measure {
  Sample sample;
  std::vector<double> samples_ns;
};

// Two measures of the same thing, of few and of many bytes.
struct Line {
  size_t small = 0;
  size_t large = 0;
  double small_bytes = 0;
  double large_bytes = 0;
};

// Measures that take turns, so that a moment in which the machine is busy with something else spoils no one of them.
class Rounds {
 public:
  size_t add(Sample sample) {
    measures_.push_back({std::move(sample), {}});
    return measures_.size() - 1;
  }
  Line add(uint64_t small_bytes, Sample small, uint64_t large_bytes, Sample large) {
    return {add(std::move(small)), add(std::move(large)), static_cast<double>(small_bytes), static_cast<double>(large_bytes)};
  }

  Status run(uint64_t rounds_ns);
  double typical_ns(size_t measure);
  CopyRate rate(const Line& line);

 private:
  std::vector<Measure> measures_;
};

Status Rounds::run(uint64_t rounds_ns) {
  for (Measure& measure : measures_) {
    const auto first = measure.sample();  // first uses are slow
    if (!first.ok()) return first.status();
  }
  const uint64_t start_ns = now_ns();
  for (uint32_t round = 0; round < kMostRounds && (round < kLeastRounds || now_ns() - start_ns < rounds_ns); ++round) {
    for (Measure& measure : measures_) {
      HOTSET_ASSIGN(const uint64_t ns, measure.sample());
      measure.samples_ns.push_back(std::max(1.0, static_cast<double>(ns)));
    }
  }
  return ok_status();
}

// The lower quartile: what else the machine does only slows, so the median would tell of that on a busy one.
double Rounds::typical_ns(size_t measure) {
  auto& samples = measures_[measure].samples_ns;
  const auto quartile = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 4);
  std::nth_element(samples.begin(), quartile, samples.end());
  return *quartile;
}

// The larger takes longer by the bytes that it has more; where noise has turned that around, the rate of the whole is left.
CopyRate Rounds::rate(const Line& line) {
  const double small_ns = typical_ns(line.small);
  const double large_ns = typical_ns(line.large);
  const double whole = line.large_bytes / large_ns * 1e9;
  // What is fixed is small in a large batch: a rate beyond a few times the whole is noise too.
  const double beyond = large_ns > small_ns ? (line.large_bytes - line.small_bytes) / (large_ns - small_ns) * 1e9 : whole;
  const double rate = std::clamp(beyond, whole, 4 * whole);
  return {rate, std::max(0.0, small_ns - line.small_bytes / rate * 1e9)};
}

// Which measures tell what.
struct ProbePlan {
  Rounds rounds;
  std::array<Line, kCopyPaths> copies;
  Line device_read, in_place_read;
  size_t write = 0, host_read = 0, round_trip = 0, pair = 0, pair_with_stop = 0;
  double write_bytes = 0;
};

void plan_copies(LinkMeter& meter, ProbePlan& plan) {
  const uint64_t bytes = std::min(kCopyBytes, meter.most_copy_bytes());
  const auto count = static_cast<uint32_t>(std::min(kMostCopies, meter.most_copy_bytes() / bytes));
  const uint64_t small = std::min(kSmallCopyBytes, bytes / 4);
  for (const CopyPath path : kPaths) {
    if (!meter.has(path)) continue;
    plan.copies[static_cast<size_t>(path)] = plan.rounds.add(
        small, [&meter, path, small] { return meter.copy_ns(path, 1, small); },
        count * bytes, [&meter, path, bytes, count] { return meter.copy_ns(path, count, bytes); });
  }
  plan.write_bytes = static_cast<double>(count * bytes);
  if (meter.has(CopyPath::kMapped)) plan.write = plan.rounds.add([&meter, bytes, count] { return meter.write_ns(count * bytes); });
}

void plan_reads(LinkMeter& meter, bool software, ProbePlan& plan) {
  // A GPU's read of so little is short beside the submit: it is read several times over.
  const uint32_t times = software ? 2 : ReadSum::kMostReads;
  const uint64_t bytes = meter.device_bytes();
  plan.device_read = plan.rounds.add(
      bytes, [&meter, bytes] { return meter.read_ns(ReadFrom::kDevice, bytes, 1); },
      times * bytes, [&meter, bytes, times] { return meter.read_ns(ReadFrom::kDevice, bytes, times); });
  if (!meter.has(ReadFrom::kHostInPlace)) return;
  // Not twice the same bytes: a GPU's cache may keep those of the host as long as a submit runs.
  const uint64_t many = std::min(kInPlaceBytes, meter.host_bytes());
  const uint64_t few = many / 4;
  plan.in_place_read = plan.rounds.add(
      few, [&meter, few] { return meter.read_ns(ReadFrom::kHostInPlace, few, 1); },
      many, [&meter, many] { return meter.read_ns(ReadFrom::kHostInPlace, many, 1); });
}

void plan_rest(LinkMeter& meter, ProbePlan& plan) {
  plan.host_read = plan.rounds.add([&meter] { return meter.host_read_ns(); });
  plan.round_trip = plan.rounds.add([&meter] { return meter.round_trip_ns(); });
  plan.pair = plan.rounds.add([&meter] { return meter.pair_ns(false); });
  plan.pair_with_stop = plan.rounds.add([&meter] { return meter.pair_ns(true); });
}

void fill_copies(const LinkMeter& meter, ProbePlan& plan, LinkProbe& probe) {
  double best_ns = 0;  // 0: none yet
  for (const CopyPath path : kPaths) {
    if (!meter.has(path)) continue;
    CopyRate& rate = probe.copies[static_cast<size_t>(path)];
    rate = plan.rounds.rate(plan.copies[static_cast<size_t>(path)]);
    const double ns = rate.ns(2 * kCopyBytes);
    if (best_ns != 0 && ns > kWorthwhile * best_ns) continue;
    best_ns = ns;
    probe.copy_path = path;
  }
  const CopyRate& best = probe.copies[static_cast<size_t>(probe.copy_path)];
  probe.rates.copy_bytes_per_s = best.bytes_per_s;
  probe.rates.copy_ns = static_cast<uint64_t>(best.batch_ns);
  if (meter.has(CopyPath::kMapped)) probe.write_bytes_per_s = plan.write_bytes / plan.rounds.typical_ns(plan.write) * 1e9;
}

void fill_rates(const LinkMeter& meter, Device& device, ProbePlan& plan, LinkProbe& probe) {
  Rounds& rounds = plan.rounds;
  LinkRates& rates = probe.rates;
  rates.unified = device.limits().unified;
  rates.device_bytes_per_s = rounds.rate(plan.device_read).bytes_per_s;
  if (meter.has(ReadFrom::kHostInPlace)) rates.in_place_bytes_per_s = rounds.rate(plan.in_place_read).bytes_per_s;
  rates.ram_bytes_per_s = static_cast<double>(meter.host_bytes()) / rounds.typical_ns(plan.host_read) * 1e9;
  probe.round_trip_ns = rounds.typical_ns(plan.round_trip);
  // At least a round trip, whatever noise says.
  rates.stop_ns = static_cast<uint64_t>(std::max(probe.round_trip_ns, rounds.typical_ns(plan.pair_with_stop) - rounds.typical_ns(plan.pair)));
  // A software device computes with the threads that copy.
  rates.copies_overlap = !device.limits().software && (probe.copy_path == CopyPath::kMapped || device.has_own_transfer_queue());
}

void add_kernels(const KernelRates& kernels, LinkRates& rates) {
  const auto at_most = [](double rate, double most) { return most > 0 ? std::min(rate, most) : rate; };
  rates.device_bytes_per_s = at_most(rates.device_bytes_per_s, kernels.device_bytes_per_s);
  rates.in_place_bytes_per_s = at_most(rates.in_place_bytes_per_s, kernels.device_bytes_per_s);
  rates.cpu_bytes_per_s = kernels.cpu_bytes_per_s;
  rates.operation_ns = kernels.operation_ns;
  rates.submit_ns = kernels.submit_ns;
}

}  // namespace

Result<LinkProbe> measure_links(DeviceMemory& memory, const LinkProbeOptions& options) {
  Device& device = memory.device();
  const bool software = device.limits().software;
  LinkMeterOptions meter_options = options.meter;
  if (meter_options.device_bytes == 0) {
    meter_options.device_bytes = software ? kLeastDeviceBytes : std::clamp(device.budget().total_bytes / 64, kLeastDeviceBytes, kMostDeviceBytes);
  }
  HOTSET_ASSIGN(const auto meter, LinkMeter::create(memory, meter_options));
  ProbePlan plan;
  plan_copies(*meter, plan);
  plan_reads(*meter, software, plan);
  plan_rest(*meter, plan);
  HOTSET_RETURN_IF_ERROR(plan.rounds.run(options.rounds_ns));
  LinkProbe probe;
  fill_copies(*meter, plan, probe);
  fill_rates(*meter, device, plan, probe);
  if (options.kernels) {
    HOTSET_ASSIGN(const KernelRates kernels, options.kernels());
    add_kernels(kernels, probe.rates);
  }
  return probe;
}

}  // namespace hotset
