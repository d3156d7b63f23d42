// Workspace: all device memory of one session but the weights: KV cache, activations, and the blocks that host and
// device share. Laid out by one function that plans and places alike, so a plan and what is allocated cannot differ.
//
// Owned by the engine, used by one session at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "platform/vulkan/memory.h"
#include "runtime/compute/ops.h"
#include "runtime/model/model_spec.h"
#include "shaders/params.h"

namespace hotset {

struct WorkspaceShape {
  uint32_t context_tokens = 0;
  uint32_t batch_tokens = 0;  // most tokens of a prefill chunk
  KvElement kv = KvElement::kF16;
};

// Bytes by the memory they come from.
struct WorkspaceBytes {
  uint64_t scratch = 0;   // MemoryKind::kDevice
  uint64_t shared = 0;    // MemoryKind::kShared
  uint64_t readback = 0;  // MemoryKind::kReadback
  std::vector<uint64_t> states;  // MemoryKind::kDevice, a buffer each: KV caches and recurrent states

  uint64_t all_states() const;
};

// Bytes at the beginning of a state that hold all that later positions read of the first `positions`.
uint64_t used_state_bytes(const StateSpec& state, KvElement kv, uint32_t positions);

class Workspace {
 public:
  // Without limits, what only the device knows (a few KiB of attention scratch) is left out.
  static WorkspaceBytes plan(const DeviceLimits* limits, const ModelSpec& spec, const WorkspaceShape& shape);
  static Result<std::unique_ptr<Workspace>> create(DeviceMemory& memory, const ModelSpec& spec, const WorkspaceShape& shape);

  const WorkspaceShape& shape() const { return shape_; }
  // Where a state begins.
  uint64_t state(StateId id) const { return states_[id].address(); }
  uint64_t state_bytes() const;
  const Buffer& state_buffer(StateId id) const { return states_[id]; }
  const Buffer& scratch_buffer() const { return scratch_; }  // that values lie in
  // Float [batch][width] of a value; of the logits [logit_rows][vocab]. What shares its memory is never alive at the same time.
  const Tensor& value(uint32_t id) const { return values_[id]; }
  const Tensor& rope(uint32_t table) const { return ropes_[table]; }                           // float [batch][dim/2][2]
  const Tensor& position_scale(uint32_t index) const { return position_scales_[index]; }       // float [batch]

  // Activations, device only. [batch] is shape().batch_tokens; decode uses the first row.
  Tensor attention_scratch;  // attention_scratch_bytes
  Tensor select_scores;      // of as many tokens at a time as have room (Ops::select_positions)
  Tensor scores;             // float [batch][experts]
  Tensor weights;            // float [batch][used]
  Tensor guess_scores;       // float [experts], decode
  Tensor guess_weights;      // float [used], decode
  Tensor hidden;             // float [batch*used][ff]
  Tensor parts;              // float [batch*used][embd]

  // Written by the host before a submit; `addresses` also by the GPU.
  Tensor control;    // shaders::Control
  Tensor tokens;     // uint32 [batch]
  Tensor addresses;  // uint64 [used]
  Tensor cpu_part;   // float [embd]: what the CPU adds to the output of experts
  Tensor pairs;      // uint32 [batch*used]
  Tensor tiles;      // shaders::ExpertTile [max_tiles]

  // Read by the host after a submit.
  Tensor route_log;  // uint32 [expert layers][used], decode
  Tensor ids;        // uint32 [batch][used], prefill
  Tensor guess_log;     // uint32 [expert layers][used]: guessed at each layer for the one after it, decode
  Tensor host_input;    // float [embd]: of the experts of a pass that stopped
  Tensor host_weights;  // float [used], likewise
  Tensor logits;        // float [logit_rows][vocab]
  uint32_t logit_rows = 0;
  uint32_t max_tiles = 0;

  const Tensor& constant(uint32_t index) const { return constants_[index]; }  // of ModelSpec::constants

  // The host's view of a tensor of the last two groups.
  template <class T>
  std::span<T> host(const Tensor& tensor) {
    Buffer& buffer = in_buffer(tensor, readback_) ? readback_ : shared_;
    return {reinterpret_cast<T*>(buffer.mapped().data() + (tensor.address - buffer.address())), tensor.size_bytes / sizeof(T)};
  }

 private:
  Workspace() = default;
  WorkspaceBytes lay_out(const DeviceLimits* limits, const ModelSpec& spec, uint64_t scratch, uint64_t shared, uint64_t readback);
  static bool in_buffer(const Tensor& tensor, const Buffer& buffer) {
    return tensor.address >= buffer.address() && tensor.address < buffer.address() + buffer.size_bytes();
  }

  WorkspaceShape shape_;
  Buffer scratch_;
  Buffer shared_;
  Buffer readback_;
  std::vector<Buffer> states_;
  std::vector<Tensor> values_;
  std::vector<Tensor> ropes_;
  std::vector<Tensor> position_scales_;
  std::vector<Tensor> constants_;
};

}  // namespace hotset
