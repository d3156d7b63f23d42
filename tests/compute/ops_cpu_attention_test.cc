// store_kv and attention of the CPU against a reference in double.
#include <doctest/doctest.h>

#include <cmath>

#include "runtime/format/half.h"
#include "tests/compute/cpu_rig.h"
#include "tests/compute/quant_rows.h"

using namespace hotset;
using namespace hotset::test;

namespace {

AttentionShape shape_of(uint32_t heads, uint32_t kv_heads, uint32_t key_dim, uint32_t value_dim, KvElement kv, uint32_t context_tokens) {
  AttentionShape shape;
  shape.heads = heads;
  shape.kv_heads = kv_heads;
  shape.head_dim = shape.rope_dim = key_dim;
  shape.value_dim = value_dim;
  shape.context_tokens = context_tokens;
  shape.kv = kv;
  shape.norm_eps = 1e-6f;
  shape.scale = 1 / std::sqrt(static_cast<float>(key_dim));
  return shape;
}

struct Cache {
  Buffer buffer;
  std::vector<float> floats;
};

Cache make_cache(CpuRig& rig, const AttentionShape& shape, uint32_t dims, uint32_t seed) {
  Cache cache;
  cache.floats = random_floats(size_t{shape.context_tokens} * shape.kv_heads * dims, seed);
  std::vector<uint16_t> halves;
  for (float& value : cache.floats) {
    halves.push_back(float_to_half(value));
    if (shape.kv == KvElement::kF16) value = half_to_float(halves.back());
  }
  cache.buffer = shape.kv == KvElement::kF16 ? rig.upload(halves) : rig.upload(cache.floats);
  return cache;
}

struct Attention {
  AttentionShape shape;
  Cache keys;
  Cache values;

  Attention(CpuRig& rig, const AttentionShape& s) : shape(s), keys(make_cache(rig, s, s.head_dim, 1)), values(make_cache(rig, s, s.value_dim, 2)) {}

  std::vector<float> run(CpuRig& rig, std::span<const float> q, uint32_t position, uint32_t n, Phase phase) {
    Buffer queries = rig.upload(q.first(size_t{n} * shape.heads * shape.head_dim));
    Buffer out = rig.buffer(uint64_t{n} * shape.heads * shape.value_dim * sizeof(float));
    rig.control_block() = {position, 0, 0, 0};
    REQUIRE(rig.run([&](Ops& ops) {
      ops.attention(shape, rig.tensor(queries), {keys.buffer.address(), values.buffer.address()}, rig.tensor(out), {}, n, phase);
    }).ok());
    return rig.copy<float>(out);
  }

  // One head of one query over keys 0..last, by the definition.
  std::vector<double> attend(const float* q, uint32_t head, uint32_t last) const {
    const uint32_t kv_head = head / (shape.heads / shape.kv_heads);
    std::vector<double> scores(last + 1), out(shape.value_dim);
    double top = -1e300, weight = 0;
    for (uint32_t p = 0; p <= last; ++p) {
      const float* key = &keys.floats[(size_t{p} * shape.kv_heads + kv_head) * shape.head_dim];
      for (uint32_t d = 0; d < shape.head_dim; ++d) scores[p] += double{q[d]} * key[d] * shape.scale;
      top = std::max(top, scores[p]);
    }
    for (uint32_t p = 0; p <= last; ++p) {
      const float* value = &values.floats[(size_t{p} * shape.kv_heads + kv_head) * shape.value_dim];
      weight += std::exp(scores[p] - top);
      for (uint32_t d = 0; d < shape.value_dim; ++d) out[d] += std::exp(scores[p] - top) * value[d];
    }
    for (double& value : out) value /= weight;
    return out;
  }

  double error(const std::vector<float>& out, std::span<const float> q, uint32_t position, uint32_t n) const {
    double worst = 0;
    for (uint32_t row = 0; row < n * shape.heads; ++row) {
      const auto want = attend(&q[size_t{row} * shape.head_dim], row % shape.heads, position + row / shape.heads);
      for (uint32_t d = 0; d < shape.value_dim; ++d) {
        const double got = double{out[size_t{row} * shape.value_dim + d]};
        worst = std::max(worst, std::isfinite(got) ? std::abs(want[d] - got) : HUGE_VAL);
      }
    }
    return worst;
  }
};

// Scores reach about 5 in size and are summed over head_dim products: 256 * 2^-24 * 5, and exp turns that into a relative error.
constexpr double kTolerance = 2e-5;

}  // namespace

TEST_CASE("cpu attention: shapes, cache types, positions and phases, with every set of kernels") {
  struct Case {
    uint32_t heads, kv_heads, key_dim, value_dim, position, n;
  };
  const Case cases[] = {{4, 2, 32, 32, 0, 1},   {4, 2, 64, 64, 0, 9},  {8, 8, 64, 64, 5, 3},    {32, 4, 128, 128, 37, 3}, {6, 2, 96, 64, 7, 8},
                        {7, 1, 64, 64, 3, 5},   {2, 1, 256, 256, 11, 9}, {12, 1, 40, 40, 0, 33}, {4, 4, 128, 128, 64, 63},  {40, 1, 16, 16, 60, 5}};
  for (const cpu::FloatKernels* set : cpu::all_float_kernels()) {
    CpuRig rig(2, *set);
    for (const Case& c : cases) {
      for (const KvElement kv : {KvElement::kF16, KvElement::kF32}) {
        for (const Phase phase : {Phase::kDecode, Phase::kBatch}) {
          CAPTURE(set->name);
          CAPTURE(c.heads);
          CAPTURE(c.key_dim);
          CAPTURE(static_cast<int>(kv));
          CAPTURE(static_cast<int>(phase));
          Attention attention(rig, shape_of(c.heads, c.kv_heads, c.key_dim, c.value_dim, kv, 128));
          const auto q = random_floats(size_t{c.n} * c.heads * c.key_dim, 3);
          CHECK(attention.error(attention.run(rig, q, c.position, c.n, phase), q, c.position, c.n) < kTolerance);
        }
      }
    }
  }
}

TEST_CASE("cpu attention: a long context is split by position alone, and joined") {
  CpuRig rig(3), alone(1);
  Attention attention(rig, shape_of(4, 2, 64, 64, KvElement::kF16, 3000));
  const auto q = random_floats(3 * 4 * 64, 3);
  for (const uint32_t position : {0u, 510u, 511u, 512u, 1000u, 1022u, 2997u}) {
    CAPTURE(position);
    const auto together = attention.run(rig, q, position, 3, Phase::kDecode);
    CHECK(attention.error(together, q, position, 3) < kTolerance);
    CHECK(attention.run(alone, q, position, 3, Phase::kDecode) == together);
    // The last token alone, and in a batch.
    const auto last = attention.run(rig, std::span(q).subspan(2 * 256), position + 2, 1, Phase::kDecode);
    CHECK(std::equal(last.begin(), last.end(), together.begin() + 2 * 256));
    CHECK(attention.error(attention.run(rig, q, position, 3, Phase::kBatch), q, position, 3) < kTolerance);
  }
}

TEST_CASE("cpu attention: a query has the same bits in any batch") {
  CpuRig rig(3);
  for (const auto& [heads, kv_heads] : {std::pair{4u, 2u}, {8u, 8u}, {16u, 2u}}) {
    Attention attention(rig, shape_of(heads, kv_heads, 64, 64, KvElement::kF16, 160));
    const size_t row = size_t{heads} * 64;
    const auto q = random_floats(90 * row, 3);
    const auto all = attention.run(rig, q, 37, 90, Phase::kBatch);
    for (const uint32_t n : {1u, 3u, 32u}) {
      for (uint32_t t = 0; t < 90; t += n) {
        const uint32_t count = std::min(n, 90 - t);
        const auto some = attention.run(rig, std::span(q).subspan(t * row), 37 + t, count, Phase::kBatch);
        CHECK(std::equal(some.begin(), some.end(), all.begin() + static_cast<ptrdiff_t>(t * row)));
      }
    }
  }
}

TEST_CASE("cpu attention: keys and values past a query do not reach it, whatever they hold") {
  CpuRig rig;
  for (const Phase phase : {Phase::kDecode, Phase::kBatch}) {
    Attention attention(rig, shape_of(4, 2, 64, 64, KvElement::kF32, 64));
    const auto q = random_floats(4 * 4 * 64, 3);
    const auto before = attention.run(rig, q, 10, 4, phase);
    for (Buffer* buffer : {&attention.keys.buffer, &attention.values.buffer}) {
      const auto view = rig.view<float>(*buffer);
      std::fill(view.begin() + 12 * 2 * 64, view.end(), std::nanf(""));
    }
    // Tokens 2 and 3 of the batch see NaN, tokens 0 and 1 must not.
    const auto after = attention.run(rig, q, 10, 4, phase);
    CHECK(std::equal(before.begin(), before.begin() + 2 * 256, after.begin()));
  }
}

namespace {

struct StoreCase {
  uint32_t heads, kv_heads, head_dim, value_dim, rope_dim, position, n;
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

float cache_value(const Buffer& buffer, KvElement kv, size_t index) {
  if (kv == KvElement::kF32) return reinterpret_cast<const float*>(buffer.mapped().data())[index];
  return half_to_float(reinterpret_cast<const uint16_t*>(buffer.mapped().data())[index]);
}

void check_store(CpuRig& rig, const StoreCase& c) {
  AttentionShape shape = shape_of(c.heads, c.kv_heads, c.head_dim, c.value_dim, c.kv, 64);
  shape.rope_dim = c.rope_dim;
  const auto q = random_floats(size_t{c.n} * c.heads * c.head_dim, 1), k = random_floats(size_t{c.n} * c.kv_heads * c.head_dim, 2),
             v = random_floats(size_t{c.n} * c.kv_heads * c.value_dim, 3), turn = random_floats(size_t{c.n} * c.head_dim, 4);
  const auto norm_q = c.norm ? random_floats(c.head_dim, 5) : std::vector<float>{}, norm_k = c.norm ? random_floats(c.head_dim, 6) : std::vector<float>{};
  Buffer q_buffer = rig.upload(q), k_buffer = rig.upload(k), v_buffer = rig.upload(v), rope = rig.upload(turn), q_norm, k_norm;
  if (c.norm) q_norm = rig.upload(norm_q), k_norm = rig.upload(norm_k);
  const size_t key_row = size_t{c.kv_heads} * c.head_dim, value_row = size_t{c.kv_heads} * c.value_dim;
  Buffer keys = rig.buffer(64 * key_row * kv_element_bytes(c.kv)), values = rig.buffer(64 * value_row * kv_element_bytes(c.kv));
  rig.control_block() = {c.position, 0, 0, 0};
  REQUIRE(rig.run([&](Ops& ops) {
    ops.store_kv(shape, rig.tensor(q_buffer), rig.tensor(k_buffer), rig.tensor(v_buffer), q_norm.address(), k_norm.address(), rope.address(),
                 {keys.address(), values.address()}, c.n);
  }).ok());
  const double ulp = c.kv == KvElement::kF16 ? 0x1p-10 : 1e-6;
  uint32_t wrong = 0;
  for (uint32_t t = 0; t < c.n; ++t) {
    const float* turns = &turn[size_t{t} * c.rope_dim];
    for (uint32_t h = 0; h < c.heads; ++h) {
      const size_t at = (size_t{t} * c.heads + h) * c.head_dim;
      const auto want = turned_head(&q[at], c.head_dim, norm_q, shape.norm_eps, turns, c.rope_dim);
      for (uint32_t d = 0; d < c.head_dim; ++d) wrong += std::abs(want[d] - double{rig.view<float>(q_buffer)[at + d]}) > 1e-5;
    }
    for (uint32_t h = 0; h < c.kv_heads; ++h) {
      const size_t at = (size_t{t} * c.kv_heads + h) * c.head_dim, value_at = (size_t{t} * c.kv_heads + h) * c.value_dim;
      const auto want = turned_head(&k[at], c.head_dim, norm_k, shape.norm_eps, turns, c.rope_dim);
      for (uint32_t d = 0; d < c.head_dim; ++d) {
        wrong += std::abs(want[d] - double{cache_value(keys, c.kv, c.position * key_row + at + d)}) > ulp * std::max(1.0, std::abs(want[d]));
      }
      for (uint32_t d = 0; d < c.value_dim; ++d) {
        const float exact = c.kv == KvElement::kF16 ? half_to_float(float_to_half(v[value_at + d])) : v[value_at + d];
        wrong += cache_value(values, c.kv, c.position * value_row + value_at + d) != exact;
      }
    }
  }
  // Nothing outside the rows of these tokens is touched.
  for (size_t i = 0; i < c.position * key_row; ++i) wrong += cache_value(keys, c.kv, i) != 0;
  for (size_t i = (c.position + c.n) * value_row; i < 64 * value_row; ++i) wrong += cache_value(values, c.kv, i) != 0;
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("cpu store_kv norms, rotates and caches as defined") {
  for (const cpu::FloatKernels* set : cpu::all_float_kernels()) {
    CAPTURE(set->name);
    CpuRig rig(2, *set);
    check_store(rig, {4, 2, 32, 32, 32, 0, 1, false, KvElement::kF16});
    check_store(rig, {4, 2, 64, 64, 64, 9, 3, true, KvElement::kF32});
    check_store(rig, {2, 2, 96, 64, 48, 3, 9, true, KvElement::kF16});
    check_store(rig, {2, 1, 256, 128, 64, 31, 33, true, KvElement::kF16});
    check_store(rig, {8, 1, 40, 40, 0, 1, 2, false, KvElement::kF32});
  }
}
