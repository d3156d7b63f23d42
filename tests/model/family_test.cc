// Models that cannot be run: one change each to a small model that can. And unusual ones that can.
#include "runtime/model/family.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/engine/model_rig.h"
#include "tests/model/small_model.h"

using namespace hotset;
using test::SmallModel;
using test::SmallShape;

namespace {

bool is_one_line(const std::string& message) {
  return !message.empty() && std::none_of(message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

// `model` is refused in the same words by the family, the report and the engine, and they hold all of `says`.
void check_refused(const SmallModel& model, const std::vector<std::string>& says) {
  const test::TempFolder folder;
  const std::string path = model.write(folder);
  const auto file = GgufFile::open(path);
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  const auto spec = describe_model(**file);
  REQUIRE_FALSE(spec.ok());
  const std::string message = spec.status().message();
  CAPTURE(message);
  CHECK(is_one_line(message));
  for (const std::string& part : says) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
  const auto report = inspect_model(path);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK_FALSE(report->runnable);
  CHECK(report->why_not == message);
  EngineOptions options;
  options.model_path = path;
  const auto engine = Engine::open(options);
  REQUIRE_FALSE(engine.ok());
  CHECK(engine.status().message() == message);
}

void check_described(const SmallModel& model) {
  const test::TempFolder folder;
  const std::string path = model.write(folder);
  const auto file = GgufFile::open(path);
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  const auto spec = describe_model(**file);
  REQUIRE_MESSAGE(spec.ok(), spec.status().message());
  const auto report = inspect_model(path);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK_MESSAGE(report->runnable, report->why_not);
}

struct Broken {
  const char* what;
  std::function<void(SmallModel&)> change;
  std::vector<std::string> says;
};

const std::vector<Broken> kBrokenMetadata = {
    {"unknown architecture", [](SmallModel& m) {
       for (const char* key : {"block_count", "embedding_length", "context_length", "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
         m.metadata[std::string("newmoe.") + key] = m.metadata["qwen3moe." + std::string(key)];
       }
       for (const char* key : {"expert_count", "expert_used_count", "expert_feed_forward_length"}) {
         m.metadata[std::string("newmoe.") + key] = m.metadata["qwen3moe." + std::string(key)];
       }
       m.text("general.architecture", "newmoe");
     }, {"'newmoe'", "qwen3moe"}},
    {"an architecture of control characters", [](SmallModel& m) { m.text("general.architecture", "a\nb"); }, {"a?b.block_count"}},
    {"no experts", [](SmallModel& m) { m.u32("expert_count", 0); }, {"qwen3moe.expert_count", "is 0"}},
    {"experts not stated", [](SmallModel& m) { m.metadata.erase("qwen3moe.expert_count"); }, {"qwen3moe.expert_count", "missing"}},
    {"no expert used", [](SmallModel& m) { m.u32("expert_used_count", 0); }, {"qwen3moe.expert_used_count", "is 0"}},
    {"more experts used than there are", [](SmallModel& m) { m.u32("expert_used_count", 5); }, {"qwen3moe.expert_used_count", "5", "4 experts"}},
    {"top-k above the kernel's", [](SmallModel& m) { m.u32("expert_count", 64).u32("expert_used_count", 33); }, {"33 experts a token", "at most 32"}},
    {"more experts than the kernel's", [](SmallModel& m) { m.u32("expert_count", 1025); }, {"1025 experts a layer", "at most 1024"}},
    {"heads of odd sizes", [](SmallModel& m) { m.u32("attention.key_length", 13).u32("rope.dimension_count", 4); }, {"heads of 13 values"}},
    {"values of odd sizes", [](SmallModel& m) { m.u32("attention.value_length", 21); }, {"heads of 21 values"}},
    {"heads too large", [](SmallModel& m) { m.u32("attention.key_length", 578); }, {"heads of 578 values", "576"}},
    {"values too large", [](SmallModel& m) { m.u32("attention.value_length", 514); }, {"heads of 514 values", "512"}},
    {"heads too narrow together", [](SmallModel& m) { m.u32("attention.head_count", 2).u32("attention.value_length", 8); },
     {"2 attention heads of 8 values", "multiple of 32"}},
    {"heads that kv heads do not divide", [](SmallModel& m) { m.u32("attention.head_count_kv", 3); }, {"4 attention heads", "3 key/value heads"}},
    {"no kv heads", [](SmallModel& m) { m.u32s("attention.head_count_kv", {0, 0}); }, {"without key/value heads"}},
    {"an embedding that is no multiple of 32", [](SmallModel& m) { m.u32("embedding_length", 48); }, {"embedding of 48 values", "multiple of 32"}},
    {"experts whose width is no multiple of 32", [](SmallModel& m) { m.u32("expert_feed_forward_length", 40); },
     {"experts of 40 hidden values", "multiple of 32"}},
    {"unknown routing", [](SmallModel& m) { m.u32("expert_gating_func", 7); }, {"gating function 7"}},
    {"groups that do not divide the experts", [](SmallModel& m) { m.u32("expert_group_count", 3); }, {"expert groups"}},
    {"more tokens than rows", [](SmallModel& m) { m.tokens(27); }, {"'token_embd.weight' is 32 x 26", "wants 32 x 27"}},
    {"fewer tokens than rows", [](SmallModel& m) { m.tokens(25); }, {"'token_embd.weight' is 32 x 26", "wants 32 x 25"}},
    {"a layer more than there is", [](SmallModel& m) { m.u32("block_count", 3); }, {"'blk.2.attn_norm.weight' is missing"}},
    {"more experts than the tensors hold", [](SmallModel& m) { m.u32("expert_count", 5); }, {"'blk.0.ffn_gate_inp.weight' is 32 x 4", "wants 32 x 5"}},
    {"experts wider than the tensors", [](SmallModel& m) { m.u32("expert_feed_forward_length", 96); }, {"'blk.0.ffn_gate_exps.weight'", "32 x 96 x 4"}},
    {"tied to nothing", [](SmallModel& m) { m.tensors.erase("output.weight"), m.tensors.erase("token_embd.weight"); },
     {"'token_embd.weight' is missing"}},
};

}  // namespace

// The matrices of each product, in order.
static std::vector<std::vector<MatrixSpec>> products_of(const ModelSpec& spec) {
  std::vector<std::vector<MatrixSpec>> all;
  for (const std::vector<Step>* steps : {&spec.steps, &spec.head}) {
    for (const Step& step : *steps) {
      const auto* matmul = std::get_if<MatmulStep>(&step);
      if (matmul == nullptr) continue;
      all.emplace_back();
      for (const ProductSpec& product : matmul->products) all.back().push_back(product.matrix);
    }
  }
  return all;
}

TEST_CASE("family: the small model is described as it is") {
  const test::TempFolder folder;
  const std::string path = SmallModel().write(folder);
  const auto file = GgufFile::open(path);
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  const auto spec = describe_model(**file);
  REQUIRE_MESSAGE(spec.ok(), spec.status().message());
  CHECK(spec->embd == 32);
  CHECK(spec->vocab == 26);
  REQUIRE(spec->moes.size() == 2);
  CHECK(products_of(*spec).back()[0].tensor->name == "output.weight");
  const MoeSpec& moe = spec->moes[1];
  CHECK(moe.model_layer == 1);
  CHECK(moe.router.tensor->name == "blk.1.ffn_gate_inp.weight");
  CHECK(moe.pieces[moe.experts.down_piece]->name == "blk.1.ffn_down_exps.weight");
  CHECK(moe.route.experts == 4);
  CHECK(moe.route.used == 2);
  CHECK(moe.route.renormalise);
  for (const Step& step : spec->steps) {
    if (const auto* attend = std::get_if<AttendStep>(&step)) CHECK(attend->shape.scale == 0.25f);
  }
  const auto report = inspect_model(path);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK_MESSAGE(report->runnable, report->why_not);
  CHECK(report->all_expert_bytes == 2 * 4 * 3 * 32 * 64 * 4);
}

TEST_CASE("family: tied output and joined q, k, v") {
  SmallModel model;
  model.tensors.erase("output.weight");
  model.join_qkv();
  const test::TempFolder folder;
  const auto file = GgufFile::open(model.write(folder));
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  const auto spec = describe_model(**file);
  REQUIRE_MESSAGE(spec.ok(), spec.status().message());
  const std::vector<std::vector<MatrixSpec>> products = products_of(*spec);
  CHECK(products.back()[0].tensor->name == "token_embd.weight");
  const std::vector<MatrixSpec>& qkv = products[2];  // of layer 1, after q, k, v and output of layer 0
  REQUIRE(qkv.size() == 3);
  for (const MatrixSpec& matrix : qkv) CHECK(matrix.tensor->name == "blk.1.attn_qkv.weight");
  CHECK(qkv[0].first_row == 0);
  CHECK(qkv[1].first_row == 64);
  CHECK(qkv[2].first_row == 96);
  CHECK(qkv[2].rows == 32);
}

TEST_CASE("family: metadata that cannot be run is refused in one line that names it") {
  for (const Broken& broken : kBrokenMetadata) {
    CAPTURE(broken.what);
    SmallModel model;
    broken.change(model);
    check_refused(model, broken.says);
  }
}

TEST_CASE("family: every tensor is missed by its name") {
  for (const bool joined : {false, true}) {
    SmallModel whole;
    if (joined) whole.join_qkv();
    for (const auto& [name, tensor] : whole.tensors) {
      CAPTURE(name);
      SmallModel model = whole;
      model.tensors.erase(name);
      if (name == "output.weight") check_described(model);
      else if (joined && name.find("attn_qkv") != std::string::npos) check_refused(model, {name.substr(0, 6) + "attn_q.weight' is missing"});
      else check_refused(model, {"'" + name + "' is missing"});
    }
  }
}

TEST_CASE("family: a tensor of another shape is named with both shapes") {
  SmallModel whole;
  SmallModel joined;
  joined.join_qkv();
  whole.tensors.merge(std::map(joined.tensors));
  for (const auto& [name, tensor] : whole.tensors) {
    for (size_t dim = 0; dim <= tensor.dims.size(); ++dim) {
      CAPTURE(name);
      CAPTURE(dim);
      SmallModel model = joined.tensors.count(name) ? joined : SmallModel();
      std::vector<uint64_t>& dims = model.tensors[name].dims;
      std::string is, wants;
      for (const uint64_t size : dims) wants += (wants.empty() ? "" : " x ") + std::to_string(size);
      if (dim == dims.size()) dims.push_back(2);
      else ++dims[dim];
      for (const uint64_t size : dims) is += (is.empty() ? "" : " x ") + std::to_string(size);
      check_refused(model, {"'" + name + "' is " + is + ",", "wants " + wants});
    }
  }
}

TEST_CASE("family: norms of another type are named with it") {
  const SmallModel whole;
  for (const auto& [name, tensor] : whole.tensors) {
    if (name.find("norm") == std::string::npos) continue;
    CAPTURE(name);
    SmallModel model;
    model.tensors[name].type = 1;
    check_refused(model, {"'" + name + "' is F16", "expected F32"});
  }
}

TEST_CASE("family: a tensor of an unknown type is named where it is needed, and else left alone") {
  for (const char* name : {"token_embd.weight", "blk.1.attn_k.weight", "blk.0.ffn_up_exps.weight"}) {
    SmallModel model;
    model.tensors[name].type = 97;
    check_refused(model, {std::string("'") + name + "'", "unknown quantisation type 97"});
    model.tensors[name].type = 9;
    check_refused(model, {std::string("'") + name + "'", "Q8_1"});
  }
  SmallModel model;
  model.tensors["blk.1.something_new.weight"] = {{40, 3}, 97};
  check_described(model);
}

TEST_CASE("family: scales beside a tensor are not passed over in silence") {
  SmallModel model(SmallShape{.embd = 64});
  model.tensors["blk.1.ffn_down_exps.scale"] = {{4}};  // of each expert: of its weight
  check_described(model);
  model.tensors["blk.1.ffn_up_exps.scale"] = {{4}};
  check_refused(model, {"ffn_up_exps.scale"});
}

TEST_CASE("model: small models of unusual shapes run alike as a prompt and token by token") {
  if (!test::has_device()) HOTSET_SKIP("no usable Vulkan device");
  struct Case {
    const char* what;
    SmallShape shape;
    std::function<void(SmallModel&)> change;
  };
  const auto same = [](SmallModel&) {};
  const std::vector<Case> cases = {
      {"as it is", {}, same},
      {"joined q, k, v and tied output", {}, [](SmallModel& m) { m.join_qkv().tensors.erase("output.weight"); }},
      {"narrow heads", {.heads = 4, .kv_heads = 4, .key_length = 8, .value_length = 8}, same},
      {"keys and values of other widths", {.heads = 2, .kv_heads = 1, .key_length = 24, .value_length = 16}, same},
      {"the widest heads", {.layers = 1, .heads = 2, .kv_heads = 1, .key_length = 256, .value_length = 256}, same},
      {"a part that turns", {}, [](SmallModel& m) { m.u32("rope.dimension_count", 6); }},
      {"one token, one expert", {.vocab = 1, .experts = 1, .used = 1, .ff = 32}, same},
      {"all experts at once", {.experts = 32, .used = 32, .ff = 32}, same},
      {"the most experts", {.layers = 1, .experts = 1024, .used = 3, .ff = 32}, same},
      {"F16 matrices", {}, [](SmallModel& m) {
         for (auto& [name, tensor] : m.tensors) tensor.type = tensor.dims.size() > 1 ? 1 : 0;
       }},
  };
  for (const Case& one : cases) {
    CAPTURE(one.what);
    SmallModel model(one.shape);
    one.change(model);
    const test::TempFolder folder;
    EngineOptions options;
    options.model_path = model.write(folder);
    options.kv_type = KvType::kF32;
    options.context_tokens = 64;
    const auto engine = test::open_engine(options);
    const auto session = test::open_session(*engine);
    std::vector<TokenId> prompt;
    for (uint32_t i = 0; i < 21; ++i) prompt.push_back(static_cast<TokenId>(i * 7 % one.shape.vocab));
    const auto together = test::all_logits(*session, prompt, false);
    session->rewind(0);
    const auto singly = test::all_logits(*session, prompt, true);
    REQUIRE(together.size() == size_t{21} * one.shape.vocab);
    CHECK(std::all_of(together.begin(), together.end(), [](float x) { return std::isfinite(x); }));
    CHECK(test::nmse(together, singly) < 1e-6);
  }
}
