// Ops: the operations of a decoder, recorded into replayable segments. The Vulkan device and the CPU implement it.
//
// One Ops per pass, used by one thread. A segment is a list of operations that is recorded once and submitted any number of
// times; what changes from pass to pass (tokens, position, rotation table, expert table) lies in memory that host and
// device share. Operations of a segment take effect in the order in which they were recorded. Every operation does nothing
// while Control.stop is set, so a pass can be stopped by the device itself.
//
// All activations are float32, [tokens][features] row-major. Every output element is summed in an order that depends
// only on its own row and the operation's phase, never on how many tokens, tiles, experts or threads share the work:
// results are bit-identical under any batch size, expert grouping and cache size.
//
// Addresses of matrices, expert records, the offsets in them and activations are multiples of 16 bytes; rows follow each
// other as they lie in the file, at any even address. On the CPU an address is a pointer, that of an expert one to its
// ExpertPieces (offload/expert_pieces.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/device.h"
#include "runtime/compute/tensor.h"
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

// Operations recorded together; numbered by the Ops that made it.
enum class SegmentId : uint32_t {};

class Ops {
 public:
  virtual ~Ops() = default;

  // --- segments
  virtual Result<SegmentId> new_segment() = 0;
  // Operations go to `segment` until end(), in place of what it held. It must not be running.
  virtual Status begin(SegmentId segment) = 0;
  // Ends the segment; its writes are visible to the host and to later segments. Error: the first of an operation since
  // begin (a program that could not be made, a grid beyond the device).
  virtual Status end() = 0;
  // Runs the segments in order after all that was submitted before, and after the copies up to `copies` on the timeline of the
  // device's link (Residency::copies_to_wait_for). The point on this Ops' timeline that is reached when all have finished.
  // Error: device lost.
  virtual Result<uint64_t> submit(std::span<const SegmentId> segments, uint64_t copies = 0) = 0;
  // Blocks until the timeline has reached `point` (0: at once). Error: device lost, no progress.
  virtual Status wait(uint64_t point) = 0;
  // Segments that one submit takes at most.
  virtual size_t max_segments() const = 0;

  // --- operations, between begin and end
  // out[t] = row tokens[t] of `table`, as float. tokens: uint32 [n].
  virtual void embed(const Weight& table, uint64_t tokens, const Tensor& out, uint32_t n) = 0;
  // out = x / sqrt(mean(x^2) + eps) * weight, per row of `cols`. weight: float [cols].
  virtual void rms_norm(const Tensor& x, uint64_t weight, const Tensor& out, uint32_t n, uint32_t cols, float eps) = 0;
  // out[t] = w x[t] (+ residual[t] when given; residual may be out itself). x: [n][w.cols], out: [n][w.rows].
  virtual void matmul(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, Phase phase, const Tensor* residual = nullptr) = 0;
  // Several products of the same x, each as matmul; in decode, neighbours of one type may share a dispatch.
  virtual void matmul_each(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, Phase phase) = 0;
  // q and k: RMSNorm per head where q_norm/k_norm (float [head_dim]) are given, rotation by the table, then k and v into
  // the cache at Control.position + t. q [n][heads*head_dim] in place. rope: float2 (cos, sin) [n][rope_dim/2].
  virtual void store_kv(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, uint64_t q_norm, uint64_t k_norm,
                        uint64_t rope, const KvCacheView& cache, uint32_t n) = 0;
  // Causal attention of token t over cache rows 0..Control.position + t. out: [n][heads*value_dim]. Decode: `scratch`
  // holds n times attention_scratch_bytes() (which may be 0).
  virtual void attention(const AttentionShape& shape, const Tensor& q, const KvCacheView& cache, const Tensor& out, const Tensor& scratch, uint32_t n,
                         Phase phase) = 0;
  // scores [n][experts] -> ids uint32 [n][used] (falling score; the lower id first among equals), weights float [n][used].
  // With a table (uint64 [experts] of this layer; decode, n = 1): addresses uint64 [used] = table[ids]; where one is 0,
  // Control.stop becomes stop_value unless it is set already.
  virtual void route(const RouteShape& shape, const Tensor& scores, const Tensor& ids, const Tensor& weights, uint32_t n, uint64_t table = 0,
                     const Tensor* addresses = nullptr, uint32_t stop_value = 0) = 0;
  // Decode: hidden[s] = silu(gate_s x) * (up_s x) for each of the `used` records in addresses; a slot whose address is 0 is
  // left out. hidden: [used][ff].
  virtual void expert_up(const ExpertShape& shape, const Tensor& addresses, const Tensor& x, const Tensor& hidden) = 0;
  // Decode: out += sum over s, in order, of weights[s] * (down_s hidden[s]), without the slots whose address is 0. out: [embd].
  virtual void expert_down(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& hidden, const Tensor& out) = 0;
  // Batch: tiles: shaders::ExpertTile [tile_count]; pairs: uint32, each token * used + slot. hidden: [n*used][ff] by pair.
  virtual void expert_up_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& x,
                               const Tensor& hidden) = 0;
  // Batch: parts: [n*used][embd] by pair = down hidden.
  virtual void expert_down_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& hidden,
                                 const Tensor& parts) = 0;
  // out[t] += sum over s, in order, of weights[t][s] * parts[t*used + s].
  virtual void combine(const ExpertShape& shape, const Tensor& weights, const Tensor& parts, const Tensor& out, uint32_t n) = 0;
  // out[i] += x[i], i < count: floats.
  virtual void add(const Tensor& x, const Tensor& out, uint32_t count) = 0;
  // out = x (count floats), and only when Control.stop is stop_value: what the host needs of a pass that stopped here.
  virtual void export_stopped(const Tensor& x, const Tensor& out, uint32_t count, uint32_t stop_value) = 0;
  // Pairs per ExpertTile at most.
  static constexpr uint32_t kTilePairs = 8;
};

// Bytes of scratch that decode attention over one token needs on a device with these limits.
uint64_t attention_scratch_bytes(const DeviceLimits& limits, const AttentionShape& shape);

}  // namespace hotset
