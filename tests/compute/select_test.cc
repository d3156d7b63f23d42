// The choice of the positions that attention sees, on both devices, against its definition. Numbers are small and whole, so that scores are
// exact and many of them equal.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/compute/both_devices.h"

using namespace hotset;
using namespace hotset::test;

namespace {

std::vector<float> whole_numbers(size_t count, uint32_t seed, float size) {
  std::vector<float> values = random_floats(count, seed);
  for (float& value : values) value = std::round(value * size);
  return values;
}

struct Case {
  SelectShape shape;
  uint32_t position;
  uint32_t n;
};

// Keys, queries and weights of a case; what any number of its tokens choose.
template <class Rig>
struct Selection {
  Rig& rig;
  SelectShape shape;
  uint32_t position;
  uint32_t n;
  RowBuffer q, weights;
  std::vector<float> keys;
  Buffer key_buffer;

  Selection(Rig& r, const Case& c)
      : rig(r), shape(c.shape), position(c.position), n(c.n), q(r, n, shape.heads * shape.head_dim, 1, 4, 4), weights(r, n, shape.heads, 2, 1) {
    for (RowBuffer* rows : {&q, &weights}) {
      for (float& value : rows->before) value = std::round(value * 3);
      rows->restore();
    }
    keys = whole_numbers(size_t{shape.context_tokens} * shape.head_dim, 3, 2);
    std::vector<uint16_t> halves(keys.size());
    std::transform(keys.begin(), keys.end(), halves.begin(), float_to_half);
    key_buffer = shape.kv == KvElement::kF16 ? rig.upload(halves) : rig.upload(keys);
  }

  // Masks of tokens first .. first + count, with room for the scores of `tile` tokens.
  std::vector<uint32_t> run(uint32_t first, uint32_t count, uint32_t tile, uint32_t stop = 0) {
    Buffer scratch = rig.buffer(tile * shape.token_scratch_bytes());
    Buffer mask = rig.upload(std::vector<uint32_t>(size_t{count} * shape.masks() * shape.mask_words(), 0xabcdef01u));
    rig.control_block() = {position + first, stop, 0, 0};
    const Status done = rig.run([&](Ops& ops) {
      ops.select_positions(shape, q.rows(first), weights.rows(first), key_buffer.address(), rig.tensor(scratch), rig.tensor(mask), count);
    });
    REQUIRE_MESSAGE(done.ok(), done.message());
    const auto view = rig.template view<uint32_t>(mask);
    return {view.begin(), view.end()};
  }

  double score(uint32_t t, uint32_t index, uint32_t at) const {
    const auto product = [&](uint32_t head) {
      const float* query = q.old_row(t) + size_t{head} * shape.head_dim;
      return std::inner_product(query, query + shape.head_dim, &keys[size_t{at} * shape.head_dim], 0.0);
    };
    if (!shape.together) return product(index);
    double total = 0;
    for (uint32_t head = 0; head < shape.heads; ++head) total += double{weights.old_row(t)[head]} * std::max(product(head), 0.0);
    return total;
  }

  std::vector<uint32_t> expected(uint32_t t, uint32_t index) const {
    const uint32_t own = position + t + 1, seen = own / shape.every, blocks = (seen + shape.block - 1) / shape.block;
    std::vector<double> best(blocks, -INFINITY);
    for (uint32_t at = 0; at < seen; ++at) best[at / shape.block] = std::max(best[at / shape.block], score(t, index, at));
    for (uint32_t back = 0; back < std::min(shape.own_blocks, blocks); ++back) best[blocks - 1 - back] = INFINITY;
    std::vector<uint32_t> order(blocks), words(shape.mask_words());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return best[a] > best[b]; });
    order.resize(std::min(blocks, shape.top_k));
    const uint32_t each = shape.spread_tokens != 0 ? shape.every : 1;
    for (uint32_t bit = 0; bit < (shape.spread_tokens != 0 ? own : seen); ++bit) {
      const uint32_t at = bit / each;
      if (at >= seen || std::find(order.begin(), order.end(), at / shape.block) != order.end()) words[bit / 32] |= 1u << bit % 32;
    }
    return words;
  }

  void check() {
    const auto all = run(0, n, n);
    std::vector<uint32_t> want;
    for (uint32_t t = 0; t < n; ++t) {
      for (uint32_t index = 0; index < shape.masks(); ++index) {
        const auto words = expected(t, index);
        want.insert(want.end(), words.begin(), words.end());
      }
    }
    CHECK(all == want);
    CHECK(run(0, n, 1) == all);
    CHECK(run(0, n, 2) == all);
    const size_t row = size_t{shape.masks()} * shape.mask_words();
    CHECK(run(n - 1, 1, 1) == std::vector<uint32_t>(all.end() - static_cast<ptrdiff_t>(row), all.end()));
    for (const uint32_t word : run(0, 1, 1, 7)) CHECK(word == 0xabcdef01u);
  }
};

SelectShape shape_of(bool together, uint32_t heads, uint32_t dim, uint32_t top_k, uint32_t block, uint32_t own, uint32_t context, KvElement kv) {
  return {.heads = heads, .head_dim = dim, .together = together, .top_k = top_k, .block = block, .own_blocks = own, .context_tokens = context, .kv = kv};
}

}  // namespace

TEST_CASE("select: the best positions by all heads together, lower ones first among equals") {
  on_both_devices([](auto& rig) {
    for (const KvElement kv : {KvElement::kF16, KvElement::kF32}) {
      for (const auto& [heads, dim] : {std::pair{8u, 32u}, {3u, 16u}, {20u, 64u}}) {
        for (const auto& [top_k, position] : {std::pair{1u, 0u}, {7u, 3u}, {7u, 150u}, {100u, 150u}, {300u, 150u}}) {
          CAPTURE(heads);
          CAPTURE(top_k);
          CAPTURE(position);
          Selection(rig, {shape_of(true, heads, dim, top_k, 1, 0, 200, kv), position, 5}).check();
        }
      }
    }
  });
}

TEST_CASE("select: the best blocks by each head, those of the token's own first") {
  on_both_devices([](auto& rig) {
    for (const uint32_t block : {1u, 4u, 7u, 32u, 100u}) {
      for (const uint32_t own : {0u, 1u, 3u}) {
        for (const auto& [top_k, position] : {std::pair{1u, 0u}, {4u, 9u}, {4u, 180u}, {2u, 255u}}) {
          CAPTURE(block);
          CAPTURE(own);
          CAPTURE(top_k);
          CAPTURE(position);
          Selection(rig, {shape_of(false, 3, 32, top_k, block, own, 262, own == 1 ? KvElement::kF32 : KvElement::kF16), position, 6}).check();
          if (block == 4) Selection(rig, {shape_of(true, 4, 16, top_k, block, own, 262, KvElement::kF16), position, 3}).check();
        }
      }
    }
  });
}

// Runs of positions in place of positions: a mask of runs, or of the positions of all.
TEST_CASE("select: the best runs that are over, spread over their positions with those of the token's own run") {
  on_both_devices([](auto& rig) {
    for (const uint32_t every : {4u, 7u, 40u}) {
      for (const auto& [top_k, position] : {std::pair{1u, 0u}, {3u, 9u}, {5u, 180u}, {2u, 195u}}) {
        CAPTURE(every);
        CAPTURE(top_k);
        CAPTURE(position);
        SelectShape shape = shape_of(true, 4, 16, top_k, 1, 0, (200 + every - 1) / every, KvElement::kF16);
        shape.every = every;
        Selection(rig, {shape, position, 5}).check();
        shape.spread_tokens = 200;
        Selection(rig, {shape, position, 5}).check();
      }
    }
  });
}
