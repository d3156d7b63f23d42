#include "runtime/model/workspace.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "platform/bytes.h"
#include "runtime/model/expert_batch.h"
#include "runtime/model/value_layout.h"

namespace hotset {
namespace {

constexpr uint64_t kAlignment = 256;
// Logits of several positions are read back at once when all are wanted; this bounds what that takes.
constexpr uint64_t kLogitsBytes = 8u << 20;
constexpr uint32_t kMaxLogitRows = 32;
// Scores of positions are kept for so many tokens at once as this bounds: enough work for a device at contexts of 128k and more.
constexpr uint64_t kSelectBytes = 16u << 20;

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

// The largest value over all layers of experts; 0 without any.
template <class Get>
uint64_t largest(const ModelSpec& spec, Get get) {
  uint64_t most = 0;
  for (const MoeSpec& moe : spec.moes) most = std::max<uint64_t>(most, get(moe));
  return most;
}

uint64_t state_bytes_of(const StateSpec& state, const WorkspaceShape& shape) {
  if (state.kind == StateKind::kFixed) return align_up(uint64_t{state.width} * sizeof(float), kAlignment);
  const uint64_t rows = (uint64_t{shape.context_tokens} + state.every - 1) / state.every;
  return align_up(rows * state.width * kv_element_bytes(shape.kv), kAlignment);
}

// Scratch that the attention of any layer needs.
uint64_t scratch_of_attention(const DeviceLimits* limits, const ModelSpec& spec, const WorkspaceShape& shape) {
  uint64_t most = kAlignment;
  for (const Step& step : spec.steps) {
    const auto* attend = std::get_if<AttendStep>(&step);
    if (attend == nullptr || limits == nullptr) continue;
    AttentionShape with_context = attend->shape;
    with_context.context_tokens = shape.context_tokens;
    with_context.kv = shape.kv;
    most = std::max(most, attention_scratch_bytes(*limits, with_context));
  }
  return most;
}

// Room for the scores by which any layer chooses positions: for all tokens of a chunk, or for as many as the bound allows.
uint64_t scratch_of_selection(const ModelSpec& spec, const WorkspaceShape& shape) {
  uint64_t most = 0;
  for (const Step& step : spec.steps) {
    const auto* select = std::get_if<SelectStep>(&step);
    if (select == nullptr) continue;
    SelectShape with_context = select->shape;
    with_context.context_tokens = (shape.context_tokens + select->shape.every - 1) / select->shape.every;
    const uint64_t token_bytes = with_context.token_scratch_bytes();
    most = std::max(most, token_bytes * std::clamp<uint64_t>(kSelectBytes / token_bytes, 1, shape.batch_tokens));
  }
  return most;
}

}  // namespace

WorkspaceBytes Workspace::lay_out(const DeviceLimits* limits, const ModelSpec& spec, uint64_t scratch_base, uint64_t shared_base, uint64_t readback_base) {
  const uint64_t batch = shape_.batch_tokens;
  const uint64_t used = largest(spec, [](const MoeSpec& moe) { return moe.route.used; });
  const uint64_t experts = largest(spec, [](const MoeSpec& moe) { return moe.route.experts; });
  const uint64_t ff = largest(spec, [](const MoeSpec& moe) { return moe.experts.ff; });
  const uint64_t embd = largest(spec, [](const MoeSpec& moe) { return moe.experts.embd; });

  Carver scratch{scratch_base, 0};
  const ValueLayout layout = lay_out_values(spec, shape_.batch_tokens, shape_.context_tokens, kAlignment);
  values_.clear();
  for (uint32_t id = 0; id < spec.values.size(); ++id) {
    values_.push_back({scratch_base + layout.offsets[id], batch * spec.values[id].floats(shape_.context_tokens) * sizeof(float)});
  }
  scratch.take(layout.size_bytes);
  attention_scratch = scratch.take(scratch_of_attention(limits, spec, shape_));
  select_scores = scratch.take(scratch_of_selection(spec, shape_));
  scores = scratch.floats(batch * experts);
  weights = scratch.floats(batch * used);
  guess_scores = scratch.floats(experts);
  guess_weights = scratch.floats(used);
  hidden = scratch.floats(batch * used * ff);
  parts = scratch.floats(batch * used * embd);

  Carver shared{shared_base, 0};
  max_tiles = ExpertBatch::max_tiles(static_cast<uint32_t>(experts), static_cast<uint32_t>(batch * used), Ops::kTilePairs);
  control = shared.take(sizeof(shaders::Control));
  tokens = shared.take(batch * sizeof(uint32_t));
  ropes_.clear();
  for (const RopeSpec& rope : spec.ropes) ropes_.push_back(shared.floats(batch * rope.dim));
  position_scales_.clear();
  for (size_t i = 0; i < spec.position_scales.size(); ++i) position_scales_.push_back(shared.floats(batch));
  constants_.clear();
  for (const std::vector<float>& values : spec.constants) constants_.push_back(shared.floats(values.size()));
  addresses = shared.take(used * sizeof(uint64_t));
  cpu_part = shared.floats(embd);
  pairs = shared.take(batch * used * sizeof(uint32_t));
  tiles = shared.take(max_tiles * sizeof(shaders::ExpertTile));

  Carver readback{readback_base, 0};
  logit_rows = static_cast<uint32_t>(std::clamp<uint64_t>(kLogitsBytes / (uint64_t{spec.vocab} * sizeof(float)), 1, kMaxLogitRows));
  logit_rows = std::min(logit_rows, shape_.batch_tokens);
  route_log = readback.take(spec.moes.size() * used * sizeof(uint32_t));
  ids = readback.take(batch * used * sizeof(uint32_t));
  guess_log = readback.take(spec.moes.size() * used * sizeof(uint32_t));
  host_input = readback.floats(embd);
  host_weights = readback.floats(used);
  logits = readback.floats(uint64_t{logit_rows} * spec.vocab);

  values_[spec.logits.id] = logits;

  WorkspaceBytes bytes = {scratch.used, shared.used, readback.used, {}};
  for (const StateSpec& state : spec.states) bytes.states.push_back(state_bytes_of(state, shape_));
  return bytes;
}

uint64_t used_state_bytes(const StateSpec& state, KvElement kv, uint32_t positions) {
  if (positions == 0) return 0;
  if (state.kind == StateKind::kFixed) return uint64_t{state.width} * sizeof(float);
  return (uint64_t{positions} + state.every - 1) / state.every * state.width * kv_element_bytes(kv);
}

uint64_t WorkspaceBytes::all_states() const { return std::accumulate(states.begin(), states.end(), uint64_t{0}); }

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
  for (const uint64_t size_bytes : bytes.states) {
    HOTSET_ASSIGN(Buffer state, memory.allocate(size_bytes, MemoryKind::kDevice, "KV cache"));
    workspace->states_.push_back(std::move(state));
  }
  workspace->lay_out(&memory.limits(), spec, workspace->scratch_.address(), workspace->shared_.address(), workspace->readback_.address());
  std::memset(workspace->shared_.mapped().data(), 0, workspace->shared_.mapped().size());
  for (size_t i = 0; i < spec.constants.size(); ++i) std::copy(spec.constants[i].begin(), spec.constants[i].end(), workspace->host<float>(workspace->constants_[i]).begin());
  return workspace;
}

uint64_t Workspace::state_bytes() const {
  uint64_t bytes = 0;
  for (const Buffer& buffer : states_) bytes += buffer.size_bytes();
  return bytes;
}

}  // namespace hotset
