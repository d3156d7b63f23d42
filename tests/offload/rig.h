// A Residency on made-up experts and a fake link, and what tests want to ask it.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "offload/residency.h"
#include "offload/slot_plan.h"
#include "tests/offload/fake_bank.h"
#include "tests/offload/fake_link.h"

namespace hotset::test {

struct Rig {
  static constexpr uint64_t kSlabBase = 0x7000'0000'0000;  // addresses beyond 32 bits
  static constexpr uint64_t kSlabStride = 0x1'0000'0000;

  ExpertTable table;
  std::unique_ptr<HostTier> host;
  std::vector<uint32_t> slots;
  std::vector<uint64_t> slab_sizes;
  std::unique_ptr<FakeLink> link;
  std::vector<uint64_t> device_table;
  std::unique_ptr<Residency> residency;

  Rig(ExpertTable made, std::vector<uint32_t> slots_per_class, uint32_t top_k) : table(std::move(made)), slots(std::move(slots_per_class)) {
    host = make_host(table);
    // Small slabs, so that slots spread over several.
    auto planned = plan_slabs(table, slots, 5 * table.class_record_bytes(SizeClassId{table.classes() - 1}));
    REQUIRE(planned.ok());
    slab_sizes = *planned;
    link = std::make_unique<FakeLink>(slab_sizes);
    device_table.assign(table.entries(), 77);
    std::vector<Slab> slabs;
    for (uint32_t i = 0; i < slab_sizes.size(); ++i) slabs.push_back({SlabId{i}, kSlabBase + i * kSlabStride, slab_sizes[i]});
    auto made_residency = Residency::create({table, *host, link.get(), device_table, slabs, slots, top_k, "lru"});
    REQUIRE_MESSAGE(made_residency.ok(), made_residency.status().message());
    residency = std::move(made_residency).value();
  }

  uint64_t address(uint32_t layer, uint32_t expert) const { return device_table[layer * table.experts() + expert]; }

  // The bytes at an expert's address are the expert's.
  bool holds_its_bytes(uint32_t layer, uint32_t expert) const {
    const uint64_t from_base = address(layer, expert) - kSlabBase;
    const auto& slab = link->slab(static_cast<uint32_t>(from_base / kSlabStride));
    const auto record = host->bytes({static_cast<uint16_t>(layer), static_cast<uint16_t>(expert)});
    const uint64_t offset = from_base % kSlabStride;
    return offset + record.size() <= slab.size() && std::equal(record.begin(), record.end(), slab.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  uint32_t residents(uint32_t layer) const {
    uint32_t count = 0;
    for (uint32_t expert = 0; expert < table.experts(); ++expert) count += residency->resident(layer, expert) ? 1 : 0;
    return count;
  }

  // Acquire and let go at once, as if the GPU had run it.
  Acquired use(uint32_t layer, const std::vector<uint16_t>& ids, Access access = Access::kDecode) {
    const auto acquired = residency->acquire(layer, ids, access);
    REQUIRE_MESSAGE(acquired.ok(), acquired.status().message());
    residency->retire(layer, ids, 0);
    REQUIRE(residency->check().ok());
    return *acquired;
  }
};

}  // namespace hotset::test
