// Blocks: the parts that families are composed of, written down in a Graph. Each reads the tensors of the graph's current layer by
// their usual names and takes what the file has: biases, norms of heads, joined matrices, sinks.
#pragma once

#include <functional>

#include "runtime/model/graph.h"

namespace hotset {

// ---- rotation

// What the metadata says of the rotation of `dim` dims: base, linear or YaRN scaling, and the factors of rope_freqs.weight or
// rope_factors_{short,long}.weight.
RopeSpec rope_from_metadata(Graph& graph, uint32_t dim);
RopeSpec rope_from_metadata(Graph& graph, uint32_t dim, float base);

// ---- windows

// Whether layer `layer` slides: attention.sliding_window_pattern as a list of bools, or as a period p: all but the last of p
// layers (with dense_first: all but the first). No pattern in the file: `period` is taken; 0: none slides.
bool slides(Graph& graph, uint32_t layer, uint32_t period, bool dense_first = false);

// ---- attention

// attn_gate x, through a function, times the output: a number a channel or a head, or as the tensor is shaped.
// kInQuery: attn_q gives query and gate of each head, one after the other.
enum class OutputGate { kNone, kChannel, kHead, kByTensor, kInQuery };

struct AttentionBlock {
  uint32_t heads = 0;
  uint32_t kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t value_dim = 0;
  float scale = 0;
  uint32_t rope_dim = 0;          // 0: no rotation
  uint32_t rope_table = 0;
  bool adjacent_pairs = false;
  bool norm_after_rope = false;   // q and k norms
  bool unit_norms = false;        // q and k are normed without weights where the file has none
  uint32_t window = 0;
  uint32_t chunk = 0;
  float softcap = 0;
  float clamp_qkv = 0;            // 0: none
  float value_scale = 1;
  uint32_t position_scale = Value::kNone;  // of q
  bool norm_values = false;       // v is normed without weights
  bool may_lack_values = false;   // where the file has no attn_v, the values are the keys as they come
  OutputGate gate = OutputGate::kNone;
  Activation gate_function = Activation::kSigmoid;
  Value mask;                     // as AttendStep::mask
};

// Heads, dims and scale 1/sqrt(head_dim) as the metadata gives them for the current layer; rotation of all rope_dimensions.
AttentionBlock attention_from_metadata(Graph& graph);

// Grouped-query attention of x (normed): projections (attn_q, attn_k, attn_v, or joined attn_qkv), norms (attn_q_norm, attn_k_norm, of
// heads or of whole vectors), rotation, cache, attention with attn_sinks. Before the output projection: [heads * value_dim].
Value grouped_attention(Graph& graph, const Value& x, const AttentionBlock& block);

// Latent attention (DeepSeek-V2, section 2.1): keys and values are products of one latent vector of `latent` floats a token; the cache
// holds that and a rotated part shared by all heads. Matrices of keys are absorbed into the queries.
struct LatentBlock {
  uint32_t heads = 0;
  uint32_t plain_dim = 0;   // of q and k, without rotation
  uint32_t rope_dim = 0;
  uint32_t value_dim = 0;
  uint32_t latent = 0;
  uint32_t query_latent = 0;  // 0: q is one product
  float scale = 0;
  uint32_t rope_table = 0;
  bool rotates = true;
  bool adjacent_pairs = true;
  uint32_t window = 0;
  uint32_t position_scale = Value::kNone;
  OutputGate gate = OutputGate::kNone;
  Value mask;               // as AttendStep::mask
};

// Dims, ranks and scale as the metadata gives them (attention.kv_lora_rank, key_length_mla, ...; YaRN's multiplier squared in the scale).
LatentBlock latent_from_metadata(Graph& graph);

// The latent query, normed: what attn_q_b and an indexer read; none where q is one product.
Value latent_query(Graph& graph, const Value& x, const LatentBlock& block);
// Before the output projection: [heads * value_dim]. `query` is latent_query's.
Value latent_attention(Graph& graph, const Value& x, const Value& query, const LatentBlock& block);

// ---- sparse attention: masks of the positions that attention sees, for AttentionBlock and LatentBlock

struct IndexerBlock {
  SelectShape shape;
  uint32_t rope_dim = 0;      // of queries and keys: the leading dims, or the last
  bool rope_last = false;
  uint32_t rope_table = 0;
  bool adjacent_pairs = false;
  float norm_eps = 1e-6f;     // of lightning_mask's keys
};

// Sizes as attention.indexer.* gives them.
IndexerBlock indexer_from_metadata(Graph& graph, uint32_t rope_dim, uint32_t rope_table);

// DeepSeek-V3.2's lightning indexer: queries from the latent query (indexer.attn_q_b), keys (indexer.attn_k, normed) and weights of heads
// (indexer.proj) from x, normed. One mask.
Value lightning_mask(Graph& graph, const Value& x, const Value& query, const IndexerBlock& block);
// MiniMax-M3: queries and keys from x, normed (indexer.q_proj, indexer.k_proj). A mask a head.
Value block_mask(Graph& graph, const Value& x, const IndexerBlock& block);
// Qwen4: whole runs of `ratio` positions, by queries (indexer.q_proj) and the mean of each run's keys (indexer.k_proj), which is normed and
// turned to the run's first position. `rope` is that of block.rope_table. One mask.
Value run_mask(Graph& graph, const Value& x, const IndexerBlock& block, const RopeSpec& rope, uint32_t ratio);

// ---- recurrent parts; what they give goes through the output projection (ssm_out, attn_output, shortconv.out_proj)

// Qwen3-Next's gated delta net, with the sizes of ssm.*; head h reads key head h % key heads where they are tiled. The normed output is
// multiplied by `gate` of z.
Value gated_delta_net(Graph& graph, const Value& x, bool tiled_heads, Activation gate = Activation::kSilu);
// Where the metadata gives a lower bound l < 0 of the log decay, it is l * sigmoid(a * (x + bias)) in place of a softplus; with
// `a_is_negative` the file holds -a.
Value kimi_delta_attention(Graph& graph, const Value& x, bool a_is_negative = true);
Value mamba2(Graph& graph, const Value& x);
Value mamba1(Graph& graph, const Value& x);
Value short_convolution(Graph& graph, const Value& x, uint32_t kernel);
// Linear attention whose heads forget at fixed rates, scaled by `slope_scale` (MiniMax-01).
Value lightning_attention(Graph& graph, const Value& x, float slope_scale);

// ---- residual streams (hyper-connections), side by side in one value

// `count` copies of x.
Value split_streams(Graph& graph, const Value& x, uint32_t count);
// What a part of the layer reads of the streams and how its output goes back into them, by `part`_fn, _scale and _base ("hc_attn").
struct StreamRead {
  Value x;
  Value weights;  // as StreamShape; for add_to_streams one a stream
};
StreamRead read_streams(Graph& graph, const Value& streams, const std::string& part, const StreamShape& shape);
void write_streams(Graph& graph, const StreamRead& read, const Value& output, const Value& streams, const StreamShape& shape);
// What the head reads of them, by output_hc_fn, _scale and _base.
Value join_streams(Graph& graph, const Value& streams, const StreamShape& shape);

// Hunyuan 4: streams that keep themselves; a part reads and writes by 2 * streams numbers only, in the order of StreamShape, what it writes
// times `magnitude` in place of 2, plus eps.
StreamRead read_kept_streams(Graph& graph, const Value& streams, const std::string& part, const StreamShape& shape, float magnitude);
// Qwen4: every stream is normed (`part`_norm), gated by channels through a low rank (`part`_down, _up), and their mean is read; what is
// written is weighed by `part`_inject, where `writes`.
StreamRead read_gated_streams(Graph& graph, const Value& streams, const std::string& part, uint32_t count, bool writes = true);
// streams += the output, times weight s for stream s: for both of these.
void add_to_streams(Graph& graph, const StreamRead& read, const Value& output, const Value& streams);

// ---- feed-forward

// out += down(glu(gate x, up x)), with ffn_gate`suffix` and so on, or both in ffn_up; without a gate where f is relu squared.
void feed_forward(Graph& graph, const Value& x, const Value& out, uint32_t ff, const Glu& glu = {}, const std::string& suffix = "");
// The same, not added to anything.
Value feed_forward_alone(Graph& graph, const Value& x, uint32_t ff, const Glu& glu = {}, const std::string& suffix = "");

struct MoeBlock {
  Value router_input;             // none: the experts' input
  Gating gating = Gating::kSoftmax;
  bool renormalise = true;
  float scale = 1;
  uint32_t groups = 1;
  uint32_t groups_used = 1;
  float least_sum = 0;
  Glu glu;
  bool weight_on_input = false;
  uint32_t ff = 0;                // of an expert
  uint32_t sharers = 1;           // so many experts that the router tells apart share one
  std::string kind = "_exps";     // of the tensors: ffn_gate_exps
};

// Gating function, norm, scale, groups and width as the metadata gives them; what it leaves open is the family's habit.
MoeBlock moe_from_metadata(Graph& graph, Gating gating, bool renormalise);

// out += the routed experts of x: router ffn_gate_inp (with bias), choice bias exp_probs_b, experts ffn_{gate,up,down}`kind` or joined
// ffn_gate_up`kind`, with biases and scales where the file has them.
void routed_experts(Graph& graph, const Value& x, const Value& out, const MoeBlock& block);

// out += shared experts ffn_*_shexp of `ff`, where the file has them; times sigmoid(ffn_gate_inp_shexp x) where it has that.
void shared_experts(Graph& graph, const Value& x, const Value& out, uint32_t ff, const Glu& glu = {});

// out += the layer's feed-forward part on x: shared and routed experts where it has a router, else a dense network.
void experts_or_dense(Graph& graph, const Value& x, const Value& out, const MoeBlock& block);

// The width of the current layer's shared experts: that of their tensor.
uint32_t shared_width(const Graph& graph);

// ---- the whole

// Embedding, layers, output_norm, output. `layer` writes layer i, which changes x.
struct DecoderBlock {
  float embedding_scale = 1;
  float logit_scale = 1;
  float logit_softcap = 0;   // logits become cap * tanh(logits / cap)
  const char* output_norm = "output_norm";
  uint32_t layers = 0;       // 0: config().layers less the next-token-prediction layers (nextn_predict_layers)
};
using LayerFunction = std::function<void(Graph& graph, uint32_t layer, const Value& x)>;
void decoder(Graph& graph, const DecoderBlock& block, const LayerFunction& layer);

}  // namespace hotset
