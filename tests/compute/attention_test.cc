// store_kv and attention against a reference in double, and their promise that a token does not feel its batch.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "runtime/format/half.h"
#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

AttentionShape shape_of(uint32_t heads, uint32_t kv_heads, uint32_t head_dim, KvElement kv, uint32_t context_tokens) {
  AttentionShape shape;
  shape.heads = heads;
  shape.kv_heads = kv_heads;
  shape.head_dim = shape.value_dim = shape.rope_dim = head_dim;
  shape.context_tokens = context_tokens;
  shape.kv = kv;
  shape.norm_eps = 1e-6f;
  shape.scale = 1 / std::sqrt(static_cast<float>(head_dim));
  return shape;
}

// A cache of noise as the shape's element type, with what the shaders will read back as floats.
struct Cache {
  Buffer buffer;
  std::vector<float> floats;
};

Cache make_cache(GpuRig& rig, const AttentionShape& shape, uint32_t dims, uint32_t seed) {
  Cache cache;
  cache.floats = random_floats(size_t{shape.context_tokens} * shape.kv_heads * dims, seed);
  if (shape.kv == KvElement::kF32) {
    cache.buffer = rig.upload(cache.floats);
    return cache;
  }
  std::vector<uint16_t> halves;
  for (float& value : cache.floats) {
    halves.push_back(float_to_half(value));
    value = half_to_float(halves.back());
  }
  cache.buffer = rig.upload(halves);
  return cache;
}

float cache_value(const Buffer& buffer, KvElement kv, size_t index) {
  if (kv == KvElement::kF32) return reinterpret_cast<const float*>(buffer.mapped().data())[index];
  return half_to_float(reinterpret_cast<const uint16_t*>(buffer.mapped().data())[index]);
}

// Attention of one head of one query over keys 0..last.
std::vector<double> attend(const AttentionShape& shape, const float* q, uint32_t head, uint32_t last, const Cache& keys, const Cache& values) {
  const uint32_t kv_head = head / (shape.heads / shape.kv_heads);
  std::vector<double> scores(last + 1);
  double top = -1e300;
  for (uint32_t p = 0; p <= last; ++p) {
    const float* key = &keys.floats[(size_t{p} * shape.kv_heads + kv_head) * shape.head_dim];
    for (uint32_t d = 0; d < shape.head_dim; ++d) scores[p] += double{q[d]} * key[d] * shape.scale;
    top = std::max(top, scores[p]);
  }
  double weight = 0;
  std::vector<double> out(shape.value_dim);
  for (uint32_t p = 0; p <= last; ++p) {
    const double share = std::exp(scores[p] - top);
    const float* value = &values.floats[(size_t{p} * shape.kv_heads + kv_head) * shape.value_dim];
    weight += share;
    for (uint32_t d = 0; d < shape.value_dim; ++d) out[d] += share * value[d];
  }
  for (double& value : out) value /= weight;
  return out;
}

struct Attention {
  AttentionShape shape;
  Cache keys;
  Cache values;
  Buffer scratch;

  Attention(GpuRig& rig, const AttentionShape& s, uint64_t scratch_bytes = 1u << 20)
      : shape(s), keys(make_cache(rig, s, s.head_dim, 1)), values(make_cache(rig, s, s.value_dim, 2)), scratch(rig.buffer(scratch_bytes)) {}

  std::vector<float> run(GpuRig& rig, std::span<const float> q, uint32_t position, uint32_t n, Phase phase) {
    Buffer queries = rig.upload(q.first(size_t{n} * shape.heads * shape.head_dim));
    Buffer out = rig.buffer(uint64_t{n} * shape.heads * shape.value_dim * sizeof(float));
    rig.control_block() = {position, 0, 0, 0};
    const KvCacheView cache = {keys.buffer.address(), values.buffer.address()};
    const Status status = rig.run([&](Ops& ops) { ops.attention(shape, rig.tensor(queries), cache, rig.tensor(out), rig.tensor(scratch), n, phase); });
    REQUIRE_MESSAGE(status.ok(), status.message());
    const auto view = rig.view<float>(out);
    return {view.begin(), view.end()};
  }

  // Largest difference to the reference; values are averages of unit noise, so about 1 at most.
  double error(const std::vector<float>& out, std::span<const float> q, uint32_t position, uint32_t n) const {
    double worst = 0;
    for (uint32_t row = 0; row < n * shape.heads; ++row) {
      const auto want = attend(shape, &q[size_t{row} * shape.head_dim], row % shape.heads, position + row / shape.heads, keys, values);
      for (uint32_t d = 0; d < shape.value_dim; ++d) worst = std::max(worst, std::abs(want[d] - double{out[size_t{row} * shape.value_dim + d]}));
    }
    return worst;
  }
};

// Scores reach about 5 in size and are summed over head_dim products: 256 * 2^-24 * 5, and exp turns that into a relative error.
constexpr double kTolerance = 2e-5;

}  // namespace

TEST_CASE("attention agrees with the reference over shapes, cache types and positions") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  struct Case {
    uint32_t heads, kv_heads, head_dim, position, n;
  };
  const Case cases[] = {{4, 2, 32, 0, 1}, {4, 2, 64, 0, 9},  {8, 8, 64, 5, 3},   {32, 4, 128, 37, 3}, {6, 2, 96, 7, 8},
                        {7, 1, 64, 3, 5}, {2, 1, 256, 11, 9}, {12, 1, 40, 0, 33}, {4, 4, 128, 64, 33}};
  for (const Case& c : cases) {
    for (const KvElement kv : {KvElement::kF16, KvElement::kF32}) {
      for (const Phase phase : {Phase::kDecode, Phase::kBatch}) {
        CAPTURE(c.heads);
        CAPTURE(c.head_dim);
        CAPTURE(static_cast<int>(kv));
        CAPTURE(static_cast<int>(phase));
        Attention attention(*rig, shape_of(c.heads, c.kv_heads, c.head_dim, kv, 128));
        const auto q = random_floats(size_t{c.n} * c.heads * c.head_dim, 3);
        const auto out = attention.run(*rig, q, c.position, c.n, phase);
        CHECK(attention.error(out, q, c.position, c.n) < kTolerance);
      }
    }
  }
}

TEST_CASE("attention takes value heads of another size than key heads") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  AttentionShape shape = shape_of(4, 2, 96, KvElement::kF16, 64);
  shape.value_dim = 64;
  Attention attention(*rig, shape);
  const auto q = random_floats(5 * 4 * 96, 3);
  CHECK(attention.error(attention.run(*rig, q, 20, 5, Phase::kBatch), q, 20, 5) < kTolerance);
}

TEST_CASE("a split context gives the same answer, near its start and at its end") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  tuning::Batch chosen = tuning::batch(rig->device->limits());
  chosen.decode_workgroups = 64;
  rig->ops->set_batch_tuning(chosen);
  Attention attention(*rig, shape_of(4, 2, 64, KvElement::kF16, 3000));
  const auto q = random_floats(4 * 64, 3);
  for (const uint32_t position : {0u, 255u, 256u, 257u, 1000u, 2999u}) {
    CAPTURE(position);
    CHECK(attention.error(attention.run(*rig, q, position, 1, Phase::kDecode), q, position, 1) < kTolerance);
  }
}

TEST_CASE("queries that reach the lanes by uniform loads give the same bits as by shuffles") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  if (rig->device->limits().subgroup_size < tuning::kShuffledValues) HOTSET_SKIP("subgroups too small for shuffles");
  Attention attention(*rig, shape_of(4, 2, 64, KvElement::kF16, 128));
  const auto q = random_floats(9 * 4 * 64, 3);
  tuning::Batch chosen = tuning::batch(rig->device->limits());
  chosen.shuffle_queries = true;
  rig->ops->set_batch_tuning(chosen);
  const auto shuffled = attention.run(*rig, q, 30, 9, Phase::kBatch);
  chosen.shuffle_queries = false;
  rig->ops->set_batch_tuning(chosen);
  CHECK(attention.run(*rig, q, 30, 9, Phase::kBatch) == shuffled);
}

TEST_CASE("a query's attention is bit-identical in any batch") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  const uint32_t heads[][2] = {{4, 2}, {8, 8}, {16, 2}};
  for (const auto& [q_heads, kv_heads] : heads) {
    Attention attention(*rig, shape_of(q_heads, kv_heads, 64, KvElement::kF16, 128));
    const size_t row = size_t{q_heads} * 64;
    const auto q = random_floats(33 * row, 3);
    const auto all = attention.run(*rig, q, 17, 33, Phase::kBatch);
    for (const uint32_t n : {1u, 3u, 8u}) {
      for (uint32_t t = 0; t < 33; t += n) {
        const uint32_t count = std::min(n, 33 - t);
        const auto some = attention.run(*rig, std::span(q).subspan(t * row), 17 + t, count, Phase::kBatch);
        CHECK(std::equal(some.begin(), some.end(), all.begin() + static_cast<ptrdiff_t>(t * row)));
      }
    }
  }
}

TEST_CASE("keys and values past a query do not reach it, whatever they hold") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  Attention attention(*rig, shape_of(4, 2, 64, KvElement::kF32, 64));
  const auto q = random_floats(3 * 4 * 64, 3);
  const auto before = attention.run(*rig, q, 10, 3, Phase::kBatch);
  for (Buffer* buffer : {&attention.keys.buffer, &attention.values.buffer}) {
    const auto view = rig->view<float>(*buffer);
    std::fill(view.begin() + 13 * 2 * 64, view.end(), std::nanf(""));
  }
  CHECK(attention.run(*rig, q, 10, 3, Phase::kBatch) == before);
  CHECK(attention.error(attention.run(*rig, q, 12, 1, Phase::kDecode), q, 12, 1) < kTolerance);
}

namespace {

struct StoreCase {
  uint32_t heads, kv_heads, head_dim, rope_dim, position, n;
  bool norm;
  KvElement kv;
};

// One head by the definition: norm over all dims, then rotation of pairs (i, i + rope_dim / 2).
std::vector<double> turned_head(const float* x, uint32_t dims, const std::vector<float>& norm, double eps, const float* rope, uint32_t rope_dim) {
  std::vector<double> out(x, x + dims);
  if (!norm.empty()) {
    double sum = 0;
    for (const double value : out) sum += value * value;
    for (uint32_t d = 0; d < dims; ++d) out[d] *= norm[d] / std::sqrt(sum / dims + eps);
  }
  for (uint32_t i = 0; i < rope_dim / 2; ++i) {
    const double a = out[i], b = out[i + rope_dim / 2], cos = rope[2 * i], sin = rope[2 * i + 1];
    out[i] = a * cos - b * sin;
    out[i + rope_dim / 2] = a * sin + b * cos;
  }
  return out;
}

void check_store(GpuRig& rig, const StoreCase& c) {
  AttentionShape shape = shape_of(c.heads, c.kv_heads, c.head_dim, c.kv, 64);
  shape.rope_dim = c.rope_dim;
  const auto q = random_floats(size_t{c.n} * c.heads * c.head_dim, 1), k = random_floats(size_t{c.n} * c.kv_heads * c.head_dim, 2),
             v = random_floats(size_t{c.n} * c.kv_heads * c.head_dim, 3), turn = random_floats(size_t{c.n} * c.head_dim, 4);
  const auto norm_q = c.norm ? random_floats(c.head_dim, 5) : std::vector<float>{}, norm_k = c.norm ? random_floats(c.head_dim, 6) : std::vector<float>{};
  Buffer q_buffer = rig.upload(q), k_buffer = rig.upload(k), v_buffer = rig.upload(v), rope = rig.upload(random_floats(size_t{c.n} * c.head_dim, 4));
  Buffer q_norm, k_norm;
  if (c.norm) q_norm = rig.upload(norm_q), k_norm = rig.upload(norm_k);
  const size_t row = size_t{c.kv_heads} * c.head_dim;
  Buffer keys = rig.buffer(64 * row * kv_element_bytes(c.kv)), values = rig.buffer(64 * row * kv_element_bytes(c.kv));
  rig.control_block() = {c.position, 0, 0, 0};
  const Status status = rig.run([&](Ops& ops) {
    ops.store_kv(shape, rig.tensor(q_buffer), rig.tensor(k_buffer), rig.tensor(v_buffer), q_norm.address(), k_norm.address(), rope.address(),
                 {keys.address(), values.address()}, c.n);
  });
  REQUIRE_MESSAGE(status.ok(), status.message());
  const double ulp = c.kv == KvElement::kF16 ? 0x1p-10 : 1e-6;
  double worst = 0;
  for (uint32_t t = 0; t < c.n; ++t) {
    const float* turns = &turn[size_t{t} * c.rope_dim];
    for (uint32_t h = 0; h < c.heads; ++h) {
      const size_t at = (size_t{t} * c.heads + h) * c.head_dim;
      const auto want = turned_head(&q[at], c.head_dim, norm_q, shape.norm_eps, turns, c.rope_dim);
      for (uint32_t d = 0; d < c.head_dim; ++d) worst = std::max(worst, std::abs(want[d] - double{rig.view<float>(q_buffer)[at + d]}));
    }
    for (uint32_t h = 0; h < c.kv_heads; ++h) {
      const size_t at = (size_t{t} * c.kv_heads + h) * c.head_dim;
      const auto want = turned_head(&k[at], c.head_dim, norm_k, shape.norm_eps, turns, c.rope_dim);
      for (uint32_t d = 0; d < c.head_dim; ++d) {
        const size_t cell = c.position * row + at + d;
        CHECK(std::abs(want[d] - double{cache_value(keys, c.kv, cell)}) <= ulp * std::max(1.0, std::abs(want[d])));
        // Values are copied, so their rounding must be exact: to nearest, ties to even.
        const float exact = c.kv == KvElement::kF16 ? half_to_float(float_to_half(v[at + d])) : v[at + d];
        CHECK(cache_value(values, c.kv, cell) == exact);
      }
    }
  }
  CHECK(worst < 1e-5);
  // Nothing outside the rows of these tokens is touched.
  for (size_t i = 0; i < c.position * row; ++i) CHECK(cache_value(keys, c.kv, i) == 0);
  for (size_t i = (c.position + c.n) * row; i < 64 * row; ++i) CHECK(cache_value(values, c.kv, i) == 0);
}

}  // namespace

TEST_CASE("store_kv norms, rotates and caches as defined") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  check_store(*rig, {4, 2, 32, 32, 0, 1, false, KvElement::kF16});
  check_store(*rig, {4, 2, 64, 64, 9, 3, true, KvElement::kF32});
  check_store(*rig, {2, 2, 96, 48, 3, 9, true, KvElement::kF16});
  check_store(*rig, {2, 1, 256, 64, 31, 33, true, KvElement::kF16});
  check_store(*rig, {8, 1, 40, 0, 1, 2, false, KvElement::kF32});
}

TEST_CASE("values round to half as the format says: ties, subnormals, overflow") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  std::vector<float> v = {0x1.002p0f, 0x1.006p0f, 65519.f, 65520.f, -70000.f, 0x1p-24f, 0x1.8p-25f, 0x1p-25f, -0x1.fp-20f, 1e-30f, 0.f, -0.f,
                          0x1.ffep-15f, 0x1.ffffp-15f, 3.14159f, -2.71828f};
  const AttentionShape shape = shape_of(1, 1, 16, KvElement::kF16, 4);
  Buffer zero = rig->buffer(16 * sizeof(float)), values_in = rig->upload(v), rope = rig->buffer(64);
  Buffer keys = rig->buffer(4 * 16 * 2), values = rig->buffer(4 * 16 * 2);
  rig->control_block() = {};
  REQUIRE(rig->run([&](Ops& ops) {
            ops.store_kv(shape, rig->tensor(zero), rig->tensor(zero), rig->tensor(values_in), 0, 0, rope.address(), {keys.address(), values.address()}, 1);
          }).ok());
  for (size_t i = 0; i < v.size(); ++i) {
    CAPTURE(v[i]);
    CHECK(rig->view<uint16_t>(values)[i] == float_to_half(v[i]));
  }
}

TEST_CASE("attention operations do nothing while the pass is stopped") {
  auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  const AttentionShape shape = shape_of(2, 1, 32, KvElement::kF16, 2048);
  Buffer q = rig->upload(random_floats(64, 1)), kv = rig->upload(random_floats(32, 2)), rope = rig->upload(random_floats(32, 3));
  Buffer keys = rig->buffer(2048 * 64), values = rig->buffer(2048 * 64), out = rig->buffer(256), scratch = rig->buffer(1u << 16);
  tuning::Batch chosen = tuning::batch(rig->device->limits());
  chosen.decode_workgroups = 8;
  rig->ops->set_batch_tuning(chosen);
  rig->control_block() = {0, 1, 0, 0};
  REQUIRE(rig->run([&](Ops& ops) {
            ops.store_kv(shape, rig->tensor(q), rig->tensor(kv), rig->tensor(kv), 0, 0, rope.address(), {keys.address(), values.address()}, 1);
            ops.attention(shape, rig->tensor(q), {keys.address(), values.address()}, rig->tensor(out), rig->tensor(scratch), 1, Phase::kDecode);
            ops.attention(shape, rig->tensor(q), {keys.address(), values.address()}, rig->tensor(out), rig->tensor(scratch), 1, Phase::kBatch);
          }).ok());
  const auto q_after = rig->view<float>(q);
  CHECK(std::vector<float>(q_after.begin(), q_after.end()) == random_floats(64, 1));
  for (Buffer* buffer : {&keys, &values, &out, &scratch}) {
    CHECK(std::ranges::all_of(buffer->mapped(), [](std::byte byte) { return byte == std::byte{0}; }));
  }
}
