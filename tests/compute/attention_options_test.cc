// What kinds of attention add to the plain one, on both devices: windows, chunks, masks, sinks, capped scores, strides, keys that
// are values too, rows beside the cache, sizes of heads; each against a reference in double, and with the same bits under any split of the tokens.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/compute/both_devices.h"

using namespace hotset;
using namespace hotset::test;

namespace {

enum Option : uint32_t { kWindow = 1, kChunk = 2, kSoftcap = 4, kSinks = 8, kMask = 16 };

struct Size {
  uint32_t heads, kv_heads, key_dim, value_dim;
};

AttentionShape shape_of(const Size& size, KvElement kv, uint32_t context_tokens) {
  AttentionShape shape;
  shape.heads = size.heads;
  shape.kv_heads = size.kv_heads;
  shape.head_dim = size.key_dim;
  shape.value_dim = size.value_dim;
  shape.context_tokens = context_tokens;
  shape.kv = kv;
  shape.scale = 1 / std::sqrt(static_cast<float>(size.key_dim));
  return shape;
}

// A cache of noise, queries and inputs.
template <class Rig>
struct Attention {
  Rig& rig;
  AttentionShape shape;
  uint32_t position;
  uint32_t n;
  std::vector<float> keys;  // as the device reads them
  std::vector<float> values;
  std::vector<float> queries;
  std::vector<float> sinks;
  std::vector<uint32_t> mask;
  uint32_t mask_words = 0;
  uint32_t mask_heads = 1;
  std::vector<float> beside;  // as many as keys, for simplicity
  Buffer key_buffer, value_buffer, query_buffer, sink_buffer, mask_buffer, beside_buffer, scratch;

  Attention(Rig& r, AttentionShape s, uint32_t options, uint32_t p, uint32_t tokens) : rig(r), shape(s), position(p), n(tokens) {
    keys = fill(key_buffer, key_stride(), 1);
    if (shape.value_stride == 0 || shape.value_stride != shape.key_stride) values = fill(value_buffer, value_stride(), 2);
    else values = keys;
    if (shape.beside_every != 0) beside = fill(beside_buffer, key_stride(), 5);
    queries = random_floats(size_t{n} * shape.heads * shape.head_dim, 3);
    query_buffer = rig.upload(queries);
    sinks = random_floats(shape.heads, 4, 3);
    if ((options & kSinks) != 0) sink_buffer = rig.upload(sinks);
    if ((options & kMask) != 0) make_mask((options & kSinks) != 0 ? shape.kv_heads : 1);
    scratch = rig.buffer(uint64_t{n} * (uint64_t{shape.heads} * 64 * (shape.value_dim + 2) * sizeof(float)));
  }

  uint32_t key_stride() const { return shape.key_stride != 0 ? shape.key_stride : shape.kv_heads * shape.head_dim; }
  uint32_t value_stride() const { return shape.value_stride != 0 ? shape.value_stride : shape.kv_heads * shape.value_dim; }

  std::vector<float> fill(Buffer& buffer, uint32_t stride, uint32_t seed) {
    auto made = random_floats(size_t{shape.context_tokens} * stride, seed);
    if (shape.kv == KvElement::kF32) {
      buffer = rig.upload(made);
      return made;
    }
    std::vector<uint16_t> halves;
    for (float& value : made) {
      halves.push_back(float_to_half(value));
      value = half_to_float(halves.back());
    }
    buffer = rig.upload(halves);
    return made;
  }

  // Two of three keys, of whole stretches none; heads differ in which; token 1 sees nothing.
  void make_mask(uint32_t heads) {
    mask_words = (position + n + 31) / 32;
    mask_heads = heads;
    for (uint32_t row = 0; row < n * heads; ++row) {
      for (uint32_t w = 0; w < mask_words; ++w) {
        const uint32_t bits = 0xb6db6db6u << ((row / heads + row % heads) % 3) | (w % 5 == 0 ? 1u : 0u);
        mask.push_back(row / heads == 1 || w % 7 == 3 ? 0 : bits);
      }
    }
    mask_buffer = rig.upload(mask);
  }

  bool in_mask(uint32_t t, uint32_t kv_head, uint32_t key) const {
    const size_t row = size_t{t} * mask_heads + (mask_heads == 1 ? 0 : kv_head);
    return mask.empty() || (mask[row * mask_words + key / 32] >> key % 32 & 1) != 0;
  }
  bool sees(uint32_t t, uint32_t kv_head, uint32_t key) const {
    const uint32_t own = position + t;
    if (key > own || (shape.window != 0 && key + shape.window <= own) || (shape.chunk != 0 && key / shape.chunk != own / shape.chunk)) return false;
    return shape.beside_every != 0 || in_mask(t, kv_head, key);
  }

  struct Row {
    const float* key;
    const float* value;
  };
  // What token t sees: rows of the cache, then those beside it.
  std::vector<Row> seen_rows(uint32_t t, uint32_t kv_head) const {
    std::vector<Row> rows;
    for (uint32_t key = 0; key <= position + t; ++key) {
      if (!sees(t, kv_head, key)) continue;
      rows.push_back({&keys[size_t{key} * key_stride() + kv_head * shape.head_dim], &values[size_t{key} * value_stride() + kv_head * shape.value_dim]});
    }
    for (uint32_t row = 0; shape.beside_every != 0 && row < (position + t + 1) / shape.beside_every; ++row) {
      if (in_mask(t, 0, row)) rows.push_back({&beside[size_t{row} * key_stride()], &beside[size_t{row} * key_stride()]});
    }
    return rows;
  }

  std::vector<double> reference(uint32_t t, uint32_t head) const {
    const uint32_t kv_head = head / (shape.heads / shape.kv_heads);
    const bool has_sinks = sink_buffer.size_bytes() != 0;
    double top = has_sinks ? double{sinks[head]} : -1e300, weight = 0;
    const std::vector<Row> rows = seen_rows(t, kv_head);
    std::vector<double> scores(rows.size()), out(shape.value_dim);
    for (size_t i = 0; i < rows.size(); ++i) {
      for (uint32_t d = 0; d < shape.head_dim; ++d) scores[i] += double{queries[(size_t{t} * shape.heads + head) * shape.head_dim + d]} * double{rows[i].key[d]};
      scores[i] *= double{shape.scale};
      if (shape.softcap != 0) scores[i] = double{shape.softcap} * std::tanh(scores[i] / double{shape.softcap});
      top = std::max(top, scores[i]);
    }
    if (has_sinks) weight = std::exp(double{sinks[head]} - top);
    for (size_t i = 0; i < rows.size(); ++i) {
      weight += std::exp(scores[i] - top);
      for (uint32_t d = 0; d < shape.value_dim; ++d) out[d] += std::exp(scores[i] - top) * double{rows[i].value[d]};
    }
    for (double& value : out) value = weight == 0 ? 0 : value / weight;
    return out;
  }

  // Tokens first .. first + count of the n.
  std::vector<float> run(uint32_t first, uint32_t count, Phase phase) {
    const uint64_t row = uint64_t{shape.heads} * shape.head_dim * sizeof(float);
    Buffer out = rig.buffer(uint64_t{count} * shape.heads * shape.value_dim * sizeof(float));
    const bool aliased = value_buffer.size_bytes() == 0;
    const KvCacheView cache = {key_buffer.address(), aliased ? key_buffer.address() : value_buffer.address()};
    AttentionInputs inputs;
    if (sink_buffer.size_bytes() != 0) inputs.sinks = sink_buffer.address();
    if (mask_words != 0) inputs.mask = mask_buffer.address() + uint64_t{first} * mask_heads * mask_words * sizeof(uint32_t);
    inputs.mask_words = mask_words;
    inputs.mask_heads = mask_heads;
    if (shape.beside_every != 0) inputs.beside = beside_buffer.address();
    rig.control_block() = {position + first, 0, 0, 0};
    const Status status = rig.run([&](Ops& ops) {
      ops.attention(shape, {query_buffer.address() + first * row, count * row}, cache, rig.tensor(out), rig.tensor(scratch), count, phase, inputs);
    });
    REQUIRE_MESSAGE(status.ok(), status.message());
    const auto view = rig.template view<float>(out);
    return {view.begin(), view.begin() + static_cast<ptrdiff_t>(size_t{count} * shape.heads * shape.value_dim)};
  }

  void check(Phase phase) {
    const auto all = run(0, n, phase);
    const size_t row = size_t{shape.heads} * shape.value_dim;
    double worst = 0;
    for (uint32_t t = 0; t < n; ++t) {
      for (uint32_t head = 0; head < shape.heads; ++head) {
        const auto want = reference(t, head);
        for (uint32_t d = 0; d < shape.value_dim; ++d) {
          const double got = double{all[t * row + head * shape.value_dim + d]};
          worst = std::max(worst, std::isfinite(got) ? std::abs(want[d] - got) : HUGE_VAL);
        }
      }
    }
    // Scores reach about 5 in size and are summed over head_dim products: 576 * 2^-24 * 5, and exp turns that into a relative error.
    CHECK(worst < 4e-5);
    bool same = true;
    for (uint32_t first = 0, step = 1; first < n; first += step, step = step % 3 + 1) {
      const auto some = run(first, std::min(step, n - first), phase);
      same = same && std::equal(some.begin(), some.end(), all.begin() + static_cast<ptrdiff_t>(first * row));
    }
    CHECK(same);
  }
};

template <class Rig>
void check_attention(Rig& rig, AttentionShape shape, uint32_t options, uint32_t position, uint32_t n) {
  CAPTURE(shape.heads);
  CAPTURE(shape.head_dim);
  CAPTURE(shape.value_dim);
  CAPTURE(static_cast<int>(shape.kv));
  CAPTURE(options);
  CAPTURE(position);
  CAPTURE(n);
  for (const Phase phase : {Phase::kDecode, Phase::kBatch}) {
    CAPTURE(static_cast<int>(phase));
    Attention<Rig>(rig, shape, options, position, n).check(phase);
  }
}

void set(AttentionShape& shape, uint32_t options, uint32_t window, uint32_t chunk) {
  if ((options & kWindow) != 0) shape.window = window;
  if ((options & kChunk) != 0) shape.chunk = chunk;
  if ((options & kSoftcap) != 0) shape.softcap = 2;
}

}  // namespace

TEST_CASE("attention options: all together, at the start of a context and inside it") {
  on_both_devices([](auto& rig) {
    for (uint32_t options = 0; options < 32; ++options) {
      // A kernel of few: each takes long to make.
      const bool limited = (options & (kWindow | kChunk)) != 0, masked = (options & kMask) != 0, capped = (options & kSoftcap) != 0;
      const KvElement kv = (limited ^ masked ^ capped) ? KvElement::kF16 : KvElement::kF32;
      for (const auto& [position, n, window, chunk] : {std::array{0u, 4u, 3u, 4u}, {61u, 6u, 20u, 64u}, {150u, 5u, 70u, 50u}}) {
        AttentionShape shape = shape_of({4, 2, 32, 32}, kv, 160);
        set(shape, options, window, chunk);
        check_attention(rig, shape, options, position, n);
      }
    }
  });
}

TEST_CASE("attention options: long contexts are split by what a token sees of them") {
  on_both_devices([](auto& rig) {
    for (const uint32_t options : {0u, kWindow | 0u, kChunk | kSinks, kWindow | kMask | kSoftcap, kSinks | kMask}) {
      AttentionShape shape = shape_of({2, 1, 32, 32}, KvElement::kF16, 3000);
      set(shape, options, 1500, 1024);
      for (const uint32_t position : {510u, 1499u, 2046u, 2990u}) check_attention(rig, shape, options, position, 4);
    }
  });
}

TEST_CASE("attention options: heads of many sizes, keys and values apart, odd ones too") {
  on_both_devices([](auto& rig) {
    uint32_t count = 0;
    for (const Size& size : {Size{2, 2, 192, 128}, {4, 2, 80, 80}, {3, 1, 96, 64}, {2, 1, 100, 36}, {4, 1, 18, 10}, {2, 1, 256, 512}, {2, 1, 12, 80}}) {
      AttentionShape shape = shape_of(size, ++count % 2 == 0 ? KvElement::kF16 : KvElement::kF32, 70);
      check_attention(rig, shape, 0, 60, 5);
      check_attention(rig, shape, kSinks, 33, 3);
    }
  });
}

TEST_CASE("attention options: rows apart, and rows that are keys and values at once") {
  on_both_devices([](auto& rig) {
    AttentionShape apart = shape_of({4, 2, 32, 16}, KvElement::kF32, 80);
    apart.key_stride = 72;
    apart.value_stride = 40;
    check_attention(rig, apart, 0, 70, 4);
    for (const KvElement kv : {KvElement::kF16, KvElement::kF32}) {
      AttentionShape latent = shape_of({16, 1, 576, 512}, kv, 80);
      latent.key_stride = latent.value_stride = 576;
      check_attention(rig, latent, kv == KvElement::kF16 ? kMask | 0u : 0u, 66, 3);
    }
  });
}

TEST_CASE("attention options: rows beside the cache, of which the mask chooses") {
  on_both_devices([](auto& rig) {
    for (const uint32_t options : {0u, kWindow | kSinks, kWindow | kSinks | kMask}) {
      for (const auto& [every, context, position] : {std::array{4u, 80u, 0u}, {4u, 80u, 66u}, {128u, 400u, 250u}, {4u, 3000u, 2990u}, {2u, 3000u, 1022u}}) {
        AttentionShape shape = shape_of({4, 1, 64, 64}, every == 128 ? KvElement::kF32 : KvElement::kF16, context);
        shape.key_stride = shape.value_stride = 64;
        shape.beside_every = every;
        set(shape, options, 8, 0);
        check_attention(rig, shape, options, position, 6);
      }
    }
  });
}

TEST_CASE("attention options: store_kv turns adjacent pairs and keeps to the strides of the cache") {
  on_both_devices([](auto& rig) {
    for (const KvElement kv : {KvElement::kF16, KvElement::kF32}) {
      constexpr uint32_t n = 3, position = 2, rope = 10;
      AttentionShape shape = shape_of({4, 2, 16, 8}, kv, 6);
      shape.adjacent_pairs = true;
      shape.rope_dim = rope;
      shape.key_stride = 40;
      shape.value_stride = 20;
      const auto q = random_floats(n * 4 * 16, 1), k = random_floats(n * 2 * 16, 2), v = random_floats(n * 2 * 8, 3), turns = random_floats(n * rope, 4);
      Buffer q_buffer = rig.upload(q), k_buffer = rig.upload(k), v_buffer = rig.upload(v), table = rig.upload(turns);
      const uint32_t bytes = kv_element_bytes(kv);
      Buffer keys = rig.upload(std::vector<uint8_t>(6 * 40 * bytes)), values = rig.upload(std::vector<uint8_t>(6 * 20 * bytes));
      rig.control_block() = {position, 0, 0, 0};
      REQUIRE(rig.run([&](Ops& ops) {
        ops.store_kv(shape, rig.tensor(q_buffer), rig.tensor(k_buffer), rig.tensor(v_buffer), 0, 0, table.address(), {keys.address(), values.address()}, n);
      }).ok());
      const auto turned = [&](const std::vector<float>& from, size_t head, uint32_t t, uint32_t d) {
        const float* at = &from[head * 16];
        if (d >= rope) return double{at[d]};
        const double cosine = double{turns[t * rope + d / 2 * 2]}, sine = double{turns[t * rope + d / 2 * 2 + 1]};
        return d % 2 == 0 ? at[d] * cosine - at[d + 1] * sine : at[d - 1] * sine + at[d] * cosine;
      };
      const auto cached = [&](Buffer& buffer, size_t at) {
        return double{kv == KvElement::kF16 ? half_to_float(rig.template view<uint16_t>(buffer)[at]) : rig.template view<float>(buffer)[at]};
      };
      uint32_t wrong = 0;
      for (uint32_t p = 0; p < 6; ++p) {
        const uint32_t t = p - position;
        const bool stored = p >= position && t < n;
        for (uint32_t i = 0; i < 40; ++i) {
          const double want = stored && i < 32 ? turned(k, size_t{t} * 2 + i / 16, t, i % 16) : 0;
          wrong += !(std::abs(cached(keys, p * 40 + i) - want) <= 1e-3 * std::abs(want) + 1e-6);
        }
        for (uint32_t i = 0; i < 20; ++i) {
          const double want = stored && i < 16 ? double{v[t * 16 + i]} : 0;
          wrong += !(std::abs(cached(values, p * 20 + i) - want) <= 1e-3 * std::abs(want));
        }
      }
      for (uint32_t i = 0; i < n * 4 * 16; ++i) {
        wrong += !(std::abs(double{rig.template view<float>(q_buffer)[i]} - turned(q, i / 16, i / 64, i % 16)) < 1e-6);
      }
      CHECK(wrong == 0);
    }
  });
}
