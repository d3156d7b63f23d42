#include "runtime/engine/loaded_model.h"

#include <algorithm>

#include "platform/bytes.h"
#include "platform/file.h"
#include "platform/log.h"
#include "platform/threads.h"
#include "runtime/engine/backend_choice.h"
#include "runtime/engine/link_file.h"
#include "runtime/model/family.h"

namespace hotset {
namespace {

// Of what the device has free, when no budget is given: peers measured twofold losses past the edge of VRAM.
constexpr double kDefaultBudgetShare = 0.9;
constexpr uint32_t kMostBatchTokens = 8192;  // a dispatch has a workgroup row a token; Vulkan promises 65535
constexpr uint64_t kUploadStagingBytes = 8u << 20;
constexpr uint64_t kBudgetSteps = 8;  // VRAM is taken back in no smaller part of the budget, so that the cache does not swing

uint64_t resolve_budget(const EngineOptions& options, const DeviceBudget& device) {
  if (!options.vram) return static_cast<uint64_t>(static_cast<double>(device.free_bytes) * kDefaultBudgetShare);
  const uint64_t wanted = options.vram->resolve(device.free_bytes);
  if (wanted > device.free_bytes) {
    log_line(LogLevel::kWarn, "the VRAM budget of %s is more than the device has free; %s are used", format_bytes(wanted).c_str(),
             format_bytes(device.free_bytes).c_str());
  }
  return std::min(wanted, device.free_bytes);
}

ByteRange range_of(const TensorInfo* tensor) { return {tensor->part, tensor->file_offset_bytes, tensor->size_bytes}; }

}  // namespace

Result<ExpertTable> build_expert_table(const GgufFile& file, const ModelSpec& spec) {
  std::vector<uint64_t> part_sizes;
  for (size_t i = 0; i < file.part_count(); ++i) part_sizes.push_back(file.part(i).size_bytes());
  ExpertTableBuilder builder(std::move(part_sizes));
  for (const MoeSpec& moe : spec.moes) {
    std::vector<ByteRange> tensors;
    for (const TensorInfo* piece : moe.pieces) tensors.push_back(range_of(piece));
    HOTSET_RETURN_IF_ERROR(builder.add_stacked_layer(moe.route.experts, tensors));
  }
  return std::move(builder).build();
}

Result<uint32_t> pick_context(uint32_t wanted_tokens, const ModelConfig& config) {
  if (wanted_tokens == 0) return std::min(config.context_length, kDefaultContextTokens);
  constexpr uint32_t kMostTokens = 1u << 24;
  if (wanted_tokens > kMostTokens) return error(Code::kInvalidArgument, "a context of %u tokens is more than the %u that can be run", wanted_tokens, kMostTokens);
  if (wanted_tokens > config.context_length) {
    log_line(LogLevel::kWarn, "a context of %u tokens is longer than the %u that the model was made for", wanted_tokens, config.context_length);
  }
  return wanted_tokens;
}

Result<std::unique_ptr<LoadedModel>> LoadedModel::open(const EngineOptions& options, const GgufFile& file) {
  std::unique_ptr<LoadedModel> loaded(new LoadedModel());
  HOTSET_RETURN_IF_ERROR(loaded->describe(options, file));
  HOTSET_RETURN_IF_ERROR(loaded->plan_budget(options));
  const std::optional<LinkProbe> probe = loaded->probe_device(options);
  HOTSET_RETURN_IF_ERROR(loaded->allocate());
  HOTSET_RETURN_IF_ERROR(loaded->load_dense(options, file));
  const LinkRates rates = probe ? probe->rates : LinkRates{};
  const std::optional<CopyPath> copy_path = probe ? std::optional(probe->copy_path) : std::nullopt;
  HOTSET_ASSIGN(loaded->tiers_, ExpertTiers::create({options, file, loaded->spec_, *loaded->experts_, *loaded->backend_, *loaded->memory_, loaded->plan_,
                                                     loaded->slabs_, loaded->slab_plan_, rates, copy_path, loaded->device_table_}));
  HOTSET_RETURN_IF_ERROR(loaded->load_experts(options));
  return loaded;
}

Status LoadedModel::describe(const EngineOptions& options, const GgufFile& file) {
  HOTSET_ASSIGN(spec_, describe_model(file));
  if (options.dense_attention) see_all_positions(spec_);
  HOTSET_ASSIGN(ExpertTable experts, build_expert_table(file, spec_));
  experts_ = std::make_unique<ExpertTable>(std::move(experts));
  HOTSET_ASSIGN(backend_, open_backend(options));
  return ok_status();
}

Status LoadedModel::plan_budget(const EngineOptions& options) {
  if (options.batch_tokens == 0 || options.batch_tokens > kMostBatchTokens) {
    return error(Code::kInvalidArgument, "a batch of %u tokens cannot be run: 1 to %u can", options.batch_tokens, kMostBatchTokens);
  }
  HOTSET_ASSIGN(const uint32_t context, pick_context(options.context_tokens, spec_.config));
  const uint64_t budget = resolve_budget(options, backend_->budget());
  memory_ = backend_->make_memory(budget);
  vram_budget_bytes_ = budget;
  WorkspaceShape shape;
  shape.context_tokens = context;
  shape.batch_tokens = std::min(options.batch_tokens, context);
  shape.kv = options.kv_type == KvType::kF16 ? KvElement::kF16 : KvElement::kF32;
  HOTSET_ASSIGN(plan_, plan_memory(*memory_, spec_, *experts_, budget, shape));
  if (plan_.workspace.batch_tokens < shape.batch_tokens) {
    log_line(LogLevel::kInfo, "prompts go in chunks of %u tokens so that activations fit the VRAM budget", plan_.workspace.batch_tokens);
  }
  return ok_status();
}

// Before anything takes the budget. Advice: without it misses are served as best guessed.
std::optional<LinkProbe> LoadedModel::probe_device(const EngineOptions& options) {
  if (memory_->of_host() || options.miss != MissChoice::kAuto) return std::nullopt;
  uint64_t slots = 0;
  for (const uint32_t count : plan_.slots_per_class) slots += count;
  if (slots == experts_->count()) return std::nullopt;
  const auto cache = cache_directory();
  LinkProbeOptions probe_options;
  probe_options.meter.threads = resolve_threads(options.threads);
  auto probe = probe_links(*memory_, probe_options, cache.ok() ? *cache : std::string());
  if (probe.ok()) return *probe;
  log_line(LogLevel::kInfo, "links were not measured: %s", probe.status().message().c_str());
  return std::nullopt;
}

Status LoadedModel::allocate() {
  HOTSET_ASSIGN(workspace_, Workspace::create(*memory_, spec_, plan_.workspace));
  HOTSET_ASSIGN(device_table_, memory_->allocate(std::max<uint64_t>(experts_->count(), 1) * sizeof(uint64_t), MemoryKind::kShared, "expert table"));
  if (memory_->of_host()) return ok_status();
  HOTSET_ASSIGN(slab_plan_, plan_all_slabs(*experts_, plan_.slots_per_class, spec_.config.experts_used, max_slot_slab_bytes(memory_->limits(), *experts_)));
  for (size_t i = 0; i < slab_plan_.slab_bytes.size(); ++i) {
    Buffer slab;
    if (slab_plan_.open[i]) {
      HOTSET_ASSIGN(slab, memory_->allocate(slab_plan_.slab_bytes[i] + kSlabPadding, MemoryKind::kDevice, "expert slots"));
    }
    slabs_.push_back(std::move(slab));
  }
  return ok_status();
}

Status LoadedModel::load_dense(const EngineOptions& options, const GgufFile& file) {
  const auto uploader = backend_->make_uploader(*memory_, kUploadStagingBytes);
  uint64_t total_bytes = experts_->total_bytes();
  for (const uint64_t bytes : plan_.dense_slab_bytes) total_bytes += bytes;
  const auto progress = [&](uint64_t done) { return !options.on_progress || options.on_progress({done, total_bytes}); };
  HOTSET_ASSIGN(weights_, DenseWeights::load(file, spec_, *memory_, *uploader, max_slab_bytes(backend_->limits()), progress));
  return ok_status();
}

Status LoadedModel::load_experts(const EngineOptions& options) {
  const uint64_t dense_bytes = weights_->size_bytes();
  const auto progress = [&](uint64_t done, uint64_t total) {
    return !options.on_progress || options.on_progress({dense_bytes + done, dense_bytes + total});
  };
  return tiers_->load(progress);
}

Status LoadedModel::set_vram_budget(uint64_t budget_bytes) {
  const std::lock_guard guard(lock_);
  backend_->wait_idle();
  HOTSET_RETURN_IF_ERROR(tiers_->set_vram_budget(budget_bytes));
  vram_budget_bytes_ = budget_bytes;
  return ok_status();
}

Status LoadedModel::set_ram_budget(uint64_t budget_bytes) {
  const std::lock_guard guard(lock_);
  backend_->wait_idle();
  return tiers_->set_ram_budget(budget_bytes);
}

void LoadedModel::follow_driver_budget() {
  if (memory_->of_host() || memory_->budget_bytes() == 0) return;
  const DeviceBudget now = backend_->budget();
  if (!now.from_driver || now.process_used_bytes == 0) return;
  const uint64_t used = memory_->used_bytes();
  // What the driver would let this process hold, less what of it is not ours.
  const uint64_t others = now.process_used_bytes - std::min(now.process_used_bytes, used);
  const uint64_t granted = now.process_used_bytes + now.free_bytes - others;
  const uint64_t wanted = std::min(vram_budget_bytes_, granted);
  const bool squeezed = granted < used;
  const bool room_again = tiers_->can_grow() && used < vram_budget_bytes_ && wanted > used + vram_budget_bytes_ / kBudgetSteps;
  if (!squeezed && !room_again) return;
  backend_->wait_idle();
  const Status followed = tiers_->set_vram_budget(wanted);
  log_line(LogLevel::kInfo, "the driver has %s of VRAM for this process: %s", format_bytes(granted).c_str(),
           followed.ok() ? "the expert cache follows" : followed.message().c_str());
}

Model LoadedModel::model() {
  return {*backend_, spec_, *weights_, *experts_, tiers_->residency(), tiers_->cpu_experts(), tiers_->prefetch(), device_table_.address()};
}

}  // namespace hotset
