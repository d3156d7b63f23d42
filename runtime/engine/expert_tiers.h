// ExpertTiers: where a model's experts live (VRAM, RAM, disk) and what moves and serves them.
//
// Owned by LoadedModel, which makes it after the device's memory was planned. One thread at a time.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "offload/expert_source.h"
#include "offload/host_tier.h"
#include "offload/link_vulkan.h"
#include "offload/prefetch.h"
#include "offload/residency.h"
#include "offload/serving_trial.h"
#include "offload/slot_plan.h"
#include "platform/vulkan/host_import.h"
#include "runtime/compute/backend.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/host_windows.h"
#include "runtime/engine/memory_plan.h"
#include "runtime/format/gguf.h"
#include "runtime/model/cpu_experts.h"
#include "runtime/model/model_spec.h"

namespace hotset {

class ExpertTiers {
 public:
  struct Parts {  // what is named by reference outlives the tiers
    EngineOptions options;
    const GgufFile& file;
    const ModelSpec& spec;
    const ExpertTable& table;
    Backend& backend;
    DeviceMemory& memory;
    const MemoryPlan& plan;
    std::vector<Buffer>& slabs;     // of the VRAM slots; those that are closed have no memory
    const SlabPlan& slab_plan;
    LinkRates link_rates;           // as probe_links or measure_kernels measured; zeros: not measured
    std::optional<CopyPath> copy_path;
    Buffer& device_table;           // uint64 [layers][experts]
  };
  // `done`: bytes of the experts read so far; false cancels.
  using ProgressFunction = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;

  // Plans and makes the tiers; loads nothing. Errors: RAM budget too small (and the least that works), no memory.
  static Result<std::unique_ptr<ExpertTiers>> create(const Parts& parts);
  // Reads what RAM and VRAM are to begin with. Error: kCancelled, the disk's, the device's.
  Status load(const ProgressFunction& progress);

  // Writes EngineOptions::hot_set_path, where that is set; a failure is one log line.
  void save_hot_set() const;
  // The same to a file of the caller's. Error: nothing was learned yet, or it cannot be written.
  Status save_hot_set(const std::string& path) const;

  // Frees or takes VRAM slabs until what is in use fits `budget_bytes` as well as it can; no token may be under way. Contents
  // move nowhere: experts that lose their slot are served as misses. Error: kOverBudget, naming the least that works.
  Status set_vram_budget(uint64_t budget_bytes);
  // The least that set_vram_budget takes.
  Result<uint64_t> least_vram_bytes() const;
  // Some slots have no memory.
  bool can_grow() const { return std::find(open_.begin(), open_.end(), false) != open_.end(); }
  // Error: kOverBudget with the least that works; kUnsupported where RAM holds all and would have to hold less.
  Status set_ram_budget(uint64_t budget_bytes);

  // What the link model was told, what was chosen, and whether by trying.
  const LinkRates& rates() const { return rates_; }
  const MissPlan& miss_plan() const { return miss_plan_; }
  bool tried() const { return tried_; }
  // A decode token as the link model sees it, with hit rates as far as `stats` has measured them; zeros without rates.
  TokenEstimate estimate(const SessionStats& stats) const;

  // After load(), before the first session: the ways that a trial may choose among, with what is expected of each; one or none where
  // there is nothing to choose.
  std::vector<TriedWay> ways() const;
  // From the next token on misses are served this way. Error: the device does not read host memory.
  Status serve(const MissPlan& plan);
  // The end of a trial: serves the way that choose_way takes, from VRAM as full as after load(), and holds estimates against its time.
  Status settle(std::span<const TriedWay> ways);
  // Of all experts: what VRAM and RAM have room for.
  double vram_share() const;
  double ram_share() const;

  Residency& residency() { return *residency_; }
  const Residency& residency() const { return *residency_; }
  const HostTier& host() const { return *host_; }
  DeviceLinkStats link_stats() const { return link_ ? link_->stats() : DeviceLinkStats{}; }
  CpuExperts* cpu_experts() { return cpu_experts_.get(); }
  Prefetch* prefetch() { return prefetch_.get(); }
  const Prefetch* prefetch() const { return prefetch_.get(); }

 private:
  std::vector<ExpertId> ranked_experts() const;
  explicit ExpertTiers(const Parts& parts) : parts_(parts) {}
  std::string_view policy_name() const;
  Status make_source();
  Status make_host();
  Status make_residency();
  void make_cpu_experts();
  void make_prefetch();
  Status load_whole(const ProgressFunction& progress);
  // The first `share` experts of the layer, those of the hot set before others, to VRAM.
  Status warm_layer(uint32_t layer, uint32_t share);
  std::vector<ExpertId> hot_set_for_ram() const;
  Status warm_ram();
  std::vector<uint16_t> warmest(uint32_t layer, uint32_t count) const;
  Status warm_from_disk(const ProgressFunction& progress);
  // Lets the device read RAM where it can, and decides how misses are served. `late`: sessions may have begun.
  Status open_window(bool late);
  void import_arena(bool reads);
  // The open slots of a bounded tier, where every expert lies in one piece.
  void import_slots();
  Status choose_serving(bool late);
  Status serve_on_cpu();
  MissPlan plan_by_choice(const MissPaths& paths) const;
  MissPaths paths(bool late) const;
  void measure_disk();
  Status warm_vram();
  uint64_t promotion_bytes(const MissPlan& plan) const;
  TokenWork token_work() const;
  TokenWork token_work(const SessionStats& stats) const;
  bool on_cpu() const { return parts_.backend.device() == nullptr; }
  bool all_in_vram() const;
  Status reload_host();
  Status load_host_again();
  HostTier::ReadFunction reader() const;
  Status close_slab(size_t slab);
  Status open_slab(size_t slab);
  bool may_close(size_t slab) const;

  const Parts parts_;
  LinkRates rates_;                     // measured; zeros where nothing was
  MissPlan miss_plan_;
  bool reads_host_ = false;             // the device reads RAM where it lies
  bool tried_ = false;
  double measured_share_ = 1;           // of a token's time as the link model has it: what a trial measured
  std::vector<bool> open_;              // [slabs] have memory
  std::vector<ExpertId> hot_set_;       // to begin with, the worthiest first
  std::unique_ptr<ExpertSource> source_;
  std::unique_ptr<HostTier> host_;
  std::vector<std::unique_ptr<HostImport>> imports_;  // of the host tier's arena, or of its open slots
  std::unique_ptr<CpuWindow> cpu_window_;
  ImportWindow import_window_;
  std::unique_ptr<LinkVulkan> link_;
  std::unique_ptr<CpuExperts> cpu_experts_;
  std::unique_ptr<Prefetch> prefetch_;
  std::unique_ptr<Residency> residency_;
};

// RAM for experts: `wanted`, or as much as all of them take where that is free, or most of what is.
uint64_t resolve_ram_budget(const std::optional<ByteSize>& wanted, uint64_t all_bytes, uint64_t available_bytes);

}  // namespace hotset
