// Ops: storing and reading the KV cache.
#include <algorithm>

#include "platform/check.h"
#include "runtime/compute/ops_vulkan.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

// Floats that one lane may hold of value sums: bounds registers, and the compile time on software devices.
constexpr uint32_t kMaxSumsPerLane = 256;

// Elements from row to row of a cache whose heads have `dims`.
uint32_t stride_of(const AttentionShape& shape, uint32_t given, uint32_t dims) { return given != 0 ? given : shape.kv_heads * dims; }

// What a cache at `address` covers, up to the last element of its last row.
Tensor cache_range(const AttentionShape& shape, uint64_t address, uint32_t stride, uint32_t dims) {
  const uint64_t elements = uint64_t{shape.context_tokens - 1} * stride_of(shape, stride, dims) + shape.kv_heads * dims;
  return {address, elements * kv_element_bytes(shape.kv)};
}
Tensor keys_of(const AttentionShape& shape, const KvCacheView& cache) { return cache_range(shape, cache.keys, shape.key_stride, shape.head_dim); }
Tensor values_of(const AttentionShape& shape, const KvCacheView& cache) {
  return cache_range(shape, cache.values, shape.value_stride, shape.value_dim);
}

Tensor beside_of(const AttentionShape& shape, const AttentionInputs& inputs) {
  if (shape.beside_every == 0) return {};
  const uint64_t rows = shape.context_tokens / shape.beside_every;
  return {inputs.beside, rows * stride_of(shape, shape.key_stride, shape.head_dim) * kv_element_bytes(shape.kv)};
}

// Keys that a token sees at most.
uint32_t most_keys(const AttentionShape& shape) {
  uint32_t keys = shape.context_tokens;
  if (shape.window != 0) keys = std::min(keys, shape.window);
  if (shape.chunk != 0) keys = std::min(keys, shape.chunk);
  return shape.beside_every != 0 ? keys + shape.context_tokens / shape.beside_every : keys;
}

// Heads and tokens that share a workgroup.
struct Columns {
  uint32_t heads = 1;
  uint32_t queries = 1;
};

Columns choose_columns(const tuning::Batch& batch_tuning, const AttentionShape& shape, uint32_t lanes, bool batch) {
  const uint32_t pairs_per_lane = (shape.value_dim / 2 + lanes - 1) / lanes;
  const uint32_t most = std::clamp(kMaxSumsPerLane / (2 * pairs_per_lane), 1u, batch_tuning.attention_columns);
  const uint32_t group = shape.heads / shape.kv_heads;
  Columns columns;
  for (uint32_t heads = 1; heads <= std::min(group, most); ++heads) {
    if (group % heads == 0) columns.heads = heads;
  }
  if (batch) columns.queries = std::max(1u, most / columns.heads);
  return columns;
}

uint32_t decode_splits(const tuning::Batch& batch_tuning, const AttentionShape& shape, uint32_t lanes) {
  const Columns columns = choose_columns(batch_tuning, shape, lanes, false);
  const uint32_t workgroups = shape.heads / columns.heads;
  const uint32_t most = std::max(1u, most_keys(shape) / shaders::kMinSplitKeys);
  return std::clamp((batch_tuning.decode_workgroups + workgroups - 1) / workgroups, 1u, most);
}

uint64_t part_bytes(const AttentionShape& shape, uint32_t splits) {
  return splits == 1 ? 0 : uint64_t{shape.heads} * splits * (shape.value_dim + 2) * sizeof(float);
}

}  // namespace

void OpsVulkan::store_kv(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, uint64_t q_norm, uint64_t k_norm, uint64_t rope,
                   const KvCacheView& cache, uint32_t n) {
  HOTSET_CHECK(shape.head_dim % 2 == 0 && shape.value_dim % 2 == 0 && shape.rope_dim % 2 == 0);
  const Program* store = program({"store_kv", shaders::store_kv, {device_.limits().subgroup_size, shape.kv == KvElement::kF16, shape.adjacent_pairs}});
  if (store == nullptr) return;
  order({q, k, v}, {q, keys_of(shape, cache), values_of(shape, cache)});
  shaders::StoreKvPush push = {};
  push.control = control_;
  push.q = q.address;
  push.k = k.address;
  push.v = v.address;
  push.q_norm = q_norm;
  push.k_norm = k_norm;
  push.rope = rope;
  push.keys = cache.keys;
  push.values = cache.values;
  push.heads = shape.heads;
  push.kv_heads = shape.kv_heads;
  push.head_dim = shape.head_dim;
  push.value_dim = shape.value_dim;
  push.rope_dim = shape.rope_dim;
  push.context_tokens = shape.context_tokens;
  push.norm_eps = shape.norm_eps;
  push.key_stride = stride_of(shape, shape.key_stride, shape.head_dim);
  push.value_stride = stride_of(shape, shape.value_stride, shape.value_dim);
  dispatch(*store, push, shape.heads + 2 * shape.kv_heads, n);
}

void OpsVulkan::attention(const AttentionShape& shape, const Tensor& q, const KvCacheView& cache, const Tensor& out, const Tensor& scratch, uint32_t n,
                    Phase phase, const AttentionInputs& inputs) {
  HOTSET_CHECK(shape.value_dim % 2 == 0 && shape.value_stride % 2 == 0 && shape.heads % shape.kv_heads == 0);
  // Keys of whole eights are loaded 16 bytes at a time.
  HOTSET_CHECK(shape.head_dim % 8 != 0 || shape.key_stride * kv_element_bytes(shape.kv) % 16 == 0);
  const uint32_t lanes = device_.limits().subgroup_size;
  const Columns columns = choose_columns(batch_, shape, lanes, phase == Phase::kBatch);
  const uint32_t splits = phase == Phase::kDecode ? decode_splits(batch_, shape, lanes) : 1;
  const uint64_t parts = n * part_bytes(shape, splits);
  HOTSET_CHECK(scratch.size_bytes >= parts);
  HOTSET_CHECK(shape.beside_every == 0 || (shape.kv_heads == 1 && inputs.beside != 0 && shape.key_stride == shape.value_stride));
  HOTSET_CHECK(inputs.mask_heads == 1 || inputs.mask_heads == shape.kv_heads);
  const Program* attend = program({"attention", shaders::attention,
                                   {lanes, shape.head_dim, shape.value_dim, shape.kv == KvElement::kF16, columns.heads, columns.queries, splits,
                                    batch_.shuffle_queries, shape.window != 0 || shape.chunk != 0, inputs.mask != 0, shape.softcap != 0, shape.beside_every != 0}});
  if (attend == nullptr) return;
  const Tensor sums = splits > 1 ? Tensor{scratch.address, parts} : out;
  const Tensor sinks = {inputs.sinks, inputs.sinks == 0 ? 0 : shape.heads * sizeof(float)};
  const Tensor mask = {inputs.mask, inputs.mask == 0 ? 0 : uint64_t{n} * inputs.mask_heads * inputs.mask_words * sizeof(uint32_t)};
  order({q, keys_of(shape, cache), values_of(shape, cache), beside_of(shape, inputs), sinks, mask}, {sums});
  shaders::AttentionPush push = {control_, q.address, cache.keys, cache.values, out.address, sums.address, inputs.sinks, inputs.mask, inputs.beside};
  push.n = n;
  push.heads = shape.heads;
  push.kv_heads = shape.kv_heads;
  push.context_tokens = shape.context_tokens;
  push.scale = shape.scale;
  push.key_stride = stride_of(shape, shape.key_stride, shape.head_dim);
  push.value_stride = stride_of(shape, shape.value_stride, shape.value_dim);
  push.window = shape.window;
  push.chunk = shape.chunk;
  push.mask_words = inputs.mask_words;
  push.mask_heads = inputs.mask_heads;
  push.softcap = shape.softcap;
  push.beside_every = shape.beside_every;
  dispatch(*attend, push, (n + columns.queries - 1) / columns.queries, shape.heads / columns.heads, splits);
  if (splits == 1) return;
  const Program* merge = program({"attention_merge", shaders::attention_merge, {lanes, shape.value_dim, splits}});
  if (merge == nullptr) return;
  order({sums}, {out});
  dispatch(*merge, push, n * shape.heads);
}

uint64_t attention_scratch_bytes(const DeviceLimits& limits, const AttentionShape& shape) {
  return part_bytes(shape, decode_splits(tuning::batch(limits), shape, limits.subgroup_size));
}

}  // namespace hotset
