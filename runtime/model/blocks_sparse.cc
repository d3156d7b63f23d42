// Blocks: masks of the positions that attention sees.
#include <algorithm>

#include "runtime/model/blocks.h"

namespace hotset {
namespace {

RopeShape turn_of(const IndexerBlock& b, uint32_t heads) {
  const uint32_t first = b.rope_last ? b.shape.head_dim - b.rope_dim : 0;
  return {.heads = heads, .head_stride = b.shape.head_dim, .first = first, .dim = b.rope_dim, .adjacent_pairs = b.adjacent_pairs};
}

// Queries and keys turned, keys into their cache, and the choice.
Value select(Graph& graph, const Value& q, const Value& k, const Value& weights, const IndexerBlock& b) {
  graph.rope(turn_of(b, b.shape.heads), q, b.rope_table);
  graph.rope(turn_of(b, 1), k, b.rope_table);
  const StateId keys = graph.cache(b.shape.head_dim);
  graph.push(StoreRowsStep{k, keys});
  SelectStep step = {.shape = b.shape, .q = q, .weights = weights, .keys = keys, .mask = {}};
  step.shape.together = weights.exists();
  step.mask = graph.mask(step.shape.masks());
  graph.push(step);
  return step.mask;
}

}  // namespace

IndexerBlock indexer_from_metadata(Graph& graph, uint32_t rope_dim, uint32_t rope_table) {
  IndexerBlock b;
  b.shape.heads = graph.number("attention.indexer.head_count", 0);
  b.shape.head_dim = graph.number("attention.indexer.key_length", 0);
  b.shape.top_k = graph.number("attention.indexer.top_k", 0);
  b.shape.block = graph.number("attention.indexer.block_size", 1);
  b.shape.own_blocks = graph.number("attention.indexer.local_blocks", 0);
  graph.require(b.shape.head_dim >= rope_dim && can_select(b.shape), "this indexer");
  b.rope_dim = rope_dim;
  b.rope_table = rope_table;
  return b;
}

Value lightning_mask(Graph& graph, const Value& x, const Value& query, const IndexerBlock& b) {
  graph.require(query.exists(), "an indexer but no latent queries");
  if (!query.exists()) return {};
  const uint32_t dim = b.shape.head_dim;
  const Value q = graph.linear(query, "indexer.attn_q_b", b.shape.heads * dim);
  const Value k = graph.linear(x, "indexer.attn_k", dim);
  const NormShape norm = {.kind = NormKind::kLayer, .cols = dim, .eps = b.norm_eps};
  graph.norm_into(k, norm, graph.vector("indexer.k_norm.weight", dim), graph.vector("indexer.k_norm.bias", dim), k);
  return select(graph, q, k, graph.linear(x, "indexer.proj", b.shape.heads), b);
}

Value block_mask(Graph& graph, const Value& x, const IndexerBlock& b) {
  const uint32_t dim = b.shape.head_dim;
  const Value q = graph.linear(x, "indexer.q_proj", b.shape.heads * dim);
  const Value k = graph.linear(x, "indexer.k_proj", dim);
  NormShape norm = {.groups = b.shape.heads, .cols = dim, .eps = graph.config().norm_epsilon};
  graph.norm_into(q, norm, graph.vector("indexer.q_norm.weight", dim), nullptr, q);
  norm.groups = 1;
  graph.norm_into(k, norm, graph.vector("indexer.k_norm.weight", dim), nullptr, k);
  return select(graph, q, k, {}, b);
}

Value run_mask(Graph& graph, const Value& x, const IndexerBlock& b, const RopeSpec& rope, uint32_t ratio) {
  const uint32_t dim = b.shape.head_dim, heads = b.shape.heads;
  const Value q = graph.linear(x, "indexer.q_proj", heads * dim);
  const NormShape norm = {.groups = heads, .cols = dim, .eps = graph.config().norm_epsilon};
  graph.norm_into(q, norm, graph.vector("indexer.q_norm.weight", dim), nullptr, q);
  graph.rope(turn_of(b, heads), q, b.rope_table);

  const CompressShape mean = {.width = dim, .ratio = ratio};
  CompressStep compress = {.shape = mean, .values = graph.linear(x, "indexer.k_proj", dim), .scores = {}, .out = graph.value(dim)};
  compress.state = graph.fixed_state(static_cast<uint32_t>(mean.state_floats(false)));
  graph.push(compress);
  const Value key = compress.out;
  graph.norm_into(key, {.cols = dim, .eps = norm.eps}, graph.vector("indexer.k_norm.weight", dim), nullptr, key);
  RopeSpec first = rope;
  first.every = ratio;
  graph.rope(turn_of(b, 1), key, graph.rope_table(first));
  SelectStep step = {.shape = b.shape, .q = q, .weights = graph.value(heads), .keys = graph.cache(dim, ratio), .mask = graph.mask(1), .spread = true};
  graph.push(StoreRowsStep{key, step.keys});
  graph.map({.glu = {.f = Activation::kNone}, .a = {.constant = graph.constant({1}), .period = 1}, .b = {}, .c = {}, .out = step.weights});
  step.shape.every = ratio;
  step.shape.top_k = std::max(1u, b.shape.top_k / ratio);
  graph.push(step);
  return step.mask;
}

}  // namespace hotset
