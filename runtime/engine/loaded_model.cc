#include "runtime/engine/loaded_model.h"

#include <algorithm>
#include <cmath>

#include "platform/bytes.h"
#include "platform/file.h"
#include "platform/log.h"
#include "platform/os_file.h"
#include "platform/threads.h"
#include "runtime/engine/backend_choice.h"
#include "runtime/engine/kernel_probe.h"
#include "runtime/engine/link_file.h"
#include "runtime/engine/serving_tokens.h"
#include "runtime/model/family.h"

namespace hotset {
namespace {

// Of what the device has free, when no budget is given: peers measured twofold losses past the edge of VRAM.
constexpr double kDefaultBudgetShare = 0.9;
constexpr uint64_t kMostServingFileBytes = 64 << 10;
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

// Whether an earlier start measured these ways; if so their times are set.
bool keeps_times(const std::string& path, const ServingOwner& owner, std::span<TriedWay> ways) {
  if (path.empty() || !file_exists(path)) return false;
  const auto text = read_whole_file(path, kMostServingFileBytes);
  const Status read = text.ok() ? read_serving_file(*text, owner, ways) : text.status();
  if (read.ok()) return true;
  for (TriedWay& way : ways) way.time = {};
  log_line(LogLevel::kInfo, "the ways to serve misses are tried anew, '%s' is not used: %s", path.c_str(), read.message().c_str());
  return false;
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
    HOTSET_RETURN_IF_ERROR(builder.add_stacked_layer(held_experts(moe), tensors));
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
  loaded->file_ = &file;
  HOTSET_RETURN_IF_ERROR(loaded->describe(options, file));
  HOTSET_RETURN_IF_ERROR(loaded->plan_budget(options));
  const std::optional<LinkProbe> probe = loaded->memory_->of_host() ? loaded->probe_cpu() : loaded->probe_device(options);
  const LinkRates rates = probe ? probe->rates : LinkRates{};
  const auto slice_ns = static_cast<uint64_t>(options.slice_ms * 1e6f);
  loaded->backend_->set_slice(slice_ns, slice_bytes(rates, slice_ns));  // not of what was measured
  HOTSET_RETURN_IF_ERROR(loaded->allocate());
  HOTSET_RETURN_IF_ERROR(loaded->load_dense(options, file));
  const std::optional<CopyPath> copy_path = probe && !loaded->memory_->of_host() ? std::optional(probe->copy_path) : std::nullopt;
  HOTSET_ASSIGN(loaded->tiers_, ExpertTiers::create({options, file, loaded->spec_, *loaded->experts_, *loaded->backend_, *loaded->memory_, loaded->plan_,
                                                     loaded->slabs_, loaded->slab_plan_, rates, copy_path, loaded->device_table_}));
  HOTSET_RETURN_IF_ERROR(loaded->load_experts(options));
  HOTSET_RETURN_IF_ERROR(loaded->try_ways(options, file));
  return loaded;
}

Status LoadedModel::describe(const EngineOptions& options, const GgufFile& file) {
  HOTSET_ASSIGN(spec_, describe_model(file, {.block_sparse = options.block_sparse}));
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

// The one device is the CPU, and the one link its way to RAM.
std::optional<LinkProbe> LoadedModel::probe_cpu() {
  const auto kernels = measure_kernels(*backend_, 0);
  if (!kernels.ok()) return std::nullopt;
  LinkProbe probe;
  probe.rates.device_bytes_per_s = probe.rates.in_place_bytes_per_s = kernels->device_bytes_per_s;
  probe.rates.operation_ns = kernels->operation_ns;
  probe.rates.submit_ns = kernels->submit_ns;
  probe.rates.unified = true;
  return probe;
}

// Before anything takes the budget. Advice: without it misses are served as best guessed.
std::optional<LinkProbe> LoadedModel::probe_device(const EngineOptions& options) {
  uint64_t slots = 0;
  for (const uint32_t count : plan_.slots_per_class) slots += count;
  if (slots == experts_->count()) return std::nullopt;
  const auto cache = cache_directory();
  LinkProbeOptions probe_options;
  probe_options.meter.threads = resolve_threads(options.threads);
  probe_options.kernels = [&] { return measure_kernels(*backend_, resolve_threads(options.threads)); };
  auto probe = probe_links(*memory_, probe_options, cache.ok() ? *cache : std::string());
  if (probe.ok()) return *probe;
  log_line(LogLevel::kInfo, "links were not measured: %s", probe.status().message().c_str());
  return std::nullopt;
}

Status LoadedModel::allocate() {
  copies_ = backend_->make_copies(*memory_, kStatePieceBytes);
  HOTSET_ASSIGN(workspace_, Workspace::create(*memory_, spec_, plan_.workspace));
  HOTSET_ASSIGN(device_table_, memory_->allocate(std::max<uint64_t>(experts_->entries(), 1) * sizeof(uint64_t), MemoryKind::kShared, "expert table"));
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

Result<ServingOwner> LoadedModel::serving_owner(const EngineOptions& options, const GgufFile& file) const {
  std::vector<const File*> files;
  for (size_t i = 0; i < file.part_count(); ++i) files.push_back(&file.part(i));
  ServingOwner owner;
  Device& device = *backend_->device();
  owner.machine = {device.name(), device.cache_key(), resolve_threads(options.threads)};
  HOTSET_ASSIGN(owner.model, identify_model(*experts_, files));
  owner.vram_sixteenths = static_cast<uint32_t>(std::lround(16 * tiers_->vram_share()));
  owner.ram_sixteenths = static_cast<uint32_t>(std::lround(16 * tiers_->ram_share()));
  owner.settings = "policy " + options.policy + ", prefetch " + std::to_string(static_cast<int>(options.prefetch)) + ", kv " +
                   std::to_string(static_cast<int>(options.kv_type)) + (options.pack_path.empty() ? "" : ", pack") +
                   (options.slice_ms > 0 ? ", slices of " + std::to_string(options.slice_ms) + " ms" : "");
  return owner;
}

// Those that use the cache take turns; the one that empties it comes after them.
Status LoadedModel::time_ways(std::span<TriedWay> ways) {
  HOTSET_ASSIGN(const auto tokens, ServingTokens::create(*tiers_, model(), *workspace_, ways));
  const size_t with_cache = static_cast<size_t>(std::count_if(ways.begin(), ways.end(), [](const TriedWay& way) { return way.plan.use_cache; }));
  for (const auto& of : {ways.first(with_cache), ways.subspan(with_cache)}) {
    const auto first = static_cast<size_t>(of.data() - ways.data());
    HOTSET_ASSIGN(const auto times, run_trial(of.size(), {}, [&](size_t way) { return tokens->next(first + way); }));
    for (size_t i = 0; i < of.size(); ++i) of[i].time = times[i];
  }
  backend_->wait_idle();
  return ok_status();
}

Status LoadedModel::try_ways(const EngineOptions& options, const GgufFile& file) {
  std::vector<TriedWay> ways = tiers_->ways();
  if (ways.size() < 2) return ok_status();
  HOTSET_ASSIGN(const ServingOwner owner, serving_owner(options, file));
  const auto cache = cache_directory();
  const std::string path = cache.ok() ? serving_file_path(*cache, owner) : std::string();
  if (cache.ok()) measured_paths_ = {path, link_file_path(*cache, owner.machine)};
  const bool kept = keeps_times(path, owner, ways);
  const Status timed = kept ? ok_status() : time_ways(ways);
  cut_short_ways_ = is_complete(ways) ? 0 : ways.size();
  if (timed.ok() && !kept && !path.empty()) {
    const Status written = write_whole_file(path, write_serving_file(ways, owner));
    if (!written.ok()) log_line(LogLevel::kInfo, "the ways to serve misses will be tried again: %s", written.message().c_str());
  }
  if (!timed.ok()) log_line(LogLevel::kWarn, "the ways to serve misses were not tried: %s", timed.message().c_str());
  return tiers_->settle(ways);
}

void LoadedModel::judge_trial(const SessionStats& stats) const {
  if (measured_paths_.empty() || stats.decode_tokens == 0) return;
  const double token_ns = static_cast<double>(stats.decode_ns) / static_cast<double>(stats.decode_tokens);
  const bool disturbed = tiers_->tried() && trial_was_disturbed(stats.estimated_token_ns, token_ns, stats.decode_tokens);
  if (!disturbed && !(cut_short_ways_ > 0 && trial_was_cut_short({}, cut_short_ways_, token_ns, stats.decode_tokens))) return;
  log_line(LogLevel::kInfo, "tokens are faster than the trial of the ways to serve misses made expect: the next start measures anew");
  for (const std::string& path : measured_paths_) {
    os::remove_file(path);  // or gone already
  }
}

Status LoadedModel::save_hot_set(const std::string& path) {
  const std::lock_guard guard(lock_);
  return tiers_->save_hot_set(path);
}

Result<StateOwner> LoadedModel::state_owner() {
  const std::lock_guard guard(lock_);
  if (state_owner_) return *state_owner_;
  HOTSET_ASSIGN(state_owner_, identify_state_owner(*file_, *experts_, spec_, plan_.workspace));
  return *state_owner_;
}

Status LoadedModel::set_vram_budget(uint64_t budget_bytes) {
  const std::lock_guard guard(lock_);
  backend_->wait_idle();
  HOTSET_RETURN_IF_ERROR(tiers_->set_vram_budget(budget_bytes));
  vram_budget_bytes_ = budget_bytes;
  return ok_status();
}

Result<uint64_t> LoadedModel::give_vram_back(uint64_t bytes) {
  const std::lock_guard guard(lock_);
  if (memory_->of_host()) return error(Code::kUnsupported, "the CPU runs this model: it uses no VRAM");
  const uint64_t before = memory_->used_bytes();
  HOTSET_ASSIGN(const uint64_t least, tiers_->least_vram_bytes());
  const Status lowered = set_vram_budget(std::max(least, before - std::min(before, bytes)));
  const uint64_t freed = before - std::min(before, memory_->used_bytes());
  if (lowered.ok() || freed > 0) return freed;
  return lowered;
}

void LoadedModel::fill_budget() {
  const Status grown = tiers_->set_vram_budget(vram_budget_bytes_);
  if (!grown.ok()) log_line(LogLevel::kInfo, "the expert cache stays smaller: %s", grown.message().c_str());
}

Status LoadedModel::make_room(uint64_t bytes) {
  if (memory_->of_host()) return ok_status();
  const uint64_t rest = vram_budget_bytes_ - std::min(vram_budget_bytes_, bytes);
  if (memory_->used_bytes() <= rest) return ok_status();
  backend_->wait_idle();
  const Status made = tiers_->set_vram_budget(rest);
  memory_->set_budget(vram_budget_bytes_);
  if (made.ok()) return ok_status();
  fill_budget();  // with what was closed on the way
  return error(Code::kOverBudget, "a VRAM budget of %s has no room for another session, whose context of %u tokens takes %s: raise it or lower the context",
               format_bytes(vram_budget_bytes_).c_str(), plan_.workspace.context_tokens, format_bytes(bytes).c_str());
}

Result<Workspace*> LoadedModel::lease_workspace() {
  if (!workspace_leased_) {
    workspace_leased_ = true;
    return workspace_.get();
  }
  HOTSET_RETURN_IF_ERROR(make_room(plan_.workspace_bytes + plan_.kv_bytes));
  HOTSET_ASSIGN(auto made, Workspace::create(*memory_, spec_, plan_.workspace));
  more_workspaces_.push_back(std::move(made));
  return more_workspaces_.back().get();
}

void LoadedModel::return_workspace(Workspace* workspace) {
  if (workspace == workspace_.get()) {
    workspace_leased_ = false;
    return;
  }
  std::erase_if(more_workspaces_, [&](const auto& other) { return other.get() == workspace; });
  if (!memory_->of_host() && tiers_->can_grow()) fill_budget();
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
