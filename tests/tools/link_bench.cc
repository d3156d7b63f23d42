// Prints what every way between host memory and a device carries on this machine, by size, and what the engine's own short
// measurement makes of it. For real GPUs; it works on software devices too.
//
//   hotset_link_bench [--device NAME] [--threads N] [--tries N] [--json FILE]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "platform/bytes.h"
#include "platform/clock.h"
#include "platform/threads.h"
#include "runtime/engine/link_probe.h"

using namespace hotset;

namespace {

constexpr CopyPath kPaths[] = {CopyPath::kMapped, CopyPath::kDirect, CopyPath::kStaging};
constexpr uint64_t kLeastBytes = 64 << 10;
constexpr uint64_t kMostBytes = 32 << 20;

struct Arguments {
  std::string device = "auto";
  std::string json;
  uint32_t threads = 0;
  int tries = 15;
};

int fail(const Status& status) {
  std::fprintf(stderr, "hotset_link_bench: %s\n", status.message().c_str());
  return 1;
}

class Bench {
 public:
  Bench(LinkMeter& meter, int tries) : meter_(meter), tries_(tries) {}

  // The median of some tries, in microseconds; negative after an error, which is printed.
  template <class Sample>
  double median_us(Sample sample) {
    std::vector<double> us;
    for (int i = 0; i <= tries_; ++i) {
      const Result<uint64_t> ns = sample();
      if (!ns.ok()) {
        std::printf("%s\n", ns.status().message().c_str());
        return -1;
      }
      if (i > 0) us.push_back(static_cast<double>(*ns) * 1e-3);  // the first use is slow
    }
    std::nth_element(us.begin(), us.begin() + tries_ / 2, us.end());
    return us[static_cast<size_t>(tries_ / 2)];
  }

  // One figure of the table: a way, how many bytes, how long.
  void line(const std::string& way, uint64_t bytes, double us) {
    if (us < 0) return;
    const double gb_per_s = static_cast<double>(bytes) / us * 1e-3;
    if (bytes == 0) std::printf("%-24s %10s %12.1f us\n", way.c_str(), "", us);
    else std::printf("%-24s %10s %12.1f us %10.2f GB/s\n", way.c_str(), format_bytes(bytes).c_str(), us, gb_per_s);
    std::fflush(stdout);
    figures_.push_back({{"way", way}, {"bytes", bytes}, {"us", us}, {"gb_per_s", gb_per_s}});
  }

  void copies() {
    for (const CopyPath path : kPaths) {
      if (!meter_.has(path)) {
        std::printf("copy, %s: not on this device\n", copy_path_name(path));
        continue;
      }
      const std::string name = std::string("copy, ") + copy_path_name(path);
      for (uint64_t bytes = kLeastBytes; bytes <= most_bytes(); bytes *= 2) {
        line(name, bytes, median_us([&] { return meter_.copy_ns(path, 1, bytes); }));
      }
      // A decode layer's misses: 8 experts in one batch.
      for (const uint64_t bytes : {256ull << 10, 2ull << 20}) {
        if (8 * bytes <= most_bytes()) line(name + ", 8 a batch", 8 * bytes, median_us([&] { return meter_.copy_ns(path, 8, bytes); }));
      }
    }
    if (!meter_.has(CopyPath::kMapped)) return;
    for (uint64_t bytes = kLeastBytes; bytes <= most_bytes(); bytes *= 2) {
      line("write, all threads", bytes, median_us([&] { return meter_.write_ns(bytes); }));
    }
  }

  void reads() {
    for (const ReadFrom from : {ReadFrom::kDevice, ReadFrom::kHostInPlace}) {
      const char* name = from == ReadFrom::kDevice ? "shader reads device" : "shader reads host";
      if (!meter_.has(from)) {
        std::printf("%s: not on this device (%s)\n", name, meter_.import_refusal().message().c_str());
        continue;
      }
      const uint64_t most = from == ReadFrom::kDevice ? meter_.device_bytes() : meter_.host_bytes();
      for (uint64_t bytes = kLeastBytes; bytes <= most; bytes *= 4) {
        line(name, bytes, median_us([&] { return meter_.read_ns(from, bytes, 1); }));
      }
      line(std::string(name) + ", x8", 8 * most, median_us([&] { return meter_.read_ns(from, most, 8); }));
    }
    line("host reads host", meter_.host_bytes(), median_us([&] { return meter_.host_read_ns(); }));
  }

  void trips() {
    line("empty submit and wait", 0, median_us([&] { return meter_.round_trip_ns(); }));
    line("two dispatches", 0, median_us([&] { return meter_.pair_ns(false); }));
    line("two with a stop between", 0, median_us([&] { return meter_.pair_ns(true); }));
  }

  nlohmann::json& figures() { return figures_; }

 private:
  uint64_t most_bytes() const { return std::min(kMostBytes, meter_.most_copy_bytes()); }

  LinkMeter& meter_;
  const int tries_;
  nlohmann::json figures_ = nlohmann::json::array();
};

nlohmann::json describe(const LinkProbe& probe, double seconds) {
  const LinkRates& rates = probe.rates;
  return {{"seconds", seconds},
          {"copy_path", copy_path_name(probe.copy_path)},
          {"copy_bytes_per_s", rates.copy_bytes_per_s},
          {"copy_ns", rates.copy_ns},
          {"device_bytes_per_s", rates.device_bytes_per_s},
          {"in_place_bytes_per_s", rates.in_place_bytes_per_s},
          {"ram_bytes_per_s", rates.ram_bytes_per_s},
          {"stop_ns", rates.stop_ns},
          {"round_trip_ns", probe.round_trip_ns},
          {"unified", rates.unified},
          {"copies_overlap", rates.copies_overlap}};
}

// The engine's measurement, in the memory that is free once the meter is gone.
Result<nlohmann::json> probe(Device& device, uint32_t threads) {
  DeviceMemory memory(device, device.budget().free_bytes);
  LinkProbeOptions options;
  options.meter.threads = threads;
  const uint64_t start_ns = now_ns();
  HOTSET_ASSIGN(const LinkProbe measured, measure_links(memory, options));
  return describe(measured, seconds_between(start_ns, now_ns()));
}

Result<nlohmann::json> measure_all(Device& device, const Arguments& arguments, uint32_t threads) {
  DeviceMemory memory(device, device.budget().free_bytes);
  LinkMeterOptions options;
  options.threads = threads;
  if (device.limits().software) options.device_bytes = kMostBytes;
  HOTSET_ASSIGN(const auto meter, LinkMeter::create(memory, options));
  Bench bench(*meter, arguments.tries);
  bench.copies();
  bench.reads();
  bench.trips();
  return bench.figures();
}

int run(const Arguments& arguments) {
  const auto device = Device::open({arguments.device, false});
  if (!device.ok()) return fail(device.status());
  const uint32_t threads = resolve_threads(arguments.threads);
  std::printf("%s; %s transfer queue; host import in pages of %s; %u threads\n", (*device)->name().c_str(),
              (*device)->has_own_transfer_queue() ? "own" : "no own", format_bytes((*device)->limits().host_import_alignment_bytes).c_str(), threads);
  auto figures = measure_all(**device, arguments, threads);
  if (!figures.ok()) return fail(figures.status());
  auto probed = probe(**device, threads);
  if (!probed.ok()) return fail(probed.status());
  std::printf("the engine measures: %s\n", probed->dump(2).c_str());
  if (arguments.json.empty()) return 0;
  std::ofstream file(arguments.json);
  const nlohmann::json all = {{"device", (*device)->name()}, {"threads", threads}, {"figures", *figures}, {"probe", *probed}};
  file << all.dump(2) << "\n";
  return file.good() ? 0 : fail(error(Code::kIo, "cannot write '%s'", arguments.json.c_str()));
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("What the ways between host memory and a device carry");
  app.add_option("--device", arguments.device, "Which device, as in `hotset devices`");
  app.add_option("--threads", arguments.threads, "Of the host; 0: one a core");
  app.add_option("--tries", arguments.tries, "Of each figure, of which the median is told")->check(CLI::Range(1, 1000));
  app.add_option("--json", arguments.json, "A file for the figures");
  CLI11_PARSE(app, argc, argv);
  return run(arguments);
}
