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
  uint64_t kv_layer = 0;  // MemoryKind::kDevice, one buffer a layer
};

class Workspace {
 public:
  // Without limits, what only the device knows (a few KiB of attention scratch) is left out.
  static WorkspaceBytes plan(const DeviceLimits* limits, const ModelSpec& spec, const WorkspaceShape& shape);
  static Result<std::unique_ptr<Workspace>> create(DeviceMemory& memory, const ModelSpec& spec, const WorkspaceShape& shape);

  const WorkspaceShape& shape() const { return shape_; }
  KvCacheView kv(uint32_t layer) const;
  uint64_t kv_bytes() const;

  // Activations, device only. [batch] is shape().batch_tokens; decode uses the first row.
  Tensor x;                  // float [batch][embd]: the residual stream
  Tensor normed;             // float [batch][embd]
  Tensor q;                  // float [batch][heads*head_dim]
  Tensor k;                  // float [batch][kv_heads*head_dim]
  Tensor v;                  // float [batch][kv_heads*value_dim]
  Tensor attended;           // float [batch][heads*value_dim]
  Tensor attention_scratch;  // attention_scratch_bytes
  Tensor scores;             // float [batch][experts]
  Tensor weights;            // float [batch][used]
  Tensor guess_scores;       // float [experts], decode
  Tensor guess_weights;      // float [used], decode
  Tensor hidden;             // float [batch*used][ff]
  Tensor parts;              // float [batch*used][embd]

  // Written by the host before a submit; `addresses` also by the GPU.
  Tensor control;    // shaders::Control
  Tensor tokens;     // uint32 [batch]
  Tensor rope;       // float [batch][rope_dim/2][2]
  Tensor addresses;  // uint64 [used]
  Tensor cpu_part;   // float [embd]: what the CPU adds to x
  Tensor pairs;      // uint32 [batch*used]
  Tensor tiles;      // shaders::ExpertTile [max_tiles]

  // Read by the host after a submit.
  Tensor route_log;  // uint32 [layers][used], decode
  Tensor ids;        // uint32 [batch][used], prefill
  Tensor guess_log;     // uint32 [layers][used]: guessed at each layer for the one after it, decode
  Tensor host_normed;   // float [embd], of a pass that stopped
  Tensor host_weights;  // float [used], likewise
  Tensor logits;        // float [logit_rows][vocab]
  uint32_t logit_rows = 0;
  uint32_t max_tiles = 0;

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
  uint64_t values_offset_ = 0;  // of the values in a layer's KV buffer
  Buffer scratch_;
  Buffer shared_;
  Buffer readback_;
  std::vector<Buffer> kv_;  // [layers]
};

}  // namespace hotset
