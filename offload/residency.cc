#include "offload/residency.h"

#include <algorithm>

#include "platform/clock.h"

namespace hotset {
namespace {

PolicyShape policy_shape(const ExpertTable& table, uint32_t slots, uint32_t top_k) {
  PolicyShape shape;
  for (uint32_t layer = 0; layer < table.layers(); ++layer) shape.class_of_layer.push_back(table.size_class(layer));
  shape.classes = table.classes();
  shape.slots = slots;
  shape.floor = top_k;
  shape.experts = table.experts();
  return shape;
}

Status check_parts(const ResidencyParts& parts) {
  const ExpertTable& table = parts.table;
  if (parts.top_k == 0 || parts.top_k > table.experts()) {
    return error(Code::kInvalidArgument, "%u experts used of %u: 1 to all of them work", parts.top_k, table.experts());
  }
  if (parts.device_table.size() != table.count()) {
    return error(Code::kInvalidArgument, "the device table has %zu entries for %llu experts", parts.device_table.size(),
                 static_cast<unsigned long long>(table.count()));
  }
  if (parts.slots_per_class.size() != table.classes()) {
    return error(Code::kInvalidArgument, "slots for %zu size classes were planned, there are %u", parts.slots_per_class.size(), table.classes());
  }
  for (uint32_t c = 0; c < table.classes(); ++c) {
    const uint64_t least = uint64_t{parts.top_k} * table.class_layers(SizeClassId{c});
    if (parts.slots_per_class[c] < least) {
      return error(Code::kInvalidArgument, "%u expert slots in size class %u: %llu is the least", parts.slots_per_class[c], c,
                   static_cast<unsigned long long>(least));
    }
  }
  return ok_status();
}

}  // namespace

Result<std::unique_ptr<Residency>> Residency::create(const ResidencyParts& parts) {
  HOTSET_RETURN_IF_ERROR(check_parts(parts));
  HOTSET_ASSIGN(auto arena, SlotArena::create(parts.table, parts.slots_per_class, parts.slabs));
  HOTSET_ASSIGN(auto policy, make_policy(parts.policy, policy_shape(parts.table, arena.slots(), parts.top_k)));
  std::fill(parts.device_table.begin(), parts.device_table.end(), 0);
  return std::unique_ptr<Residency>(new Residency(parts, ExpertCache(parts.table, std::move(arena), std::move(policy))));
}

Residency::Residency(const ResidencyParts& parts, ExpertCache cache)
    : table_(parts.table),
      host_(parts.host),
      link_(parts.link),
      device_table_(parts.device_table),
      top_k_(parts.top_k),
      cache_(std::move(cache)),
      ready_values_(cache_.slots(), 0),
      marks_(parts.table.experts(), 0) {
  present_.reserve(table_.experts());
  missing_.reserve(table_.experts());
}

void Residency::next_mark() {
  if (++mark_ != 0) return;
  std::fill(marks_.begin(), marks_.end(), 0);
  mark_ = 1;
}

Status Residency::collect_distinct(uint32_t layer, std::span<const uint16_t> ids) {
  if (layer >= table_.layers()) return error(Code::kInvalidArgument, "MoE layer %u of %u was asked for", layer, table_.layers());
  next_mark();
  present_.clear();
  missing_.clear();
  for (const uint16_t id : ids) {
    if (id >= table_.experts()) return error(Code::kInvalidArgument, "expert %u of %u in MoE layer %u was asked for", id, table_.experts(), layer);
    if (marks_[id] == mark_) continue;
    marks_[id] = mark_;
    (cache_.find({static_cast<uint16_t>(layer), id}) != kNoSlot ? present_ : missing_).push_back(id);
  }
  return ok_status();
}

// Returns the link value after which all of them are there.
uint64_t Residency::pin_present(uint32_t layer, Access access) {
  uint64_t ready_value = 0;
  for (const uint16_t id : present_) {
    const SlotId slot = cache_.find(id_of(layer, id));
    cache_.pin(slot);
    if (access == Access::kDecode) cache_.touch(slot);
    ready_value = std::max(ready_value, ready_values_[index_of(slot)]);
  }
  return ready_value;
}

// Gives the expert a pinned slot and enqueues its bytes; the device table does not know it yet.
Status Residency::upload(ExpertId id, Heat heat) {
  const ExpertCache::Inserted inserted = cache_.insert(id, heat);
  if (inserted.slot == kNoSlot) {
    return error(Code::kOverBudget, "no expert slot is free for MoE layer %u: %zu experts were asked for at once and the GPU still uses the rest",
                 id.layer, present_.size() + missing_.size());
  }
  if (inserted.displaced) {
    table_entry(*inserted.displaced) = 0;
    ++stats_.evictions;
  }
  const SlotPlace& place = cache_.place(inserted.slot);
  const Status copied = link_.copy(host_.bytes(id), place.slab, place.offset_bytes);
  if (!copied.ok()) {
    cache_.forget(inserted.slot);
    return copied;
  }
  cache_.pin(inserted.slot);
  if (heat == Heat::kHot) cache_.touch(inserted.slot);
  return ok_status();
}

// Takes back the pins of this acquire and the first `uploads` of its newcomers, whose bytes may not have arrived.
void Residency::undo(uint32_t layer, size_t uploads) {
  link_.discard();
  for (const uint16_t id : present_) cache_.retire(cache_.find(id_of(layer, id)), 0);
  for (size_t i = 0; i < uploads; ++i) {
    const SlotId slot = cache_.find(id_of(layer, missing_[i]));
    cache_.retire(slot, 0);
    cache_.forget(slot);
  }
}

Result<uint64_t> Residency::upload_missing(uint32_t layer, Access access) {
  const Heat heat = access == Access::kDecode ? Heat::kHot : Heat::kCold;
  for (size_t i = 0; i < missing_.size(); ++i) {
    const Status status = upload(id_of(layer, missing_[i]), heat);
    if (status.ok()) continue;
    undo(layer, i);
    return status;
  }
  auto submitted = link_.submit();
  if (!submitted.ok()) {
    undo(layer, missing_.size());
    return submitted;
  }
  for (const uint16_t id : missing_) {
    const SlotId slot = cache_.find(id_of(layer, id));
    ready_values_[index_of(slot)] = *submitted;
    table_entry(id_of(layer, id)) = cache_.place(slot).device_address;
  }
  stats_.uploads += missing_.size();
  stats_.upload_bytes += missing_.size() * table_.record_bytes(layer);
  return submitted;
}

uint64_t Residency::still_pending(uint64_t ready_value) {
  if (ready_value > link_completed_) link_completed_ = link_.completed();
  return ready_value > link_completed_ ? ready_value : 0;
}

void Residency::count(const Acquired& acquired, Access access) {
  stats_.lookups += acquired.hits + acquired.misses;
  stats_.hits += acquired.hits;
  stats_.misses += acquired.misses;
  if (access != Access::kDecode) return;
  stats_.decode_lookups += acquired.hits + acquired.misses;
  stats_.decode_hits += acquired.hits;
}

Result<Acquired> Residency::acquire(uint32_t layer, std::span<const uint16_t> ids, Access access) {
  HOTSET_RETURN_IF_ERROR(collect_distinct(layer, ids));
  Acquired acquired;
  acquired.hits = static_cast<uint32_t>(present_.size());
  acquired.misses = static_cast<uint32_t>(missing_.size());
  uint64_t ready_value = pin_present(layer, access);
  if (!missing_.empty()) {
    const uint64_t start_ns = now_ns();
    const auto uploaded = upload_missing(layer, access);
    stats_.stall_ns += now_ns() - start_ns;
    if (!uploaded.ok()) return uploaded.status();
    ready_value = std::max(ready_value, *uploaded);
  }
  acquired.ready_value = still_pending(ready_value);
  count(acquired, access);
  return acquired;
}

void Residency::retire(uint32_t layer, std::span<const uint16_t> ids, uint64_t gpu_value) {
  HOTSET_CHECK(layer < table_.layers());
  next_mark();
  for (const uint16_t id : ids) {
    HOTSET_CHECK(id < table_.experts());
    if (marks_[id] == mark_) continue;
    marks_[id] = mark_;
    const SlotId slot = cache_.find(id_of(layer, id));
    HOTSET_CHECK(slot != kNoSlot);
    cache_.retire(slot, gpu_value);
  }
}

void Residency::touch(uint32_t layer, std::span<const uint16_t> ids) {
  if (layer >= table_.layers()) return;
  for (const uint16_t id : ids) {
    const SlotId slot = id < table_.experts() ? cache_.find(id_of(layer, id)) : kNoSlot;
    if (slot == kNoSlot) continue;
    cache_.touch(slot);
    count({.hits = 1}, Access::kDecode);
  }
}

uint32_t Residency::max_scan_wave(uint32_t layer) const {
  // Half of the fair share lets one wave load while another computes; top_k is what even the smallest budget holds.
  return std::min(table_.experts(), std::max(top_k_, cache_.fair_share(layer) / 2));
}

bool Residency::resident(uint32_t layer, uint32_t expert) const {
  return layer < table_.layers() && expert < table_.experts() && cache_.find(id_of(layer, expert)) != kNoSlot;
}

uint64_t Residency::address(uint32_t layer, uint32_t expert) const {
  HOTSET_CHECK(resident(layer, expert));
  return cache_.place(cache_.find(id_of(layer, expert))).device_address;
}

ResidencyStats Residency::stats() const {
  ResidencyStats stats = stats_;
  stats.residents = cache_.residents();
  stats.slots = cache_.slots();
  return stats;
}

Status Residency::check() const {
  HOTSET_RETURN_IF_ERROR(cache_.check());
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) {
    for (uint32_t expert = 0; expert < table_.experts(); ++expert) {
      const SlotId slot = cache_.find(id_of(layer, expert));
      const uint64_t address = slot == kNoSlot ? 0 : cache_.place(slot).device_address;
      if (device_table_[size_t{layer} * table_.experts() + expert] != address) {
        return error(Code::kCorrupt, "the device table is wrong about expert %u of MoE layer %u", expert, layer);
      }
    }
  }
  return ok_status();
}

}  // namespace hotset
