#include "runtime/engine/expert_tiers.h"

#include <algorithm>
#include <map>

#include "offload/model_identity.h"
#include "offload/pack_file.h"
#include "platform/bytes.h"
#include "platform/file.h"
#include "platform/host_memory.h"
#include "platform/log.h"
#include "platform/threads.h"
#include "runtime/engine/hot_set.h"

namespace hotset {
namespace {

// Of the RAM that is free, when no budget is given: the rest is the system's, and the page cache's of the dense weights.
constexpr double kDefaultRamShare = 0.8;

// Runs of slots that are imported: drivers have as few as 4096 allocations to give (maxMemoryAllocationCount).
constexpr size_t kMostImports = 64;

// Stands for the address of a slab that has no memory; its slots are closed.
constexpr uint64_t kNoAddress = kRecordAlignment;

}  // namespace

uint64_t resolve_ram_budget(const std::optional<ByteSize>& wanted, uint64_t all_bytes, uint64_t available_bytes) {
  if (wanted) return wanted->resolve(available_bytes);
  const auto most = static_cast<uint64_t>(static_cast<double>(available_bytes) * kDefaultRamShare);
  return available_bytes == 0 ? all_bytes : std::min(all_bytes, most);
}

Result<std::unique_ptr<ExpertTiers>> ExpertTiers::create(const Parts& parts) {
  std::unique_ptr<ExpertTiers> tiers(new ExpertTiers(parts));
  HOTSET_RETURN_IF_ERROR(tiers->make_source());
  HOTSET_RETURN_IF_ERROR(tiers->make_host());
  HOTSET_RETURN_IF_ERROR(tiers->make_residency());
  tiers->make_prefetch();
  return tiers;
}

bool ExpertTiers::all_in_vram() const {
  uint64_t slots = 0;
  for (const uint32_t count : parts_.plan.slots_per_class) slots += count;
  return slots == parts_.table.count();
}

Status ExpertTiers::make_source() {
  std::vector<const File*> files;
  for (size_t i = 0; i < parts_.file.part_count(); ++i) files.push_back(&parts_.file.part(i));
  if (parts_.options.pack_path.empty()) {
    HOTSET_ASSIGN(source_, ExpertSource::from_model(parts_.table, files));
    return ok_status();
  }
  HOTSET_ASSIGN(const ModelIdentity identity, identify_model(parts_.table, files));
  HOTSET_ASSIGN(auto pack, PackFile::open(parts_.options.pack_path, parts_.table, identity));
  HOTSET_ASSIGN(source_, ExpertSource::from_pack(parts_.table, std::move(pack), true));
  return ok_status();
}

// Of VRAM and of a bounded RAM tier.
std::string_view ExpertTiers::policy_name() const {
  return parts_.options.policy == "auto" ? policy_names()[0] : std::string_view(parts_.options.policy);
}

Status ExpertTiers::make_host() {
  HostTierOptions options;
  options.threads = resolve_threads(parts_.options.threads);
  options.seams = parts_.options.seams;
  options.top_k = largest_top_k(parts_.spec);
  options.policy = policy_name();
  // What VRAM holds for good passes through RAM a layer at a time.
  if (!all_in_vram()) {
    options.budget_bytes = resolve_ram_budget(parts_.options.ram, parts_.table.total_bytes(), host_memory_info().available_bytes);
    const bool none_fit = options.budget_bytes == 0 && parts_.table.total_bytes() > 0;  // to the tier a 0 is no bound
    if (none_fit) return error(Code::kOverBudget, "a RAM budget of 0 holds no expert: raise --ram");
  }
  HOTSET_ASSIGN(host_, HostTier::create(parts_.table, *source_, options));
  if (!host_->holds_all()) {
    log_line(LogLevel::kInfo, "RAM holds %s of %s of experts; the others are read from disk", format_bytes(options.budget_bytes).c_str(),
             format_bytes(parts_.table.total_bytes()).c_str());
  }
  return ok_status();
}

void ExpertTiers::make_cpu_experts() {
  std::vector<ExpertShape> shapes;
  for (const MoeSpec& moe : parts_.spec.moes) shapes.push_back(moe.experts);
  cpu_experts_ = std::make_unique<CpuExperts>(resolve_threads(parts_.options.threads), shapes, largest_top_k(parts_.spec));
}

Status ExpertTiers::make_residency() {
  ResidencyParts made = {.table = parts_.table, .host = *host_};
  std::vector<Slab> slabs;
  open_ = parts_.slab_plan.open;
  for (size_t i = 0; i < parts_.slabs.size(); ++i) {
    slabs.push_back({SlabId{static_cast<uint32_t>(i)}, open_[i] ? parts_.slabs[i].address() : kNoAddress, parts_.slab_plan.slab_bytes[i]});
  }
  if (on_cpu()) {
    cpu_window_ = std::make_unique<CpuWindow>(parts_.table);
    made.window = cpu_window_.get();
  } else {
    const LinkVulkanOptions options = {.path = parts_.copy_path, .submit_bytes = parts_.backend.upload_submit_bytes()};
    HOTSET_ASSIGN(link_, LinkVulkan::create(parts_.memory, parts_.slabs, options));
    made.link = link_.get();
    made.window = &import_window_;
  }
  const std::span<std::byte> table = parts_.device_table.mapped();
  made.device_table = {reinterpret_cast<uint64_t*>(table.data()), parts_.table.entries()};
  made.slabs = slabs;
  made.slots_per_class = on_cpu() ? std::span<const uint32_t>(parts_.plan.slots_per_class) : parts_.slab_plan.slots_per_class;
  made.top_k = largest_top_k(parts_.spec);
  made.policy = policy_name();
  HOTSET_ASSIGN(residency_, Residency::create(made));
  for (size_t i = 0; i < open_.size(); ++i) {
    if (!open_[i]) HOTSET_RETURN_IF_ERROR(residency_->close_slab(SlabId{static_cast<uint32_t>(i)}));
  }
  return ok_status();
}

void ExpertTiers::make_prefetch() {
  const PrefetchChoice choice = parts_.options.prefetch;
  if (choice == PrefetchChoice::kOff || host_->holds_all()) return;
  PrefetchOptions options;
  options.always = choice != PrefetchChoice::kAuto;
  options.mode = choice == PrefetchChoice::kHistory ? PrefetchMode::kHistory : PrefetchMode::kRouter;
  options.top_k = largest_top_k(parts_.spec);
  options.vocab = parts_.spec.vocab;
  prefetch_ = std::make_unique<Prefetch>(parts_.table, options);
}

Status ExpertTiers::load(const ProgressFunction& progress) {
  if (!parts_.options.hot_set_path.empty()) hot_set_ = load_hot_set(parts_.options.hot_set_path, parts_.table);
  HOTSET_RETURN_IF_ERROR(host_->holds_all() ? load_whole(progress) : warm_from_disk(progress));
  return open_window(false);
}

Status ExpertTiers::load_whole(const ProgressFunction& progress) {
  for (uint32_t layer = 0; layer < parts_.table.layers(); ++layer) {
    HOTSET_RETURN_IF_ERROR(host_->load_layer(layer, reader(), progress));
    HOTSET_RETURN_IF_ERROR(warm_layer(layer, residency_->fair_share(layer)));
    if (all_in_vram()) host_->release_layer(layer);
    else if (on_cpu()) residency_->publish_layer(layer);
  }
  return ok_status();
}

std::vector<uint16_t> ExpertTiers::warmest(uint32_t layer, uint32_t count) const {
  std::vector<uint16_t> ids;
  std::vector<bool> taken(parts_.table.experts());
  const auto add = [&](uint16_t expert) {
    if (ids.size() < count && !taken[expert]) ids.push_back(expert);
    taken[expert] = true;
  };
  for (const ExpertId id : hot_set_) {
    if (id.layer == layer) add(id.expert);
  }
  for (uint32_t expert = 0; expert < parts_.table.experts(layer); ++expert) add(static_cast<uint16_t>(expert));
  return ids;
}

Status ExpertTiers::warm_layer(uint32_t layer, uint32_t share) {
  const std::vector<uint16_t> ids = warmest(layer, share);
  const size_t wave = std::max(1u, residency_->max_load_wave(layer));
  for (size_t first = 0; first < ids.size(); first += wave) {
    const std::span<const uint16_t> next = std::span(ids).subspan(first, std::min(wave, ids.size() - first));
    HOTSET_RETURN_IF_ERROR(residency_->acquire(layer, next, Access::kLoad).status());
    residency_->retire(layer, next, 0);
  }
  return link_ ? link_->wait(residency_->copies_to_wait_for()) : ok_status();
}

// Those of the hot set that RAM has slots for, the worthiest first. More would take each other's places.
std::vector<ExpertId> ExpertTiers::hot_set_for_ram() const {
  std::map<uint64_t, uint64_t> room;  // slots, by their bytes
  for (const SlotRun& run : host_->slot_runs()) room[run.slot_bytes] += run.memory.size() / run.slot_bytes;
  std::vector<ExpertId> fit;
  for (const ExpertId id : hot_set_) {
    uint64_t& left = room[source_->slot_bytes(parts_.table.size_class(id.layer))];
    if (left == 0 || residency_->resident(id.layer, id.expert)) continue;
    --left;
    fit.push_back(id);
  }
  return fit;
}

Status ExpertTiers::warm_ram() {
  const std::vector<ExpertId> fit = hot_set_for_ram();
  for (size_t i = fit.size(); i-- > 0;) {  // the worthiest last, so that they stay longest
    HOTSET_RETURN_IF_ERROR(host_->acquire({&fit[i], 1}, [](size_t) { return ok_status(); }));
    host_->release({&fit[i], 1});
  }
  return ok_status();
}

void ExpertTiers::save_hot_set() const {
  const std::string& path = parts_.options.hot_set_path;
  if (path.empty()) return;
  const std::vector<ExpertId> ranked = ranked_experts();
  if (ranked.empty()) return;  // nothing was learned: an earlier file is better
  const Status written = write_whole_file(path, write_hot_set(ranked, parts_.table));
  if (!written.ok()) log_line(LogLevel::kWarn, "the hot set was not kept: %s", written.message().c_str());
}

Status ExpertTiers::save_hot_set(const std::string& path) const {
  const std::vector<ExpertId> ranked = ranked_experts();
  if (ranked.empty()) return error(Code::kInvalidArgument, "no experts were used yet: there is no hot set before tokens are generated");
  return write_whole_file(path, write_hot_set(ranked, parts_.table));
}

// Those that have been of use, the worthiest first.
std::vector<ExpertId> ExpertTiers::ranked_experts() const {
  std::vector<ExpertId> ranked;
  for (uint32_t layer = 0; layer < parts_.table.layers(); ++layer) {
    for (uint32_t expert = 0; expert < parts_.table.experts(layer); ++expert) {
      if (residency_->worth(layer, expert) > 0) ranked.push_back({static_cast<uint16_t>(layer), static_cast<uint16_t>(expert)});
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](ExpertId a, ExpertId b) {
    return residency_->worth(a.layer, a.expert) > residency_->worth(b.layer, b.expert);
  });
  return ranked;
}

// Fills VRAM; RAM fills itself.
Status ExpertTiers::warm_from_disk(const ProgressFunction& progress) {
  if (on_cpu()) return warm_ram();
  for (uint32_t layer = 0; layer < parts_.table.layers(); ++layer) {
    HOTSET_RETURN_IF_ERROR(warm_layer(layer, residency_->fair_share(layer)));
    if (progress && !progress(layer + 1, parts_.table.layers())) return error(Code::kCancelled, "loading was cancelled");
  }
  return warm_ram();
}

bool ExpertTiers::may_close(size_t slab) const {
  const SizeClassId id = parts_.slab_plan.slab_classes[slab];
  uint64_t left = 0;
  for (size_t i = 0; i < open_.size(); ++i) {
    if (i != slab && open_[i] && parts_.slab_plan.slab_classes[i] == id) left += parts_.slab_plan.slab_bytes[i] / parts_.table.class_record_bytes(id);
  }
  return left >= parts_.table.class_least(id, largest_top_k(parts_.spec));
}

// What stays in use when every slab is closed that may be: those of the floor come first in each class.
Result<uint64_t> ExpertTiers::least_vram_bytes() const {
  uint64_t bytes = parts_.memory.used_bytes();
  std::vector<uint64_t> left(parts_.table.classes());
  for (size_t i = 0; i < open_.size(); ++i) {
    const SizeClassId id = parts_.slab_plan.slab_classes[i];
    const uint64_t slots = parts_.slab_plan.slab_bytes[i] / parts_.table.class_record_bytes(id);
    const bool of_floor = left[index_of(id)] < parts_.table.class_least(id, largest_top_k(parts_.spec));
    left[index_of(id)] += slots;
    HOTSET_ASSIGN(const uint64_t charge, parts_.memory.charge_of(parts_.slab_plan.slab_bytes[i] + kSlabPadding, MemoryKind::kDevice));
    if (open_[i] && !of_floor) bytes -= charge;
    if (!open_[i] && of_floor) bytes += charge;
  }
  return bytes;
}

Status ExpertTiers::close_slab(size_t slab) {
  HOTSET_RETURN_IF_ERROR(residency_->close_slab(SlabId{static_cast<uint32_t>(slab)}));
  parts_.slabs[slab] = Buffer();
  open_[slab] = false;
  return ok_status();
}

Status ExpertTiers::open_slab(size_t slab) {
  HOTSET_ASSIGN(parts_.slabs[slab], parts_.memory.allocate(parts_.slab_plan.slab_bytes[slab] + kSlabPadding, MemoryKind::kDevice, "expert slots"));
  residency_->open_slab(SlabId{static_cast<uint32_t>(slab)}, parts_.slabs[slab].address());
  open_[slab] = true;
  return ok_status();
}

// RAM had given its experts back because VRAM held them all.
Status ExpertTiers::reload_host() {
  const uint64_t budget_bytes = resolve_ram_budget(parts_.options.ram, parts_.table.total_bytes(), host_memory_info().available_bytes);
  if (budget_bytes < parts_.table.total_bytes()) {
    return error(Code::kOverBudget, "VRAM holds all experts, and RAM has no room for the %s of them: open the model with the smaller VRAM budget",
                 format_bytes(parts_.table.total_bytes()).c_str());
  }
  Status loaded = load_host_again();
  if (loaded.ok()) return open_window(true);
  for (uint32_t layer = 0; layer < parts_.table.layers(); ++layer) host_->release_layer(layer);  // half of them are as good as none
  return loaded;
}

Status ExpertTiers::load_host_again() {
  for (uint32_t layer = 0; layer < parts_.table.layers(); ++layer) HOTSET_RETURN_IF_ERROR(host_->load_layer(layer, reader(), {}));
  return ok_status();
}

HostTier::ReadFunction ExpertTiers::reader() const {
  return [this](const ByteRange& range, std::span<std::byte> out) { return parts_.file.part(range.part).read(range.offset_bytes, out); };
}

Status ExpertTiers::set_vram_budget(uint64_t budget_bytes) {
  if (on_cpu()) return error(Code::kUnsupported, "the CPU runs this model: it uses no VRAM");
  HOTSET_ASSIGN(const uint64_t least_bytes, least_vram_bytes());
  if (budget_bytes < least_bytes) {
    return error(Code::kOverBudget, "a VRAM budget of %s is too small: this model, as it was opened, needs at least %s (%llu bytes)",
                 format_bytes(budget_bytes).c_str(), format_bytes(least_bytes).c_str(), static_cast<unsigned long long>(least_bytes));
  }
  if (parts_.memory.used_bytes() > budget_bytes && !host_->holds_anything()) HOTSET_RETURN_IF_ERROR(reload_host());
  parts_.memory.set_budget(std::max(budget_bytes, parts_.memory.used_bytes()));
  for (size_t slab = open_.size(); slab-- > 0 && parts_.memory.used_bytes() > budget_bytes;) {
    if (open_[slab] && may_close(slab)) HOTSET_RETURN_IF_ERROR(close_slab(slab));
  }
  parts_.memory.set_budget(std::max(budget_bytes, parts_.memory.used_bytes()));
  for (size_t slab = 0; slab < open_.size(); ++slab) {
    if (open_[slab]) continue;
    HOTSET_ASSIGN(const uint64_t charge, parts_.memory.charge_of(parts_.slab_plan.slab_bytes[slab] + kSlabPadding, MemoryKind::kDevice));
    if (parts_.memory.used_bytes() + charge <= budget_bytes) HOTSET_RETURN_IF_ERROR(open_slab(slab));
  }
  if (parts_.memory.used_bytes() <= budget_bytes) return ok_status();
  return error(Code::kOverBudget, "%s of VRAM cannot be reached in steps of whole slabs: %s stay in use", format_bytes(budget_bytes).c_str(),
               format_bytes(parts_.memory.used_bytes()).c_str());
}

// What the device has imported must not be given back to the system: it lets go first.
Status ExpertTiers::set_ram_budget(uint64_t budget_bytes) {
  HOTSET_RETURN_IF_ERROR(residency_->finish_copies());
  const bool imported = !host_->holds_all() && !imports_.empty();
  if (!imported) return host_->set_budget(budget_bytes);
  import_window_.clear();
  HOTSET_RETURN_IF_ERROR(residency_->set_serving(residency_->serving()));
  imports_.clear();
  const Status changed = host_->set_budget(budget_bytes);
  import_slots();
  HOTSET_RETURN_IF_ERROR(residency_->set_serving(residency_->serving()));
  return changed;
}

// The GPU reads an expert as one record, and it reads whole pages of memory that stay.
void ExpertTiers::import_slots() {
  for (uint32_t layer = 0; layer < parts_.table.layers(); ++layer) {
    if (source_->extents(layer) != 1) return;
  }
  for (const SlotRun& run : host_->slot_runs()) {
    if (imports_.size() == kMostImports) return;
    std::vector<uint64_t> cuts;
    for (uint64_t at = 0; at < run.memory.size(); at += run.slot_bytes) cuts.push_back(at);
    auto import = HostImport::create(*parts_.backend.device(), run.memory, cuts);
    if (!import.ok()) return log_line(LogLevel::kInfo, "the GPU does not reach experts in host memory: %s", import.status().message().c_str());
    import_window_.add(**import);
    imports_.push_back(std::move(*import));
  }
}

Status ExpertTiers::open_window(bool late) {
  if (on_cpu()) return serve_on_cpu();
  if (!host_->holds_anything()) return ok_status();
  const bool reads = parts_.options.miss == MissChoice::kAuto || parts_.options.miss == MissChoice::kGpu;
  const bool copies = parts_.copy_path ? *parts_.copy_path == CopyPath::kDirect : !parts_.backend.limits().unified;
  import_window_.clear();
  imports_.clear();
  if ((reads || copies) && host_->holds_all()) import_arena(reads);
  if (reads && !host_->holds_all()) import_slots();
  reads_host_ = !import_window_.empty();
  return choose_serving(late);
}

void ExpertTiers::import_arena(bool reads) {
  const std::vector<uint64_t> cuts = host_->record_offsets_bytes();
  auto import = HostImport::create(*parts_.backend.device(), host_->arena(), cuts);
  if (import.ok()) imports_.push_back(std::move(*import));
  else log_line(LogLevel::kInfo, "the GPU does not reach experts in host memory: %s", import.status().message().c_str());
  if (reads && !imports_.empty()) import_window_.add(*imports_[0]);
  link_->set_path(parts_.copy_path, imports_.empty() ? nullptr : imports_[0].get());
}

}  // namespace hotset
