// Measuring the links of whatever device there is, and the file that keeps the figures. No figure is judged, only that it is one.
#include "runtime/engine/link_probe.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "platform/file.h"
#include "platform/log.h"
#include "runtime/engine/link_file.h"
#include "tests/test_support.h"

using namespace hotset;
namespace fs = std::filesystem;

namespace {

constexpr uint64_t kBudgetBytes = 256 << 20;

// nullptr where the machine has no usable device.
std::unique_ptr<Device> open_device() {
  DeviceOptions options;
  options.validation = true;
  auto device = Device::open(options);
  if (!device.ok()) device = Device::open({});  // no validation layer installed
  return device.ok() ? std::move(device).value() : nullptr;
}

// Small and short.
LinkProbeOptions quick() {
  LinkProbeOptions options;
  options.meter.host_bytes = 4 << 20;
  options.meter.device_bytes = 2 << 20;
  options.meter.staging_bytes = 1 << 20;
  options.meter.threads = 2;
  options.rounds_ns = 0;
  return options;
}

uint32_t sum_words(std::span<const std::byte> bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    uint32_t word;
    std::memcpy(&word, bytes.data() + i, 4);
    sum += word;
  }
  return sum;
}

LinkProbe some_probe() {
  LinkProbe probe;
  probe.rates.device_bytes_per_s = 1.25e11;
  probe.rates.in_place_bytes_per_s = 2.1e10;
  probe.rates.copy_bytes_per_s = 2.4e10;
  probe.rates.copy_ns = 12345;
  probe.rates.ram_bytes_per_s = 5e10 / 3;
  probe.rates.stop_ns = 61000;
  probe.rates.cpu_bytes_per_s = 3.3e10;
  probe.rates.operation_ns = 4100;
  probe.rates.submit_ns = 31000;
  probe.rates.copies_overlap = false;
  probe.copy_path = CopyPath::kDirect;
  probe.copies[static_cast<size_t>(CopyPath::kDirect)] = {2.4e10, 12345.5};
  probe.copies[static_cast<size_t>(CopyPath::kStaging)] = {1.1e10, 20000};
  probe.round_trip_ns = 33000.25;
  return probe;
}

void check_same(const LinkProbe& a, const LinkProbe& b) {
  CHECK(write_link_file(a, {}) == write_link_file(b, {}));
  CHECK(a.rates.copy_ns == b.rates.copy_ns);
  CHECK(a.rates.operation_ns == b.rates.operation_ns);
  CHECK(a.rates.submit_ns == b.rates.submit_ns);
  CHECK(a.rates.ram_bytes_per_s == b.rates.ram_bytes_per_s);
  CHECK(a.rates.unified == b.rates.unified);
  CHECK(a.copy_path == b.copy_path);
}

// A folder for the test, gone afterwards; and the log lines meanwhile.
struct Folder {
  std::string path;
  inline static std::vector<std::string> lines;

  explicit Folder(const char* name) : path((fs::temp_directory_path() / (name + std::to_string(::getpid()))).string()) {
    fs::remove_all(path);
    fs::create_directory(path);
    lines.clear();
    set_log_sink([](LogLevel, std::string_view line) { lines.emplace_back(line); }, LogLevel::kInfo);
  }
  ~Folder() {
    set_log_sink({}, LogLevel::kInfo);
    std::error_code ec;
    fs::remove_all(path, ec);
  }
};

}  // namespace

TEST_CASE("link meter: bytes that went by any path are those that the device reads") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device");
  DeviceMemory memory(*device, kBudgetBytes);
  const auto meter = LinkMeter::create(memory, quick().meter);
  REQUIRE_MESSAGE(meter.ok(), meter.status().message());
  const auto host = (*meter)->host();
  uint64_t state = 1;
  for (std::byte& byte : host) byte = static_cast<std::byte>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
  // The meter takes one half of it after the other.
  const uint32_t halves[] = {sum_words(host.first(2 << 20)), sum_words(host.last(2 << 20))};
  REQUIRE(halves[0] != halves[1]);
  uint32_t before = 0;
  for (const CopyPath path : {CopyPath::kMapped, CopyPath::kDirect, CopyPath::kStaging, CopyPath::kMapped}) {
    if (!(*meter)->has(path)) continue;
    CAPTURE(copy_path_name(path));
    REQUIRE((*meter)->copy_ns(path, 8, 256 << 10).ok());
    REQUIRE((*meter)->read_ns(ReadFrom::kDevice, 2 << 20, 1).ok());
    const uint32_t found = (*meter)->last_sum();
    CHECK((found == halves[0] || found == halves[1]));
    CHECK(found != before);
    before = found;
  }
}

TEST_CASE("link meter: the device reads host memory where it lies, every word once, whatever the size") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device");
  DeviceMemory memory(*device, kBudgetBytes);
  const auto meter = LinkMeter::create(memory, quick().meter);
  REQUIRE_MESSAGE(meter.ok(), meter.status().message());
  if (!(*meter)->has(ReadFrom::kHostInPlace)) HOTSET_SKIP("this device imports no host memory");
  for (const uint64_t bytes : {uint64_t{16}, uint64_t{4096}, uint64_t{100'000}, uint64_t{1 << 20} + 16, uint64_t{4 << 20}}) {
    CAPTURE(bytes);
    for (const uint32_t times : {1u, ReadSum::kMostReads}) {
      REQUIRE((*meter)->read_ns(ReadFrom::kHostInPlace, bytes, times).ok());
      CHECK((*meter)->last_sum() == sum_words((*meter)->host().first(bytes)));
    }
  }
}

TEST_CASE("link probe: every figure is one, and nothing is left of what it took") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device");
  DeviceMemory memory(*device, kBudgetBytes);
  const auto probe = measure_links(memory, quick());
  REQUIRE_MESSAGE(probe.ok(), probe.status().message());
  CHECK(memory.used_bytes() == 0);
  const LinkRates& rates = probe->rates;
  for (const double rate : {rates.device_bytes_per_s, rates.copy_bytes_per_s, rates.ram_bytes_per_s, probe->round_trip_ns}) {
    CHECK(rate > 0);
    CHECK(rate < 1e15);
  }
  CHECK(static_cast<double>(rates.stop_ns) >= probe->round_trip_ns - 1);
  CHECK(probe->copies[static_cast<size_t>(probe->copy_path)].bytes_per_s == rates.copy_bytes_per_s);
  const bool imports = device->limits().host_import_alignment_bytes != 0;
  CHECK((rates.in_place_bytes_per_s > 0) == imports);
  CHECK((probe->copies[static_cast<size_t>(CopyPath::kDirect)].bytes_per_s > 0) == imports);
  if (device->limits().software) CHECK(rates.unified);
}

TEST_CASE("link probe: a refused import leaves the other ways; a budget too small for any is an error") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device");
  LinkProbeOptions options = quick();
  options.meter.import.limit_bytes = 0;
  // No room for the largest piece of device memory, nor for a staging ring where that counts.
  DeviceMemory memory(*device, 10 << 20);
  options.meter.device_bytes = 64 << 20;
  const auto probe = measure_links(memory, options);
  REQUIRE_MESSAGE(probe.ok(), probe.status().message());
  CHECK(memory.peak_bytes() <= memory.budget_bytes());
  CHECK(probe->rates.in_place_bytes_per_s == 0);
  CHECK(probe->copies[static_cast<size_t>(CopyPath::kDirect)].bytes_per_s == 0);
  CHECK(probe->copy_path != CopyPath::kDirect);
  CHECK(probe->rates.copy_bytes_per_s > 0);
  DeviceMemory tiny(*device, 1 << 20);
  CHECK(measure_links(tiny, options).status().code() == Code::kOverBudget);
}

TEST_CASE("link file: figures come back as they were") {
  const LinkOwner owner = {"Some GPU (driver 1.2)", "10de-2684", 8};
  const auto read = read_link_file(write_link_file(some_probe(), owner), owner);
  REQUIRE_MESSAGE(read.ok(), read.status().message());
  check_same(*read, some_probe());
}

TEST_CASE("link file: broken, foreign and old files are told from good ones") {
  const LinkOwner owner = {"Some GPU", "10de-2684", 8};
  const std::string good = write_link_file(some_probe(), owner);
  REQUIRE(read_link_file(good, owner).ok());
  const auto with = [&](const char* from, const char* to) {
    std::string text = good;
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, std::string_view(from).size(), to);
  };
  struct Case {
    const char* what;
    std::string text;
    Code code;
  };
  const Case cases[] = {
      {"empty", "", Code::kInvalidArgument},
      {"bytes", std::string(1000, '\xff'), Code::kInvalidArgument},
      {"an older version", with("hotset links 2", "hotset links 1"), Code::kInvalidArgument},
      {"a newer version", with("hotset links 2", "hotset links 20"), Code::kInvalidArgument},
      {"another device", write_link_file(some_probe(), {"Another GPU", "10de-2684", 8}), Code::kInvalidArgument},
      {"another driver", write_link_file(some_probe(), {"Some GPU", "10de-2685", 8}), Code::kInvalidArgument},
      {"other threads", write_link_file(some_probe(), {"Some GPU", "10de-2684", 4}), Code::kInvalidArgument},
      {"cut in a line", good.substr(0, good.size() - 3), Code::kCorrupt},
      {"cut between lines", good.substr(0, good.rfind("\n", good.size() - 2) + 1), Code::kCorrupt},
      {"no number", with("stop_ns 61000", "stop_ns fast"), Code::kCorrupt},
      {"no value", with("stop_ns 61000", "stop_ns"), Code::kCorrupt},
      {"more than a number", with("stop_ns 61000", "stop_ns 61000x"), Code::kCorrupt},
      {"not finite", with("stop_ns 61000", "stop_ns inf"), Code::kCorrupt},
      {"negative", with("stop_ns 61000", "stop_ns -1"), Code::kCorrupt},
      {"beyond all sense", with("stop_ns 61000", "stop_ns 1e300"), Code::kCorrupt},
      {"no such path", with("copy_path 1", "copy_path 7"), Code::kCorrupt},
      {"a path without a rate", with("copy_path 1", "copy_path 0"), Code::kCorrupt},
      {"a line twice", good + "stop_ns 61000\n", Code::kCorrupt},
      {"an unknown line", good + "speed 1\n", Code::kCorrupt},
      {"a rate of nothing", with("device_bytes_per_s 1.25e+11", "device_bytes_per_s 0"), Code::kCorrupt},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    const auto read = read_link_file(c.text, owner);
    CHECK(read.status().code() == c.code);
  }
}

TEST_CASE("link file: is kept, believed when it is good, and measured anew with one line when it is not") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device");
  const Folder folder("hotset_link_file");
  DeviceMemory memory(*device, kBudgetBytes);
  const LinkOwner owner = {device->name(), device->cache_key(), quick().meter.threads};
  const std::string path = link_file_path(folder.path, owner);

  const auto measured = probe_links(memory, quick(), folder.path);
  REQUIRE_MESSAGE(measured.ok(), measured.status().message());
  const auto kept = read_link_file(read_whole_file(path, 1 << 16).value(), owner);
  REQUIRE_MESSAGE(kept.ok(), kept.status().message());
  check_same(*kept, *measured);

  REQUIRE(write_whole_file(path, write_link_file(some_probe(), owner)).ok());
  check_same(probe_links(memory, quick(), folder.path).value(), some_probe());
  CHECK(Folder::lines.empty());

  for (const std::string& bad : {std::string("nonsense"), write_link_file(some_probe(), {"Another GPU", owner.cache_key, owner.threads})}) {
    Folder::lines.clear();
    REQUIRE(write_whole_file(path, bad).ok());
    const auto again = probe_links(memory, quick(), folder.path);
    REQUIRE(again.ok());
    CHECK(Folder::lines.size() == 1);
    check_same(read_link_file(read_whole_file(path, 1 << 16).value(), owner).value(), *again);
  }
}

TEST_CASE("link file: where nothing can be kept the links are measured each time, with one line") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device");
  const Folder folder("hotset_no_link_file");
  DeviceMemory memory(*device, kBudgetBytes);
  CHECK(probe_links(memory, quick(), folder.path + "/missing").ok());
  CHECK(Folder::lines.size() == 1);
  Folder::lines.clear();
  CHECK(probe_links(memory, quick(), "").ok());
  CHECK(Folder::lines.empty());
}
