// Experts that move to VRAM in the background, and links that fail on the way.
#include <doctest/doctest.h>

#include "offload/residency.h"
#include "offload/slot_plan.h"
#include "tests/offload/disk_rig.h"
#include "tests/offload/fake_link.h"

using namespace hotset;
using namespace hotset::test;

namespace {

constexpr uint64_t kSlabBase = 0x7000'0000'0000;
constexpr uint32_t kSlots = 4;

// One layer of eight experts, of three pieces each on disk, four of them in VRAM and six in RAM; the CPU runs what VRAM lacks.
struct PromotionRig {
  DiskRig disk{make_table(8, {500})};
  std::vector<uint64_t> device_table = std::vector<uint64_t>(8);
  std::unique_ptr<FakeLink> link;
  std::unique_ptr<Residency> residency;

  PromotionRig() {
    HostTierOptions options;
    options.top_k = 2;
    options.budget_bytes = 6 * disk.slot_bytes();
    REQUIRE(disk.open(options).ok());
    const std::vector<uint32_t> slots = {kSlots};
    const uint64_t slab_bytes = kSlots * disk.table.class_record_bytes(SizeClassId{0});
    link = std::make_unique<FakeLink>(std::vector<uint64_t>{slab_bytes});
    const Slab slab = {SlabId{0}, kSlabBase, slab_bytes};
    auto made = Residency::create({disk.table, *disk.tier, link.get(), device_table, {&slab, 1}, slots, 2, "lru"});
    REQUIRE_MESSAGE(made.ok(), made.status().message());
    residency = std::move(made).value();
    Serving serving;
    serving.decode = MissMode::kCpu;
    serving.promotion_bytes = 100'000;
    REQUIRE(residency->set_serving(serving).ok());
  }

  // A token that uses these.
  void use(const std::vector<uint16_t>& ids) {
    const auto acquired = residency->acquire(0, ids, Access::kDecode);
    REQUIRE_MESSAGE(acquired.ok(), acquired.status().message());
    residency->retire(0, ids, 0);
    residency->end_token();
    residency->poll();
    const Status status = residency->check();
    CHECK_MESSAGE(status.ok(), status.message());
  }

  bool holds_its_bytes(uint16_t expert) const {
    const uint64_t at = device_table[expert] - kSlabBase;
    const std::span<const std::byte> record = std::span(link->slab(0)).subspan(at, disk.table.record_bytes(0));
    for (uint32_t i = 0; i < disk.table.pieces(0); ++i) {
      const ExpertPiece piece = disk.table.piece({0, expert}, i);
      for (uint64_t b = 0; b < piece.file.size_bytes; ++b) {
        if (record[piece.record_offset_bytes + b] != file_byte(piece.file.offset_bytes + b)) return false;
      }
    }
    return true;
  }
};

}  // namespace

TEST_CASE("promotion: what misses used moves to VRAM after the token") {
  PromotionRig rig;
  rig.use({3, 5});
  CHECK(rig.residency->stats().promotions == 2);
  CHECK(rig.holds_its_bytes(3));
  CHECK(rig.holds_its_bytes(5));
  CHECK(rig.residency->acquire(0, std::vector<uint16_t>{3, 5}, Access::kDecode)->hits == 2);
}

// An expert is copied in three parts. Of one whose second failed the first went out with the batch, to a slot that the batch gave to the
// next expert too: links carry out a batch in any order, so that one's bytes could end as the other's.
TEST_CASE("promotion: an expert that the link took in part is taken back, whichever part failed") {
  for (int call = 1; call <= 7; ++call) {
    CAPTURE(call);
    PromotionRig rig;
    rig.link->fail_copy_in = call <= 6 ? call : 0;
    rig.link->fail_submit_in = call == 7 ? 1 : 0;
    rig.use({3, 5});
    CHECK_FALSE(rig.link->wrote_twice);
    CHECK(rig.residency->stats().promotions == 0);
    CHECK(rig.residency->stats().residents == 0);
    rig.use({3, 5});
    rig.use({6});
    for (const uint16_t expert : {uint16_t{3}, uint16_t{5}, uint16_t{6}}) {
      CHECK(rig.residency->resident(0, expert));
      CHECK(rig.holds_its_bytes(expert));
    }
    CHECK_FALSE(rig.link->wrote_twice);
  }
}
