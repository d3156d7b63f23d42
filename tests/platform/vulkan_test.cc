// The Vulkan floor on whatever device there is: choosing it, memory under a budget, timelines, uploads, the cache of programs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>

#include "platform/file.h"
#include "platform/vulkan/commands.h"
#include "platform/vulkan/device.h"
#include "platform/vulkan/memory.h"
#include "platform/vulkan/program.h"
#include "platform/vulkan/upload.h"
#include "shaders/shaders.h"
#include "tests/format/gguf_builder.h"
#include "tests/test_support.h"

using namespace hotset;
namespace fs = std::filesystem;

namespace {

// nullptr where the machine has no usable device.
std::unique_ptr<Device> open_device() {
  auto device = Device::open({});
  return device.ok() ? std::move(device).value() : nullptr;
}

Buffer make(DeviceMemory& memory, uint64_t size_bytes, MemoryKind kind = MemoryKind::kReadback) {
  auto buffer = memory.allocate(size_bytes, kind, "test");
  REQUIRE_MESSAGE(buffer.ok(), buffer.status().message());
  return std::move(buffer).value();
}

Buffer make_filled(DeviceMemory& memory, uint64_t size_bytes, int value) {
  Buffer buffer = make(memory, size_bytes);
  std::memset(buffer.mapped().data(), value, buffer.mapped().size());
  return buffer;
}

bool holds_only(const Buffer& buffer, int value) {
  const auto bytes = buffer.mapped();
  return std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == static_cast<std::byte>(value); });
}

// A kind of memory that counts against the budget on this device.
MemoryKind counted_kind(const DeviceMemory& memory) {
  CHECK(memory.charge_of(4096, MemoryKind::kDevice).value() >= 4096);
  return MemoryKind::kDevice;
}

// One command buffer that copies all of `from` to `to`, ready to submit.
VkCommandBuffer record_copy(Device& device, CommandPool& pool, const ProgramCache& programs, const Buffer& from, const Buffer& to) {
  Recorder recorder(device, programs);
  const VkCommandBuffer commands = pool.allocate().value();
  REQUIRE(recorder.begin(commands).ok());
  recorder.copy(from, 0, to, 0, from.size_bytes());
  recorder.barrier(WorkKind::kTransfer, WorkKind::kTransfer);
  recorder.barrier(WorkKind::kTransfer, WorkKind::kHost);
  REQUIRE(recorder.end().ok());
  return commands;
}

std::vector<std::byte> pattern(size_t size, uint32_t seed) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 2654435761u + seed) >> 13);
  return bytes;
}

Uploader::FillFunction fill_with(std::span<const std::byte> bytes) {
  return [bytes](std::span<std::byte> out) {
    REQUIRE(out.size() == bytes.size());
    std::memcpy(out.data(), bytes.data(), out.size());
    return ok_status();
  };
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  return names;
}

// The cache of programs in `folder` is opened, used and saved.
void use_programs(Device& device, const std::string& folder) {
  const auto programs = ProgramCache::create(device, folder);
  REQUIRE_MESSAGE(programs.ok(), programs.status().message());
  const uint32_t lanes = device.limits().subgroup_size;
  const std::vector<uint32_t> constants = {lanes, lanes};
  const auto program = (*programs)->create_program(shaders::rms_norm, constants, "rms_norm");
  REQUIRE_MESSAGE(program.ok(), program.status().message());
  CHECK(program->pipeline != VK_NULL_HANDLE);
  const Status saved = (*programs)->save();
  CHECK_MESSAGE(saved.ok(), saved.message());
}

std::string read_all(const std::string& path) {
  const auto bytes = read_whole_file(path, 256u << 20);
  REQUIRE_MESSAGE(bytes.ok(), bytes.status().message());
  return *bytes;
}

}  // namespace

TEST_CASE("vulkan device: is chosen by index, by a part of its name in any case, or by itself") {
  const auto reports = report_devices();
  const auto device = open_device();
  if (!device || !reports.ok()) HOTSET_SKIP("no usable Vulkan device");
  std::string part = device->name().substr(0, 6);
  std::transform(part.begin(), part.end(), part.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const std::string& selector : {std::string("auto"), std::string(), part}) {
    CAPTURE(selector);
    const auto found = Device::open({selector, false});
    REQUIRE_MESSAGE(found.ok(), found.status().message());
    CHECK((*found)->name() == device->name());
  }
  for (const DeviceReport& report : *reports) {
    const auto found = Device::open({std::to_string(report.index), false});
    CHECK(found.ok() == report.usable);
    if (found.ok()) CHECK((*found)->name() == report.name);
    else CHECK(found.status().message().find(report.name) != std::string::npos);
  }
  for (const char* selector : {"999", "4294967296", "-1", "0x0", "no such device", "auto2", " "}) {
    if (std::string(selector) == " " && device->name().find(' ') != std::string::npos) continue;
    CAPTURE(selector);
    const auto none = Device::open({selector, false});
    REQUIRE_FALSE(none.ok());
    CHECK(none.status().code() == Code::kInvalidArgument);
    CHECK(none.status().message() == "no Vulkan device '" + std::string(selector) + "': 'hotset devices' lists them");
  }
}

TEST_CASE("vulkan memory: what would pass the budget is refused by name, and nothing changes") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  DeviceMemory memory(*device, 1 << 20);
  const MemoryKind kind = counted_kind(memory);
  const Buffer first = make(memory, 600'000, kind);
  const uint64_t used = memory.used_bytes();
  CHECK(used == memory.charge_of(600'000, kind).value());
  for (const uint64_t size : {uint64_t{600'000}, uint64_t{1} << 20, uint64_t{1} << 29}) {
    const auto refused = memory.allocate(size, kind, "the second");
    REQUIRE_FALSE(refused.ok());
    CAPTURE(refused.status().message());
    CHECK(refused.status().code() == Code::kOverBudget);
    CHECK(refused.status().message().rfind("the second: ", 0) == 0);
    CHECK(refused.status().message().find("1 MiB") != std::string::npos);
    CHECK(refused.status().message().find('\n') == std::string::npos);
    CHECK(memory.used_bytes() == used);
    CHECK(memory.peak_bytes() == used);
  }
  const auto huge = memory.allocate(uint64_t{1} << 62, kind, "the third");
  REQUIRE_FALSE(huge.ok());
  CHECK(huge.status().message().rfind("the third: ", 0) == 0);
  DeviceMemory none(*device, 0);
  CHECK(none.allocate(1, kind, "a byte").status().code() == Code::kOverBudget);
}

TEST_CASE("vulkan memory: the budget can be used to its last byte, and freeing gives back") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  const uint64_t charge = DeviceMemory(*device, 0).charge_of(100'000, MemoryKind::kDevice).value();
  DeviceMemory memory(*device, 2 * charge);
  for (int round = 0; round < 3; ++round) {
    const Buffer a = make(memory, 100'000, MemoryKind::kDevice);
    CHECK(memory.used_bytes() == charge);
    const Buffer b = make(memory, 100'000, MemoryKind::kDevice);
    CHECK(memory.used_bytes() == 2 * charge);
    CHECK(a.address() != b.address());
    CHECK_FALSE(memory.allocate(1, MemoryKind::kDevice, "one more").ok());
  }
  CHECK(memory.used_bytes() == 0);
  CHECK(memory.peak_bytes() == 2 * charge);
  const Buffer again = make(memory, 100'000, MemoryKind::kDevice);
  CHECK(memory.peak_bytes() == 2 * charge);  // the high-water mark stays
}

TEST_CASE("vulkan memory: buffers move, and are freed once") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  DeviceMemory memory(*device, 1 << 24);
  const uint64_t charge = memory.charge_of(5000, MemoryKind::kDevice).value();
  {
    Buffer first = make(memory, 5000, MemoryKind::kDevice);
    const uint64_t address = first.address();
    Buffer second = std::move(first);
    CHECK(second.address() == address);
    CHECK(second.size_bytes() == 5000);
    CHECK(memory.used_bytes() == charge);
    second = make(memory, 5000, MemoryKind::kDevice);  // the old one is freed
    CHECK(memory.used_bytes() == charge);
    second = Buffer();
    CHECK(memory.used_bytes() == 0);
    CHECK(second.mapped().empty());
    second = make(memory, 5000, MemoryKind::kDevice);
    std::vector<Buffer> many;
    for (int i = 0; i < 9; ++i) many.push_back(make(memory, 5000, MemoryKind::kDevice));  // moves as it grows
    CHECK(memory.used_bytes() == 10 * charge);
    many.erase(many.begin());
    CHECK(memory.used_bytes() == 9 * charge);
  }
  CHECK(memory.used_bytes() == 0);
}

TEST_CASE("vulkan memory: host kinds are mapped, and the host sees what it wrote") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  DeviceMemory memory(*device, 1 << 24);
  for (const MemoryKind kind : {MemoryKind::kShared, MemoryKind::kReadback, MemoryKind::kStaging}) {
    const Buffer buffer = make(memory, 12345, kind);
    REQUIRE(buffer.mapped().size() == 12345);
    CHECK(buffer.address() % 16 == 0);
    buffer.mapped().front() = buffer.mapped().back() = std::byte{7};
    CHECK(buffer.mapped().back() == std::byte{7});
  }
}

TEST_CASE("vulkan queue: submits run in order, and the timeline counts them") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  DeviceMemory memory(*device, 1 << 28);
  const auto programs = ProgramCache::create(*device, "").value();
  Queue& queue = device->compute();
  CommandPool pool(*device, queue.family());
  const uint64_t submits = queue.submit_count();
  // A chain of copies: each needs the one before it.
  std::vector<Buffer> chain;
  chain.push_back(make_filled(memory, 1 << 20, 0x5a));
  for (int i = 0; i < 12; ++i) chain.push_back(make_filled(memory, 1 << 20, 0));
  uint64_t last = queue.completed();
  for (size_t i = 1; i < chain.size(); ++i) {
    const VkCommandBuffer commands = record_copy(*device, pool, *programs, chain[i - 1], chain[i]);
    const auto point = queue.submit(std::span(&commands, 1));
    REQUIRE_MESSAGE(point.ok(), point.status().message());
    CHECK(point->value == last + 1);
    last = point->value;
    CHECK(queue.completed() <= last);
  }
  REQUIRE(queue.wait(last).ok());
  CHECK(queue.completed() == last);
  CHECK(queue.submit_count() == submits + 12);
  CHECK(holds_only(chain.back(), 0x5a));
  CHECK(queue.wait(last - 3).ok());  // what is past is not waited for
  CHECK(queue.wait(0).ok());
}

TEST_CASE("vulkan queue: a submit waits for another queue's point; a wait for nothing ends with an error") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  DeviceMemory memory(*device, 1 << 28);
  const auto programs = ProgramCache::create(*device, "").value();
  CommandPool transfer_pool(*device, device->transfer().family());
  CommandPool compute_pool(*device, device->compute().family());
  const Buffer from = make_filled(memory, 8 << 20, 0x11);
  const Buffer between = make_filled(memory, 8 << 20, 0);
  const Buffer to = make_filled(memory, 8 << 20, 0);
  const VkCommandBuffer first = record_copy(*device, transfer_pool, *programs, from, between);
  const VkCommandBuffer second = record_copy(*device, compute_pool, *programs, between, to);
  const auto early = device->transfer().submit(std::span(&first, 1));
  REQUIRE_MESSAGE(early.ok(), early.status().message());
  const auto late = device->compute().submit(std::span(&second, 1), std::span(&*early, 1));
  REQUIRE_MESSAGE(late.ok(), late.status().message());
  REQUIRE(device->compute().wait(late->value).ok());
  CHECK(device->transfer().completed() >= early->value);
  CHECK(holds_only(to, 0x11));

  const Status never = device->compute().wait(late->value + 1, 20'000'000);
  REQUIRE_FALSE(never.ok());
  CHECK(never.code() == Code::kDevice);
  CHECK(never.message().find("no progress") != std::string::npos);
}

TEST_CASE("vulkan upload: in place and through staging the same bytes arrive") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  const auto programs = ProgramCache::create(*device, "").value();
  constexpr uint64_t kSize = 300'000;
  const auto large = pattern(100'000, 1), small = pattern(77, 2);
  std::vector<std::vector<std::byte>> results;
  for (const uint64_t submit_bytes : {UINT64_MAX, uint64_t{0}, uint64_t{30'000}}) {
    const bool force_staging = submit_bytes != UINT64_MAX;
    CAPTURE(force_staging);
    DeviceMemory memory(*device, 1 << 24);
    const Buffer start = make_filled(memory, kSize, 0xee);
    const Buffer target = make(memory, kSize, MemoryKind::kDevice);
    const Buffer back = make_filled(memory, kSize, 0);
    CommandPool pool(*device, device->compute().family());
    for (const bool reading : {false, true}) {
      if (reading) {
        Uploader uploader(memory, programs.get(), 100'000, force_staging, submit_bytes);
        const uint64_t submits = device->transfer().submit_count();
        REQUIRE(uploader.upload(target, 0, large.size(), fill_with(large)).ok());
        REQUIRE(uploader.upload(target, 200'000, large.size(), fill_with(large)).ok());  // to the last byte
        REQUIRE(uploader.upload(target, 99'999, small.size(), fill_with(small)).ok());
        const Status failed = uploader.upload(target, 150'000, 10, [](std::span<std::byte>) { return error(Code::kIo, "no bytes"); });
        CHECK(failed.message() == "no bytes");
        REQUIRE(uploader.upload(target, 150'001, small.size(), fill_with(small)).ok());
        if (force_staging) CHECK(device->transfer().submit_count() - submits == (submit_bytes == 0 ? 4 : 4 + 4 + 2));
      }
      const VkCommandBuffer copy = record_copy(*device, pool, *programs, reading ? target : start, reading ? back : target);
      const auto done = device->compute().submit(std::span(&copy, 1));
      REQUIRE(done.ok());
      REQUIRE(device->compute().wait(done->value).ok());
    }
    results.emplace_back(back.mapped().begin(), back.mapped().end());
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
  std::vector<std::byte> expected(kSize, std::byte{0xee});
  std::copy(large.begin(), large.end(), expected.begin());
  std::copy(large.begin(), large.end(), expected.begin() + 200'000);
  std::copy(small.begin(), small.end(), expected.begin() + 99'999);
  std::copy(small.begin(), small.end(), expected.begin() + 150'001);
  CHECK(results[0] == expected);
}

TEST_CASE("vulkan programs: the cache file is written whole, and only when there is something new") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  const test::TempFolder folder;
  use_programs(*device, folder.file("."));
  const auto names = files_in(folder.file("."));
  REQUIRE(names.size() == 1);  // no partial file is left
  CHECK(names[0] == "pipelines-" + device->cache_key() + ".bin");
  const std::string path = folder.file(names[0]);
  const std::string first = read_all(path);
  const auto written = fs::last_write_time(path);
  use_programs(*device, folder.file("."));
  CHECK(fs::last_write_time(path) == written);
  CHECK(read_all(path) == first);

  CHECK(ProgramCache::create(*device, "").value()->save().ok());  // keeps nothing
  const auto nowhere = ProgramCache::create(*device, folder.file("gone"));
  REQUIRE(nowhere.ok());
  const Status unsaved = (*nowhere)->save();
  REQUIRE_FALSE(unsaved.ok());
  CHECK(unsaved.message().find(folder.file("gone")) != std::string::npos);
}

TEST_CASE("vulkan programs: a broken, foreign or cut cache file is ignored and replaced") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  const test::TempFolder folder;
  use_programs(*device, folder.file("."));
  const std::string name = files_in(folder.file(".")).at(0);
  const std::string whole = read_all(folder.file(name));
  REQUIRE(whole.size() > 40);
  std::vector<std::string> broken = {"", "x", std::string(5000, '\xff'), std::string(whole.size(), '\0'), whole + "x", whole.substr(1)};
  for (const size_t length : {size_t{4}, size_t{16}, size_t{24}, size_t{32}, size_t{40}, whole.size() / 2, whole.size() - 1}) {
    broken.push_back(whole.substr(0, length));
  }
  for (size_t at = 0; at < whole.size(); at += std::max<size_t>(1, whole.size() / 40)) {
    broken.push_back(whole);
    broken.back()[at] = static_cast<char>(~broken.back()[at]);
  }
  for (const std::string& content : broken) {
    CAPTURE(content.size());
    folder.write(name, content);
    use_programs(*device, folder.file("."));
    CHECK(read_all(folder.file(name)).size() == whole.size());
    CHECK(read_all(folder.file(name)) != content);
  }
  // A folder in the file's place cannot be read or replaced: an error of save alone.
  fs::remove(folder.file(name));
  fs::create_directory(folder.file(name));
  const auto programs = ProgramCache::create(*device, folder.file("."));
  REQUIRE(programs.ok());
  CHECK_FALSE((*programs)->save().ok());
  CHECK(files_in(folder.file(".")).size() == 1);
}

TEST_CASE("vulkan device: queues of low priority do the same work") {
  if (!open_device()) HOTSET_SKIP("no usable Vulkan device");
  DeviceOptions options;
  options.low_priority = true;
  const auto device = Device::open(options);
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  const auto done = (*device)->compute().submit({});
  REQUIRE(done.ok());
  CHECK((*device)->compute().wait(done->value).ok());
}

TEST_CASE("vulkan queue: families are found, or not where there are none") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no usable Vulkan device");
  const auto families = queue_families(device->physical());
  CHECK(find_compute_family(families) >= 0);
  CHECK(find_compute_family({}) == -1);
  CHECK(find_own_transfer_family({}) == -1);
  CHECK((find_own_transfer_family(families) >= 0) == device->has_own_transfer_queue());
}
