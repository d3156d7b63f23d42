#include "runtime/model/workspace.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/test_support.h"

using namespace hotset;

namespace {

// Layers of different shapes: each of them is the largest in something.
ModelSpec uneven_spec(uint32_t vocab) {
  ModelSpec spec;
  spec.embd = 96;
  spec.vocab = vocab;
  spec.rope = {24, 10000, 1};
  for (const uint32_t i : {0u, 1u, 2u}) {
    LayerSpec layer;
    layer.attention.shape.heads = i == 0 ? 8 : 4;
    layer.attention.shape.kv_heads = i == 1 ? 4 : 2;
    layer.attention.shape.head_dim = 24;
    layer.attention.shape.value_dim = i == 2 ? 40 : 16;
    layer.attention.shape.rope_dim = 24;
    layer.moe.route = {i == 1 ? 20u : 12u, i == 2 ? 5u : 3u, true, 1};
    layer.moe.experts.embd = spec.embd;
    layer.moe.experts.ff = i == 0 ? 160 : 32;
    layer.moe.experts.used = layer.moe.route.used;
    spec.layers.push_back(layer);
  }
  return spec;
}

struct Need {
  const char* name;
  Tensor tensor;
  uint64_t least_bytes;
};

// All tensors of the workspace and the bytes that any layer of `spec` may touch.
std::vector<Need> needs_of(const Workspace& w, const ModelSpec& spec, uint64_t batch) {
  std::vector<Need> needs = {
      {"x", w.x, batch * spec.embd * 4},          {"normed", w.normed, batch * spec.embd * 4},
      {"control", w.control, sizeof(shaders::Control)},
      {"tokens", w.tokens, batch * 4},            {"rope", w.rope, batch * spec.rope.dim * 4},
      {"tiles", w.tiles, w.max_tiles * sizeof(shaders::ExpertTile)},
      {"logits", w.logits, uint64_t{w.logit_rows} * spec.vocab * 4},
      {"attention_scratch", w.attention_scratch, 0},
  };
  for (const LayerSpec& layer : spec.layers) {
    const AttentionShape& a = layer.attention.shape;
    const uint64_t used = layer.moe.route.used;
    needs.insert(needs.end(), {{"q", w.q, batch * a.heads * a.head_dim * 4},
                               {"k", w.k, batch * a.kv_heads * a.head_dim * 4},
                               {"v", w.v, batch * a.kv_heads * a.value_dim * 4},
                               {"attended", w.attended, batch * a.heads * a.value_dim * 4},
                               {"scores", w.scores, batch * layer.moe.route.experts * 4},
                               {"weights", w.weights, batch * used * 4},
                               {"hidden", w.hidden, batch * used * layer.moe.experts.ff * 4},
                               {"parts", w.parts, batch * used * spec.embd * 4},
                               {"addresses", w.addresses, used * 8},
                               {"pairs", w.pairs, batch * used * 4},
                               {"route_log", w.route_log, spec.layers.size() * used * 4},
                               {"ids", w.ids, batch * used * 4}});
  }
  return needs;
}

void check_tensors(const Workspace& workspace, const ModelSpec& spec, uint32_t batch) {
  std::vector<Need> needs = needs_of(workspace, spec, batch);
  for (const Need& need : needs) {
    CAPTURE(need.name);
    CHECK(need.tensor.size_bytes > 0);
    CHECK(need.tensor.size_bytes >= need.least_bytes);
    CHECK(need.tensor.address % 16 == 0);
  }
  std::sort(needs.begin(), needs.end(), [](const Need& a, const Need& b) { return a.tensor.address < b.tensor.address; });
  for (size_t i = 1; i < needs.size(); ++i) {
    const Tensor& before = needs[i - 1].tensor;
    if (before.address == needs[i].tensor.address && std::string(needs[i - 1].name) == needs[i].name) continue;
    CAPTURE(needs[i - 1].name);
    CAPTURE(needs[i].name);
    CHECK(before.address + before.size_bytes <= needs[i].tensor.address);
  }
}

// Keys and values of every layer have room for the context and lie apart.
void check_kv(const Workspace& workspace, const ModelSpec& spec, const WorkspaceShape& shape, uint64_t layer_bytes) {
  std::vector<Tensor> pieces;
  for (uint32_t i = 0; i < spec.layers.size(); ++i) {
    const AttentionShape& a = spec.layers[i].attention.shape;
    const uint64_t element = kv_element_bytes(shape.kv);
    const KvCacheView view = workspace.kv(i);
    const uint64_t values_bytes = uint64_t{shape.context_tokens} * a.kv_heads * a.value_dim * element;
    pieces.push_back({view.keys, uint64_t{shape.context_tokens} * a.kv_heads * a.head_dim * element});
    pieces.push_back({view.values, values_bytes});
    CHECK(view.keys % 16 == 0);
    CHECK(view.values % 16 == 0);
    CHECK(view.values + values_bytes <= view.keys + layer_bytes);
  }
  CHECK(workspace.kv_bytes() == layer_bytes * spec.layers.size());
  std::sort(pieces.begin(), pieces.end(), [](const Tensor& a, const Tensor& b) { return a.address < b.address; });
  for (size_t i = 1; i < pieces.size(); ++i) CHECK(pieces[i - 1].address + pieces[i - 1].size_bytes <= pieces[i].address);
}

void check_workspace(Device& device, const ModelSpec& spec, const WorkspaceShape& shape) {
  DeviceMemory memory(device, uint64_t{1} << 30);
  const WorkspaceBytes bytes = Workspace::plan(&device.limits(), spec, shape);
  const auto made = Workspace::create(memory, spec, shape);
  REQUIRE_MESSAGE(made.ok(), made.status().message());
  Workspace& workspace = **made;
  uint64_t charge = spec.layers.size() * memory.charge_of(bytes.kv_layer, MemoryKind::kDevice).value();
  charge += memory.charge_of(bytes.scratch, MemoryKind::kDevice).value() + memory.charge_of(bytes.shared, MemoryKind::kShared).value();
  charge += memory.charge_of(bytes.readback, MemoryKind::kReadback).value();
  CHECK(memory.used_bytes() == charge);
  check_tensors(workspace, spec, shape.batch_tokens);
  check_kv(workspace, spec, shape, bytes.kv_layer);
  CHECK(workspace.logit_rows >= 1);
  CHECK(workspace.logit_rows <= shape.batch_tokens);
  CHECK(workspace.host<shaders::Control>(workspace.control).size() == 1);
  CHECK(workspace.host<shaders::Control>(workspace.control)[0].stop == 0);
  CHECK(workspace.host<uint32_t>(workspace.tokens).size() == shape.batch_tokens);
  CHECK(workspace.host<float>(workspace.logits).size() == size_t{workspace.logit_rows} * spec.vocab);
  // The host's views lie in mapped memory to their last byte.
  for (const Tensor& tensor : {workspace.tiles, workspace.ids, workspace.logits}) {
    const auto view = workspace.host<std::byte>(tensor);
    view.front() = view.back() = std::byte{1};
  }
}

}  // namespace

TEST_CASE("workspace: what is made is what was planned, and no tensor overlaps another") {
  const auto device = Device::open({});
  if (!device.ok()) HOTSET_SKIP("no usable Vulkan device");
  for (const KvElement kv : {KvElement::kF16, KvElement::kF32}) {
    for (const uint32_t batch : {1u, 7u, 64u}) {
      for (const uint32_t vocab : {1u, 1000u, 3'000'000u}) {  // the last: a row of logits is larger than what is set aside for them
        CAPTURE(batch);
        CAPTURE(vocab);
        check_workspace(**device, uneven_spec(vocab), {33, batch, kv});
      }
    }
  }
}

TEST_CASE("workspace: a plan without a device lacks a few KiB at most; a larger batch or context takes more") {
  const ModelSpec spec = uneven_spec(500);
  const WorkspaceBytes small = Workspace::plan(nullptr, spec, {64, 8, KvElement::kF16});
  const WorkspaceBytes large = Workspace::plan(nullptr, spec, {128, 16, KvElement::kF32});
  CHECK(large.scratch > small.scratch);
  CHECK(large.shared > small.shared);
  CHECK(large.readback > small.readback);
  CHECK(large.kv_layer >= 4 * small.kv_layer - 1024);
  const auto device = Device::open({});
  if (!device.ok()) HOTSET_SKIP("no usable Vulkan device");
  const WorkspaceBytes exact = Workspace::plan(&(*device)->limits(), spec, {64, 8, KvElement::kF16});
  CHECK(exact.scratch >= small.scratch);
  CHECK(exact.scratch - small.scratch <= 256 * 1024);
  CHECK(exact.shared == small.shared);
  CHECK(exact.readback == small.readback);
  CHECK(exact.kv_layer == small.kv_layer);
}

TEST_CASE("workspace: one that does not fit the budget is refused and gives all back") {
  const auto device = Device::open({});
  if (!device.ok()) HOTSET_SKIP("no usable Vulkan device");
  const ModelSpec spec = uneven_spec(500);
  const WorkspaceShape shape = {64, 8, KvElement::kF16};
  uint64_t whole = 0;
  {
    DeviceMemory memory(**device, uint64_t{1} << 30);
    REQUIRE(Workspace::create(memory, spec, shape).ok());
    whole = memory.peak_bytes();
  }
  DeviceMemory memory(**device, whole - 1);
  const auto refused = Workspace::create(memory, spec, shape);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == Code::kOverBudget);
  CHECK(memory.used_bytes() == 0);
  DeviceMemory exact(**device, whole);
  CHECK(Workspace::create(exact, spec, shape).ok());
}
