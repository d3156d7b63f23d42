// Sizes and mixes of types that no fixture has: head sizes, vocabularies and numbers of experts that no power of two divides, queries
// that share keys by three and seven, one layer, one expert a token and all of them, gate, up and down of three types. The GPU
// runs the model as it is; the reference is the CPU with the same values in F32, where neither rounds activations.
#include <doctest/doctest.h>

#include "tests/engine/fixture_run.h"
#include "tests/engine/model_rig.h"
#include "tests/engine/odd_model.h"

using namespace hotset;
using namespace hotset::test;
using Type = test::BlockType;

namespace {

constexpr double kMostOddNmse = 1e-7;

std::string blk(uint32_t layer, const char* part) { return "blk." + std::to_string(layer) + "." + part; }

struct Heads {
  uint32_t count;
  uint32_t kv;
  uint32_t dim;
};

struct Types {
  Type attention;
  Type gate;
  Type up;
  Type down;
};

struct Experts {
  uint32_t count;
  uint32_t used;
  uint32_t ff;
};

void add_ends(OddModel& model, uint32_t embd, uint32_t vocab, Type type, bool tied = false) {
  model.matrix("token_embd", {embd, vocab}, type, std::sqrt(static_cast<double>(embd)));
  model.norm("output_norm", embd);
  if (!tied) model.matrix("output", {embd, vocab}, type, 3);
}

void add_heads(OddModel& model, const Heads& heads) {
  model.number("attention.head_count", heads.count).number("attention.head_count_kv", heads.kv);
  model.number("attention.key_length", heads.dim).number("attention.value_length", heads.dim);
}

void add_experts(OddModel& model, const Experts& experts) {
  model.number("expert_count", experts.count).number("expert_used_count", experts.used).number("expert_feed_forward_length", experts.ff);
}

void add_attention(OddModel& model, uint32_t layer, uint32_t embd, const Heads& heads, Type type, bool biases = false) {
  const uint32_t q = heads.count * heads.dim, kv = heads.kv * heads.dim;
  model.norm(blk(layer, "attn_norm"), embd);
  model.matrix(blk(layer, "attn_q"), {embd, q}, type).matrix(blk(layer, "attn_k"), {embd, kv}, type).matrix(blk(layer, "attn_v"), {embd, kv}, type);
  model.matrix(blk(layer, "attn_output"), {q, embd}, type);
  if (!biases) return;
  model.vector(blk(layer, "attn_q.bias"), {q}, 0.3).vector(blk(layer, "attn_k.bias"), {kv}, 0.3).vector(blk(layer, "attn_v.bias"), {kv}, 0.3);
}

void add_query_norms(OddModel& model, uint32_t layer, uint32_t dim) {
  model.norm(blk(layer, "attn_q_norm"), dim).norm(blk(layer, "attn_k_norm"), dim);
}

void add_moe(OddModel& model, uint32_t layer, uint32_t embd, const Experts& experts, const Types& types) {
  model.matrix(blk(layer, "ffn_gate_inp"), {embd, experts.count}, Type::kF32);
  model.matrix(blk(layer, "ffn_gate_exps"), {embd, experts.ff, experts.count}, types.gate);
  model.matrix(blk(layer, "ffn_up_exps"), {embd, experts.ff, experts.count}, types.up);
  model.matrix(blk(layer, "ffn_down_exps"), {experts.ff, embd, experts.count}, types.down);
}

// A dense network, or with "_shexp" shared experts.
void add_dense(OddModel& model, uint32_t layer, uint32_t embd, uint32_t ff, Type type, const std::string& suffix = "") {
  model.matrix(blk(layer, "ffn_gate") + suffix, {embd, ff}, type).matrix(blk(layer, "ffn_up") + suffix, {embd, ff}, type);
  model.matrix(blk(layer, "ffn_down") + suffix, {ff, embd}, type);
}

// One layer, all experts used, queries in threes.
OddModel qwen3moe_whole() {
  const Heads heads = {6, 2, 48};
  const Experts experts = {5, 5, 32};
  OddModel model("qwen3moe", 1, 96, 331);
  add_heads(model, heads);
  add_experts(model, experts);
  add_ends(model, 96, 331, Type::kQ5_1);
  add_attention(model, 0, 96, heads, Type::kIQ4_NL);
  add_query_norms(model, 0, heads.dim);
  model.norm(blk(0, "ffn_norm"), 96);
  add_moe(model, 0, 96, experts, {Type::kF16, Type::kQ8_0, Type::kMXFP4, Type::kF16});
  return model;
}

// Gate and up in one tensor, one expert a token, as many keys as queries, the embedding as output.
OddModel qwen3moe_joined() {
  const Heads heads = {3, 3, 32};
  const Experts experts = {7, 1, 96};
  OddModel model("qwen3moe", 3, 160, 289);
  add_heads(model, heads);
  add_experts(model, experts);
  add_ends(model, 160, 289, Type::kBf16, true);
  for (uint32_t i = 0; i < 3; ++i) {
    add_attention(model, i, 160, heads, i == 1 ? Type::kQ4_1 : Type::kBf16);
    add_query_norms(model, i, heads.dim);
    model.norm(blk(i, "ffn_norm"), 160);
    model.matrix(blk(i, "ffn_gate_inp"), {160, experts.count}, Type::kF32);
    model.matrix(blk(i, "ffn_gate_up_exps"), {160, 2 * experts.ff, experts.count}, i == 2 ? Type::kQ5_0 : Type::kQ8_0);
    model.matrix(blk(i, "ffn_down_exps"), {experts.ff, 160, experts.count}, i == 2 ? Type::kQ8_0 : Type::kQ5_1);
  }
  return model;
}

// Queries in sevens; layers whose experts have other types and so other sizes.
OddModel mixtral() {
  const Heads heads = {7, 1, 64};
  const Experts experts = {3, 2, 160};
  OddModel model("llama", 2, 224, 301);
  add_heads(model, heads);
  add_experts(model, experts);
  model.number("rope.dimension_count", heads.dim);
  add_ends(model, 224, 301, Type::kF16);
  for (uint32_t i = 0; i < 2; ++i) {
    add_attention(model, i, 224, heads, Type::kQ5_0);
    model.norm(blk(i, "ffn_norm"), 224);
    add_moe(model, i, 224, experts, {Type::kF16, i == 0 ? Type::kQ4_0 : Type::kF32, Type::kQ4_0, Type::kBf16});
  }
  return model;
}

// A window of three positions, sinks, biases everywhere.
OddModel gpt_oss() {
  const Heads heads = {9, 3, 32};
  const Experts experts = {11, 4, 64};
  OddModel model("gpt-oss", 3, 96, 293);
  add_heads(model, heads);
  add_experts(model, experts);
  model.number("attention.sliding_window", 3).number("rope.dimension_count", heads.dim);
  model.text("rope.scaling.type", "yarn").real("rope.scaling.factor", 3).number("rope.scaling.original_context_length", 16);
  add_ends(model, 96, 293, Type::kQ8_0);
  for (uint32_t i = 0; i < 3; ++i) {
    add_attention(model, i, 96, heads, Type::kQ8_0, true);
    model.vector(blk(i, "attn_output.bias"), {96}, 0.3).vector(blk(i, "attn_sinks.weight"), {heads.count}, 1);
    model.norm(blk(i, "post_attention_norm"), 96);
    add_moe(model, i, 96, experts, {Type::kQ8_0, Type::kMXFP4, Type::kQ8_0, Type::kQ4_1});
    model.vector(blk(i, "ffn_gate_inp.bias"), {experts.count}, 0.3).vector(blk(i, "ffn_gate_exps.bias"), {experts.ff, experts.count}, 0.3);
    model.vector(blk(i, "ffn_up_exps.bias"), {experts.ff, experts.count}, 0.3).vector(blk(i, "ffn_down_exps.bias"), {96, experts.count}, 0.3);
  }
  return model;
}

// Latent attention of three heads with a latent that is no power of two; experts chosen by groups, with a bias.
OddModel deepseek_v3() {
  constexpr uint32_t kEmbd = 96, kHeads = 3, kLatent = 96, kPlain = 32, kRope = 24, kValue = 64;
  const Experts experts = {15, 3, 32};
  OddModel model("deepseek2", 3, kEmbd, 307);
  model.number("attention.head_count", kHeads).number("attention.head_count_kv", 1).number("rope.dimension_count", kRope);
  model.number("attention.key_length", kLatent + kRope).number("attention.value_length", kLatent);
  model.number("attention.key_length_mla", kPlain + kRope).number("attention.value_length_mla", kValue);
  model.number("attention.q_lora_rank", 64).number("attention.kv_lora_rank", kLatent);
  model.number("leading_dense_block_count", 1).number("feed_forward_length", 160).number("expert_shared_count", 1);
  model.number("expert_gating_func", 2).number("expert_group_count", 5).number("expert_group_used_count", 2);
  model.flag("expert_weights_norm", true).real("expert_weights_scale", 2.5f);
  add_experts(model, experts);
  add_ends(model, kEmbd, 307, Type::kQ8_0);
  for (uint32_t i = 0; i < 3; ++i) {
    model.norm(blk(i, "attn_norm"), kEmbd).norm(blk(i, "attn_q_a_norm"), 64).norm(blk(i, "attn_kv_a_norm"), kLatent);
    model.matrix(blk(i, "attn_q_a"), {kEmbd, 64}, Type::kQ5_1).matrix(blk(i, "attn_q_b"), {64, kHeads * (kPlain + kRope)}, Type::kQ8_0);
    model.matrix(blk(i, "attn_kv_a_mqa"), {kEmbd, kLatent + kRope}, Type::kQ8_0);
    model.matrix(blk(i, "attn_k_b"), {kPlain, kLatent, kHeads}, Type::kQ8_0).matrix(blk(i, "attn_v_b"), {kLatent, kValue, kHeads}, Type::kQ5_0);
    model.matrix(blk(i, "attn_output"), {kHeads * kValue, kEmbd}, Type::kQ4_0);
    model.norm(blk(i, "ffn_norm"), kEmbd);
    if (i == 0) {
      add_dense(model, i, kEmbd, 160, Type::kQ8_0);
      continue;
    }
    add_moe(model, i, kEmbd, experts, {Type::kQ8_0, Type::kQ4_0, Type::kQ5_0, Type::kQ8_0});
    model.vector(blk(i, "exp_probs_b.bias"), {experts.count}, 0.3);
    add_dense(model, i, kEmbd, experts.ff, Type::kQ8_0, "_shexp");
  }
  return model;
}

// Gated delta nets of three value heads on one key head, every second layer full attention with a gate.
OddModel qwen35moe() {
  constexpr uint32_t kEmbd = 160, kState = 32, kValueHeads = 3, kInner = kState * kValueHeads;
  const Heads heads = {3, 1, 64};
  const Experts experts = {6, 3, 32};
  OddModel model("qwen35moe", 3, kEmbd, 311);
  add_heads(model, heads);
  add_experts(model, experts);
  model.number("rope.dimension_count", 16).number("full_attention_interval", 2).number("expert_shared_feed_forward_length", 64);
  model.number("ssm.conv_kernel", 4).number("ssm.state_size", kState).number("ssm.group_count", 1);
  model.number("ssm.time_step_rank", kValueHeads).number("ssm.inner_size", kInner);
  add_ends(model, kEmbd, 311, Type::kQ8_0);
  for (uint32_t i = 0; i < 3; ++i) {
    if (i % 2 == 1) {
      const uint32_t q = heads.count * heads.dim, kv = heads.kv * heads.dim;
      model.norm(blk(i, "attn_norm"), kEmbd).matrix(blk(i, "attn_q"), {kEmbd, 2 * q}, Type::kQ8_0);
      model.matrix(blk(i, "attn_k"), {kEmbd, kv}, Type::kQ4_0).matrix(blk(i, "attn_v"), {kEmbd, kv}, Type::kQ5_0);
      model.matrix(blk(i, "attn_output"), {q, kEmbd}, Type::kQ8_0);
      add_query_norms(model, i, heads.dim);
    } else {
      constexpr uint32_t kMixed = kInner + 2 * kState;
      model.norm(blk(i, "attn_norm"), kEmbd).matrix(blk(i, "attn_qkv"), {kEmbd, kMixed}, Type::kQ8_0);
      model.matrix(blk(i, "attn_gate"), {kEmbd, kInner}, Type::kQ5_1).matrix(blk(i, "ssm_conv1d"), {4, kMixed}, Type::kF32);
      model.vector(blk(i, "ssm_dt.bias"), {kValueHeads}, 0.5).vector(blk(i, "ssm_a"), {kValueHeads}, 0.1, -0.5);
      model.matrix(blk(i, "ssm_beta"), {kEmbd, kValueHeads}, Type::kQ8_0).matrix(blk(i, "ssm_alpha"), {kEmbd, kValueHeads}, Type::kF16);
      model.norm(blk(i, "ssm_norm"), kState).matrix(blk(i, "ssm_out"), {kInner, kEmbd}, Type::kQ8_0);
    }
    model.norm(blk(i, "post_attention_norm"), kEmbd);
    add_moe(model, i, kEmbd, experts, {Type::kQ8_0, Type::kQ4_1, Type::kIQ4_NL, Type::kQ8_0});
    model.vector(blk(i, "ffn_gate_inp_shexp.weight"), {kEmbd}, 0.1);
    add_dense(model, i, kEmbd, 64, Type::kQ5_0, "_shexp");
  }
  return model;
}

// A quarter of small heads rotates; biases, a dense layer first, all but one of nine experts used.
OddModel glm4moe() {
  const Heads heads = {10, 2, 16};
  const Experts experts = {9, 8, 64};
  OddModel model("glm4moe", 2, 64, 317);
  add_heads(model, heads);
  add_experts(model, experts);
  model.number("rope.dimension_count", 4).number("leading_dense_block_count", 1).number("feed_forward_length", 224);
  model.number("expert_shared_count", 1).number("expert_gating_func", 2);
  model.flag("expert_weights_norm", true).real("expert_weights_scale", 1.5f);
  add_ends(model, 64, 317, Type::kQ4_1);
  for (uint32_t i = 0; i < 2; ++i) {
    add_attention(model, i, 64, heads, Type::kQ5_1, true);
    model.norm(blk(i, "post_attention_norm"), 64);
    if (i == 0) {
      add_dense(model, i, 64, 224, Type::kQ5_0);
      continue;
    }
    add_moe(model, i, 64, experts, {Type::kQ8_0, Type::kNVFP4, Type::kQ5_1, Type::kQ4_0});
    model.vector(blk(i, "exp_probs_b.bias"), {experts.count}, 0.3);
    add_dense(model, i, 64, experts.ff, Type::kQ8_0, "_shexp");
  }
  return model;
}

struct OddRow {
  const char* name;
  OddModel (*make)();
};

const OddRow kOddRows[] = {{"qwen3moe, one layer", qwen3moe_whole}, {"qwen3moe, joined", qwen3moe_joined}, {"mixtral", mixtral}, {"gpt-oss", gpt_oss},
                           {"deepseek-v3", deepseek_v3},            {"qwen35moe", qwen35moe},              {"glm4moe", glm4moe}};

ModelFixture as_fixture(const std::string& gguf) {
  ModelFixture fixture;
  fixture.gguf = gguf;
  for (size_t i = 0; i < 19; ++i) fixture.prompt.push_back(static_cast<TokenId>(i * 37 % 256));
  return fixture;
}

// What the CPU makes of the expanded file.
void set_reference(ModelFixture& fixture, const std::string& expanded) {
  EngineOptions options = fixture_options(fixture, "cpu");
  options.model_path = expanded;
  const auto engine = Engine::open(options);
  REQUIRE_MESSAGE(engine.ok(), engine.status().message());
  const auto session = open_session(**engine);
  fixture.logits = all_logits(*session, fixture.prompt, true);
  session->rewind(0);
  CHECK(nmse(all_logits(*session, fixture.prompt, false), fixture.logits) <= kMostOddNmse);
}

}  // namespace

TEST_CASE("odd sizes: the GPU gives the logits that the CPU gives with the same values in F32") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  bool least = false;
  for (const OddRow& row : kOddRows) {
    CAPTURE(row.name);
    const TempFolder folder;
    const OddModel model = row.make();
    ModelFixture fixture = as_fixture(model.write(folder, false));
    set_reference(fixture, model.write(folder, true));
    EngineOptions options = fixture_options(fixture, "vulkan");
    least = !least;  // every second one fits whole, for an engine's kernels take a while to build
    if (least) options.miss = MissChoice::kWait;
    if (least) REQUIRE(give_least_memory(options).ok());
    const auto distance = run_fixture(fixture, options);
    CHECK_MESSAGE(distance.ok(), distance.status().message());
    if (!distance.ok()) continue;
    CHECK(distance->whole <= kMostOddNmse);
    CHECK(distance->single <= kMostOddNmse);
  }
}

TEST_CASE("odd sizes: the CPU, which rounds activations, stays near itself without rounding") {
  for (const OddRow& row : kOddRows) {
    CAPTURE(row.name);
    const TempFolder folder;
    const OddModel model = row.make();
    ModelFixture fixture = as_fixture(model.write(folder, false));
    set_reference(fixture, model.write(folder, true));
    const auto distance = run_fixture(fixture, fixture_options(fixture, "cpu"));
    CHECK_MESSAGE(distance.ok(), distance.status().message());
    if (distance.ok()) CHECK(distance->median <= 1e-2);
  }
}
