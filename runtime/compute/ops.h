// Ops: the operations of a decoder on the GPU, recorded into replayable segments.
//
// One Ops per session, used by one thread. A segment is a command buffer that is recorded once and submitted any number of
// times; what changes from pass to pass (tokens, position, rotation table, expert table) lies in memory that host and
// device share. Ops inserts a barrier only where an operation touches what an earlier one of the segment wrote (or
// writes what it read). Every dispatch does nothing while Control.stop is set, so a pass can be stopped by the GPU itself.
//
// All activations are float32, [tokens][features] row-major. Every output element is summed in an order that depends
// only on its own row and the operation's phase, never on how many tokens, tiles or experts share the dispatch: results
// are bit-identical under any batch size, expert grouping and cache size.
//
// Addresses of matrices, expert records, the offsets in them and activations are multiples of 16 bytes; rows follow each
// other as they lie in the file, at any even address.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/commands.h"
#include "platform/vulkan/device.h"
#include "platform/vulkan/memory.h"
#include "platform/vulkan/program.h"
#include "runtime/compute/hazards.h"
#include "runtime/compute/programs.h"
#include "runtime/compute/tensor.h"
#include "runtime/compute/tuning.h"
#include "shaders/params.h"

namespace hotset {

// Which kernel family computes a product: the two round differently, so the phase is the caller's choice and never
// follows from a token count.
enum class Phase { kDecode, kBatch };

struct AttentionShape {
  uint32_t heads = 0;
  uint32_t kv_heads = 0;
  uint32_t head_dim = 0;       // of q and k
  uint32_t value_dim = 0;      // of v
  uint32_t rope_dim = 0;       // leading dims of each head that rotate; pairs (i, i + rope_dim/2)
  uint32_t context_tokens = 0; // rows of the cache
  KvElement kv = KvElement::kF16;
  float norm_eps = 0;          // of the q/k norms
  float scale = 0;             // of q.k; 1/sqrt(head_dim)
};

// One layer's KV cache: [context_tokens][kv_heads][head_dim] and [..][value_dim] elements of AttentionShape::kv.
struct KvCacheView {
  uint64_t keys = 0;
  uint64_t values = 0;
};

// How scores become weights. softmax: over all experts first; then the top-k; then, when renormalise, divided by their sum.
struct RouteShape {
  uint32_t experts = 0;
  uint32_t used = 0;
  bool renormalise = true;
  float scale = 1;
};

// A matrix and where its product goes.
struct MatrixProduct {
  Weight weight;
  Tensor out;
};

// Offsets and types of an expert's matrices inside its record.
struct ExpertShape {
  uint32_t embd = 0;
  uint32_t ff = 0;
  uint32_t used = 0;
  BlockType gate_type = BlockType::kF32;  // gate and up: [ff][embd]
  BlockType up_type = BlockType::kF32;
  BlockType down_type = BlockType::kF32;  // [embd][ff]
  uint32_t gate_offset = 0;               // bytes from the record's start
  uint32_t up_offset = 0;
  uint32_t down_offset = 0;
};

class Ops {
 public:
  // `control`: address of a shaders::Control that the host fills before each submit.
  Ops(Device& device, Programs& programs, uint64_t control) : device_(device), programs_(programs), control_(control), recorder_(device, programs.cache()), batch_(tuning::batch(device.limits())) {}

  // --- recording: operations go to the segment between begin and end
  Status begin(VkCommandBuffer commands);
  // Ends the segment; its writes are visible to the host and to later segments. Error: the first of an operation since
  // begin (a program that could not be made, a grid beyond the device).
  Status end();

  // out[t] = row tokens[t] of `table`, as float. tokens: uint32 [n].
  void embed(const Weight& table, uint64_t tokens, const Tensor& out, uint32_t n);
  // out = x / sqrt(mean(x^2) + eps) * weight, per row of `cols`. weight: float [cols].
  void rms_norm(const Tensor& x, uint64_t weight, const Tensor& out, uint32_t n, uint32_t cols, float eps);
  // out[t] = w x[t] (+ residual[t] when given; residual may be out itself). x: [n][w.cols], out: [n][w.rows].
  void matmul(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, Phase phase, const Tensor* residual = nullptr);
  // Several products of the same x, each as matmul; in decode, neighbours of one type share a dispatch.
  void matmul_each(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, Phase phase);
  // q and k: RMSNorm per head where q_norm/k_norm (float [head_dim]) are given, rotation by the table, then k and v into
  // the cache at Control.position + t. q [n][heads*head_dim] in place. rope: float2 (cos, sin) [n][rope_dim/2].
  void store_kv(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, uint64_t q_norm, uint64_t k_norm,
                uint64_t rope, const KvCacheView& cache, uint32_t n);
  // Causal attention of token t over cache rows 0..Control.position + t. out: [n][heads*value_dim]. Decode: `scratch`
  // holds n times attention_scratch_bytes() (which may be 0).
  void attention(const AttentionShape& shape, const Tensor& q, const KvCacheView& cache, const Tensor& out, const Tensor& scratch, uint32_t n,
                 Phase phase);
  static uint64_t attention_scratch_bytes(const Device& device, const AttentionShape& shape);
  // scores [n][experts] -> ids uint32 [n][used] (falling score; the lower id first among equals), weights float [n][used].
  // With a table (uint64 [experts] of this layer; decode, n = 1): addresses uint64 [used] = table[ids]; where one is 0,
  // Control.stop becomes stop_value unless it is set already.
  void route(const RouteShape& shape, const Tensor& scores, const Tensor& ids, const Tensor& weights, uint32_t n, uint64_t table = 0,
             const Tensor* addresses = nullptr, uint32_t stop_value = 0);
  // Decode: hidden[s] = silu(gate_s x) * (up_s x) for each of the `used` records in addresses. hidden: [used][ff].
  void expert_up(const ExpertShape& shape, const Tensor& addresses, const Tensor& x, const Tensor& hidden);
  // Decode: out += sum over s, in order, of weights[s] * (down_s hidden[s]). out: [embd].
  void expert_down(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& hidden, const Tensor& out);
  // Batch: tiles: shaders::ExpertTile [tile_count]; pairs: uint32, each token * used + slot. hidden: [n*used][ff] by pair.
  void expert_up_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& x, const Tensor& hidden);
  // Batch: parts: [n*used][embd] by pair = down hidden.
  void expert_down_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& hidden, const Tensor& parts);
  // out[t] += sum over s, in order, of weights[t][s] * parts[t*used + s].
  void combine(const ExpertShape& shape, const Tensor& weights, const Tensor& parts, const Tensor& out, uint32_t n);
  // Pairs per ExpertTile at most.
  static constexpr uint32_t kTilePairs = 8;

  const Recorder& recorder() const { return recorder_; }
  // How the batch kernels are cut up from now on, instead of the device's own choice: for tests and measurements.
  void set_batch_tuning(const tuning::Batch& batch) { batch_ = batch; }

 private:
  // Inserts the barrier that an operation with these reads and writes needs, and notes them.
  void order(std::initializer_list<Tensor> reads, std::initializer_list<Tensor> writes);
  // The program for `key`; on failure notes the error and returns nullptr (the operation is then left out).
  const Program* program(const ProgramKey& key);
  // Records the dispatch, or notes the error when the device takes no grid of that size.
  template <class Push>
  void dispatch(const Program& program, const Push& push, uint32_t x, uint32_t y = 1, uint32_t z = 1) {
    if (fits_grid(x, y, z)) recorder_.dispatch(program, push, x, y, z);
  }
  bool fits_grid(uint32_t x, uint32_t y, uint32_t z);
  // matmul by phase; each orders its operands itself.
  void matmul_decode(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, const Tensor* residual);
  void matmul_batch(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, const Tensor* residual);

  Device& device_;
  Programs& programs_;
  const uint64_t control_;
  Recorder recorder_;
  tuning::Batch batch_;
  Hazards hazards_;
  Status status_;
  Program current_;
};

}  // namespace hotset
