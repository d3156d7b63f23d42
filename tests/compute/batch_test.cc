// matmul, the expert kernels and combine of the batch phase: against a reference in double, and bit for bit against
// themselves under other batches, tiles and groupings.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>

#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

std::vector<float> copy_of(Buffer& buffer) {
  const auto view = GpuRig::view<float>(buffer);
  return {view.begin(), view.end()};
}

// Dot product in double, and what float rounding may make of it: gamma_n * sum |w x|, with the usual sqrt(n) in place of n.
struct Dot {
  double value = 0;
  double tolerance = 0;
};

Dot dot(const float* w, const float* x, uint32_t count) {
  Dot result;
  double magnitude = 0;
  for (uint32_t k = 0; k < count; ++k) {
    result.value += double{w[k]} * x[k];
    magnitude += std::abs(double{w[k]} * x[k]);
  }
  result.tolerance = magnitude * std::sqrt(static_cast<double>(count)) * 0x1p-23 + 1e-12;
  return result;
}

struct Product {
  BlockType type;
  uint32_t rows, cols;
  QuantRows weights;
  Buffer buffer;

  Product(GpuRig& rig, BlockType t, uint32_t r, uint32_t c) : type(t), rows(r), cols(c), weights(random_rows(t, r, c, r + c)) {
    buffer = rig.upload(weights.blocks);
  }

  std::vector<float> run(GpuRig& rig, std::span<const float> x, uint32_t n, const std::vector<float>* residual = nullptr) {
    Buffer x_buffer = rig.upload(x.first(size_t{n} * cols));
    Buffer out = residual != nullptr ? rig.upload(*residual) : rig.buffer(uint64_t{n} * rows * sizeof(float));
    const Tensor out_tensor = rig.tensor(out);
    const Status status = rig.run([&](Ops& ops) {
      ops.matmul({type, rows, cols, buffer.address()}, rig.tensor(x_buffer), out_tensor, n, Phase::kBatch, residual != nullptr ? &out_tensor : nullptr);
    });
    REQUIRE_MESSAGE(status.ok(), status.message());
    return copy_of(out);
  }

  void check(const std::vector<float>& out, std::span<const float> x, uint32_t n, const std::vector<float>* residual = nullptr) const {
    for (uint32_t t = 0; t < n; ++t) {
      for (uint32_t r = 0; r < rows; ++r) {
        const Dot want = dot(&weights.values[size_t{r} * cols], &x[size_t{t} * cols], cols);
        const size_t at = size_t{t} * rows + r;
        const double base = residual != nullptr ? double{(*residual)[at]} : 0;
        REQUIRE(std::abs(want.value + base - double{out[at]}) <= want.tolerance + 1e-6 * std::abs(base));
      }
    }
  }
};

std::vector<tuning::Batch> tunings(const GpuRig& rig) {
  tuning::Batch tiled = tuning::batch(rig.device->limits());
  tiled.shared_tiles = true;
  tuning::Batch lanes = tiled;
  lanes.shared_tiles = false;
  if (rig.device->limits().subgroup_size < tuning::kShuffledValues) return {tiled};
  return {lanes, tiled};
}

}  // namespace

TEST_CASE("batch products agree with the reference for every type and odd sizes") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const tuning::Batch& chosen : tunings(*rig)) {
    rig->ops->set_batch_tuning(chosen);
    for (const BlockType type : kAllTypes) {
      CAPTURE(block_type_name(type));
      CAPTURE(chosen.shared_tiles);
      for (const uint32_t rows : {1u, 19u, 70u}) {
        const uint32_t cols = rows == 19 ? 1536u : rows == 1 ? std::max(32u, block_elements(type)) : 256u;
        Product product(*rig, type, rows, cols);
        const auto x = random_floats(size_t{33} * cols, 9);
        for (const uint32_t n : {3u, rows == 19 ? 33u : 9u}) product.check(product.run(*rig, x, n), x, n);
      }
    }
  }
}

TEST_CASE("a residual is added to the product, also in place") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const tuning::Batch& chosen : tunings(*rig)) {
    rig->ops->set_batch_tuning(chosen);
    Product product(*rig, BlockType::kQ8_0, 37, 96);
    const auto x = random_floats(9 * 96, 1), residual = random_floats(9 * 37, 2);
    product.check(product.run(*rig, x, 9, &residual), x, 9, &residual);
  }
}

TEST_CASE("a token's product is bit-identical in any batch") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (tuning::Batch chosen : tunings(*rig)) {
    CAPTURE(chosen.shared_tiles);
    rig->ops->set_batch_tuning(chosen);
    Product product(*rig, BlockType::kQ4_K, 70, 512);
    const auto x = random_floats(33 * 512, 9);
    const auto all = product.run(*rig, x, 33);
    for (const uint32_t n : {1u, 3u, 8u, 20u}) {
      for (uint32_t t = 0; t < 33; t += n) {
        const uint32_t count = std::min(n, 33 - t);
        const auto some = product.run(*rig, std::span(x).subspan(size_t{t} * 512), count);
        CHECK(std::equal(some.begin(), some.end(), all.begin() + t * 70));
      }
    }
    chosen.cached_tokens = 1;
    chosen.lane_rows = 1;
    rig->ops->set_batch_tuning(chosen);
    CHECK(product.run(*rig, x, 33) == all);
  }
}

namespace {

// A layer of experts whose records hold gate, up and down with gaps between them.
struct Experts {
  ExpertShape shape;
  uint32_t count = 0;
  std::vector<QuantRows> gates, ups, downs;
  std::vector<Buffer> records;

  Experts(GpuRig& rig, const ExpertShape& s, uint32_t experts) : shape(s), count(experts) {
    for (uint32_t e = 0; e < count; ++e) {
      gates.push_back(random_rows(shape.gate_type, shape.ff, shape.embd, 100 + e));
      ups.push_back(random_rows(shape.up_type, shape.ff, shape.embd, 200 + e));
      downs.push_back(random_rows(shape.down_type, shape.embd, shape.ff, 300 + e));
    }
    const auto aligned = [](size_t size) { return static_cast<uint32_t>((size + 63) / 32 * 32); };
    shape.gate_offset = 32;
    shape.up_offset = shape.gate_offset + aligned(gates[0].blocks.size());
    shape.down_offset = shape.up_offset + aligned(ups[0].blocks.size());
    for (uint32_t e = 0; e < count; ++e) {
      std::vector<std::byte> record(shape.down_offset + downs[e].blocks.size());
      std::ranges::copy(gates[e].blocks, record.begin() + shape.gate_offset);
      std::ranges::copy(ups[e].blocks, record.begin() + shape.up_offset);
      std::ranges::copy(downs[e].blocks, record.begin() + shape.down_offset);
      records.push_back(rig.upload(record));
    }
  }

  struct Result {
    std::vector<float> hidden, parts, out;
  };

  // ids: the expert of each pair. Tiles hold at most tile_pairs pairs, given in rising or falling order of pairs.
  Result run(GpuRig& rig, const std::vector<uint32_t>& ids, const std::vector<float>& x, const std::vector<float>& weights,
             const std::vector<float>& residual, uint32_t tile_pairs, bool falling) {
    std::vector<uint32_t> order(ids.size());
    std::iota(order.begin(), order.end(), 0u);
    if (falling) std::ranges::reverse(order);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return ids[a] < ids[b]; });
    std::vector<shaders::ExpertTile> tiles;
    for (uint32_t i = 0; i < order.size(); ++i) {
      const uint64_t address = records[ids[order[i]]].address();
      if (tiles.empty() || tiles.back().expert != address || tiles.back().pair_count == tile_pairs) tiles.push_back({address, i, 0});
      ++tiles.back().pair_count;
    }
    const auto n = static_cast<uint32_t>(ids.size() / shape.used);
    Buffer tile_buffer = rig.upload(tiles), pair_buffer = rig.upload(order), x_buffer = rig.upload(x), weight_buffer = rig.upload(weights);
    Buffer hidden = rig.buffer(ids.size() * shape.ff * 4), parts = rig.buffer(ids.size() * shape.embd * 4), out = rig.upload(residual);
    const auto tile_count = static_cast<uint32_t>(tiles.size());
    const Status status = rig.run([&](Ops& ops) {
      ops.expert_up_batch(shape, tile_buffer.address(), tile_count, pair_buffer.address(), {}, rig.tensor(x_buffer), rig.tensor(hidden));
      ops.expert_down_batch(shape, tile_buffer.address(), tile_count, pair_buffer.address(), rig.tensor(hidden), rig.tensor(parts));
      ops.combine(shape, rig.tensor(weight_buffer), rig.tensor(parts), rig.tensor(out), n);
    });
    REQUIRE_MESSAGE(status.ok(), status.message());
    return {copy_of(hidden), copy_of(parts), copy_of(out)};
  }

  void check(const Result& got, const std::vector<uint32_t>& ids, const std::vector<float>& x, const std::vector<float>& weights,
             const std::vector<float>& residual) const {
    for (size_t pair = 0; pair < ids.size(); ++pair) {
      const float* token = &x[pair / shape.used * shape.embd];
      for (uint32_t f = 0; f < shape.ff; ++f) {
        const Dot gate = dot(&gates[ids[pair]].values[size_t{f} * shape.embd], token, shape.embd);
        const Dot up = dot(&ups[ids[pair]].values[size_t{f} * shape.embd], token, shape.embd);
        const double silu = gate.value / (1 + std::exp(-gate.value));
        // |silu'| < 1.1, and exp of the device is good to a few units.
        const double tolerance = 1.1 * gate.tolerance * std::abs(up.value) + std::abs(silu) * (up.tolerance + 4e-6 * std::abs(up.value)) + 1e-6;
        REQUIRE(std::abs(silu * up.value - double{got.hidden[pair * shape.ff + f]}) <= tolerance);
      }
      for (uint32_t e = 0; e < shape.embd; ++e) {
        const Dot down = dot(&downs[ids[pair]].values[size_t{e} * shape.ff], &got.hidden[pair * shape.ff], shape.ff);
        REQUIRE(std::abs(down.value - double{got.parts[pair * shape.embd + e]}) <= down.tolerance);
      }
    }
    for (size_t t = 0; t < ids.size() / shape.used; ++t) {
      for (uint32_t e = 0; e < shape.embd; ++e) {
        double want = residual[t * shape.embd + e], magnitude = std::abs(want);
        for (uint32_t s = 0; s < shape.used; ++s) {
          const double part = double{weights[t * shape.used + s]} * got.parts[(t * shape.used + s) * shape.embd + e];
          want += part;
          magnitude += std::abs(part);
        }
        REQUIRE(std::abs(want - double{got.out[t * shape.embd + e]}) <= magnitude * 1e-6);
      }
    }
  }
};

// For each token `used` different experts.
std::vector<uint32_t> choose(uint32_t n, uint32_t used, uint32_t experts, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint32_t> ids, all(experts);
  std::iota(all.begin(), all.end(), 0u);
  for (uint32_t t = 0; t < n; ++t) {
    std::shuffle(all.begin(), all.end(), random);
    ids.insert(ids.end(), all.begin(), all.begin() + used);
  }
  return ids;
}

ExpertShape expert_shape(BlockType gate, BlockType up, BlockType down, uint32_t embd, uint32_t ff, uint32_t used) {
  ExpertShape shape;
  shape.embd = embd;
  shape.ff = ff;
  shape.used = used;
  shape.gate_type = gate;
  shape.up_type = up;
  shape.down_type = down;
  return shape;
}

}  // namespace

TEST_CASE("expert tiles agree with the reference") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  const ExpertShape shapes[] = {expert_shape(BlockType::kQ4_K, BlockType::kQ4_K, BlockType::kQ6_K, 256, 256, 2),
                                expert_shape(BlockType::kQ8_0, BlockType::kQ4_0, BlockType::kQ8_0, 96, 160, 4),
                                expert_shape(BlockType::kF16, BlockType::kBF16, BlockType::kF32, 32, 64, 1),
                                expert_shape(BlockType::kMXFP4, BlockType::kMXFP4, BlockType::kMXFP4, 96, 160, 4),  // rows at odd addresses
                                expert_shape(BlockType::kQ5_K, BlockType::kQ6_K, BlockType::kQ4_0, 256, 96, 3)};
  for (const tuning::Batch& chosen : tunings(*rig)) {
    rig->ops->set_batch_tuning(chosen);
    for (const ExpertShape& shape : shapes) {
      Experts experts(*rig, shape, 5);
      const uint32_t n = 13;
      const auto ids = choose(n, shape.used, 5, 1);
      const auto x = random_floats(size_t{n} * shape.embd, 2), weights = random_floats(size_t{n} * shape.used, 3), residual = random_floats(size_t{n} * shape.embd, 4);
      experts.check(experts.run(*rig, ids, x, weights, residual, Ops::kTilePairs, false), ids, x, weights, residual);
    }
  }
}

TEST_CASE("expert outputs are bit-identical under any grouping into tiles") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const tuning::Batch& chosen : tunings(*rig)) {
    rig->ops->set_batch_tuning(chosen);
    Experts experts(*rig, expert_shape(BlockType::kQ4_K, BlockType::kQ4_K, BlockType::kQ6_K, 256, 256, 3), 4);
    const uint32_t n = 33;
    const auto ids = choose(n, 3, 4, 5);
    const auto x = random_floats(n * 256, 2), weights = random_floats(n * 3, 3), residual = random_floats(n * 256, 4);
    const auto first = experts.run(*rig, ids, x, weights, residual, Ops::kTilePairs, false);
    for (const uint32_t tile_pairs : {1u, 3u, Ops::kTilePairs}) {
      const auto again = experts.run(*rig, ids, x, weights, residual, tile_pairs, true);
      CHECK(again.hidden == first.hidden);
      CHECK(again.parts == first.parts);
      CHECK(again.out == first.out);
    }
    // The last token alone.
    const std::vector<uint32_t> last(ids.end() - 3, ids.end());
    const auto alone = experts.run(*rig, last, {x.end() - 256, x.end()}, {weights.end() - 3, weights.end()}, {residual.end() - 256, residual.end()}, 8, false);
    CHECK(std::equal(alone.out.begin(), alone.out.end(), first.out.end() - 256));
  }
}

TEST_CASE("batch operations do nothing while the pass is stopped") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const tuning::Batch& chosen : tunings(*rig)) {
    rig->ops->set_batch_tuning(chosen);
    rig->control_block() = {0, 7, 0, 0};
    Product product(*rig, BlockType::kQ8_0, 16, 64);
    const auto nothing = [](float value) { return value == 0; };
    CHECK(std::ranges::all_of(product.run(*rig, random_floats(3 * 64, 1), 3), nothing));
    Experts experts(*rig, expert_shape(BlockType::kF32, BlockType::kF32, BlockType::kF32, 32, 32, 1), 2);
    const auto residual = random_floats(4 * 32, 3);
    const auto result = experts.run(*rig, {0, 1, 1, 0}, random_floats(4 * 32, 1), random_floats(4, 2), residual, 8, false);
    CHECK(std::ranges::all_of(result.hidden, nothing));
    CHECK(std::ranges::all_of(result.parts, nothing));
    CHECK(result.out == residual);
    rig->control_block() = {};
  }
}
