#include "runtime/model/layers.h"

namespace hotset {
namespace {

// `tensor` from row `row` on, with rows of `row_bytes`.
Tensor rows_from(const Tensor& tensor, uint64_t row, uint64_t row_bytes) {
  return {tensor.address + row * row_bytes, tensor.size_bytes - row * row_bytes};
}

}  // namespace

Layers::Layers(const Model& model, Workspace& workspace, Ops& ops) : model_(model), ws_(workspace), ops_(ops) {
  for (uint32_t i = 0; i < model.spec.layers.size(); ++i) {
    AttentionShape attention = model.spec.layers[i].attention.shape;
    attention.context_tokens = workspace.shape().context_tokens;
    attention.kv = workspace.shape().kv;
    attention_shapes_.push_back(attention);
    ExpertShape experts = model.spec.layers[i].moe.experts;
    experts.gate_offset = static_cast<uint32_t>(model.experts.piece_offset_bytes(i, 0));
    experts.up_offset = static_cast<uint32_t>(model.experts.piece_offset_bytes(i, 1));
    experts.down_offset = static_cast<uint32_t>(model.experts.piece_offset_bytes(i, 2));
    expert_shapes_.push_back(experts);
  }
}

void Layers::embed(uint32_t n) { ops_.embed(model_.weights.matrix(model_.spec.embedding), ws_.tokens.address, ws_.x, n); }

void Layers::attention(uint32_t layer, uint32_t n, Phase phase) {
  const LayerSpec& spec = model_.spec.layers[layer];
  const AttentionShape& shape = attention_shapes_[layer];
  const DenseWeights& weights = model_.weights;
  const float eps = model_.spec.norm_eps;
  ops_.rms_norm(ws_.x, weights.vector(spec.attention_norm), ws_.normed, n, model_.spec.embd, eps);
  const MatrixProduct qkv[] = {{weights.matrix(spec.attention.q), ws_.q}, {weights.matrix(spec.attention.k), ws_.k}, {weights.matrix(spec.attention.v), ws_.v}};
  ops_.matmul_each(qkv, ws_.normed, n, phase);
  ops_.store_kv(shape, ws_.q, ws_.k, ws_.v, weights.vector(spec.attention.q_norm), weights.vector(spec.attention.k_norm), ws_.rope.address,
                ws_.kv(layer), n);
  ops_.attention(shape, ws_.q, ws_.kv(layer), ws_.attended, ws_.attention_scratch, n, phase);
  ops_.matmul(weights.matrix(spec.attention.output), ws_.attended, ws_.x, n, phase, &ws_.x);
  ops_.rms_norm(ws_.x, weights.vector(spec.ffn_norm), ws_.normed, n, model_.spec.embd, eps);
}

void Layers::router(uint32_t layer, uint32_t n, Phase phase, bool guess) {
  const std::vector<LayerSpec>& layers = model_.spec.layers;
  const MatrixProduct own = {model_.weights.matrix(layers[layer].moe.router), ws_.scores};
  if (!guess || layer + 1 == layers.size()) {
    ops_.matmul(own.weight, ws_.normed, own.out, n, phase);
    return;
  }
  const MatrixProduct both[] = {own, {model_.weights.matrix(layers[layer + 1].moe.router), ws_.guess_scores}};
  ops_.matmul_each(both, ws_.normed, n, phase);
}

void Layers::route_decode(uint32_t layer) {
  const RouteShape& shape = model_.spec.layers[layer].moe.route;
  const uint64_t log_bytes = uint64_t{shape.used} * sizeof(uint32_t);
  const Tensor log = {ws_.route_log.address + layer * log_bytes, log_bytes};
  const uint64_t table = model_.device_table + uint64_t{layer} * shape.experts * sizeof(uint64_t);
  ops_.route(shape, ws_.scores, log, ws_.weights, 1, table, &ws_.addresses, stop_value(layer));
}

void Layers::guess_next(uint32_t layer) {
  if (layer + 1 == model_.spec.layers.size()) return;
  const RouteShape& shape = model_.spec.layers[layer + 1].moe.route;
  const uint64_t log_bytes = uint64_t{shape.used} * sizeof(uint32_t);
  ops_.route(shape, ws_.guess_scores, {ws_.guess_log.address + layer * log_bytes, log_bytes}, ws_.guess_weights, 1);
}

void Layers::export_stopped(uint32_t layer) {
  ops_.export_stopped(ws_.normed, ws_.host_normed, model_.spec.embd, stop_value(layer));
  ops_.export_stopped(ws_.weights, ws_.host_weights, model_.spec.layers[layer].moe.route.used, stop_value(layer));
}

void Layers::add_cpu_part() { ops_.add(ws_.cpu_part, ws_.x, model_.spec.embd); }

void Layers::route_batch(uint32_t layer, uint32_t n) { ops_.route(model_.spec.layers[layer].moe.route, ws_.scores, ws_.ids, ws_.weights, n); }

void Layers::experts_decode(uint32_t layer) {
  ops_.expert_up(expert_shapes_[layer], ws_.addresses, ws_.weights, ws_.normed, ws_.hidden);
  ops_.expert_down(expert_shapes_[layer], ws_.addresses, ws_.weights, ws_.hidden, ws_.x);
}

void Layers::experts_batch(uint32_t layer, uint32_t first_tile, uint32_t tile_count) {
  const uint64_t tiles = ws_.tiles.address + first_tile * sizeof(shaders::ExpertTile);
  ops_.expert_up_batch(expert_shapes_[layer], tiles, tile_count, ws_.pairs.address, ws_.weights, ws_.normed, ws_.hidden);
  ops_.expert_down_batch(expert_shapes_[layer], tiles, tile_count, ws_.pairs.address, ws_.hidden, ws_.parts);
}

void Layers::combine(uint32_t layer, uint32_t n) { ops_.combine(expert_shapes_[layer], ws_.weights, ws_.parts, ws_.x, n); }

void Layers::head(uint32_t first_row, uint32_t rows, Phase phase) {
  const ModelSpec& spec = model_.spec;
  const Tensor x = rows_from(ws_.x, first_row, uint64_t{spec.embd} * sizeof(float));
  ops_.rms_norm(x, model_.weights.vector(spec.output_norm), ws_.normed, rows, spec.embd, spec.norm_eps);
  ops_.matmul(model_.weights.matrix(spec.output), ws_.normed, ws_.logits, rows, phase);
}

}  // namespace hotset
