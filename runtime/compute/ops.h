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

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "platform/check.h"
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
  uint32_t head_dim = 0;       // of q and k; even
  uint32_t value_dim = 0;      // of v; even
  uint32_t rope_dim = 0;       // leading dims of each head that rotate; pairs (i, i + rope_dim/2), or (2 i, 2 i + 1) when adjacent
  uint32_t context_tokens = 0; // rows of the cache
  KvElement kv = KvElement::kF16;
  float norm_eps = 0;          // of the q/k norms
  float scale = 0;             // of q.k; 1/sqrt(head_dim)
  bool adjacent_pairs = false;
  uint32_t key_stride = 0;     // elements from one cache row to the next; 0: kv_heads * head_dim. Whole 16 bytes where head_dim % 8 is 0
  uint32_t value_stride = 0;   // likewise, even; 0: kv_heads * value_dim. Values may be columns of the keys
  uint32_t window = 0;         // a token sees the last `window` positions, its own among them; 0: all
  uint32_t chunk = 0;          // a token sees its own chunk of so many positions only; 0: all
  float softcap = 0;           // scores become softcap * tanh(score / softcap); 0: none
  // Rows beside the cache (AttentionInputs::beside), each for a run of so many positions, seen from its last position on; 0: none.
  uint32_t beside_every = 0;
};

// What some kinds of attention read besides.
struct AttentionInputs {
  uint64_t sinks = 0;  // float [heads]: one more score of each head, whose share of the softmax is dropped; 0: none
  // uint32 [n][mask_heads][mask_words]: bit p % 32 of word p / 32 is set where token t may see position p, none past mask_words; 0: all
  uint64_t mask = 0;
  uint32_t mask_words = 0;
  uint32_t mask_heads = 1;  // or as many as key/value heads, a mask each
  // With AttentionShape::beside_every: rows like those of the keys, keys and values alike, of one key head; key_stride is value_stride.
  // Windows and chunks are not theirs, and the mask is of them alone, a bit a row.
  uint64_t beside = 0;
};

// One layer's KV cache: [context_tokens][kv_heads][head_dim] and [..][value_dim] elements of AttentionShape::kv.
struct KvCacheView {
  uint64_t keys = 0;
  uint64_t values = 0;
};

// Which positions attention sees (DeepSeek-V3.2's lightning indexer, MiniMax-M3's block sparse attention): the best by scores of their own.
// A query of each head meets one key a position, q.k. Together: a position's score is the sum over heads of weight * max(q.k, 0), and
// there is one mask; else each head has a mask of its own, and q.k is the score. Blocks of `block` positions are chosen as a whole, by
// their best position up to the token's own. The `top_k` best blocks are chosen, all of them where there are no more; the last
// `own_blocks` up to the token's own come first whatever their scores. The lower position comes first among equals; a score that is no
// number may come anywhere.
//
// With `every`, "positions" are rows that each stand for a run of so many positions, and a token sees those whose runs are over. With
// `spread_tokens`, the mask is of so many positions all the same: those of the chosen runs are set, and those of a run that is not over.
struct SelectShape {
  uint32_t heads = 0;
  uint32_t head_dim = 0;        // a multiple of 16
  bool together = true;
  uint32_t top_k = 0;           // blocks
  uint32_t block = 1;           // positions
  uint32_t own_blocks = 0;
  uint32_t every = 1;
  uint32_t spread_tokens = 0;
  uint32_t context_tokens = 0;  // rows of the cache
  KvElement kv = KvElement::kF16;

  uint32_t masks() const { return together ? 1 : heads; }
  uint32_t blocks() const { return (context_tokens + block - 1) / block; }
  uint32_t mask_words() const { return ((spread_tokens != 0 ? spread_tokens : context_tokens) + 31) / 32; }
  uint64_t token_scratch_bytes() const { return uint64_t{masks()} * blocks() * sizeof(float); }
};

// Whether positions can be chosen so.
inline bool can_select(const SelectShape& shape) {
  if (shape.heads == 0 || shape.head_dim == 0 || shape.head_dim % 16 != 0 || shape.top_k == 0) return false;
  return shape.block != 0 && shape.block <= INT32_MAX && shape.every != 0;
}

// n rows of floats, `stride` floats from the start of one to that of the next.
struct Rows {
  uint64_t address = 0;
  uint32_t stride = 0;
};

enum class NormKind : uint32_t {
  kRms = 0,    // x / sqrt(mean(x^2) + eps)
  kLayer = 1,  // (x - mean) / sqrt(variance + eps)
  kL2 = 2,     // x / max(sqrt(sum(x^2)), eps)
};

// A row is `groups` runs of `cols` floats, each normed by itself.
struct NormShape {
  NormKind kind = NormKind::kRms;
  uint32_t groups = 1;
  uint32_t cols = 0;
  uint32_t weight_stride = 0;  // floats from one group's weights (and biases) to the next; 0: all share them
  float eps = 0;
};

enum class Activation : uint32_t {
  kNone = 0,          // x
  kSilu = 1,          // x * sigmoid(alpha x)
  kGelu = 2,          // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  kGeluErf = 3,       // 0.5 x (1 + erf(x / sqrt(2)))
  kRelu = 4,
  kReluSquared = 5,
  kSigmoid = 6,       // sigmoid(alpha x)
  kSoftplus = 7,      // log(1 + exp(x)), x where it is above 20
  kTanh = 8,          // tanh(alpha x)
  kExp = 9,           // exp(alpha x)
  kSitu = 10,         // tanh(alpha x) / alpha * sigmoid(x); in a Glu, up becomes up_high * tanh(up / up_high) in place of its clamp
};

// f(clamp(gate)) * (clamp(up) + up_offset): the middle of gated feed-forward networks, and what `map` does to its operands.
struct Glu {
  Activation f = Activation::kSilu;
  float alpha = 1;
  float gate_low = -INFINITY;  // gate is clamped to [gate_low, gate_high] before f
  float gate_high = INFINITY;
  float up_low = -INFINITY;
  float up_high = INFINITY;
  float up_offset = 0;

  bool operator==(const Glu&) const = default;
};

// The gate_high with which silu(gate) is at most `limit` > 0: for families that clamp behind the function.
inline float silu_inverse(float limit) {
  double x = static_cast<double>(limit) + 0.5;  // silu is convex from 0 to 2.4 and has a slope near 1 above: Newton converges
  for (int i = 0; i < 50; ++i) {
    const double s = 1 / (1 + std::exp(-x));
    x -= (x * s - static_cast<double>(limit)) / (s * (1 + x * (1 - s)));
  }
  return static_cast<float>(x);
}

// An operand of map: element i of row t is the float at address[t * stride + (i / group) % period]. address 0: there is none.
struct Operand {
  uint64_t address = 0;
  uint32_t stride = 0;  // 0: every row reads the same
  uint32_t group = 1;
  uint32_t period = 0;  // 0: no modulo
};

// Rotation of `heads` heads, each `head_stride` floats from the one before: dims first .. first + dim turn by the table.
struct RopeShape {
  uint32_t heads = 1;
  uint32_t head_stride = 0;
  uint32_t first = 0;
  uint32_t dim = 0;             // even
  bool adjacent_pairs = false;  // (first + 2 i, first + 2 i + 1), else (first + i, first + i + dim/2)
  bool inverse = false;         // turns back
};

// A product of every head with a matrix of its own.
struct HeadsShape {
  uint32_t heads = 0;
  uint32_t rows = 0;             // outputs of a head
  uint32_t cols = 0;             // inputs of a head
  uint32_t x_head_stride = 0;    // floats from one head's inputs to the next
  uint32_t out_head_stride = 0;
  bool transposed = false;       // the weights of a head are [cols][rows], not [rows][cols]
};

// Causal convolution of each channel over the last `kernel` tokens: out = f(sum_j weight[c][j] * x[t - kernel + 1 + j][c] + bias[c]).
struct ConvShape {
  uint32_t channels = 0;
  uint32_t kernel = 0;  // 1..kMaxConvKernel
  Activation f = Activation::kNone;
};

enum class Decay : uint32_t {
  kNone = 0,
  kHead = 1,      // one number a head and token: its logarithm is given, float [n][heads]
  kChannel = 2,   // one a key dim: float [n][heads * key_dim]
  kConstant = 3,  // one a head, the same for every token: float [heads]
};

// Runs of `ratio` positions become one row of `width` channels: for each channel, the mean of what the run's positions give for it, weighed by
// a softmax of their scores plus a bias of the place in the run. With overlap a position gives two rows, one after the other: the first to
// the run after its own, the second to its own. Without scores the mean is a plain one.
struct CompressShape {
  uint32_t width = 0;
  uint32_t ratio = 0;
  bool overlap = false;

  uint32_t cols() const { return overlap ? 2 * width : width; }       // of values and scores
  uint32_t positions() const { return overlap ? 2 * ratio : ratio; }  // that a row is made of, and that the state keeps
  uint64_t state_floats(bool scored = true) const { return uint64_t{scored ? 2u : 1u} * positions() * cols(); }
};

// Weights of hyper-connections (Zhu et al. 2024; manifold-constrained: Xie et al. 2025) between `streams` residual streams, from
// (2 + streams) * streams numbers m of a token, three scales and as many biases b. In the same order:
//   read[s] = sigmoid(scale0 m + b) + eps;  write[s] = 2 sigmoid(scale1 m + b);  keep[from][to]: softmax over `to` of scale2 m + b, plus
//   eps, then sums over `from`, and in `iterations` - 1 rounds those over `to` and over `from`, are made 1 (divisors plus eps).
struct StreamShape {
  uint32_t streams = 0;  // 1..kMaxStreams
  uint32_t iterations = 0;
  float eps = 0;
};

// Sums of streams: out[o] = sum over s of weight[s][o] * x[s] (+ added_weight[o] * added).
struct MixShape {
  uint32_t ins = 0;   // 1..kMaxStreams
  uint32_t outs = 0;  // likewise
  uint32_t width = 0;
};

// A recurrence over tokens. For each head, S [key_dim][value_dim] float:
//   S = exp(decay) * S;  with delta: u = beta * (v - k S), else u = beta * v (beta 1 where there is none);  S += k (x) u;  out = scale * q S.
// Gated delta net, Kimi delta attention, Mamba-2 (k = B, v = x, q = C, beta = dt, decay = dt A; + D x by map) and lightning attention
// are of this form.
struct LinearAttentionShape {
  uint32_t heads = 0;       // of v and out
  uint32_t key_heads = 0;   // of q and k; divides heads
  bool tiled_heads = false; // head h reads key head h % key_heads, else h / (heads / key_heads)
  uint32_t key_dim = 0;     // 1..kMaxStateDim
  uint32_t value_dim = 0;
  Decay decay = Decay::kNone;
  bool delta = false;
  float scale = 1;
};

// Mamba-1: for each channel c, S [state_dim]: S = exp(dt[c] * a[c]) * S + dt[c] * b * x[c];  out[c] = S . c_ + d[c] * x[c].
struct SelectiveScanShape {
  uint32_t channels = 0;
  uint32_t state_dim = 0;  // 1..kMaxStateDim
};

enum class Gating : uint32_t { kSoftmax = 0, kSigmoid = 1, kSqrtSoftplus = 2 };

// How scores become weights: gating of all experts (softmax: over all of them), the top-k of gate + choice bias, their gates as
// weights; divided by their sum when renormalise; times scale (and the chosen expert's own scale).
// With groups: experts lie in `groups` equal runs; only those of the best `groups_used` runs may be chosen. A run's score is the sum of
// its two best biased gates (DeepSeek-V3), and without a choice bias its best gate (DeepSeek-V2). Where no bias is added for the choice,
// scores stand for gates in it, whose order they have without rounding. NaN ranks below all, the lower id (or run) first among equals.
struct RouteShape {
  uint32_t experts = 0;
  uint32_t used = 0;
  bool renormalise = true;
  float scale = 1;
  Gating gating = Gating::kSoftmax;
  uint32_t groups = 1;       // at most shaders::kMaxRouteGroups
  uint32_t groups_used = 1;
  float least_sum = 0;       // the divisor of renormalise is at least this
  uint32_t id_divisor = 1;   // ids are the choice divided by this (an id may then come twice), weights the gates of such ids
};

// Whether a router can have this shape.
inline bool can_route(const RouteShape& shape) {
  if (shape.used == 0 || shape.used > shaders::kMaxTopK || shape.used > shape.experts || shape.id_divisor == 0) return false;
  if (shape.groups == 0 || shape.groups > shaders::kMaxRouteGroups || shape.experts % shape.groups != 0) return false;
  return shape.groups_used <= shape.groups && shape.used <= uint64_t{shape.groups_used} * (shape.experts / shape.groups);
}

// What some routers read besides; 0: not there.
struct RouteInputs {
  uint64_t logit_bias = 0;     // float [experts], added to the scores first
  uint64_t choice_bias = 0;    // float [experts], added to the gates for the choice only
  uint64_t expert_scales = 0;  // float [experts], of the weights in the end
  uint64_t tokens = 0;         // uint32 [n], and
  uint64_t token_experts = 0;  // int32 [vocab][used]: the choice of each token, in place of the top-k; ids past the last count as it
};

// A matrix and where its product goes.
struct MatrixProduct {
  Weight weight;
  Tensor out;
};

// Offsets and types of an expert's matrices inside its record. On the CPU a matrix lies in a piece of its own (ExpertPieces), or
// in that of another: gate and up joined.
struct ExpertShape {
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kMaxPieces = 8;

  uint32_t embd = 0;  // width of input and output
  uint32_t ff = 0;
  uint32_t used = 0;
  BlockType gate_type = BlockType::kF32;  // gate and up: [ff][embd]
  BlockType up_type = BlockType::kF32;
  BlockType down_type = BlockType::kF32;  // [embd][ff]
  uint32_t gate_offset = 0;               // bytes from the record's start
  uint32_t up_offset = 0;
  uint32_t down_offset = 0;
  // What follows is zero or none in plain SwiGLU experts.
  Glu glu;                                // without a gate: hidden = f(up)
  bool has_gate = true;
  bool weight_on_input = false;           // the weight multiplies gate x and up x, in place of the output
  uint32_t gate_bias_offset = kNone;      // float [ff]; kNone: no bias
  uint32_t up_bias_offset = kNone;
  uint32_t down_bias_offset = kNone;      // float [embd]
  uint32_t gate_piece = 0;                // index in ExpertPieces
  uint32_t up_piece = 1;
  uint32_t down_piece = 2;
  uint32_t up_piece_offset = 0;           // bytes into its piece
  uint32_t gate_bias_piece = kNone;
  uint32_t up_bias_piece = kNone;
  uint32_t down_bias_piece = kNone;
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
  // Causal attention of token t over cache rows 0..Control.position + t, those of them that window, chunk and mask leave; a token that
  // sees nothing gets zeros. Sinks are neither scaled nor capped. out: [n][heads*value_dim]. Decode: `scratch`
  // holds n times attention_scratch_bytes() (which may be 0).
  virtual void attention(const AttentionShape& shape, const Tensor& q, const KvCacheView& cache, const Tensor& out, const Tensor& scratch, uint32_t n,
                         Phase phase, const AttentionInputs& inputs = {}) = 0;
  // scores [n][experts] -> ids uint32 [n][used] (falling score; the lower id first among equals), weights float [n][used].
  // With a table (uint64 [experts] of this layer; decode, n = 1): addresses uint64 [used] = table[ids]; where one is 0,
  // Control.stop becomes stop_value unless it is set already.
  virtual void route(const RouteShape& shape, const Tensor& scores, const Tensor& ids, const Tensor& weights, uint32_t n, uint64_t table = 0,
                     const Tensor* addresses = nullptr, uint32_t stop_value = 0, const RouteInputs& inputs = {}) = 0;
  // Decode: hidden[s] = glu(gate_s x + bias, up_s x + bias) for each of the `used` records in addresses; a slot whose address is 0
  // is left out. hidden: [used][ff]. weights: float [used], read with weight_on_input only.
  virtual void expert_up(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& x, const Tensor& hidden) = 0;
  // Decode: out += sum over s, in order, of weights[s] * (down_s hidden[s] + bias), without the slots whose address is 0 (weights of
  // 1 with weight_on_input). out: [embd].
  virtual void expert_down(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& hidden, const Tensor& out) = 0;
  // Batch: tiles: shaders::ExpertTile [tile_count]; pairs: uint32, each token * used + slot. hidden: [n*used][ff] by pair.
  // weights: float [n*used] by pair, read with weight_on_input only.
  virtual void expert_up_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& weights, const Tensor& x,
                               const Tensor& hidden) = 0;
  // Batch: parts: [n*used][embd] by pair = down hidden + bias.
  virtual void expert_down_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& hidden,
                                 const Tensor& parts) = 0;
  // out[t] += sum over s, in order, of weights[t][s] * parts[t*used + s] (weights of 1 with weight_on_input).
  virtual void combine(const ExpertShape& shape, const Tensor& weights, const Tensor& parts, const Tensor& out, uint32_t n) = 0;
  // --- the parts that families are composed of; activations are Rows, which may be columns of a wider value
  // out = norm of each group of x, times weight, plus bias (float [cols] or [groups][cols]; 0: none of either). out may be x.
  virtual void norm(const NormShape& shape, const Rows& x, uint64_t weight, uint64_t bias, const Rows& out, uint32_t n) = 0;
  // out[t][i] = scale * f(clamp(a)) * (clamp(b) + up_offset) + c, i < cols, with glu's f, clamps and offset; b absent: no factor, c absent:
  // no summand. out may be any operand that reads element i for element i.
  virtual void map(const Glu& glu, float scale, const Operand& a, const Operand& b, const Operand& c, const Rows& out, uint32_t n, uint32_t cols) = 0;
  // Turns heads of x in place. table: float2 (cos, sin) [n][dim/2].
  virtual void rope(const RopeShape& shape, const Rows& x, uint64_t table, uint32_t n) = 0;
  // Row Control.position + t of the cache = the first `cols` floats of row t of x; rows past context_tokens are dropped. Cache rows are
  // row_stride elements apart. With `every`, runs of so many positions share a row, which takes that of their last.
  virtual void store_rows(KvElement element, const Rows& x, uint64_t cache, uint32_t row_stride, uint32_t context_tokens, uint32_t cols, uint32_t n,
                          uint32_t every = 1) = 0;
  // out of each head = that head's matrix times its x. w.rows = heads * (transposed ? cols : rows), w.cols the other. Not transposed and
  // with cols of whole fours, the x of every row and head lies at a multiple of 16 bytes.
  virtual void matmul_heads(const HeadsShape& shape, const Weight& w, const Rows& x, const Rows& out, uint32_t n) = 0;
  // weight: float [channels][kernel], bias: float [channels] or 0. state: float [kernel - 1][channels], the last rows of x, read and
  // brought up to date; taken as zero when Control.position is 0. out must not be x.
  virtual void conv(const ConvShape& shape, const Rows& x, uint64_t weight, uint64_t bias, uint64_t state, const Rows& out, uint32_t n) = 0;
  // q, k: [n][key_heads * key_dim]; v, out: [n][heads * value_dim]. state: float [heads][key_dim][value_dim], brought up to date; taken as
  // zero when Control.position is 0. decay: Rows (kConstant: an address); beta: float [n][heads] or address 0.
  virtual void linear_attention(const LinearAttentionShape& shape, const Rows& q, const Rows& k, const Rows& v, const Rows& decay, const Rows& beta,
                                uint64_t state, const Rows& out, uint32_t n) = 0;
  // x, dt, out: [n][channels]; b, c: [n][state_dim]; a: float [channels][state_dim] (negative), d: float [channels]; state: float
  // [channels][state_dim], taken as zero when Control.position is 0.
  virtual void selective_scan(const SelectiveScanShape& shape, const Rows& x, const Rows& dt, const Rows& b, const Rows& c, uint64_t a, uint64_t d,
                              uint64_t state, const Rows& out, uint32_t n) = 0;
  // mask: uint32 [n][masks][mask_words], as AttentionInputs::mask, bits past the token's own position 0. q: [n][heads * head_dim], at a
  // multiple of 16 bytes like every row; weights: [n][heads], read where heads choose together. keys: [context_tokens][head_dim] elements,
  // row Control.position + t that of token t. scratch: room for the scores of one token or more (SelectShape::token_scratch_bytes); with
  // less than all of them, tokens are worked on in turns.
  virtual void select_positions(const SelectShape& shape, const Rows& q, const Rows& weights, uint64_t keys, const Tensor& scratch, const Tensor& mask,
                                uint32_t n) = 0;
  // out row t: [width], the run's row where token t is the last of one, else zeros. values, scores: [n][cols]. bias: float [ratio][cols].
  // state: float [2][positions][cols]: of the last positions, brought up to date; not read before position 0. Without scores (address 0)
  // there is no bias, nor a second half of the state.
  virtual void compress(const CompressShape& shape, const Rows& values, const Rows& scores, uint64_t bias, uint64_t state, const Rows& out,
                        uint32_t n) = 0;
  // mixes and out: [n][(2 + streams) * streams]; may be the same. scale: float [3], bias: float [(2 + streams) * streams].
  virtual void stream_weights(const StreamShape& shape, const Rows& mixes, uint64_t scale, uint64_t bias, const Rows& out, uint32_t n) = 0;
  // x: [n][ins * width], weights: [n][ins * outs], out: [n][outs * width], which may be x. added: [n][width], added_weights: [n][outs], or
  // neither (address 0).
  virtual void mix_streams(const MixShape& shape, const Rows& x, const Rows& weights, const Rows& added, const Rows& added_weights, const Rows& out,
                           uint32_t n) = 0;
  // out[i] += x[i], i < count: floats.
  virtual void add(const Tensor& x, const Tensor& out, uint32_t count) = 0;
  // out = x (count floats), and only when Control.stop is stop_value: what the host needs of a pass that stopped here.
  virtual void export_stopped(const Tensor& x, const Tensor& out, uint32_t count, uint32_t stop_value) = 0;
  // Pairs per ExpertTile at most.
  static constexpr uint32_t kTilePairs = 8;
};

// Tokens whose scores have room in `scratch_bytes`; at least one, which the caller sees to.
inline uint32_t select_tile(const SelectShape& shape, uint64_t scratch_bytes) {
  HOTSET_CHECK(scratch_bytes >= shape.token_scratch_bytes());
  return static_cast<uint32_t>(std::min<uint64_t>(scratch_bytes / shape.token_scratch_bytes(), UINT32_MAX));
}

// Bytes of scratch that decode attention over one token needs on a device with these limits.
uint64_t attention_scratch_bytes(const DeviceLimits& limits, const AttentionShape& shape);

}  // namespace hotset
