#include "offload/simulator.h"

#include <algorithm>
#include <cmath>

#include "offload/expert_cache.h"
#include "offload/policy_belady.h"

namespace hotset {
namespace {

// Experts of the trace's shape. A layer of its own size is a size class of its own, and so a memory of its own.
Result<ExpertTable> table_of(const RoutingTrace& trace, CacheScope scope) {
  std::vector<ByteRange> layers;
  uint64_t end_bytes = 0;
  for (uint32_t layer = 0; layer < trace.layers(); ++layer) {
    const uint64_t records = scope == CacheScope::kLayer ? layer + 1 : 1;
    layers.push_back({0, end_bytes, records * kRecordAlignment * trace.experts()});
    end_bytes += layers.back().size_bytes;
  }
  ExpertTableBuilder builder({end_bytes});
  for (const ByteRange& layer : layers) HOTSET_RETURN_IF_ERROR(builder.add_stacked_layer(trace.experts(), {&layer, 1}));
  return std::move(builder).build();
}

std::vector<uint32_t> slots_of(const RoutingTrace& trace, const SimulatedCache& cache) {
  if (cache.scope == CacheScope::kLayer) {
    const auto share = static_cast<uint32_t>(std::lround(cache.capacity * trace.experts()));
    return std::vector<uint32_t>(trace.layers(), std::max(share, trace.top_k()));
  }
  const double share = cache.capacity * trace.layers() * trace.experts();
  return {std::max(static_cast<uint32_t>(share + 1e-9), trace.layers() * trace.top_k())};
}

FutureUses future_of(const RoutingTrace& trace) {
  FutureUses future(trace.layers(), trace.experts());
  const auto each_use = [&](const auto& take) {
    for (uint64_t token = 0; token < trace.tokens(); ++token) {
      for (uint32_t layer = 0; layer < trace.layers(); ++layer) {
        for (const uint16_t id : trace.ids(token, layer)) take(ExpertId{static_cast<uint16_t>(layer), id}, token * trace.layers() + layer);
      }
    }
  };
  each_use([&](ExpertId id, uint64_t) { future.count(id); });
  future.begin_adding();
  each_use([&](ExpertId id, uint64_t turn) { future.add(id, turn); });
  future.rewind();
  return future;
}

Result<ExpertCache> cache_of(const RoutingTrace& trace, const ExpertTable& table, const SimulatedCache& cache) {
  const std::vector<uint32_t> slots = slots_of(trace, cache);
  const Slab slab = {SlabId{0}, kRecordAlignment, table.total_bytes()};
  HOTSET_ASSIGN(SlotArena arena, SlotArena::create(table, slots, {&slab, 1}));
  PolicyShape shape;
  for (uint32_t layer = 0; layer < table.layers(); ++layer) shape.class_of_layer.push_back(table.size_class(layer));
  shape.classes = table.classes();
  shape.slots = arena.slots();
  shape.floor = trace.top_k();
  shape.experts = table.experts();
  if (cache.policy == kBeladyPolicy) return ExpertCache(table, std::move(arena), std::make_unique<PolicyBelady>(shape, future_of(trace)));
  HOTSET_ASSIGN(auto policy, make_policy(cache.policy, shape));
  return ExpertCache(table, std::move(arena), std::move(policy));
}

class Replay {
 public:
  Replay(const RoutingTrace& trace, ExpertCache cache, const SimulatedCache& options)
      : trace_(trace), gated_(options.gated), warm_tokens_(options.warm_tokens), cache_(std::move(cache)) {
    result_.slots = cache_.slots();
    result_.turns_by_misses.assign(trace.top_k() + 1, 0);
  }

  SimulatedHits run() {
    for (uint64_t token = 0; token < trace_.tokens(); ++token) {
      for (uint32_t layer = 0; layer < trace_.layers(); ++layer) take_turn(token, layer);
      cache_.end_token();
    }
    result_.tokens = trace_.tokens() - warm_tokens_;
    return std::move(result_);
  }

 private:
  void take_turn(uint64_t token, uint32_t layer) {
    missing_.clear();
    pinned_.clear();
    for (const uint16_t expert : trace_.ids(token, layer)) use({static_cast<uint16_t>(layer), expert});
    uint64_t uploads = 0;
    for (const ExpertId id : missing_) uploads += move_in(id) ? 1 : 0;
    for (const SlotId slot : pinned_) cache_.retire(slot, 0);
    if (token < warm_tokens_) return;
    const size_t lookups = trace_.ids(token, layer).size();
    result_.lookups += lookups;
    result_.hits += lookups - missing_.size();
    result_.uploads += uploads;
    ++result_.turns_by_misses[missing_.size()];
  }

  void use(ExpertId id) {
    const SlotId slot = cache_.find(id);
    if (slot == kNoSlot) {
      cache_.used_elsewhere(id);
      missing_.push_back(id);
      return;
    }
    cache_.touch(slot);
    pin(slot);
  }

  bool move_in(ExpertId id) {
    if (gated_ && !cache_.admits(id)) return false;
    const SlotId slot = cache_.insert(id, Heat::kHot).slot;
    if (slot == kNoSlot) return false;
    pin(slot);
    return true;
  }

  void pin(SlotId slot) {
    cache_.pin(slot);
    pinned_.push_back(slot);
  }

  const RoutingTrace& trace_;
  const bool gated_;
  const uint64_t warm_tokens_;
  ExpertCache cache_;
  std::vector<ExpertId> missing_;
  std::vector<SlotId> pinned_;
  SimulatedHits result_;
};

}  // namespace

uint64_t usual_warm_tokens(uint64_t tokens) { return tokens > 1000 ? 64 : tokens > 128 ? 32 : tokens > 64 ? 16 : tokens / 4; }

Result<SimulatedHits> simulate(const RoutingTrace& trace, const SimulatedCache& cache) {
  if (!(cache.capacity > 0 && cache.capacity <= 1)) {
    return error(Code::kInvalidArgument, "a cache of %.3g %% of the experts: more than none and at most all work", cache.capacity * 100);
  }
  if (cache.warm_tokens >= trace.tokens()) {
    return error(Code::kInvalidArgument, "%llu tokens are not to be counted and the trace has %llu",
                 static_cast<unsigned long long>(cache.warm_tokens), static_cast<unsigned long long>(trace.tokens()));
  }
  HOTSET_ASSIGN(const ExpertTable table, table_of(trace, cache.scope));
  HOTSET_ASSIGN(ExpertCache made, cache_of(trace, table, cache));
  return Replay(trace, std::move(made), cache).run();
}

double simulated_token_ns(const SimulatedHits& hits, uint32_t top_k, const LinkRates& rates, MissMode mode, const SimulatedModel& model) {
  double total_ns = 0;
  for (uint32_t misses = 0; misses < hits.turns_by_misses.size(); ++misses) {
    if (hits.turns_by_misses[misses] == 0) continue;
    const LayerWork work = {model.record_bytes, top_k - std::min(misses, top_k), misses, 0};
    total_ns += static_cast<double>(hits.turns_by_misses[misses]) * layer_cost(rates, mode, work).total_ns();
  }
  total_ns /= static_cast<double>(std::max<uint64_t>(hits.tokens, 1));
  if (model.dense_bytes > 0) total_ns += 1e9 * static_cast<double>(model.dense_bytes) / rates.device_bytes_per_s;
  if (mode == MissMode::kWait || hits.uploads == 0) return total_ns;
  // Uploads in the background: beside the compute where the device can, and never more than the link carries.
  const double upload_ns = 1e9 * hits.uploads_per_token() * static_cast<double>(model.record_bytes) / rates.copy_bytes_per_s;
  return rates.copies_overlap ? std::max(total_ns, upload_ns) : total_ns + upload_ns;
}

}  // namespace hotset
