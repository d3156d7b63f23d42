// Blocks: feed-forward networks, routed and shared experts, the whole decoder.
#include "runtime/model/blocks.h"

namespace hotset {
namespace {

// Networks of relu(x)^2 have no gate (Nemotron); the others must have one.
bool has_gate(const Glu& glu) { return glu.f != Activation::kReluSquared; }

Value hidden_of(Graph& graph, const Value& x, uint32_t ff, const Glu& glu, const std::string& suffix) {
  const std::string gate = "ffn_gate" + suffix;
  const std::string up = "ffn_up" + suffix;
  const TensorInfo* only_up = graph.has(gate + ".weight") ? nullptr : graph.tensor(up + ".weight");
  if (only_up != nullptr && only_up->dims[1] == 2 * uint64_t{ff}) {  // both in one, the gate first
    const Value both = graph.linear(x, up, 2 * ff);
    return graph.glu(glu, both.columns(0, ff), both.columns(ff, ff));
  }
  if (!has_gate(glu)) {
    const Value hidden = graph.linear(x, up, ff);
    graph.map({.glu = {.f = glu.f, .alpha = glu.alpha}, .a = {.value = hidden}, .b = {}, .c = {}, .out = hidden});
    return hidden;
  }
  const std::vector<Value> both = graph.linear_each(x, {{gate.c_str(), ff}, {up.c_str(), ff}});
  return graph.glu(glu, both[0], both[1]);
}

uint32_t add_piece(MoeSpec& moe, const TensorInfo* tensor) {
  moe.pieces.push_back(tensor);
  return static_cast<uint32_t>(moe.pieces.size() - 1);
}

BlockType type_of(const TensorInfo* tensor) { return tensor != nullptr ? tensor->type : BlockType::kF32; }

// gate and up lie in two tensors, joined in one (gate rows, then up rows of each expert), or there is no gate.
void find_up(Graph& graph, const std::string& kind, MoeSpec& moe) {
  const uint32_t experts = held_experts(moe);
  for (const char* part : {"ffn_gate", "ffn_up", "ffn_gate_up"}) graph.require(!graph.has(part + kind + ".scale"), part + kind + ".scale");
  ExpertShape& e = moe.experts;
  if (graph.has("ffn_gate_up" + kind + ".weight")) {
    const TensorInfo* both = graph.stack("ffn_gate_up" + kind + ".weight", experts, 2 * e.ff, e.embd);
    e.gate_piece = e.up_piece = add_piece(moe, both);
    e.gate_type = e.up_type = type_of(both);
    const auto row = row_bytes(e.up_type, e.embd);
    if (row.ok()) e.up_piece_offset = static_cast<uint32_t>(*row * e.ff);
    else graph.fail(row.status());
    return;
  }
  e.has_gate = has_gate(e.glu);
  if (e.has_gate) {
    const TensorInfo* gate = graph.stack("ffn_gate" + kind + ".weight", experts, e.ff, e.embd);
    e.gate_piece = add_piece(moe, gate);
    e.gate_type = type_of(gate);
  }
  const TensorInfo* up = graph.stack("ffn_up" + kind + ".weight", experts, e.ff, e.embd);
  e.up_piece = add_piece(moe, up);
  e.up_type = type_of(up);
}

uint32_t find_bias(Graph& graph, const std::string& part, uint32_t size, MoeSpec& moe) {
  if (!graph.has(part)) return ExpertShape::kNone;
  const TensorInfo* bias = graph.stack(part, held_experts(moe), 0, size);
  graph.require(type_of(bias) == BlockType::kF32, "quantised biases of experts (" + part + ")");
  return add_piece(moe, bias);
}

// The matrices of the layer's experts: ffn_gate`kind` and so on.
void find_experts(Graph& graph, const std::string& kind, MoeSpec& moe) {
  ExpertShape& e = moe.experts;
  find_up(graph, kind, moe);
  const TensorInfo* down = graph.stack("ffn_down" + kind + ".weight", held_experts(moe), e.embd, e.ff);
  e.down_piece = add_piece(moe, down);
  e.down_type = type_of(down);
  graph.require(!graph.has("ffn_gate_up" + kind + ".bias"), "joined biases of experts");
  e.gate_bias_piece = find_bias(graph, "ffn_gate" + kind + ".bias", e.ff, moe);
  e.up_bias_piece = find_bias(graph, "ffn_up" + kind + ".bias", e.ff, moe);
  e.down_bias_piece = find_bias(graph, "ffn_down" + kind + ".bias", e.embd, moe);
}

}  // namespace

void feed_forward(Graph& graph, const Value& x, const Value& out, uint32_t ff, const Glu& glu, const std::string& suffix) {
  graph.linear_add(hidden_of(graph, x, ff, glu, suffix), "ffn_down" + suffix, out);
}

Value feed_forward_alone(Graph& graph, const Value& x, uint32_t ff, const Glu& glu, const std::string& suffix) {
  return graph.linear(hidden_of(graph, x, ff, glu, suffix), "ffn_down" + suffix, x.width);
}

MoeBlock moe_from_metadata(Graph& graph, Gating gating, bool renormalise) {
  const ModelConfig& config = graph.config();
  MoeBlock block;
  block.gating = gating;
  if (config.expert_gating_function == 1) block.gating = Gating::kSoftmax;
  if (config.expert_gating_function == 2) block.gating = Gating::kSigmoid;
  if (config.expert_gating_function == 4) block.gating = Gating::kSqrtSoftplus;
  graph.require(config.expert_gating_function <= 4, "the expert gating function " + std::to_string(config.expert_gating_function));
  block.renormalise = config.expert_weights_norm.value_or(renormalise);
  const float scale = config.expert_weights_scale.value_or(1.0f);
  block.scale = scale != 0 ? scale : 1;  // 0 stands for none
  block.groups = std::max(1u, graph.number("expert_group_count", 1));
  block.groups_used = std::max(1u, graph.number("expert_group_used_count", 1));
  graph.require(config.experts % block.groups == 0 && block.groups_used <= block.groups, "these expert groups");
  block.ff = config.expert_feed_forward;
  return block;
}

void routed_experts(Graph& graph, const Value& x, const Value& out, const MoeBlock& block) {
  const ModelConfig& config = graph.config();
  const bool shared_evenly = block.sharers != 0 && config.experts % block.sharers == 0;
  graph.require(shared_evenly, std::to_string(config.experts) + " experts in groups of " + std::to_string(block.sharers));
  if (!shared_evenly) return;
  MoeSpec moe;
  moe.input = graph.whole(x);
  moe.router_input = block.router_input.exists() ? graph.whole(block.router_input) : moe.input;
  moe.out = out;
  moe.router = graph.matrix("ffn_gate_inp.weight", config.experts, moe.router_input.width);
  moe.route = {config.experts, config.experts_used, block.renormalise, block.scale, block.gating, block.groups, block.groups_used, block.least_sum, block.sharers};
  moe.logit_bias = graph.vector_if("ffn_gate_inp.bias", config.experts);
  moe.choice_bias = graph.vector_if(graph.has("exp_probs_b.bias") ? "exp_probs_b.bias" : "exp_probs_b", config.experts);
  if (graph.has("ffn_gate_tid2eid.weight")) moe.token_experts = graph.table("ffn_gate_tid2eid.weight", graph.vocab(), config.experts_used);
  moe.expert_scales = graph.vector_if("ffn_down" + block.kind + ".scale", held_experts(moe));
  moe.experts.embd = x.width;
  moe.experts.ff = block.ff;
  moe.experts.used = config.experts_used;
  moe.experts.glu = block.glu;
  moe.experts.weight_on_input = block.weight_on_input;
  find_experts(graph, block.kind, moe);
  graph.push_moe(std::move(moe));
}

uint32_t shared_width(const Graph& graph) {
  const TensorInfo* down = graph.tensor("ffn_down_shexp.weight");
  return down == nullptr ? 0 : static_cast<uint32_t>(down->dims[0]);
}

void shared_experts(Graph& graph, const Value& x, const Value& out, uint32_t ff, const Glu& glu) {
  if (!graph.has("ffn_up_shexp.weight")) return;
  if (!graph.has("ffn_gate_inp_shexp.weight")) {
    feed_forward(graph, x, out, ff, glu, "_shexp");
    return;
  }
  const Value gate = graph.multiply(x, graph.matrix("ffn_gate_inp_shexp.weight", 1, x.width));
  const Value shared = feed_forward_alone(graph, x, ff, glu, "_shexp");
  graph.map({.glu = {.f = Activation::kSigmoid}, .a = {.value = gate}, .b = {}, .c = {}, .out = gate});
  graph.map({.glu = {.f = Activation::kNone}, .a = {.value = shared}, .b = {.value = gate, .period = 1}, .c = {.value = out}, .out = out});
}

void experts_or_dense(Graph& graph, const Value& x, const Value& out, const MoeBlock& block) {
  if (!graph.has("ffn_gate_inp.weight")) {
    if (graph.config().is_moe() && !graph.has("ffn_up.weight")) graph.need("ffn_gate_inp.weight");
    feed_forward(graph, x, out, graph.config().layer_feed_forward[graph.layer()], block.glu);
    return;
  }
  shared_experts(graph, x, out, shared_width(graph), block.glu);
  routed_experts(graph, x, out, block);
}

void decoder(Graph& graph, const DecoderBlock& block, const LayerFunction& layer) {
  const uint32_t all = graph.config().layers;
  const uint32_t predicting = std::min(all, graph.number("nextn_predict_layers", 0));
  const uint32_t count = block.layers != 0 ? block.layers : all - predicting;
  const Value x = graph.embed();
  graph.scale(x, block.embedding_scale);
  for (uint32_t i = 0; i < count; ++i) {
    graph.begin_layer(i);
    layer(graph, i, x);
  }
  graph.begin_head(x);
  const Value logits = graph.output(graph.norm(x, block.output_norm));
  if (block.logit_softcap > 0) {
    graph.map({.glu = {.f = Activation::kTanh, .alpha = block.logit_scale / block.logit_softcap}, .scale = block.logit_softcap, .a = {.value = logits}, .b = {},
               .c = {}, .out = logits});
  } else {
    graph.scale(logits, block.logit_scale);
  }
}

}  // namespace hotset
