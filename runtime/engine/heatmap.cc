#include "runtime/engine/heatmap.h"

#include <algorithm>
#include <cstdio>

#include "offload/expert_cache.h"
#include "offload/slot_plan.h"
#include "offload/routing_trace.h"
#include "platform/file.h"
#include "runtime/engine/link_timeline.h"
#include "runtime/engine/run_stats.h"
#include "runtime/engine/trace_picture.h"

namespace hotset {
namespace {

constexpr uint64_t kMostFileBytes = 1ull << 30;

// Experts of one size in a file that is not there: the cache's books need sizes, not bytes.
Result<ExpertTable> table_of(const RoutingTrace& trace) {
  const uint64_t layer_bytes = uint64_t{trace.experts()} * kRecordAlignment;
  ExpertTableBuilder builder({layer_bytes * trace.layers()});
  for (uint32_t layer = 0; layer < trace.layers(); ++layer) {
    const ByteRange all = {0, layer * layer_bytes, layer_bytes};
    HOTSET_RETURN_IF_ERROR(builder.add_stacked_layer(trace.experts(), {&all, 1}));
  }
  return std::move(builder).build();
}

Result<uint32_t> slots_for(const RoutingTrace& trace, double capacity) {
  const uint64_t experts = uint64_t{trace.layers()} * trace.experts();
  const auto slots = static_cast<uint64_t>(static_cast<double>(experts) * std::clamp(capacity, 0.0, 1.0));
  const uint64_t least = uint64_t{trace.layers()} * trace.top_k();
  if (slots < least) {
    return error(Code::kInvalidArgument, "a cache of %.3g %% of the experts holds less than a token needs; this trace needs at least %.3g %%",
                 capacity * 100, 100.0 * static_cast<double>(least) / static_cast<double>(experts));
  }
  return static_cast<uint32_t>(slots);
}

Result<ExpertCache> cache_of(const ExpertTable& table, uint32_t slots, uint32_t top_k, const std::string& policy_name) {
  const uint32_t slots_per_class[] = {slots};
  const Slab slab = {SlabId{0}, kRecordAlignment, uint64_t{slots} * kRecordAlignment};
  HOTSET_ASSIGN(SlotArena arena, SlotArena::create(table, slots_per_class, {&slab, 1}));
  PolicyShape shape;
  shape.class_of_layer.assign(table.layers(), SizeClassId{0});
  shape.classes = 1;
  shape.slots = slots;
  shape.floor = top_k;
  shape.experts = table.experts();
  HOTSET_ASSIGN(auto policy, make_policy(policy_name, shape));
  return ExpertCache(table, std::move(arena), std::move(policy));
}

// One layer of one token: hits are judged before anything moves in, and what the token uses stays.
uint32_t use(ExpertCache& cache, uint32_t layer, std::span<const uint16_t> ids) {
  uint32_t hits = 0;
  std::vector<SlotId> held;
  for (const uint16_t id : ids) {
    const SlotId slot = cache.find({static_cast<uint16_t>(layer), id});
    if (slot == kNoSlot) {
      cache.used_elsewhere({static_cast<uint16_t>(layer), id});
      continue;
    }
    ++hits;
    cache.touch(slot);
    cache.pin(slot);
    held.push_back(slot);
  }
  for (const uint16_t id : ids) {
    const ExpertId expert = {static_cast<uint16_t>(layer), id};
    if (cache.find(expert) != kNoSlot) continue;
    const SlotId slot = cache.insert(expert, Heat::kHot).slot;
    if (slot == kNoSlot) continue;
    cache.pin(slot);
    held.push_back(slot);
  }
  for (const SlotId slot : held) cache.retire(slot, 0);
  return hits;
}

void replay(const RoutingTrace& trace, ExpertCache& cache, TracePicture& picture) {
  for (uint64_t token = 0; token < trace.tokens(); ++token) {
    uint32_t hits = 0, lookups = 0;
    for (uint32_t layer = 0; layer < trace.layers(); ++layer) {
      const std::span<const uint16_t> ids = trace.ids(token, layer);
      hits += use(cache, layer, ids);
      lookups += static_cast<uint32_t>(ids.size());
      for (const uint16_t id : ids) ++picture.uses[size_t{layer} * trace.experts() + id];
    }
    cache.end_token();
    picture.hit_rate.push_back(static_cast<float>(hits) / static_cast<float>(lookups));
  }
}

TracePicture picture_of(const RoutingTrace& trace, const HeatmapOptions& options) {
  TracePicture picture;
  picture.title = trace.model().empty() ? options.trace_path : trace.model();
  picture.layers = trace.layers();
  picture.experts = trace.experts();
  picture.top_k = trace.top_k();
  picture.tokens = trace.tokens();
  char text[160];
  std::snprintf(text, sizeof text, "%u MoE layers, %u experts, top %u; %llu tokens", trace.layers(), trace.experts(), trace.top_k(),
                static_cast<unsigned long long>(trace.tokens()));
  picture.subtitle = text;
  std::snprintf(text, sizeof text, "%.32s, room for %.3g %% of the experts", options.policy.c_str(), options.capacity * 100);
  picture.cache_title = text;
  picture.uses.assign(size_t{trace.layers()} * trace.experts(), 0);
  return picture;
}

void show_links(LinkTimeline timeline, TracePicture& picture) {
  picture.bucket_ms = timeline.bucket_ms;
  picture.links = std::move(timeline.links);
}

double mean_of(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value);
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

Result<HeatmapReport> draw_replay(const std::string& text, const HeatmapOptions& options) {
  HOTSET_ASSIGN(const RoutingTrace trace, RoutingTrace::parse(text));
  HOTSET_ASSIGN(const ExpertTable table, table_of(trace));
  HOTSET_ASSIGN(const uint32_t slots, slots_for(trace, options.capacity));
  HOTSET_ASSIGN(ExpertCache cache, cache_of(table, slots, trace.top_k(), options.policy));
  TracePicture picture = picture_of(trace, options);
  replay(trace, cache, picture);
  show_links(timeline_of(trace.links()), picture);
  HOTSET_RETURN_IF_ERROR(draw_trace(picture, options.picture_path));
  return HeatmapReport{picture.title,  options.policy, trace.layers(),            trace.experts(),     trace.top_k(),
                       trace.tokens(), slots,          mean_of(picture.hit_rate), trace.links().size()};
}

TracePicture picture_of(const RunStats& stats, const std::string& path) {
  TracePicture picture;
  picture.title = stats.model.empty() ? path : stats.model.substr(0, 120);
  picture.layers = stats.layers;
  picture.experts = stats.experts;
  picture.top_k = stats.top_k;
  picture.uses = stats.uses;
  for (const RunStretch& stretch : stats.stretches) {
    picture.tokens += stretch.tokens;
    const double rate = stretch.lookups > 0 ? static_cast<double>(stretch.hits) / static_cast<double>(stretch.lookups) : 1;
    picture.hit_rate.push_back(static_cast<float>(rate));
  }
  picture.tokens_per_point = static_cast<double>(picture.tokens) / static_cast<double>(stats.stretches.size());
  char text[160];
  std::snprintf(text, sizeof text, "%u MoE layers, %u experts, top %u; %llu decoded tokens", stats.layers, stats.experts, stats.top_k,
                static_cast<unsigned long long>(picture.tokens));
  picture.subtitle = text;
  picture.cache_title = "as the run had it";
  picture.cache_note = "found in VRAM, or without it in RAM";
  return picture;
}

Result<HeatmapReport> draw_run(const std::string& text, const HeatmapOptions& options) {
  HOTSET_ASSIGN(const RunStats stats, parse_run_stats(text));
  TracePicture picture = picture_of(stats, options.trace_path);
  show_links(timeline_of(stats.stretches), picture);
  HOTSET_RETURN_IF_ERROR(draw_trace(picture, options.picture_path));
  RunStretch sum;
  for (const RunStretch& stretch : stats.stretches) sum.add(stretch);
  const double hit_rate = sum.lookups > 0 ? static_cast<double>(sum.hits) / static_cast<double>(sum.lookups) : 1;
  return HeatmapReport{picture.title, "as run", stats.layers, stats.experts, stats.top_k, picture.tokens, 0, hit_rate, 0};
}

}  // namespace

Result<HeatmapReport> draw_heatmap(const HeatmapOptions& wanted) {
  HeatmapOptions options = wanted;
  if (options.policy.empty()) options.policy = policy_names().front();
  HOTSET_ASSIGN(const std::string text, read_whole_file(options.trace_path, kMostFileBytes));
  auto report = looks_like_json(text) ? draw_run(text, options) : draw_replay(text, options);
  if (report.status().code() == Code::kCorrupt) return report.status().with_context(options.trace_path);
  return report;
}

}  // namespace hotset
