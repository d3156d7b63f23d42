// The Vulkan link on whatever device there is, written in place and through staging.
#include "offload/link_vulkan.h"

#include <doctest/doctest.h>

#include <cstring>

#include "offload/residency.h"
#include "offload/slot_plan.h"
#include "tests/offload/fake_bank.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

constexpr uint64_t kSlabBytes = 256 * 1024;

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
    const VolkDeviceTable& fn = device->fn();
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

void check_link(bool force_staging) {
  Gpu gpu;
  if (!gpu.open(2, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  // Segments of 40000 bytes, so that copies are cut and the ring goes round.
  auto made = LinkVulkan::create(*gpu.memory, gpu.slabs, {force_staging, LinkVulkan::kSegments * 40000});
  REQUIRE_MESSAGE(made.ok(), made.status().message());
  LinkVulkan& link = **made;
  const bool staged = force_staging || gpu.slabs[0].mapped().empty();
  CHECK(link.stages() == staged);

  const auto small = pattern(100, 1);
  const auto large = pattern(200'000, 2);
  const auto later = pattern(200'000, 3);
  REQUIRE(link.copy(small, SlabId{1}, 12).ok());
  REQUIRE(link.copy(large, SlabId{0}, 256).ok());
  const auto first = link.submit();
  REQUIRE(first.ok());
  CHECK((*first > 0) == staged);
  CHECK(link.submit().value() == 0);  // nothing new
  auto slab = gpu.read_back(0, link, *first);
  CHECK(std::memcmp(slab.data() + 256, large.data(), large.size()) == 0);
  slab = gpu.read_back(1, link, *first);
  CHECK(std::memcmp(slab.data() + 12, small.data(), small.size()) == 0);

  // The later batch wins, though nobody waited between the two.
  REQUIRE(link.copy(large, SlabId{1}, 0).ok());
  REQUIRE(link.submit().ok());
  REQUIRE(link.copy(later, SlabId{1}, 0).ok());
  const auto second = link.submit();
  REQUIRE(second.ok());
  slab = gpu.read_back(1, link, *second);
  CHECK(std::memcmp(slab.data(), later.data(), later.size()) == 0);
  CHECK(link.completed() >= *second);
  CHECK(link.stats().bytes == 100 + 3 * 200'000);
  CHECK(link.stats().copies == 4);
  CHECK(link.stats().busy_ns > 0);

  // A batch that is thrown away leaves the link usable.
  REQUIRE(link.copy(small, SlabId{0}, 0).ok());
  link.discard();
  CHECK(link.submit().value() == 0);
  REQUIRE(link.copy(later, SlabId{0}, 0).ok());
  const auto third = link.submit();
  REQUIRE(third.ok());
  slab = gpu.read_back(0, link, *third);
  CHECK(std::memcmp(slab.data(), later.data(), later.size()) == 0);
}

}  // namespace

TEST_CASE("vulkan link: in place where the device's memory is mapped") { check_link(false); }
TEST_CASE("vulkan link: through staging") { check_link(true); }

TEST_CASE("vulkan link: a mapped device takes no staging memory; a ring that does not fit the budget is an error") {
  Gpu gpu;
  if (!gpu.open(1, kSlabBytes)) HOTSET_SKIP("no Vulkan device");
  if (gpu.slabs[0].mapped().empty()) HOTSET_SKIP("this device's memory is not mapped");
  const uint64_t before = gpu.memory->used_bytes();
  CHECK(LinkVulkan::create(*gpu.memory, gpu.slabs, {}).ok());
  CHECK(gpu.memory->peak_bytes() == before);
  CHECK(LinkVulkan::create(*gpu.memory, gpu.slabs, {true, 0}).status().code() == Code::kInvalidArgument);
  if (gpu.device->limits().software) {
    CHECK(LinkVulkan::create(*gpu.memory, gpu.slabs, {true, uint64_t{2} << 30}).status().code() != Code::kOk);
  }
}

TEST_CASE("vulkan link: experts reach their slots through the whole floor") {
  for (const bool force_staging : {false, true}) {
    CAPTURE(force_staging);
    const ExpertTable table = test::make_table(16, {3000, 3000, 9000});
    const auto host = test::make_host(table);
    const auto slots = plan_slots(table, table.total_bytes() / 4, 2);
    REQUIRE(slots.ok());
    const auto slab_bytes = plan_slabs(table, *slots, uint64_t{1} << 20);
    REQUIRE(slab_bytes.ok());
    REQUIRE(slab_bytes->size() == 1);
    Gpu gpu;
    if (!gpu.open(1, slab_bytes->front())) HOTSET_SKIP("no Vulkan device");
    auto link = LinkVulkan::create(*gpu.memory, gpu.slabs, {force_staging, LinkVulkan::kSegments * 20000});
    REQUIRE(link.ok());
    std::vector<uint64_t> device_table(table.count());
    const Slab slab{SlabId{0}, gpu.slabs[0].address(), gpu.slabs[0].size_bytes()};
    auto residency = Residency::create({table, *host, **link, device_table, {&slab, 1}, *slots, 2, "lru"});
    REQUIRE_MESSAGE(residency.ok(), residency.status().message());
    for (uint16_t step = 0; step < 60; ++step) {
      const uint16_t layer = step % 3;
      const std::vector<uint16_t> ids = {static_cast<uint16_t>(step * 7 % 16), static_cast<uint16_t>(step * 5 % 16)};
      const auto acquired = (*residency)->acquire(layer, ids, Access::kDecode);
      REQUIRE(acquired.ok());
      const auto bytes = gpu.read_back(0, **link, acquired->ready_value);
      for (const uint16_t id : ids) {
        const auto record = host->bytes({layer, id});
        const uint64_t at = device_table[layer * 16u + id] - slab.device_address;
        REQUIRE(std::memcmp(bytes.data() + at, record.data(), record.size()) == 0);
      }
      (*residency)->retire(layer, ids, 0);
    }
    CHECK((*residency)->check().ok());
    CHECK((*residency)->stats().evictions > 0);
  }
}
