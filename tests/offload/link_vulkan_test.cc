// The Vulkan link on whatever device there is: written in place, copied from imported memory, through staging.
#include "offload/link_vulkan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "offload/residency.h"
#include "offload/slot_plan.h"
#include "platform/host_memory.h"
#include "tests/offload/fake_bank.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

constexpr uint64_t kSlabBytes = 256 * 1024;
constexpr uint64_t kArenaBytes = 2 << 20;
constexpr CopyPath kAllPaths[] = {CopyPath::kMapped, CopyPath::kDirect, CopyPath::kStaging};

struct Gpu {
  std::unique_ptr<Device> device;
  std::unique_ptr<DeviceMemory> memory;
  std::vector<Buffer> slabs;

  // False where the machine has no usable device.
  bool open(size_t slab_count, uint64_t slab_bytes) {
    DeviceOptions options;
    options.validation = true;
    auto opened = Device::open(options);
    if (!opened.ok()) opened = Device::open({});  // no validation layer installed
    if (!opened.ok()) return false;
    device = std::move(opened).value();
    memory = std::make_unique<DeviceMemory>(*device, uint64_t{1} << 30);
    for (size_t i = 0; i < slab_count; ++i) {
      auto slab = memory->allocate(slab_bytes, MemoryKind::kDevice, "slab");
      REQUIRE_MESSAGE(slab.ok(), slab.status().message());
      slabs.push_back(std::move(slab).value());
    }
    return true;
  }

  // A slab's bytes as the GPU sees them, read by a copy that waits for `ready`.
  std::vector<std::byte> read_back(size_t slab, const LinkVulkan& link, uint64_t ready) {
    const uint64_t bytes = slabs[slab].size_bytes();
    auto target = memory->allocate(bytes, MemoryKind::kReadback, "read back");
    REQUIRE(target.ok());
    CommandPool pool(*device, device->compute().family());
    const auto commands = pool.allocate();
    REQUIRE(commands.ok());
    const DeviceFunctions& fn = device->fn();
    VkCommandBufferBeginInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    REQUIRE(fn.vkBeginCommandBuffer(*commands, &info) == VK_SUCCESS);
    const VkBufferCopy region = {0, 0, bytes};
    fn.vkCmdCopyBuffer(*commands, slabs[slab].handle(), target->handle(), 1, &region);
    REQUIRE(fn.vkEndCommandBuffer(*commands) == VK_SUCCESS);
    const TimelinePoint wait = link.point(ready);
    const auto waits = ready == 0 ? std::span<const TimelinePoint>() : std::span(&wait, 1);
    const auto done = device->compute().submit(std::span(&*commands, 1), waits);
    REQUIRE(done.ok());
    REQUIRE(device->compute().wait(done->value).ok());
    return {target->mapped().begin(), target->mapped().end()};
  }
};

std::vector<std::byte> pattern(size_t size, uint64_t seed) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = test::file_byte(i + seed * 7919);
  return bytes;
}

// A host arena of a known pattern, imported where the device can.
struct Source {
  std::unique_ptr<HostArena> arena = HostArena::create(kArenaBytes).value();
  std::unique_ptr<HostImport> import;

  explicit Source(Device& device, const HostImportOptions& options = {}, std::vector<uint64_t> cuts = {}) {
    const auto bytes = pattern(kArenaBytes, 5);
    std::memcpy(arena->bytes().data(), bytes.data(), bytes.size());
    auto made = HostImport::create(device, arena->bytes(), cuts, options);
    if (made.ok()) import = std::move(made).value();
  }
  std::span<const std::byte> bytes(uint64_t offset, uint64_t size) const { return std::as_const(*arena).bytes().subspan(offset, size); }
};

// The path can be taken for every copy from `source` on this machine.
bool possible(CopyPath path, const Gpu& gpu, const Source& source) {
  if (path == CopyPath::kMapped) return !gpu.slabs[0].mapped().empty();
  return path != CopyPath::kDirect || source.import != nullptr;
}

bool holds(const std::vector<std::byte>& slab, uint64_t offset, std::span<const std::byte> expected) {
  return std::memcmp(slab.data() + offset, expected.data(), expected.size()) == 0;
}

void check_link(CopyPath path) {
  Gpu gpu;
  if (!gpu.open(2, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  const Source source(*gpu.device);
  if (!possible(path, gpu, source)) HOTSET_SKIP("this device cannot copy this way");
  // Segments of 40000 bytes, so that copies are cut and the ring goes round.
  auto made = LinkVulkan::create(*gpu.memory, gpu.slabs, {path, source.import.get(), LinkVulkan::kSegments * 40000});
  REQUIRE_MESSAGE(made.ok(), made.status().message());
  LinkVulkan& link = **made;
  const bool queued = path != CopyPath::kMapped;

  const auto small = source.bytes(777, 100);
  const auto large = source.bytes(4096 * 3 + 1, 200'000);
  const auto later = source.bytes(900'000, 200'000);
  REQUIRE(link.copy(small, SlabId{1}, 12).ok());
  REQUIRE(link.copy(large, SlabId{0}, 256).ok());
  const auto first = link.submit();
  REQUIRE(first.ok());
  CHECK((*first > 0) == queued);
  CHECK(link.submit().value() == 0);  // nothing new
  CHECK(holds(gpu.read_back(0, link, *first), 256, large));
  CHECK(holds(gpu.read_back(1, link, *first), 12, small));

  // The later batch wins, though nobody waited between the two.
  REQUIRE(link.copy(large, SlabId{1}, 0).ok());
  REQUIRE(link.submit().ok());
  REQUIRE(link.copy(later, SlabId{1}, 0).ok());
  const auto second = link.submit();
  REQUIRE(second.ok());
  CHECK(holds(gpu.read_back(1, link, *second), 0, later));
  CHECK(link.completed() >= *second);
  CHECK(link.stats().bytes == 100 + 3 * 200'000);
  CHECK(link.stats().copies == 4);
  CHECK(link.stats().busy_ns > 0);
  CHECK(link.path_bytes(path) == link.stats().bytes);

  // A batch that is thrown away leaves the link usable.
  REQUIRE(link.copy(small, SlabId{0}, 0).ok());
  link.discard();
  CHECK(link.submit().value() == 0);
  REQUIRE(link.copy(later, SlabId{0}, 0).ok());
  const auto third = link.submit();
  REQUIRE(third.ok());
  REQUIRE(link.wait(*third).ok());
  CHECK(holds(gpu.read_back(0, link, 0), 0, later));
}

}  // namespace

TEST_CASE("vulkan link: in place where the device's memory is mapped") { check_link(CopyPath::kMapped); }
TEST_CASE("vulkan link: through staging") { check_link(CopyPath::kStaging); }
TEST_CASE("vulkan link: directly from imported memory") { check_link(CopyPath::kDirect); }

TEST_CASE("vulkan link: a mapped device takes no staging memory; a ring that does not fit the budget is an error") {
  Gpu gpu;
  if (!gpu.open(1, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  if (gpu.slabs[0].mapped().empty()) HOTSET_SKIP("this device's memory is not mapped");
  const uint64_t before = gpu.memory->used_bytes();
  for (const bool imported : {false, true}) {
    const Source source(*gpu.device);
    const auto link = LinkVulkan::create(*gpu.memory, gpu.slabs, {{}, imported ? source.import.get() : nullptr});
    REQUIRE(link.ok());
    CHECK(!(*link)->stages());
    REQUIRE((*link)->copy(source.bytes(0, 1000), SlabId{0}, 0).ok());
    CHECK((*link)->path_bytes(CopyPath::kMapped) == 1000);
  }
  CHECK(gpu.memory->peak_bytes() == before);
  CHECK(LinkVulkan::create(*gpu.memory, gpu.slabs, {CopyPath::kStaging, nullptr, 0}).status().code() == Code::kInvalidArgument);
  if (gpu.device->limits().software) {
    CHECK(LinkVulkan::create(*gpu.memory, gpu.slabs, {CopyPath::kStaging, nullptr, uint64_t{2} << 30}).status().code() != Code::kOk);
  }
}

TEST_CASE("vulkan link: what was not imported goes another way, in order with what was") {
  Gpu gpu;
  if (!gpu.open(1, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  // Half of the arena, in pieces of 64 KiB: records of 60000 bytes lie in them as their cuts say.
  std::vector<uint64_t> cuts;
  for (uint64_t at = 0; at < kArenaBytes; at += 60'000) cuts.push_back(at);
  const Source source(*gpu.device, {64 << 10, kArenaBytes / 2}, cuts);
  if (!source.import) HOTSET_SKIP("this device imports no host memory");
  auto link = LinkVulkan::create(*gpu.memory, gpu.slabs, {CopyPath::kDirect, source.import.get(), LinkVulkan::kSegments * 40000});
  REQUIRE(link.ok());
  const auto imported = source.bytes(60'000, 60'000);
  const auto not_imported = source.bytes(1'920'000, 60'000);
  const auto across = source.bytes(30'000, 60'000);  // of two pieces
  const std::array order = {imported, not_imported, across, imported, not_imported};
  for (const auto& bytes : order) {
    REQUIRE((*link)->copy(bytes, SlabId{0}, 100).ok());
    REQUIRE((*link)->copy(bytes, SlabId{0}, 100'000).ok());
    REQUIRE((*link)->submit().ok());
  }
  CHECK((*link)->path_bytes(CopyPath::kDirect) == 4 * 60'000);
  REQUIRE((*link)->copy(not_imported, SlabId{0}, 180'000).ok());
  const auto last = (*link)->submit();
  REQUIRE(last.ok());
  const auto slab = gpu.read_back(0, **link, *last);
  CHECK(holds(slab, 100, not_imported));
  CHECK(holds(slab, 100'000, not_imported));
  CHECK(holds(slab, 180'000, not_imported));
}

TEST_CASE("vulkan link: an import may come later, and go") {
  Gpu gpu;
  if (!gpu.open(1, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  Source source(*gpu.device);
  if (!source.import) HOTSET_SKIP("this device imports no host memory");
  auto link = LinkVulkan::create(*gpu.memory, gpu.slabs, {});
  REQUIRE(link.ok());
  const CopyPath first = gpu.slabs[0].mapped().empty() ? CopyPath::kStaging : CopyPath::kMapped;
  uint64_t offset = 0;
  const auto copy_and_wait = [&] {
    REQUIRE((*link)->copy(source.bytes(offset, 1000), SlabId{0}, offset).ok());
    offset += 1000;
    const auto value = (*link)->submit();
    REQUIRE(value.ok());
    REQUIRE((*link)->wait(*value).ok());
  };
  copy_and_wait();
  (*link)->set_path(CopyPath::kDirect, source.import.get());
  copy_and_wait();
  (*link)->set_path({}, nullptr);
  source.import.reset();
  copy_and_wait();
  (*link)->set_path(CopyPath::kStaging, nullptr);  // no ring on a device that maps its memory
  copy_and_wait();
  CHECK((*link)->path_bytes(CopyPath::kDirect) == 1000);
  CHECK((*link)->path_bytes(first) == 3000);
  CHECK(holds(gpu.read_back(0, **link, 0), 0, source.bytes(0, 4000)));
}

TEST_CASE("vulkan link: many batches are under way, none is lost and each slot ends with its latest bytes") {
  constexpr uint64_t kRecord = 3000;
  constexpr uint32_t kSlots = 80;
  for (const CopyPath path : kAllPaths) {
    CAPTURE(copy_path_name(path));
    Gpu gpu;
    if (!gpu.open(2, kRecord * kSlots)) HOTSET_SKIP("no Vulkan device");
    const Source source(*gpu.device);
    if (!possible(path, gpu, source)) continue;
    auto link = LinkVulkan::create(*gpu.memory, gpu.slabs, {path, source.import.get(), LinkVulkan::kSegments * 10000});
    REQUIRE(link.ok());
    std::array<std::array<uint64_t, kSlots>, 2> held = {};
    uint64_t ready = 0;
    uint32_t step = 0;
    for (uint32_t batch = 0; batch < 5 * LinkVulkan::kFlights; ++batch) {
      for (uint32_t i = 0; i < 20; ++i, ++step) {
        const uint32_t slab = step % 2;
        const uint32_t slot = step * 7 % kSlots;
        held[slab][slot] = step * 1777 % (kArenaBytes - kRecord);
        REQUIRE((*link)->copy(source.bytes(held[slab][slot], kRecord), SlabId{slab}, slot * kRecord).ok());
      }
      const auto value = (*link)->submit();
      REQUIRE(value.ok());
      CHECK(*value >= ready);
      ready = *value;
    }
    for (uint32_t slab = 0; slab < 2; ++slab) {
      const auto bytes = gpu.read_back(slab, **link, ready);
      for (uint32_t slot = slab; slot < kSlots; slot += 2) CHECK(holds(bytes, slot * kRecord, source.bytes(held[slab][slot], kRecord)));
    }
  }
}

TEST_CASE("vulkan link: a batch of more copies than one command buffer takes") {
  constexpr uint64_t kRecord = 16;
  for (const CopyPath path : {CopyPath::kDirect, CopyPath::kStaging}) {
    Gpu gpu;
    if (!gpu.open(1, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
    const Source source(*gpu.device);
    if (!possible(path, gpu, source)) continue;
    auto link = LinkVulkan::create(*gpu.memory, gpu.slabs, {path, source.import.get(), 1 << 20});
    REQUIRE(link.ok());
    const uint32_t count = 3 * LinkVulkan::kMaxRegions + 5;
    for (uint32_t i = 0; i < count; ++i) REQUIRE((*link)->copy(source.bytes(i * 100, kRecord), SlabId{0}, i * 2 * kRecord).ok());
    const auto value = (*link)->submit();
    REQUIRE(value.ok());
    const auto slab = gpu.read_back(0, **link, *value);
    for (uint32_t i = 0; i < count; ++i) REQUIRE(holds(slab, i * 2 * kRecord, source.bytes(i * 100, kRecord)));
  }
}

TEST_CASE("vulkan link: neighbours in source and slab become one region") {
  Gpu gpu;
  if (!gpu.open(2, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  const Source source(*gpu.device);
  if (!source.import) HOTSET_SKIP("this device imports no host memory");
  static std::vector<uint32_t> regions;  // of each copy command
  static PFN_vkCmdCopyBuffer real;
  regions.clear();
  auto& fn = const_cast<DeviceFunctions&>(gpu.device->fn());
  real = fn.vkCmdCopyBuffer;
  fn.vkCmdCopyBuffer = [](VkCommandBuffer commands, VkBuffer from, VkBuffer to, uint32_t count, const VkBufferCopy* copies) {
    regions.push_back(count);
    real(commands, from, to, count, copies);
  };
  auto link = LinkVulkan::create(*gpu.memory, gpu.slabs, {CopyPath::kDirect, source.import.get()});
  REQUIRE(link.ok());
  REQUIRE((*link)->copy(source.bytes(2000, 1000), SlabId{0}, 2000).ok());
  REQUIRE((*link)->copy(source.bytes(50'000, 1000), SlabId{1}, 0).ok());
  REQUIRE((*link)->copy(source.bytes(1000, 1000), SlabId{0}, 1000).ok());
  REQUIRE((*link)->copy(source.bytes(0, 1000), SlabId{0}, 5000).ok());  // follows in the source alone
  const auto value = (*link)->submit();
  REQUIRE(value.ok());
  fn.vkCmdCopyBuffer = real;
  std::sort(regions.begin(), regions.end());
  CHECK(regions == std::vector<uint32_t>{1, 2});
  const auto slab = gpu.read_back(0, **link, *value);
  CHECK(holds(slab, 1000, source.bytes(1000, 2000)));
  CHECK(holds(slab, 5000, source.bytes(0, 1000)));
  CHECK(holds(gpu.read_back(1, **link, *value), 0, source.bytes(50'000, 1000)));
}

TEST_CASE("vulkan link: a lost device is an error of the wait and of the copies that need room") {
  Gpu gpu;
  if (!gpu.open(1, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  const Source source(*gpu.device);
  auto link = LinkVulkan::create(*gpu.memory, gpu.slabs, {CopyPath::kStaging, nullptr, LinkVulkan::kSegments * 1000});
  REQUIRE(link.ok());
  REQUIRE((*link)->copy(source.bytes(0, 3000), SlabId{0}, 0).ok());
  const auto value = (*link)->submit();
  REQUIRE(value.ok());
  auto& fn = const_cast<DeviceFunctions&>(gpu.device->fn());
  const auto real = fn.vkWaitSemaphores;
  fn.vkWaitSemaphores = [](VkDevice, const VkSemaphoreWaitInfo*, uint64_t) { return VK_ERROR_DEVICE_LOST; };
  CHECK((*link)->wait(*value).code() == Code::kDevice);
  CHECK((*link)->wait(0).ok());
  const Status copied = (*link)->copy(source.bytes(0, 100'000), SlabId{0}, 0);
  CHECK(copied.code() == Code::kDevice);
  CHECK(copied.message().find("DEVICE_LOST") != std::string::npos);
  (*link)->discard();
  fn.vkWaitSemaphores = real;
  CHECK((*link)->wait(*value).ok());
}

TEST_CASE("vulkan link: experts reach their slots through the whole floor") {
  for (const CopyPath path : kAllPaths) {
    CAPTURE(copy_path_name(path));
    const ExpertTable table = test::make_table(16, {3000, 3000, 9000});
    const auto host = test::make_host(table);
    const auto slots = plan_slots(table, table.total_bytes() / 4, 2);
    REQUIRE(slots.ok());
    const auto slab_bytes = plan_slabs(table, *slots, uint64_t{1} << 20);
    REQUIRE(slab_bytes.ok());
    Gpu gpu;
    if (!gpu.open(slab_bytes->size(), *std::max_element(slab_bytes->begin(), slab_bytes->end()))) HOTSET_SKIP("no Vulkan device");
    auto link = LinkVulkan::create(*gpu.memory, gpu.slabs, {path, nullptr, LinkVulkan::kSegments * 20000});
    REQUIRE(link.ok());
    std::vector<uint64_t> device_table(table.count());
    std::vector<Slab> slabs;
    for (uint32_t i = 0; i < slab_bytes->size(); ++i) slabs.push_back({SlabId{i}, gpu.slabs[i].address(), (*slab_bytes)[i]});
    auto residency = Residency::create({table, *host, link->get(), device_table, slabs, *slots, 2, "lru"});
    REQUIRE_MESSAGE(residency.ok(), residency.status().message());
    for (uint16_t step = 0; step < 60; ++step) {
      const uint16_t layer = step % 3;
      const std::vector<uint16_t> ids = {static_cast<uint16_t>(step * 7 % 16), static_cast<uint16_t>(step * 5 % 16)};
      REQUIRE((*residency)->acquire(layer, ids, Access::kDecode).ok());
      std::vector<std::vector<std::byte>> held;
      for (size_t i = 0; i < slabs.size(); ++i) held.push_back(gpu.read_back(i, **link, (*residency)->copies_to_wait_for()));
      for (const uint16_t id : ids) {
        const auto record = host->bytes({layer, id});
        const uint64_t address = device_table[layer * 16u + id];
        const auto in = [&](const Slab& slab) { return address >= slab.device_address && address - slab.device_address < slab.size_bytes; };
        const auto slab = std::find_if(slabs.begin(), slabs.end(), in);
        REQUIRE(slab != slabs.end());
        REQUIRE(holds(held[index_of(slab->id)], address - slab->device_address, record));
      }
      (*residency)->retire(layer, ids, 0);
    }
    CHECK((*residency)->check().ok());
    CHECK((*residency)->stats().evictions > 0);
  }
}

TEST_CASE("vulkan link: a slab that is opened after the link gets its bytes too") {
  Gpu gpu;
  if (!gpu.open(1, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  const Source source(*gpu.device);
  std::vector<Buffer> slabs(2);
  for (const CopyPath path : kAllPaths) {
    CAPTURE(copy_path_name(path));
    if (!possible(path, gpu, source)) continue;
    slabs[1] = Buffer();
    auto link = LinkVulkan::create(*gpu.memory, slabs, {path, source.import.get(), LinkVulkan::kSegments * 1000});
    REQUIRE(link.ok());
    auto slab = gpu.memory->allocate(kSlabBytes, MemoryKind::kDevice, "slab");
    REQUIRE(slab.ok());
    slabs[1] = std::move(slab).value();
    REQUIRE((*link)->copy(source.bytes(500, 20'000), SlabId{1}, 300).ok());
    const auto value = (*link)->submit();
    REQUIRE(value.ok());
    REQUIRE((*link)->wait(*value).ok());
    std::swap(slabs[1], gpu.slabs[0]);
    CHECK(holds(gpu.read_back(0, **link, 0), 300, source.bytes(500, 20'000)));
    std::swap(slabs[1], gpu.slabs[0]);
  }
}

TEST_CASE("vulkan link: submits of so many bytes and no more, one at a time, with the same result") {
  Gpu gpu;
  if (!gpu.open(2, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  const Source source(*gpu.device);
  for (const CopyPath path : {CopyPath::kDirect, CopyPath::kStaging}) {
    if (!possible(path, gpu, source)) continue;
    for (const uint64_t submit_bytes : {uint64_t{0}, uint64_t{30'000}, uint64_t{1} << 30}) {
      LinkVulkanOptions options = {path, source.import.get(), LinkVulkan::kSegments * 300'000};
      options.submit_bytes = submit_bytes;
      auto made = LinkVulkan::create(*gpu.memory, gpu.slabs, options);
      REQUIRE_MESSAGE(made.ok(), made.status().message());
      LinkVulkan& link = **made;
      const auto large = source.bytes(5000 + submit_bytes % 1000, 200'000), small = source.bytes(300'000, 10'001);
      const uint64_t submits = gpu.device->transfer().submit_count();
      REQUIRE(link.copy(large, SlabId{0}, 7).ok());
      REQUIRE(link.copy(small, SlabId{1}, 3).ok());
      if (submit_bytes == 30'000) CHECK(link.completed() + 1 >= gpu.device->transfer().last_point().value);  // at most one is under way
      const auto value = link.submit();
      REQUIRE(value.ok());
      CHECK(gpu.device->transfer().submit_count() - submits == (submit_bytes == 30'000 ? 8 : 1));  // 210'001 bytes
      CHECK(holds(gpu.read_back(0, link, *value), 7, large));
      CHECK(holds(gpu.read_back(1, link, *value), 3, small));
    }
  }
}
