// Bytes to a device's buffers and back, in place and in pieces through the queue.
#include <doctest/doctest.h>

#include <initializer_list>
#include <numeric>
#include <tuple>

#include "platform/vulkan/buffer_copies.h"
#include "tests/test_support.h"

using namespace hotset;

TEST_CASE("buffer copies: reads and writes in pieces of any size, and from buffer to buffer") {
  auto device = Device::open({});
  if (!device.ok()) HOTSET_SKIP("no usable Vulkan device");
  const auto programs = ProgramCache::create(**device, {});
  REQUIRE(programs.ok());
  DeviceMemory memory(**device, 64u << 20);
  constexpr size_t kSize = 10'000;
  for (const auto& [staged, submit_bytes, expected_submits] : std::initializer_list<std::tuple<bool, uint64_t, uint64_t>>{
           {false, 0, 0}, {true, 0, 10 + 2 + 10 + 2 + 10 + 1 + 10}, {true, 500, 20 + 3 + 20 + 5 + 20 + 10 + 20}, {true, 1'000'000, 10 + 2 + 10 + 2 + 10 + 1 + 10}}) {
    BufferCopies copies(memory, programs->get(), 1024, staged, submit_bytes);
    const uint64_t submits = (*device)->compute().submit_count();
    Buffer first = std::move(memory.allocate(kSize, MemoryKind::kDevice, "first")).value();
    Buffer second = std::move(memory.allocate(kSize, MemoryKind::kDevice, "second")).value();
    std::vector<std::byte> bytes(kSize);
    for (size_t i = 0; i < kSize; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
    REQUIRE(copies.write(first, 0, bytes).ok());
    const std::vector<std::byte> patch(1500, std::byte{0x5a});
    REQUIRE(copies.write(first, 3001, patch).ok());
    std::copy(patch.begin(), patch.end(), bytes.begin() + 3001);
    std::vector<std::byte> back(kSize);
    REQUIRE(copies.read(first, 0, back).ok());
    CHECK(back == bytes);
    std::vector<std::byte> part(2047);
    REQUIRE(copies.read(first, 2000, part).ok());
    CHECK(std::equal(part.begin(), part.end(), bytes.begin() + 2000));
    REQUIRE(copies.write(second, 0, std::vector<std::byte>(kSize, std::byte{1})).ok());
    REQUIRE(copies.copy(first, second, 5000).ok());
    REQUIRE(copies.copy(first, second, 0).ok());
    REQUIRE(copies.read(second, 0, back).ok());
    CHECK(std::equal(back.begin(), back.begin() + 5000, bytes.begin()));
    CHECK(back[5000] == std::byte{1});
    if (staged) CHECK((*device)->compute().submit_count() - submits == expected_submits);
  }
}
