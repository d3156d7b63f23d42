#include "runtime/model/workspace.h"

#include <algorithm>
#include <cstring>

#include "platform/bytes.h"
#include "runtime/model/expert_batch.h"

namespace hotset {
namespace {

constexpr uint64_t kAlignment = 256;
// Logits of several positions are read back at once when all are wanted; this bounds what that takes.
constexpr uint64_t kLogitsBytes = 8u << 20;
constexpr uint32_t kMaxLogitRows = 32;

// Hands out consecutive aligned pieces from a base address.
struct Carver {
  uint64_t base = 0;
  uint64_t used = 0;
  Tensor take(uint64_t size_bytes) {
    const Tensor tensor = {base + used, size_bytes};
    used = align_up(used + size_bytes, kAlignment);
    return tensor;
  }
  Tensor floats(uint64_t count) { return take(count * sizeof(float)); }
};

// The largest value over all layers.
template <class Get>
uint64_t largest(const ModelSpec& spec, Get get) {
  uint64_t most = 0;
  for (const LayerSpec& layer : spec.layers) most = std::max<uint64_t>(most, get(layer));
  return most;
}

uint64_t kv_half_bytes(const ModelSpec& spec, const WorkspaceShape& shape, bool values) {
  const uint64_t width = largest(spec, [&](const LayerSpec& layer) {
    const AttentionShape& s = layer.attention.shape;
    return s.kv_heads * (values ? s.value_dim : s.head_dim);
  });
  return align_up(width * shape.context_tokens * kv_element_bytes(shape.kv), kAlignment);
}

}  // namespace

WorkspaceBytes Workspace::lay_out(const DeviceLimits* limits, const ModelSpec& spec, uint64_t scratch_base, uint64_t shared_base, uint64_t readback_base) {
  const uint64_t batch = shape_.batch_tokens;
  const auto attention = [&](auto get) { return largest(spec, [&](const LayerSpec& layer) { return uint64_t{get(layer.attention.shape)}; }); };
  const uint64_t used = largest(spec, [](const LayerSpec& layer) { return layer.moe.route.used; });
  const uint64_t experts = largest(spec, [](const LayerSpec& layer) { return layer.moe.route.experts; });
  const uint64_t ff = largest(spec, [](const LayerSpec& layer) { return layer.moe.experts.ff; });

  Carver scratch{scratch_base, 0};
  x = scratch.floats(batch * spec.embd);
  normed = scratch.floats(batch * spec.embd);
  q = scratch.floats(batch * attention([](const AttentionShape& s) { return s.heads * s.head_dim; }));
  k = scratch.floats(batch * attention([](const AttentionShape& s) { return s.kv_heads * s.head_dim; }));
  v = scratch.floats(batch * attention([](const AttentionShape& s) { return s.kv_heads * s.value_dim; }));
  attended = scratch.floats(batch * attention([](const AttentionShape& s) { return s.heads * s.value_dim; }));
  attention_scratch = scratch.take(largest(spec, [&](const LayerSpec& layer) {
    AttentionShape with_context = layer.attention.shape;
    with_context.context_tokens = shape_.context_tokens;
    with_context.kv = shape_.kv;
    return std::max<uint64_t>(limits ? attention_scratch_bytes(*limits, with_context) : 0, kAlignment);
  }));
  scores = scratch.floats(batch * experts);
  weights = scratch.floats(batch * used);
  guess_scores = scratch.floats(experts);
  guess_weights = scratch.floats(used);
  hidden = scratch.floats(batch * used * ff);
  parts = scratch.floats(batch * used * spec.embd);

  Carver shared{shared_base, 0};
  max_tiles = ExpertBatch::max_tiles(static_cast<uint32_t>(experts), static_cast<uint32_t>(batch * used), Ops::kTilePairs);
  control = shared.take(sizeof(shaders::Control));
  tokens = shared.take(batch * sizeof(uint32_t));
  rope = shared.floats(batch * spec.rope.dim);
  addresses = shared.take(used * sizeof(uint64_t));
  cpu_part = shared.floats(spec.embd);
  pairs = shared.take(batch * used * sizeof(uint32_t));
  tiles = shared.take(max_tiles * sizeof(shaders::ExpertTile));

  Carver readback{readback_base, 0};
  logit_rows = static_cast<uint32_t>(std::clamp<uint64_t>(kLogitsBytes / (uint64_t{spec.vocab} * sizeof(float)), 1, kMaxLogitRows));
  logit_rows = std::min(logit_rows, shape_.batch_tokens);
  route_log = readback.take(spec.layers.size() * used * sizeof(uint32_t));
  ids = readback.take(batch * used * sizeof(uint32_t));
  guess_log = readback.take(spec.layers.size() * used * sizeof(uint32_t));
  host_normed = readback.floats(spec.embd);
  host_weights = readback.floats(used);
  logits = readback.floats(uint64_t{logit_rows} * spec.vocab);

  values_offset_ = kv_half_bytes(spec, shape_, false);
  return {scratch.used, shared.used, readback.used, values_offset_ + kv_half_bytes(spec, shape_, true)};
}

WorkspaceBytes Workspace::plan(const DeviceLimits* limits, const ModelSpec& spec, const WorkspaceShape& shape) {
  Workspace imagined;
  imagined.shape_ = shape;
  return imagined.lay_out(limits, spec, 0, 0, 0);
}

Result<std::unique_ptr<Workspace>> Workspace::create(DeviceMemory& memory, const ModelSpec& spec, const WorkspaceShape& shape) {
  std::unique_ptr<Workspace> workspace(new Workspace());
  workspace->shape_ = shape;
  const WorkspaceBytes bytes = plan(&memory.limits(), spec, shape);
  HOTSET_ASSIGN(workspace->scratch_, memory.allocate(bytes.scratch, MemoryKind::kDevice, "activations"));
  HOTSET_ASSIGN(workspace->shared_, memory.allocate(bytes.shared, MemoryKind::kShared, "shared blocks"));
  HOTSET_ASSIGN(workspace->readback_, memory.allocate(bytes.readback, MemoryKind::kReadback, "logits"));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    HOTSET_ASSIGN(Buffer layer, memory.allocate(bytes.kv_layer, MemoryKind::kDevice, "KV cache"));
    workspace->kv_.push_back(std::move(layer));
  }
  workspace->lay_out(&memory.limits(), spec, workspace->scratch_.address(), workspace->shared_.address(), workspace->readback_.address());
  std::memset(workspace->shared_.mapped().data(), 0, workspace->shared_.mapped().size());
  return workspace;
}

KvCacheView Workspace::kv(uint32_t layer) const { return {kv_[layer].address(), kv_[layer].address() + values_offset_}; }

uint64_t Workspace::kv_bytes() const {
  uint64_t bytes = 0;
  for (const Buffer& buffer : kv_) bytes += buffer.size_bytes();
  return bytes;
}

}  // namespace hotset
