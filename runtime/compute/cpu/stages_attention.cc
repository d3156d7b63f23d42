#include <algorithm>
#include <cmath>
#include <cstring>

#include "platform/bytes.h"
#include "runtime/compute/cpu/stages.h"

namespace hotset::cpu {
namespace {

// Dims as the attention kernels want them.
uint32_t whole_dims(uint32_t dims) { return (dims + 15) / 16 * 16; }

// Elements from row to row of a cache whose heads have `dims`.
uint32_t stride_of(const AttentionShape& shape, uint32_t given, uint32_t dims) { return given != 0 ? given : shape.kv_heads * dims; }

// Query heads times tokens that share the keys of an item.
constexpr uint32_t kColumns = 32;

constexpr float kUnseen = -3.0e38f;  // the score of a key that is not seen

}  // namespace

// ---- the cache

void StoreKvStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  auto* turned = reinterpret_cast<float*>(context.own);
  const uint64_t key_stride = stride_of(shape, shape.key_stride, shape.head_dim), value_stride = stride_of(shape, shape.value_stride, shape.value_dim);
  for (uint64_t t = first; t < end; ++t) {
    const float* turns = shape.rope_dim != 0 ? rope + t * shape.rope_dim : nullptr;
    for (uint64_t head = 0; head < shape.heads; ++head) {
      float* at = q + (t * shape.heads + head) * shape.head_dim;
      turn(at, q_norm, turns, at, context);
    }
    const uint64_t position = context.control.position + t;
    if (position >= shape.context_tokens) continue;
    for (uint64_t head = 0; head < shape.kv_heads; ++head) {
      turn(k + (t * shape.kv_heads + head) * shape.head_dim, k_norm, turns, turned, context);
      store(cache.keys, shape.head_dim, position * key_stride + head * shape.head_dim, turned, context);
      store(cache.values, shape.value_dim, position * value_stride + head * shape.value_dim, v + (t * shape.kv_heads + head) * shape.value_dim, context);
    }
  }
}

void StoreKvStage::turn(const float* head, const float* norm, const float* turns, float* out, const StageContext& context) const {
  if (!shape.adjacent_pairs) return context.floats.turn_head(head, norm, shape.norm_eps, turns, shape.rope_dim, out, shape.head_dim);
  context.floats.turn_head(head, norm, shape.norm_eps, nullptr, 0, out, shape.head_dim);
  if (turns == nullptr) return;
  for (uint32_t i = 0; i < shape.rope_dim; i += 2) {
    const float a = out[i], b = out[i + 1];
    out[i] = a * turns[i] - b * turns[i + 1];
    out[i + 1] = a * turns[i + 1] + b * turns[i];
  }
}

void StoreKvStage::store(uint64_t cache_rows, uint32_t dims, uint64_t at, const float* head, const StageContext& context) const {
  if (shape.kv == KvElement::kF16) context.floats.narrow(head, reinterpret_cast<uint16_t*>(cache_rows) + at, dims);
  else std::copy_n(head, dims, reinterpret_cast<float*>(cache_rows) + at);
}

// ---- attention

uint32_t AttendShape::keys_of(uint32_t token, const StageContext& context) const {
  return std::min(context.control.position + token + 1, shape.context_tokens) / every;
}

AttendShape AttendShape::beside() const {
  AttendShape rows = *this;
  rows.every = shape.beside_every;
  rows.cache = {inputs.beside, inputs.beside};
  rows.shape.value_stride = stride_of(shape, shape.key_stride, shape.head_dim);
  rows.shape.beside_every = rows.shape.window = rows.shape.chunk = 0;
  return rows;
}

uint32_t AttendShape::first_seen(uint32_t token, const StageContext& context) const {
  if (!limited()) return 0;
  const uint32_t own = keys_of(token, context) - 1;
  uint32_t first = 0;
  if (shape.window != 0 && own >= shape.window) first = own - shape.window + 1;
  if (shape.chunk != 0) first = std::max(first, own / shape.chunk * shape.chunk);
  return first;
}

uint64_t AttendShape::seen_of(uint32_t token, uint32_t kv_head, uint32_t block, const StageContext& context) const {
  static_assert(kKeyBlock == 64);
  uint64_t seen = ~0ull;
  if (masked()) {
    const uint64_t row = uint64_t{token} * inputs.mask_heads + (inputs.mask_heads == 1 ? 0 : kv_head);
    const uint32_t* words = reinterpret_cast<const uint32_t*>(inputs.mask) + row * inputs.mask_words;
    const auto word = [&](uint32_t index) { return index < inputs.mask_words ? uint64_t{words[index]} : 0; };
    seen = word(block / 32) | word(block / 32 + 1) << 32;
  }
  const uint32_t first = first_seen(token, context);
  if (first >= block + kKeyBlock) return 0;
  return first <= block ? seen : seen & ~0ull << (first - block);
}

uint32_t AttendShape::splits_of_all(const StageContext& context) const {
  if (!split || !limited()) return splits_of(keys_of(n - 1, context));
  uint32_t most = 1;
  for (uint32_t t = 0; t < n; ++t) most = std::max(most, splits_of(walked_keys(t, context)));
  return most;
}

float AttendShape::add_sink(uint32_t head, float& highest, float& weight) const {
  if (inputs.sinks == 0) return 1;
  const float sink = reinterpret_cast<const float*>(inputs.sinks)[head], top = std::max(highest, sink);
  const float shrink = std::exp(highest - top);
  weight = weight * shrink + std::exp(sink - top);
  highest = top;
  return shrink;
}

uint32_t AttendShape::split_keys(uint32_t keys) const {
  const uint32_t each = std::max((keys + kMaxSplits - 1) / kMaxSplits, kSplitKeys);
  return (each + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
}

// The columns of an item: each is one query head of one token.
struct AttendStage::Tile {
  float* queries;  // [columns][key_dims], scaled
  float* sums;     // [columns][value_dims]
  float* shares;   // [columns][kKeyBlock]
  float* shrink;   // [columns]
  SoftmaxState* states;  // [columns]
  float* key_rows;    // [kKeyBlock][key_dims], where keys must be converted
  float* value_rows;  // [kKeyBlock][value_dims]
  uint32_t key_dims;
  uint32_t value_dims;
  uint32_t first_token;
  uint32_t end_token;
  uint32_t kv_head;
  HeadRows keys;  // of the block at hand
  HeadRows values;
};

uint32_t AttendStage::tokens_each() const { return attention.split ? 1 : std::max(1u, kColumns / attention.group()); }

uint64_t AttendStage::own_bytes() const {
  const uint64_t columns = uint64_t{attention.group()} * tokens_each();
  const uint64_t key_dims = whole_dims(attention.shape.head_dim), value_dims = whole_dims(attention.shape.value_dim);
  const uint64_t floats = columns * (key_dims + value_dims + kKeyBlock + 1 + 2) + kKeyBlock * (key_dims + value_dims);
  return floats * sizeof(float) + 7 * 64;
}

AttendStage::Tile AttendStage::make_tile(const StageContext& context) const {
  std::byte* next = context.own;
  const auto take = [&](uint64_t count) {
    auto* at = reinterpret_cast<float*>(next);
    next += align_up(count * sizeof(float), 64);
    return at;
  };
  const uint64_t columns = uint64_t{attention.group()} * tokens_each();
  Tile tile = {};
  tile.key_dims = whole_dims(attention.shape.head_dim);
  tile.value_dims = whole_dims(attention.shape.value_dim);
  tile.queries = take(columns * tile.key_dims);
  tile.sums = take(columns * tile.value_dims);
  tile.shares = take(columns * kKeyBlock);
  tile.shrink = take(columns);
  tile.states = reinterpret_cast<SoftmaxState*>(take(2 * columns));
  tile.key_rows = take(kKeyBlock * tile.key_dims);
  tile.value_rows = take(kKeyBlock * tile.value_dims);
  return tile;
}

void AttendStage::load_queries(Tile& tile, uint32_t first_token, uint32_t end_token, uint32_t kv_head, const StageContext& context) const {
  const AttentionShape& shape = attention.shape;
  const uint32_t group = attention.group(), columns = (end_token - first_token) * group;
  tile.first_token = first_token;
  tile.end_token = end_token;
  tile.kv_head = kv_head;
  std::memset(tile.queries, 0, uint64_t{columns} * tile.key_dims * sizeof(float));
  std::memset(tile.sums, 0, uint64_t{columns} * tile.value_dims * sizeof(float));
  for (uint32_t c = 0; c < columns; ++c) {
    const uint64_t row = uint64_t{first_token + c / group} * shape.heads + kv_head * group + c % group;
    context.floats.add_scaled(shape.scale, attention.q + row * shape.head_dim, tile.queries + c * tile.key_dims, shape.head_dim);
    tile.states[c] = SoftmaxState{};
  }
}

namespace {

// More columns than these share a conversion of the rows to float; fewer read halves as they are.
constexpr uint32_t kConvertColumns = 8;

// Where the rows of a head lie in a cache: elements.
struct CacheHead {
  uint64_t cache;
  uint64_t stride;
  uint64_t offset;
  uint32_t dims;
};

// Rows of a head for keys first .. first + count: in place, or converted into `rows`.
HeadRows load_rows(KvElement kv, const CacheHead& head, uint32_t first, uint32_t count, uint32_t columns, float* rows, const FloatKernels& floats) {
  const uint32_t dims = head.dims, wanted = whole_dims(dims);
  const uint64_t stride = head.stride, begin = first * stride + head.offset;
  const auto* singles = reinterpret_cast<const float*>(head.cache) + begin;
  const auto* halves = reinterpret_cast<const uint16_t*>(head.cache) + begin;
  const bool half = kv == KvElement::kF16;
  if (wanted == dims && !half) return {singles, stride, count, false};
  if (wanted == dims && columns <= kConvertColumns) return {halves, stride, count, true};
  for (uint32_t key = 0; key < count; ++key) {
    float* to = rows + uint64_t{key} * wanted;
    if (half) floats.widen(halves + key * stride, to, dims);
    else std::copy_n(singles + key * stride, dims, to);
    std::fill(to + dims, to + wanted, 0.0f);
  }
  return {rows, wanted, count, false};
}

}  // namespace

// Blocks of keys begin at multiples of kKeyBlock whatever the tile, and a column never sees a key past its own token: those
// whose keys end inside a block go through it token by token. A block of which a token sees nothing leaves it bit for bit.
void AttendStage::attend(Tile& tile, uint32_t kv_head, uint32_t first_key, uint32_t end_key, const StageContext& context) const {
  const AttentionShape& shape = attention.shape;
  const uint32_t group = attention.group(), tokens = tile.end_token - tile.first_token;
  const CacheHead keys = {attention.cache.keys, stride_of(shape, shape.key_stride, shape.head_dim), uint64_t{kv_head} * shape.head_dim, shape.head_dim};
  const CacheHead values = {attention.cache.values, stride_of(shape, shape.value_stride, shape.value_dim), uint64_t{kv_head} * shape.value_dim,
                            shape.value_dim};
  for (uint32_t block = first_key; block < end_key; block += kKeyBlock) {
    if (!any_sees(tile, block, context)) continue;
    const uint32_t count = std::min(kKeyBlock, end_key - block);
    const uint32_t columns = tokens * group;
    tile.keys = load_rows(shape.kv, keys, block, count, columns, tile.key_rows, context.floats);
    tile.values = load_rows(shape.kv, values, block, count, columns, tile.value_rows, context.floats);
    uint32_t t = 0;
    for (; t < tokens; ++t) {
      const uint32_t own_end = std::min(attention.keys_of(tile.first_token + t, context), end_key);
      if (own_end >= block + count) break;
      if (own_end > block) attend_block(tile, t * group, (t + 1) * group, block, own_end - block, context);
    }
    if (t < tokens) attend_block(tile, t * group, tokens * group, block, count, context);
  }
}

bool AttendStage::any_sees(const Tile& tile, uint32_t block, const StageContext& context) const {
  if (!attention.masked()) return true;
  for (uint32_t t = tile.first_token; t < tile.end_token; ++t) {
    if (attention.seen_of(t, tile.kv_head, block, context) != 0) return true;
  }
  return false;
}

void AttendStage::attend_block(Tile& tile, uint32_t first_column, uint32_t end_column, uint32_t block, uint32_t keys, const StageContext& context) const {
  const uint32_t columns = end_column - first_column;
  float* shares = tile.shares + first_column * kKeyBlock;
  tile.keys.count = tile.values.count = keys;
  context.floats.score(tile.queries + first_column * tile.key_dims, columns, tile.keys, tile.key_dims, shares);
  for (uint32_t c = first_column; c < end_column; ++c) soften(tile, c, block, keys, context);
  context.floats.gather(shares, tile.shrink + first_column, columns, tile.values, tile.value_dims, tile.sums + first_column * tile.value_dims);
}

void AttendStage::soften(Tile& tile, uint32_t column, uint32_t block, uint32_t keys, const StageContext& context) const {
  float* shares = tile.shares + column * kKeyBlock;
  if (attention.shape.softcap != 0) context.floats.cap(attention.shape.softcap, shares, keys);
  if (attention.limited() || attention.masked()) {
    const uint64_t all = ~0ull >> (kKeyBlock - keys);
    const uint64_t seen = attention.seen_of(tile.first_token + column / attention.group(), tile.kv_head, block, context) & all;
    if (seen == 0) {
      std::fill_n(shares, keys, 0.0f);
      tile.shrink[column] = 1;
      return;
    }
    if (seen != all) {
      for (uint32_t i = 0; i < keys; ++i) shares[i] = (seen >> i & 1) != 0 ? shares[i] : kUnseen;
    }
  }
  tile.shrink[column] = context.floats.soften(shares, keys, tile.states[column]);
}

uint32_t AttendStage::items(const StageContext& context) const {
  const uint32_t kv_heads = attention.shape.kv_heads;
  if (!attention.split) return (attention.n + tokens_each() - 1) / tokens_each() * kv_heads;
  return attention.n * kv_heads * attention.splits_of_all(context);
}

void AttendStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  const uint32_t last = items(context) - 1;
  // The last tokens see the most keys: they come first, so that threads finish together.
  for (uint32_t item = first; item < end; ++item) run_item(last - item, context);
}

void AttendStage::run_item(uint32_t item, const StageContext& context) const {
  const AttentionShape& shape = attention.shape;
  const uint32_t kv_head = item % shape.kv_heads;
  const uint32_t rest = item / shape.kv_heads;
  // Splits count through the tokens, of which some have fewer than others.
  const uint32_t splits = attention.splits_of_all(context);
  const uint32_t first_token = attention.split ? rest / splits : rest * tokens_each();
  const uint32_t split_index = attention.split ? rest % splits : 0;
  const uint32_t end_token = std::min(attention.n, first_token + tokens_each());
  uint32_t first_key = attention.first_key(first_token, context), end_key = attention.keys_of(end_token - 1, context);
  const uint32_t walked = end_key - first_key, own_splits = attention.splits_of(walked);
  if (split_index >= own_splits) return;
  if (own_splits > 1) {
    const uint32_t each = attention.split_keys(walked);
    first_key += split_index * each;
    end_key = std::min(end_key, first_key + each);
  }
  Tile tile = make_tile(context);
  load_queries(tile, first_token, end_token, kv_head, context);
  attend(tile, kv_head, first_key, end_key, context);
  if (attention.has_beside()) attend_beside(tile, split_index, own_splits, context);
  if (own_splits > 1) keep_part(tile, kv_head, split_index, context);
  else finish(tile, kv_head);
}

// The share of one of `splits` of the rows beside the cache.
void AttendStage::attend_beside(Tile& tile, uint32_t split_index, uint32_t splits, const StageContext& context) const {
  const AttendStage rows = {attention.beside()};
  const uint32_t all = rows.attention.keys_of(tile.end_token - 1, context), blocks = (all + kKeyBlock - 1) / kKeyBlock;
  const uint32_t each = (blocks + splits - 1) / splits * kKeyBlock, first = split_index * each;
  rows.attend(tile, 0, first, std::min(first + each, all), context);
}

void AttendStage::keep_part(const Tile& tile, uint32_t kv_head, uint32_t split_index, const StageContext& context) const {
  const uint32_t dims = attention.shape.value_dim, group = attention.group();
  for (uint32_t c = 0; c < group; ++c) {
    float* part = attention.part(context, tile.first_token, kv_head * group + c, split_index);
    std::copy_n(tile.sums + c * tile.value_dims, dims, part);
    part[dims] = tile.states[c].highest;
    part[dims + 1] = tile.states[c].weight;
  }
}

void AttendStage::finish(const Tile& tile, uint32_t kv_head) const {
  const uint32_t dims = attention.shape.value_dim, group = attention.group();
  for (uint32_t c = 0; c < (tile.end_token - tile.first_token) * group; ++c) {
    const uint64_t row = uint64_t{tile.first_token + c / group} * attention.shape.heads + kv_head * group + c % group;
    SoftmaxState state = tile.states[c];
    const float shrink = attention.add_sink(kv_head * group + c % group, state.highest, state.weight);
    const float by = state.weight != 0 ? shrink / state.weight : 0.0f;  // a token that sees nothing
    for (uint32_t d = 0; d < dims; ++d) attention.out[row * dims + d] = tile.sums[c * tile.value_dims + d] * by;
  }
}

uint32_t MergeStage::items(const StageContext& context) const {
  return attention.splits_of_all(context) > 1 ? attention.n * attention.shape.heads : 0;
}

void MergeStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  const uint32_t dims = attention.shape.value_dim;
  for (uint32_t item = first; item < end; ++item) {
    const uint32_t token = item / attention.shape.heads, head = item % attention.shape.heads;
    const uint32_t splits = attention.splits_of(attention.walked_keys(token, context));
    if (splits == 1) continue;
    float shares[AttendShape::kMaxSplits];
    float highest = attention.part(context, token, head, 0)[dims];
    for (uint32_t s = 0; s < splits; ++s) {
      shares[s] = attention.part(context, token, head, s)[dims];
      highest = std::max(highest, shares[s]);
    }
    float weight = 0;
    attention.add_sink(head, highest, weight);
    context.floats.exps(shares, highest, shares, splits);
    for (uint32_t s = 0; s < splits; ++s) weight += attention.part(context, token, head, s)[dims + 1] * shares[s];
    float* out = attention.out + uint64_t{item} * dims;
    std::fill_n(out, dims, 0.0f);
    if (weight == 0) continue;  // a token that sees nothing
    for (uint32_t s = 0; s < splits; ++s) context.floats.add_scaled(shares[s] / weight, attention.part(context, token, head, s), out, dims);
  }
}

}  // namespace hotset::cpu
