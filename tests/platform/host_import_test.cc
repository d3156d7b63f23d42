// Importing host memory into Vulkan: how an arena is cut, what shaders and copies are told, what a refusal leaves.
#include "platform/vulkan/host_import.h"

#include <doctest/doctest.h>

#include <cstring>

#include "platform/host_memory.h"
#include "platform/vulkan/commands.h"
#include "platform/vulkan/memory.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kArenaBytes = 64 * kPage;

// nullptr where the machine has no device that imports.
std::unique_ptr<Device> open_device() {
  DeviceOptions options;
  options.validation = true;
  auto device = Device::open(options);
  if (!device.ok()) device = Device::open({});  // no validation layer installed
  if (!device.ok() || (*device)->limits().host_import_alignment_bytes == 0) return nullptr;
  return std::move(device).value();
}

std::unique_ptr<HostArena> make_arena() {
  auto arena = HostArena::create(kArenaBytes);
  REQUIRE(arena.ok());
  for (uint64_t i = 0; i < kArenaBytes; ++i) (*arena)->bytes()[i] = static_cast<std::byte>((i * 2654435761u) >> 13);
  return std::move(arena).value();
}

// What holds of every plan: in order, without gaps, widened to whole pages of the address, none too large.
void check_plan(const std::vector<ImportRange>& ranges, uint64_t address, uint64_t size, uint64_t page, uint64_t most) {
  REQUIRE(!ranges.empty());
  const uint64_t first = (page - address % page) % page;
  CHECK(ranges.front().core_begin_bytes == first);
  CHECK(ranges.back().core_end_bytes == (address + size) / page * page - address);
  for (size_t i = 0; i < ranges.size(); ++i) {
    const ImportRange& range = ranges[i];
    CHECK((address + range.begin_bytes) % page == 0);
    CHECK((address + range.end_bytes) % page == 0);
    CHECK(range.begin_bytes <= range.core_begin_bytes);
    CHECK(range.core_begin_bytes < range.core_end_bytes);
    CHECK(range.core_end_bytes <= range.end_bytes);
    CHECK(range.end_bytes <= size);
    CHECK(range.end_bytes - range.begin_bytes <= most);
    if (i > 0) CHECK(ranges[i - 1].core_end_bytes == range.core_begin_bytes);
  }
}

std::vector<uint64_t> every(uint64_t step, uint64_t size) {
  std::vector<uint64_t> cuts;
  for (uint64_t at = 0; at <= size; at += step) cuts.push_back(at);
  return cuts;
}

// Copies `size` bytes from the import and returns them.
std::vector<std::byte> read_by_copy(Device& device, const HostImport::Source& source, uint64_t size) {
  DeviceMemory memory(device, 1 << 20);
  const auto target = memory.allocate(size, MemoryKind::kReadback, "read back");
  REQUIRE(target.ok());
  CommandPool pool(device, device.transfer().family());
  const VkCommandBuffer commands = pool.allocate().value();
  VkCommandBufferBeginInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  REQUIRE(device.fn().vkBeginCommandBuffer(commands, &info) == VK_SUCCESS);
  const VkBufferCopy region = {source.offset_bytes, 0, size};
  device.fn().vkCmdCopyBuffer(commands, source.buffer, target->handle(), 1, &region);
  REQUIRE(device.fn().vkEndCommandBuffer(commands) == VK_SUCCESS);
  const auto point = device.transfer().submit(std::span(&commands, 1));
  REQUIRE(point.ok());
  REQUIRE(device.transfer().wait(point->value).ok());
  return {target->mapped().begin(), target->mapped().end()};
}

}  // namespace

TEST_CASE("host import: every arena is cut into whole pages without gaps, and no run between two cuts is torn") {
  struct Case {
    uint64_t address, size, step, page, most;
  };
  const Case cases[] = {
      {0x7f0000000000, 64 << 20, 300'000, 4096, 1 << 20},      // records of no page size
      {0x7f0000000000, 64 << 20, 1 << 19, 4096, 1 << 20},      // of a page size
      {0x7f0000000000, 5ull << 30, 2'162'688, 4096, 1 << 30},  // experts of Qwen3-30B
      {0x7f0000001000, 64 << 20, 70'000, 65536, 1 << 20},      // an arena that starts inside a large page
      {0x7f0000000000, 40'000, 10'000, 4096, 1 << 20},         // one piece; the last page is not whole
      {0x7f0000000000, 3 << 20, 8192, 4096, 8192},             // one record a piece
      {0x7f0000000000, 1 << 20, 256, 4096, 100'000},           // a limit that is no page size
  };
  for (const Case& c : cases) {
    CAPTURE(c.size);
    CAPTURE(c.step);
    const auto ranges = plan_import(c.address, c.size, every(c.step, c.size), c.page, c.most);
    check_plan(ranges, c.address, c.size, c.page, c.most);
    for (size_t i = 0; i + 1 < ranges.size(); ++i) CHECK(ranges[i].core_end_bytes % c.step == 0);
  }
}

TEST_CASE("host import: pieces share no page where a cut on a page boundary is near") {
  const auto ranges = plan_import(0, 64 << 20, every(kPage / 4 * 3, 64 << 20), kPage, 1 << 20);
  check_plan(ranges, 0, 64 << 20, kPage, 1 << 20);
  for (const ImportRange& range : ranges) CHECK(range.end_bytes == range.core_end_bytes);
}

TEST_CASE("host import: without cuts, and between cuts that are too far apart, pieces are as large as may be") {
  for (const auto& cuts : {std::vector<uint64_t>{}, {0, 64 << 20}}) {
    const auto ranges = plan_import(0, 64 << 20, cuts, kPage, 10 << 20);
    check_plan(ranges, 0, 64 << 20, kPage, 10 << 20);
    CHECK(ranges.size() == 7);
  }
  CHECK(plan_import(100, 5000, {}, kPage, 1 << 20).empty());  // no whole page
  CHECK(plan_import(0, 0, {}, kPage, 1 << 20).empty());
}

TEST_CASE("host import: copies read the host's bytes where they lie, also those written after the import") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device that imports host memory");
  const auto arena = make_arena();
  const auto bytes = arena->bytes();
  const auto import = HostImport::create(*device, bytes, every(10'000, kArenaBytes), {.max_piece_bytes = 10 * kPage});
  REQUIRE_MESSAGE(import.ok(), import.status().message());
  CHECK((*import)->refusal().ok());
  CHECK((*import)->pieces() > 6);
  for (uint64_t at = 0; at + 10'000 <= kArenaBytes; at += 10'000) {
    CAPTURE(at);
    bytes[at + 5] = std::byte{0xa5};
    const auto source = (*import)->source(bytes.data() + at, 10'000);
    REQUIRE(source.has_value());
    const auto read = read_by_copy(*device, *source, 10'000);
    REQUIRE(std::memcmp(read.data(), bytes.data() + at, 10'000) == 0);
    const auto address = (*import)->device_address(bytes.data() + at, 10'000);
    REQUIRE(address.has_value());
    CHECK(*(*import)->device_address(bytes.data() + at + 256, 16) == *address + 256);
  }
}

TEST_CASE("host import: bytes that are not wholly in one piece are not covered") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device that imports host memory");
  const auto arena = make_arena();
  std::byte* data = arena->bytes().data();
  const auto import = HostImport::create(*device, arena->bytes(), {}, {.max_piece_bytes = 8 * kPage});
  REQUIRE_MESSAGE(import.ok(), import.status().message());
  const std::byte outside[16] = {};
  CHECK((*import)->covers(data, 8 * kPage));
  CHECK(!(*import)->covers(data, 8 * kPage + 1));
  CHECK(!(*import)->covers(data + 8 * kPage - 1, 2));
  CHECK((*import)->covers(data + kArenaBytes - 1, 1));
  CHECK(!(*import)->covers(data + kArenaBytes, 1));
  CHECK(!(*import)->covers(data + 1, UINT64_MAX));
  CHECK(!(*import)->covers(outside, 16));
  CHECK(!(*import)->covers(nullptr, 1));
  CHECK(!(*import)->device_address(outside, 16).has_value());
  CHECK(!(*import)->source(outside, 16).has_value());
}

TEST_CASE("host import: takes nothing of the VRAM budget") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device that imports host memory");
  DeviceMemory memory(*device, 0);
  const auto arena = make_arena();
  CHECK(HostImport::create(*device, arena->bytes(), {}).ok());
  CHECK(memory.used_bytes() == 0);
}

TEST_CASE("host import: a limit refuses all of it, or leaves the first pieces") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device that imports host memory");
  const auto arena = make_arena();
  std::byte* data = arena->bytes().data();
  CHECK(HostImport::create(*device, arena->bytes(), {}, {.limit_bytes = 0}).status().code() == Code::kOverBudget);
  const auto some = HostImport::create(*device, arena->bytes(), {}, {.max_piece_bytes = 8 * kPage, .limit_bytes = 20 * kPage});
  REQUIRE_MESSAGE(some.ok(), some.status().message());
  CHECK((*some)->pieces() == 2);
  CHECK((*some)->imported_bytes() == 16 * kPage);
  CHECK((*some)->refusal().code() == Code::kOverBudget);
  CHECK((*some)->covers(data + 15 * kPage, kPage));
  CHECK(!(*some)->covers(data + 16 * kPage, 1));
  CHECK(HostImport::create(*device, arena->bytes().first(100), {}).status().code() == Code::kInvalidArgument);
}

TEST_CASE("host import: a driver that refuses is an error; one that refuses later pieces leaves the first") {
  const auto device = open_device();
  if (!device) HOTSET_SKIP("no Vulkan device that imports host memory");
  const auto arena = make_arena();
  static PFN_vkAllocateMemory real;
  static int granted;
  auto& fn = const_cast<DeviceFunctions&>(device->fn());
  real = fn.vkAllocateMemory;
  fn.vkAllocateMemory = [](VkDevice on, const VkMemoryAllocateInfo* info, const VkAllocationCallbacks* callbacks, VkDeviceMemory* out) {
    return granted-- > 0 ? real(on, info, callbacks, out) : VK_ERROR_INVALID_EXTERNAL_HANDLE;
  };
  granted = 0;
  const Status none = HostImport::create(*device, arena->bytes(), {}).status();
  CHECK(none.code() == Code::kDevice);
  CHECK(none.message().find("VK_ERROR_INVALID_EXTERNAL_HANDLE") != std::string::npos);
  granted = 3;
  const auto some = HostImport::create(*device, arena->bytes(), {}, {.max_piece_bytes = 8 * kPage});
  REQUIRE_MESSAGE(some.ok(), some.status().message());
  CHECK((*some)->pieces() == 3);
  CHECK((*some)->refusal().code() == Code::kDevice);
  CHECK(!(*some)->covers(arena->bytes().data() + 24 * kPage, 1));
  fn.vkAllocateMemory = real;
}
