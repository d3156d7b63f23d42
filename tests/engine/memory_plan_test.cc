#include "runtime/engine/memory_plan.h"

#include <doctest/doctest.h>

#include <numeric>

#include "runtime/engine/loaded_model.h"
#include "runtime/model/family.h"
#include "tests/engine/model_rig.h"
#include "tests/model/small_model.h"

using namespace hotset;

namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 40;

// A model on a device, ready to be planned; nothing of it is loaded.
struct Planner {
  std::unique_ptr<Device> device;
  std::unique_ptr<DeviceMemory> memory;
  std::unique_ptr<GgufFile> file;
  ModelSpec spec;
  std::unique_ptr<ExpertTable> experts;

  // False where the machine has no usable device.
  bool open(const std::string& path) {
    auto opened = Device::open({});
    if (!opened.ok()) return false;
    device = std::move(opened).value();
    memory = std::make_unique<DeviceMemory>(*device, kPlenty);
    file = GgufFile::open(path).value();
    spec = describe_model(*file).value();
    experts = std::make_unique<ExpertTable>(build_expert_table(*file, spec).value());
    return true;
  }
  Result<MemoryPlan> plan(uint64_t budget_bytes, const WorkspaceShape& shape) const {
    return plan_memory(*memory, spec, *experts, budget_bytes, shape);
  }
  uint64_t least(const WorkspaceShape& shape) const { return plan(kPlenty, shape).value().least_bytes; }
  // The smallest budget that holds everything at the batch wanted.
  uint64_t everything(const WorkspaceShape& shape) const {
    const MemoryPlan whole = plan(kPlenty, shape).value();
    return whole.fixed_bytes() + whole.slot_bytes;
  }
};

uint64_t slot_count(const MemoryPlan& plan) { return std::accumulate(plan.slots_per_class.begin(), plan.slots_per_class.end(), uint64_t{0}); }

// Makes every buffer of the plan under its budget.
void check_charges(const Planner& model, const MemoryPlan& plan) {
  DeviceMemory memory(*model.device, plan.budget_bytes);
  std::vector<Buffer> buffers;
  const auto take = [&](uint64_t size_bytes, MemoryKind kind) {
    auto buffer = memory.allocate(size_bytes, kind, "planned");
    REQUIRE_MESSAGE(buffer.ok(), buffer.status().message());
    buffers.push_back(std::move(buffer).value());
  };
  for (const uint64_t bytes : plan.dense_slab_bytes) take(bytes, MemoryKind::kDevice);
  const auto workspace = Workspace::create(memory, model.spec, plan.workspace);
  REQUIRE_MESSAGE(workspace.ok(), workspace.status().message());
  take(model.experts->count() * sizeof(uint64_t), MemoryKind::kShared);
  for (const uint64_t bytes : plan.slab_bytes) take(bytes + kSlabPadding, MemoryKind::kDevice);
  CHECK(memory.used_bytes() == plan.fixed_bytes() + plan.slot_bytes);
  CHECK(memory.peak_bytes() <= plan.budget_bytes);
}

// A batch below the one wanted is chosen only when the next larger one would not fit, or would take more than its share
// while not all experts fit.
void check_batch(const Planner& model, const MemoryPlan& plan, const WorkspaceShape& wanted) {
  CHECK(plan.workspace.context_tokens == wanted.context_tokens);
  REQUIRE(plan.workspace.batch_tokens <= wanted.batch_tokens);
  if (plan.workspace.batch_tokens == wanted.batch_tokens) return;
  CHECK(plan.workspace.batch_tokens >= kLeastBatchTokens);
  uint32_t larger = wanted.batch_tokens;
  while (larger / 2 > plan.workspace.batch_tokens) larger /= 2;
  WorkspaceShape shape = wanted;
  shape.batch_tokens = larger;
  const MemoryPlan free = model.plan(kPlenty, shape).value();
  CHECK(free.fixed_bytes() + free.slot_bytes > plan.budget_bytes);
  const uint64_t others = free.dense_bytes + free.kv_bytes + free.table_bytes;
  const bool fits = free.fixed_bytes() + (plan.least_bytes - others) <= plan.budget_bytes;
  CHECK((!fits || free.workspace_bytes > (plan.budget_bytes - std::min(plan.budget_bytes, others)) / 8));
}

void check_budgets(const Planner& model, const WorkspaceShape& shape) {
  CAPTURE(shape.context_tokens);
  CAPTURE(shape.batch_tokens);
  const uint64_t least = model.least(shape);
  const uint64_t everything = model.everything(shape);
  REQUIRE(least < everything);
  CHECK(model.plan(least, shape).ok());
  for (const uint64_t too_small : {least - 1, uint64_t{1}, uint64_t{0}}) {
    const auto refused = model.plan(too_small, shape);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.status().code() == Code::kOverBudget);
    CHECK(refused.status().message().find("(" + std::to_string(least) + " bytes)") != std::string::npos);
    CHECK(refused.status().message().find('\n') == std::string::npos);
  }
  MemoryPlan before = model.plan(least, shape).value();
  constexpr uint64_t kSteps = 60;
  for (uint64_t step = 0; step <= kSteps + 2; ++step) {
    const uint64_t budget = least + (everything - least) * step / kSteps + step % 7;
    CAPTURE(budget);
    const auto planned = model.plan(budget, shape);
    REQUIRE_MESSAGE(planned.ok(), planned.status().message());
    const MemoryPlan& plan = *planned;
    CHECK(plan.budget_bytes == budget);
    CHECK(plan.fixed_bytes() + plan.slot_bytes <= budget);
    CHECK(plan.least_bytes == least);
    CHECK(slot_count(plan) >= 2 * model.spec.config.experts_used);
    CHECK(slot_count(plan) <= model.experts->count());
    // More budget never means fewer slots, but for what a larger batch takes.
    if (plan.workspace.batch_tokens == before.workspace.batch_tokens) CHECK(slot_count(plan) >= slot_count(before));
    CHECK(plan.workspace.batch_tokens >= before.workspace.batch_tokens);
    CHECK(plan.fixed_bytes() + plan.slot_bytes + model.experts->class_record_bytes(SizeClassId{model.experts->classes() - 1}) >=
          before.fixed_bytes() + before.slot_bytes);
    check_batch(model, plan, shape);
    if (step % 20 == 0) check_charges(model, plan);
    before = plan;
  }
  CHECK(slot_count(before) == model.experts->count());
  CHECK(before.workspace.batch_tokens == shape.batch_tokens);
}

}  // namespace

TEST_CASE("memory plan: every budget from the least to everything is kept") {
  Planner model;
  if (!model.open(test::model_path("storyteller-35m-q4_k_m.gguf"))) HOTSET_SKIP("no usable Vulkan device");
  check_budgets(model, {512, 512, KvElement::kF16});
  check_budgets(model, {100, 100, KvElement::kF32});
  check_budgets(model, {64, 1, KvElement::kF16});
}

TEST_CASE("memory plan: a model smaller than its padding") {
  const test::TempFolder folder;
  Planner model;
  if (!model.open(test::SmallModel().write(folder))) HOTSET_SKIP("no usable Vulkan device");
  check_budgets(model, {64, 64, KvElement::kF16});
  check_budgets(model, {1, 1, KvElement::kF32});
}

TEST_CASE("model: the least budget runs, a byte less is refused, and no budget is passed") {
  if (!test::has_device()) HOTSET_SKIP("no usable Vulkan device");
  const test::TempFolder folder;
  EngineOptions options;
  options.model_path = test::SmallModel({.experts = 16, .used = 3}).write(folder);
  options.context_tokens = 64;
  const uint64_t least = test::least_vram_bytes(options);
  options.vram = ByteSize{least - 1, 0, false};
  CHECK(Engine::open(options).status().code() == Code::kOverBudget);
  std::vector<float> first;
  for (const uint64_t more : {0u, 1u, 20'000u, 100'000u, 10'000'000u}) {
    CAPTURE(more);
    options.vram = ByteSize{least + more, 0, false};
    const auto engine = test::open_engine(options);
    const auto session = test::open_session(*engine);
    const auto logits = test::all_logits(*session, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, true);
    if (first.empty()) first = logits;
    CHECK(logits == first);
    const SessionStats stats = session->stats();
    CHECK(stats.vram_peak_bytes <= least + more);
  }
}
