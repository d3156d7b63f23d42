#include "runtime/model/workspace.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/test_support.h"

using namespace hotset;

namespace {

// Values of different widths and lives, states of both kinds, layers of experts of which each is the largest in something.
ModelSpec uneven_spec(uint32_t vocab) {
  ModelSpec spec;
  spec.embd = 96;
  spec.vocab = vocab;
  spec.ropes = {{.dim = 24}, {.dim = 8}};
  spec.position_scales = {{0.1f, 8192, 1}};
  spec.constants = {{1, 2, 3}};
  spec.values = {{96}, {192}, {48}, {500}, {vocab}, {96}};
  spec.states = {{StateKind::kCache, 48, 1}, {StateKind::kCache, 80, 4}, {StateKind::kFixed, 1000, 1}};
  const auto value = [&](uint32_t id) { return Value{id, 0, spec.values[id].width}; };
  const auto map = [&](uint32_t from, uint32_t to) { spec.steps.push_back(MapStep{.a = {.value = value(from)}, .b = {}, .c = {}, .out = value(to)}); };
  spec.steps.push_back(EmbedStep{{}, value(0)});
  map(0, 1);  // 1 dies where 2 is born, so that 3 may lie where 1 lay
  map(1, 2);
  map(2, 3);
  map(3, 0);
  for (const uint32_t i : {0u, 1u, 2u}) {
    MoeSpec moe;
    moe.route.experts = i == 1 ? 20u : 12u;
    moe.route.used = i == 2 ? 5u : 3u;
    moe.experts.embd = spec.embd;
    moe.experts.ff = i == 0 ? 160 : 32;
    moe.experts.used = moe.route.used;
    moe.input = moe.router_input = moe.out = value(0);
    spec.moes.push_back(moe);
    spec.steps.push_back(MoeStep{i});
  }
  spec.head.push_back(MapStep{.a = {.value = value(0)}, .b = {}, .c = {}, .out = value(5)});
  spec.head.push_back(MatmulStep{{{{}, value(4)}}, value(5), {}});
  spec.head_input = value(0);
  spec.logits = value(4);
  return spec;
}

struct Need {
  const char* name;
  Tensor tensor;
  uint64_t least_bytes;
};

// All tensors of the workspace that live all the time, and the bytes that any layer of `spec` may touch.
std::vector<Need> needs_of(const Workspace& w, const ModelSpec& spec, uint64_t batch) {
  std::vector<Need> needs = {
      {"x", w.value(0), batch * spec.embd * 4},
      {"control", w.control, sizeof(shaders::Control)},
      {"tokens", w.tokens, batch * 4},
      {"rope 0", w.rope(0), batch * 24 * 4},
      {"rope 1", w.rope(1), batch * 8 * 4},
      {"position scale", w.position_scale(0), batch * 4},
      {"constant", w.constant(0), 3 * 4},
      {"tiles", w.tiles, w.max_tiles * sizeof(shaders::ExpertTile)},
      {"logits", w.logits, uint64_t{w.logit_rows} * spec.vocab * 4},
      {"attention_scratch", w.attention_scratch, 0},
      {"host_input", w.host_input, spec.embd * 4},
  };
  for (const MoeSpec& moe : spec.moes) {
    const uint64_t used = moe.route.used;
    needs.insert(needs.end(), {{"scores", w.scores, batch * moe.route.experts * 4},
                               {"weights", w.weights, batch * used * 4},
                               {"hidden", w.hidden, batch * used * moe.experts.ff * 4},
                               {"parts", w.parts, batch * used * spec.embd * 4},
                               {"addresses", w.addresses, used * 8},
                               {"pairs", w.pairs, batch * used * 4},
                               {"route_log", w.route_log, spec.moes.size() * used * 4},
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

// Values that are alive together lie apart, and the logits where the host reads them.
void check_values(const Workspace& workspace, const ModelSpec& spec, uint64_t batch) {
  const auto apart = [&](uint32_t a, uint32_t b) {
    const Tensor& one = workspace.value(a);
    const Tensor& other = workspace.value(b);
    CHECK((one.address + batch * spec.values[a].width * 4 <= other.address || other.address + batch * spec.values[b].width * 4 <= one.address));
  };
  for (const auto& [a, b] : {std::pair(0u, 1u), {0u, 2u}, {0u, 3u}, {1u, 2u}, {2u, 3u}, {0u, 5u}}) apart(a, b);
  CHECK(workspace.value(4).address == workspace.logits.address);
}

// Every state has room for the context and lies apart from the others.
void check_states(const Workspace& workspace, const ModelSpec& spec, const WorkspaceShape& shape) {
  std::vector<Tensor> pieces;
  for (StateId i = 0; i < spec.states.size(); ++i) {
    const StateSpec& state = spec.states[i];
    const uint64_t rows = (shape.context_tokens + state.every - 1) / state.every;
    const uint64_t bytes = state.kind == StateKind::kFixed ? state.width * sizeof(float) : rows * state.width * kv_element_bytes(shape.kv);
    pieces.push_back({workspace.state(i), bytes});
    CHECK(workspace.state(i) % 16 == 0);
  }
  std::sort(pieces.begin(), pieces.end(), [](const Tensor& a, const Tensor& b) { return a.address < b.address; });
  for (size_t i = 1; i < pieces.size(); ++i) CHECK(pieces[i - 1].address + pieces[i - 1].size_bytes <= pieces[i].address);
}

void check_workspace(Device& device, const ModelSpec& spec, const WorkspaceShape& shape) {
  DeviceMemory memory(device, uint64_t{1} << 30);
  const WorkspaceBytes bytes = Workspace::plan(&device.limits(), spec, shape);
  const auto made = Workspace::create(memory, spec, shape);
  REQUIRE_MESSAGE(made.ok(), made.status().message());
  Workspace& workspace = **made;
  uint64_t charge = 0;
  for (const uint64_t state : bytes.states) charge += memory.charge_of(state, MemoryKind::kDevice).value();
  charge += memory.charge_of(bytes.scratch, MemoryKind::kDevice).value() + memory.charge_of(bytes.shared, MemoryKind::kShared).value();
  charge += memory.charge_of(bytes.readback, MemoryKind::kReadback).value();
  CHECK(memory.used_bytes() == charge);
  check_tensors(workspace, spec, shape.batch_tokens);
  check_values(workspace, spec, shape.batch_tokens);
  check_states(workspace, spec, shape);
  CHECK(workspace.state_bytes() == bytes.all_states());
  CHECK(workspace.host<float>(workspace.constant(0))[2] == 3);
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
  CHECK(large.states[0] >= 4 * small.states[0] - 1024);
  const auto device = Device::open({});
  if (!device.ok()) HOTSET_SKIP("no usable Vulkan device");
  const WorkspaceBytes exact = Workspace::plan(&(*device)->limits(), spec, {64, 8, KvElement::kF16});
  CHECK(exact.scratch >= small.scratch);
  CHECK(exact.scratch - small.scratch <= 256 * 1024);
  CHECK(exact.shared == small.shared);
  CHECK(exact.readback == small.readback);
  CHECK(exact.states == small.states);
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

TEST_CASE("workspace: a context of 128k asks for a mask of every token, and for the scores of few at a time") {
  ModelSpec spec = uneven_spec(500);
  const WorkspaceShape shape = {131072, 512, KvElement::kF16};
  const uint64_t without = Workspace::plan(nullptr, spec, shape).scratch;
  spec.values.insert(spec.values.end(), {{64 * 128}, {64}, {1, 32}});
  spec.steps.push_back(SelectStep{.shape = {.heads = 64, .head_dim = 128, .top_k = 2048}, .q = {6, 0, 64 * 128}, .weights = {7, 0, 64}, .keys = 0, .mask = {8, 0, 1}});
  const uint64_t with = Workspace::plan(nullptr, spec, shape).scratch;
  const uint64_t values = uint64_t{512} * (64 * 128 + 64 + 131072 / 32) * sizeof(float);
  CHECK(with >= without + uint64_t{512} * 131072 / 8);
  CHECK(with <= without + values + (16u << 20) + 4096);
}
