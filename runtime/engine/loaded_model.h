// LoadedModel: one model on one device: everything that Engine owns, made in the order in which it depends.
//
// Owned by the engine, which hands out references. open() does all of the work of a load; after it only the residency and
// the workspace change, by the one session that runs.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/engine/engine.h"
#include "runtime/engine/expert_tiers.h"
#include "runtime/engine/link_probe.h"
#include "runtime/engine/memory_plan.h"
#include "runtime/engine/serving_file.h"
#include "runtime/engine/state_format.h"
#include "runtime/model/model.h"

namespace hotset {

class LoadedModel {
 public:
  static Result<std::unique_ptr<LoadedModel>> open(const EngineOptions& options, const GgufFile& file);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  Model model();
  // A session's context and activations, until return_workspace(). Beyond the first, expert slots make room for it. Under the lock; no
  // token under way. Error: kOverBudget.
  Result<Workspace*> lease_workspace();
  void return_workspace(Workspace* workspace);
  const MemoryPlan& plan() const { return plan_; }
  const ModelSpec& spec() const { return spec_; }
  const Backend& backend() const { return *backend_; }
  Backend& backend() { return *backend_; }
  const DeviceMemory& memory() const { return *memory_; }

  // Held by whoever runs tokens, changes a budget or looks at what those change; a sink of logits may ask for figures meanwhile.
  std::recursive_mutex& lock() { return lock_; }
  // Each takes the lock.
  Status set_vram_budget(uint64_t budget_bytes);
  Status set_ram_budget(uint64_t budget_bytes);
  // Lowers the budget below what is in use; what came free.
  Result<uint64_t> give_vram_back(uint64_t bytes);
  Status save_hot_set(const std::string& path);
  // Gives VRAM back when the driver has less for this process than it uses, and takes it again up to the budget when it has more.
  // Under the lock.
  void follow_driver_budget();
  // A session ends: forgets what was measured of this machine where the session shows that it was busy at the time.
  void judge_trial(const SessionStats& stats) const;
  // What saved states of this model are bound to, found out at the first call. Takes the lock. Error: the model's file cannot be read.
  Result<StateOwner> state_owner();
  // For states of workspaces. Under the lock.
  BufferCopies& copies() { return *copies_; }
  ExpertTiers& tiers() { return *tiers_; }
  const ExpertTiers& tiers() const { return *tiers_; }

 private:
  LoadedModel() = default;
  Status describe(const EngineOptions& options, const GgufFile& file);
  Status plan_budget(const EngineOptions& options);
  std::optional<LinkProbe> probe_device(const EngineOptions& options);
  std::optional<LinkProbe> probe_cpu();
  Status allocate();
  Status load_dense(const EngineOptions& options, const GgufFile& file);
  Status load_experts(const EngineOptions& options);
  // Closes expert slots until so much of the budget is free.
  Status make_room(uint64_t bytes);
  // Opens what expert slots the budget has room for.
  void fill_budget();
  // Tries the ways to serve misses, or takes what an earlier start measured, and settles for the fastest. Advice only.
  Status try_ways(const EngineOptions& options, const GgufFile& file);
  Status time_ways(std::span<TriedWay> ways);
  Result<ServingOwner> serving_owner(const EngineOptions& options, const GgufFile& file) const;

  // In the order in which they depend on each other; destroyed in reverse.
  const GgufFile* file_ = nullptr;  // of the caller, which outlives this
  ModelSpec spec_;
  std::unique_ptr<ExpertTable> experts_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<DeviceMemory> memory_;
  MemoryPlan plan_;
  std::unique_ptr<BufferCopies> copies_;
  std::unique_ptr<Workspace> workspace_;  // of the first session
  bool workspace_leased_ = false;
  std::vector<std::unique_ptr<Workspace>> more_workspaces_;  // of those beside it
  Buffer device_table_;  // uint64 [layers][experts]
  SlabPlan slab_plan_;
  std::vector<Buffer> slabs_;  // [slab_plan_]; those that are closed have no memory
  std::unique_ptr<DenseWeights> weights_;
  std::unique_ptr<ExpertTiers> tiers_;
  std::recursive_mutex lock_;
  std::optional<StateOwner> state_owner_;    // guarded by lock_
  std::vector<std::string> measured_paths_;  // what the choice among ways to serve misses stands in; empty: no choice
  size_t cut_short_ways_ = 0;                // of a trial that ended too soon; 0: it did not
  uint64_t vram_budget_bytes_ = 0;  // as asked for; guarded by lock_
};

// The expert table of a model: each MoE layer's gate, up and down as one record an expert. Error: ranges outside the file,
// sizes that do not divide.
Result<ExpertTable> build_expert_table(const GgufFile& file, const ModelSpec& spec);

// The context to run with: the one asked for, or the model's own up to kDefaultContextTokens. Error: 0 layers of it fit.
Result<uint32_t> pick_context(uint32_t wanted_tokens, const ModelConfig& config);
constexpr uint32_t kDefaultContextTokens = 4096;

}  // namespace hotset
