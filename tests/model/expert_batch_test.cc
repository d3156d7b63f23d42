#include "runtime/model/expert_batch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace hotset;

namespace {

struct Batch {
  uint32_t experts;
  uint32_t max_pairs;
  std::vector<uint32_t> ids;
  std::vector<uint8_t> rank;  // [experts]
};

// Every promise of the header, for one input.
void check_grouping(ExpertBatch& batch, const Batch& in, uint32_t tile_pairs) {
  batch.group(in.ids, [&](uint32_t expert) { return uint32_t{in.rank[expert]}; });
  REQUIRE(batch.pairs().size() == in.ids.size());
  std::vector<uint32_t> sorted(batch.pairs().begin(), batch.pairs().end());
  std::sort(sorted.begin(), sorted.end());
  for (uint32_t i = 0; i < sorted.size(); ++i) REQUIRE(sorted[i] == i);

  std::vector<uint16_t> wanted;
  for (const uint32_t rank : {0u, 1u}) {
    for (uint16_t e = 0; e < in.experts; ++e) {
      if (in.rank[e] == rank && std::find(in.ids.begin(), in.ids.end(), e) != in.ids.end()) wanted.push_back(e);
    }
  }
  REQUIRE(std::equal(wanted.begin(), wanted.end(), batch.experts().begin(), batch.experts().end()));

  const uint32_t most = ExpertBatch::max_tiles(in.experts, in.max_pairs, tile_pairs);
  std::vector<shaders::ExpertTile> tiles(most);
  uint32_t count = 0;
  std::vector<uint32_t> covered(in.ids.size());
  for (const uint16_t expert : batch.experts()) {
    const uint32_t added = batch.write_tiles(expert, 1000u + expert, tile_pairs, std::span(tiles).subspan(count));
    REQUIRE(added > 0);
    REQUIRE(count + added <= most);
    for (const auto& tile : std::span(tiles).subspan(count, added)) {
      REQUIRE(tile.expert == 1000u + expert);
      REQUIRE(tile.pair_count >= 1);
      REQUIRE(tile.pair_count <= tile_pairs);
      for (uint32_t i = tile.first_pair; i < tile.first_pair + tile.pair_count; ++i) {
        REQUIRE(in.ids[batch.pairs()[i]] == expert);
        ++covered[batch.pairs()[i]];
      }
    }
    count += added;
  }
  REQUIRE(std::all_of(covered.begin(), covered.end(), [](uint32_t times) { return times == 1; }));
}

}  // namespace

TEST_CASE("expert batch: any pairs are grouped whole, in order and within the bound of tiles") {
  std::mt19937 random(7);
  const auto below = [&](uint32_t limit) { return static_cast<uint32_t>(random() % limit); };
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    Batch in;
    in.experts = 1 + below(round % 4 == 0 ? 1024 : 20);
    in.max_pairs = 1 + below(round % 5 == 0 ? 2000 : 100);
    in.rank.resize(in.experts);
    for (uint8_t& rank : in.rank) rank = static_cast<uint8_t>(below(2));
    ExpertBatch batch(in.experts, in.max_pairs);
    for (int again = 0; again < 3; ++again) {  // nothing is left of the group before
      const uint32_t popular = 1 + below(in.experts);
      in.ids.resize(again == 1 ? in.max_pairs : below(in.max_pairs + 1));
      for (uint32_t& id : in.ids) id = below(popular);
      check_grouping(batch, in, 1 + below(9));
    }
  }
}

TEST_CASE("expert batch: the worst cases reach the bound and never pass it") {
  const auto tiles_of = [](uint32_t experts, const std::vector<uint32_t>& ids, uint32_t tile_pairs) {
    ExpertBatch batch(experts, static_cast<uint32_t>(ids.size()));
    batch.group(ids, [](uint32_t) { return 0u; });
    std::vector<shaders::ExpertTile> tiles(ids.size());
    uint32_t count = 0;
    for (const uint16_t expert : batch.experts()) count += batch.write_tiles(expert, 1, tile_pairs, std::span(tiles).subspan(count));
    return count;
  };
  std::vector<uint32_t> ids(4);
  for (uint32_t i = 0; i < ids.size(); ++i) ids[i] = i;
  CHECK(tiles_of(16, ids, 8) == 4);  // a pair each
  CHECK(ExpertBatch::max_tiles(16, 4, 8) == 4);
  ids.assign(80, 3);
  CHECK(tiles_of(16, ids, 8) == 10);  // one expert takes all
  ids.clear();
  for (uint32_t i = 0; i < 3 * 9; ++i) ids.push_back(i % 3);  // nine each: eight and one
  CHECK(tiles_of(3, ids, 8) == 6);
  CHECK(ExpertBatch::max_tiles(3, 27, 8) == 6);
}

TEST_CASE("expert batch: no pairs, no experts") {
  ExpertBatch batch(8, 4);
  const std::vector<uint32_t> ids = {5, 5};
  batch.group(ids, [](uint32_t) { return 1u; });
  CHECK(batch.experts().size() == 1);
  batch.group({}, [](uint32_t) { return 0u; });
  CHECK(batch.experts().empty());
  CHECK(batch.pairs().empty());
}
