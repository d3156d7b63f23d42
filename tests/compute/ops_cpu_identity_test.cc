// A layer on the CPU: the same bits for any number of threads and any batches, the results of the Vulkan device.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "tests/compute/cpu_rig.h"
#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

constexpr uint32_t kEmbd = 256, kExperts = 5, kUsed = 2, kFf = 256, kTokens = 70, kContext = 600;

AttentionShape attention_shape() {
  AttentionShape shape;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = shape.value_dim = shape.rope_dim = 64;
  shape.context_tokens = kContext;
  shape.kv = KvElement::kF16;
  shape.norm_eps = 1e-6f;
  shape.scale = 0.125f;
  return shape;
}

// One layer's weights, whatever the device. Matrices are scaled so that values stay about 1.
template <class Rig>
class Layer {
 public:
  Layer(Rig& rig, std::span<const BlockType> types) : rig_(rig) {
    for (const BlockType type : types) types_.push_back(type);
    norm_ = rig.upload(random_floats(kEmbd, 1));
    head_norm_ = rig.upload(random_floats(64, 2));
    rope_ = rig.upload(random_floats(size_t{kContext} * 64, 3, 0.7f));
    const uint32_t rows[] = {256, 128, 128, 256, kExperts};
    for (uint32_t i = 0; i < 5; ++i) matrices_.push_back(matrix(type(i), rows[i], 10 + i));
    shape_.embd = kEmbd;
    shape_.ff = kFf;
    shape_.used = kUsed;
    shape_.gate_type = type(5);
    shape_.up_type = type(6);
    shape_.down_type = type(7);
    for (uint32_t e = 0; e < kExperts; ++e) add_expert(e);
    keys_ = rig.buffer(uint64_t{kContext} * 128 * 2);
    values_ = rig.buffer(uint64_t{kContext} * 128 * 2);
  }

  // The residual stream of kTokens tokens behind the layer, `chunk` at a time.
  std::vector<float> run_batch(uint32_t chunk) {
    std::vector<float> all;
    for (uint32_t first = 0; first < kTokens; first += chunk) {
      const auto part = run_chunk(first, std::min(chunk, kTokens - first));
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  std::vector<float> run_decode(uint32_t tokens) {
    std::vector<float> all;
    Buffer table = rig_.upload(addresses_), log = rig_.buffer(kUsed * 4), found = rig_.buffer(kUsed * 8);
    for (uint32_t t = 0; t < tokens; ++t) {
      Activations a(rig_, t, 1);
      const Tensor addresses = rig_.tensor(found);
      rig_.control_block() = {t, 0, 0, 0};
      REQUIRE(rig_.run([&](Ops& ops) {
        record_attention(ops, a, 1, t, Phase::kDecode);
        ops.route({kExperts, kUsed}, rig_.tensor(a.scores), rig_.tensor(log), rig_.tensor(a.weights), 1, table.address(), &addresses, 1);
        ops.expert_up(shape_, addresses, {}, rig_.tensor(a.normed), rig_.tensor(a.hidden));
        ops.expert_down(shape_, addresses, rig_.tensor(a.weights), rig_.tensor(a.hidden), rig_.tensor(a.x));
      }).ok());
      append(all, a.x);
    }
    return all;
  }

 private:
  struct Activations {
    Buffer x, normed, q, k, v, attended, scratch, scores, ids, weights, hidden, parts;
    Activations(Rig& rig, uint32_t first, uint32_t n) {
      const auto all = random_floats(size_t{kTokens} * kEmbd, 99);
      x = rig.upload(std::span(all).subspan(size_t{first} * kEmbd, size_t{n} * kEmbd));
      const auto floats = [&](uint64_t count) { return rig.buffer(n * count * 4); };
      normed = floats(kEmbd), q = floats(256), k = floats(128), v = floats(128), attended = floats(256), scratch = rig.buffer(1 << 20);
      scores = floats(kExperts), ids = floats(kUsed), weights = floats(kUsed), hidden = floats(kUsed * kFf), parts = floats(kUsed * kEmbd);
    }
  };

  BlockType type(uint32_t i) const { return types_[i % types_.size()]; }

  static QuantRows scaled_rows(BlockType type, uint32_t rows, uint32_t cols, uint32_t seed) {
    QuantRows made = random_rows(type, rows, cols, seed);
    if (type != BlockType::kF32) return made;
    made.values = random_floats(made.values.size(), seed, 1 / std::sqrt(static_cast<float>(cols)));
    std::memcpy(made.blocks.data(), made.values.data(), made.blocks.size());
    return made;
  }

  Weight matrix(BlockType t, uint32_t rows, uint32_t seed) {
    memory_.push_back(rig_.upload(scaled_rows(t, rows, kEmbd, seed).blocks));
    return {t, rows, kEmbd, memory_.back().address()};
  }

  // On the device a record, on the CPU pointers to the pieces of the same record.
  void add_expert(uint32_t e) {
    std::vector<std::byte> record(64);
    uint32_t* const offsets[] = {&shape_.gate_offset, &shape_.up_offset, &shape_.down_offset};
    for (uint32_t i = 0; i < 3; ++i) {
      const QuantRows rows = scaled_rows(type(5 + i), 256, 256, 100 * i + e);
      *offsets[i] = static_cast<uint32_t>(record.size());
      record.insert(record.end(), rows.blocks.begin(), rows.blocks.end());
      record.resize((record.size() + 31) / 32 * 32);
    }
    memory_.push_back(rig_.upload(record));
    addresses_.push_back(memory_.back().address());
    if constexpr (std::is_same_v<Rig, CpuRig>) {
      std::byte* const at = memory_.back().mapped().data();
      const cpu::ExpertPointers pointers = {at + shape_.gate_offset, at + shape_.up_offset, at + shape_.down_offset};
      std::memcpy(at, pointers.data(), sizeof pointers);
    }
  }

  void record_attention(Ops& ops, Activations& a, uint32_t n, uint32_t first, Phase phase) {
    const AttentionShape shape = attention_shape();
    const KvCacheView cache = {keys_.address(), values_.address()};
    const Tensor x = rig_.tensor(a.x), normed = rig_.tensor(a.normed);
    ops.rms_norm(x, norm_.address(), normed, n, kEmbd, 1e-6f);
    const MatrixProduct qkv[] = {{matrices_[0], rig_.tensor(a.q)}, {matrices_[1], rig_.tensor(a.k)}, {matrices_[2], rig_.tensor(a.v)}};
    ops.matmul_each(qkv, normed, n, phase);
    ops.store_kv(shape, rig_.tensor(a.q), rig_.tensor(a.k), rig_.tensor(a.v), head_norm_.address(), head_norm_.address(),
                 rope_.address() + uint64_t{first} * 64 * 4, cache, n);
    ops.attention(shape, rig_.tensor(a.q), cache, rig_.tensor(a.attended), rig_.tensor(a.scratch), n, phase);
    ops.matmul(matrices_[3], rig_.tensor(a.attended), x, n, phase, &x);
    ops.rms_norm(x, norm_.address(), normed, n, kEmbd, 1e-6f);
    ops.matmul(matrices_[4], normed, rig_.tensor(a.scores), n, phase);
  }

  std::vector<float> run_chunk(uint32_t first, uint32_t n) {
    Activations a(rig_, first, n);
    rig_.control_block() = {first, 0, 0, 0};
    REQUIRE(rig_.run([&](Ops& ops) {
      record_attention(ops, a, n, first, Phase::kBatch);
      ops.route({kExperts, kUsed}, rig_.tensor(a.scores), rig_.tensor(a.ids), rig_.tensor(a.weights), n);
    }).ok());
    const std::span<uint32_t> ids = rig_.template view<uint32_t>(a.ids);
    std::vector<uint32_t> order(ids.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t i, uint32_t j) { return ids[i] < ids[j]; });
    std::vector<shaders::ExpertTile> tiles;
    for (uint32_t i = 0; i < order.size(); ++i) {
      const uint64_t address = addresses_[ids[order[i]]];
      if (tiles.empty() || tiles.back().expert != address || tiles.back().pair_count == Ops::kTilePairs) tiles.push_back({address, i, 0});
      ++tiles.back().pair_count;
    }
    Buffer tile_list = rig_.upload(tiles), pairs = rig_.upload(order);
    const auto count = static_cast<uint32_t>(tiles.size());
    REQUIRE(rig_.run([&](Ops& ops) {
      ops.expert_up_batch(shape_, tile_list.address(), count, pairs.address(), {}, rig_.tensor(a.normed), rig_.tensor(a.hidden));
      ops.expert_down_batch(shape_, tile_list.address(), count, pairs.address(), rig_.tensor(a.hidden), rig_.tensor(a.parts));
      ops.combine(shape_, rig_.tensor(a.weights), rig_.tensor(a.parts), rig_.tensor(a.x), n);
    }).ok());
    std::vector<float> out;
    append(out, a.x);
    return out;
  }

  void append(std::vector<float>& all, Buffer& rows) {
    const auto view = rig_.template view<float>(rows);
    all.insert(all.end(), view.begin(), view.end());
  }

  Rig& rig_;
  std::vector<BlockType> types_;
  std::vector<Buffer> memory_;
  Buffer norm_, head_norm_, rope_, keys_, values_;
  std::vector<Weight> matrices_;
  ExpertShape shape_;
  std::vector<uint64_t> addresses_;
};

constexpr BlockType kMixed[] = {BlockType::kQ4_K, BlockType::kQ4_K, BlockType::kQ6_K, BlockType::kQ8_0, BlockType::kF32,
                                BlockType::kQ4_K, BlockType::kQ5_K, BlockType::kMXFP4};

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(double{a[i]} - double{b[i]});
    worst = std::isfinite(difference) ? std::max(worst, difference) : HUGE_VAL;
  }
  return worst;
}

}  // namespace

TEST_CASE("cpu layer: the same bits for any number of threads, shared out or not") {
  CpuRig one(1);
  const std::vector<float> decoded = Layer(one, kMixed).run_decode(12), batch = Layer(one, kMixed).run_batch(kTokens);
  CHECK(std::all_of(batch.begin(), batch.end(), [](float v) { return std::isfinite(v); }));
  for (const uint32_t threads : {2u, 3u, 5u}) {
    for (const bool always : {true, false}) {
      CAPTURE(threads);
      CpuRig rig(threads);
      rig.ops.set_always_shared(always);
      CHECK(Layer(rig, kMixed).run_decode(12) == decoded);
      CHECK(Layer(rig, kMixed).run_batch(kTokens) == batch);
    }
  }
}

TEST_CASE("cpu layer: the same bits in batches of any size") {
  CpuRig rig(2);
  const std::vector<float> all = Layer(rig, kMixed).run_batch(kTokens);
  for (const uint32_t chunk : {1u, 3u, 17u, 64u}) CHECK(Layer(rig, kMixed).run_batch(chunk) == all);
}

TEST_CASE("cpu layer: with float weights it agrees with the Vulkan device to float accuracy") {
  const auto gpu = GpuRig::open();
  if (!gpu) HOTSET_SKIP("no Vulkan device");
  CpuRig rig(2);
  const BlockType plain[] = {BlockType::kF32};
  // Values are sums of at most 256 products of about 1, and pass through eight such sums: 8 * 16 * 2^-23. Both round keys and
  // values to halves, which may fall to different sides: 2^-11 of one of up to 70 values.
  constexpr double kTolerance = 2e-4;
  const std::vector<float> batch = Layer(rig, plain).run_batch(kTokens);
  CHECK(std::any_of(batch.begin(), batch.end(), [](float v) { return std::abs(v) > 1; }));
  CHECK(worst_difference(batch, Layer(*gpu, plain).run_batch(kTokens)) < kTolerance);
  CHECK(worst_difference(Layer(rig, plain).run_decode(8), Layer(*gpu, plain).run_decode(8)) < kTolerance);
}

TEST_CASE("cpu products: within the rounding of activations to 8 bits of the Vulkan device's") {
  const auto gpu = GpuRig::open();
  if (!gpu) HOTSET_SKIP("no Vulkan device");
  CpuRig rig(2);
  for (const BlockType type : kAllTypes) {
    CAPTURE(block_type_name(type));
    const uint32_t rows = 40, cols = 512, n = 3;
    const QuantRows w = random_rows(type, rows, cols, 1);
    const std::vector<float> xs = random_floats(size_t{n} * cols, 2);
    const auto run = [&](auto& on) {
      Buffer matrix = on.upload(w.blocks), x = on.upload(xs), out = on.buffer(uint64_t{n} * rows * 4);
      REQUIRE(on.run([&](Ops& ops) { ops.matmul({type, rows, cols, matrix.address()}, on.tensor(x), on.tensor(out), n, Phase::kDecode); }).ok());
      const auto view = on.template view<float>(out);
      return std::vector<float>(view.begin(), view.end());
    };
    const std::vector<float> here = run(rig), there = run(*gpu);
    const uint32_t block = cpu::same_activation(type, BlockType::kF32) ? 0 : cpu::same_activation(type, BlockType::kQ8_0) ? 32 : 256;
    for (uint32_t i = 0; i < n * rows; ++i) {
      const float *x = &xs[i / rows * cols], *row = &w.values[size_t{i % rows} * cols];
      double allowed = 0;
      for (uint32_t k = 0; k < cols; ++k) {
        allowed += 1e-6 * std::abs(double{row[k]} * x[k]);
        if (block == 0) continue;
        float amax = 0;
        for (uint32_t j = k / block * block; j < (k / block + 1) * block; ++j) amax = std::max(amax, std::abs(x[j]));
        allowed += 1.001 * std::abs(double{row[k]}) * amax / 254;
      }
      CHECK(std::abs(double{here[i]} - there[i]) <= allowed);
    }
  }
}
