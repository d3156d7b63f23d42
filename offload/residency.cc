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
  if (parts.top_k > table.experts() || (parts.top_k == 0 && table.count() != 0)) {
    return error(Code::kInvalidArgument, "%u experts used of %u: 1 to all of them work", parts.top_k, table.experts());
  }
  if (parts.device_table.size() != table.entries()) {
    return error(Code::kInvalidArgument, "the device table has %zu entries for %llu experts", parts.device_table.size(),
                 static_cast<unsigned long long>(table.entries()));
  }
  if (parts.slots_per_class.size() != table.classes()) {
    return error(Code::kInvalidArgument, "slots for %zu size classes were planned, there are %u", parts.slots_per_class.size(), table.classes());
  }
  const bool has_slots = std::any_of(parts.slots_per_class.begin(), parts.slots_per_class.end(), [](uint32_t slots) { return slots > 0; });
  if (!has_slots && parts.window == nullptr) return error(Code::kInvalidArgument, "a device without expert slots must read host memory");
  if (has_slots && parts.link == nullptr) return error(Code::kInvalidArgument, "expert slots need a link that fills them");
  for (uint32_t c = 0; has_slots && c < table.classes(); ++c) {
    const uint64_t least = table.class_least(SizeClassId{c}, parts.top_k);
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
  std::unique_ptr<Residency> residency(new Residency(parts, ExpertCache(parts.table, std::move(arena), std::move(policy))));
  residency->fit_floor();
  HOTSET_RETURN_IF_ERROR(residency->set_serving(parts.serving));
  return residency;
}

Residency::Residency(const ResidencyParts& parts, ExpertCache cache)
    : table_(parts.table),
      host_(parts.host),
      link_(parts.link),
      window_(parts.window),
      device_table_(parts.device_table),
      top_k_(parts.top_k),
      cache_(std::move(cache)),
      kept_(parts.table.classes()),
      widest_wave_(parts.table.classes()),
      addresses_(parts.table.entries(), 0),
      host_pins_(parts.table.entries(), 0),
      marks_(parts.table.experts(), 0) {
  present_.reserve(table_.experts());
  missing_.reserve(table_.experts());
  wanted_.reserve(table_.experts());
  from_host_.reserve(table_.experts());
  uploaded_.reserve(table_.experts());
  delayed_.reserve(4 * size_t{table_.experts()});
  promoting_.reserve(table_.layers() * size_t{top_k_});
  candidates_.reserve(table_.layers() * size_t{top_k_});
  host_.set_evict_listener([this](ExpertId id) { left_host(id); });
  host_.set_arrival_listener([this](ExpertId id) { came_to_host(id); });
}

Residency::~Residency() {
  host_.set_evict_listener({});
  host_.set_arrival_listener({});
}

// --- addresses

void Residency::set_address(ExpertId id, uint64_t address) {
  addresses_[index(id)] = address;
  device_table_[index(id)] = address;
}

bool Residency::published(ExpertId id) const {
  const SlotId slot = cache_.find(id);
  return slot != kNoSlot && addresses_[index(id)] == cache_.place(slot).device_address;
}

// Where kernels find the expert outside VRAM; 0: nowhere.
uint64_t Residency::host_address(ExpertId id) { return in_place() && host_.resident(id) ? window_->address(id, host_.parts(id)) : 0; }

// The RAM tier has the expert's bytes, whoever asked for them.
void Residency::came_to_host(ExpertId id) {
  if (!published(id)) set_address(id, host_address(id));
}

// The RAM tier has given the expert's bytes up.
void Residency::left_host(ExpertId id) {
  if (!published(id)) set_address(id, 0);
}

void Residency::publish_layer(uint32_t layer) {
  for (uint32_t expert = 0; expert < table_.experts(layer); ++expert) {
    const ExpertId id = id_of(layer, expert);
    if (!published(id)) set_address(id, host_address(id));
  }
}

Status Residency::set_serving(const Serving& serving) {
  const bool reads_host = serving.decode == MissMode::kInPlace || serving.scan_in_place;
  if (reads_host && window_ == nullptr) return error(Code::kInvalidArgument, "this device does not read experts in host memory");
  if (!serving.use_slots && (serving.decode != MissMode::kCpu || !host_.holds_all())) {
    return error(Code::kInvalidArgument, "VRAM's experts are left unused only where the CPU runs all of them out of RAM");
  }
  serving_ = serving;
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) publish_layer(layer);
  return ok_status();
}

void Residency::set_events(LinkEvents* events) {
  events_ = events;
  host_.set_events(events);
}

// --- acquire

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
    if (id >= table_.experts(layer)) return error(Code::kInvalidArgument, "expert %u of %u in MoE layer %u was asked for", id, table_.experts(layer), layer);
    if (marks_[id] == mark_) continue;
    marks_[id] = mark_;
    (cache_.find({static_cast<uint16_t>(layer), id}) != kNoSlot ? present_ : missing_).push_back(id);
  }
  return ok_status();
}

MissMode Residency::mode_of(Access access) const {
  if (!has_slots()) return MissMode::kInPlace;
  if (access == Access::kDecode) return serving_.decode;
  return access == Access::kScan && serving_.scan_in_place && in_place() ? MissMode::kInPlace : MissMode::kWait;
}

Result<Acquired> Residency::acquire(uint32_t layer, std::span<const uint16_t> ids, Access access) {
  poll();
  HOTSET_RETURN_IF_ERROR(collect_distinct(layer, ids));
  Acquired acquired;
  acquired.hits = static_cast<uint32_t>(present_.size());
  acquired.misses = static_cast<uint32_t>(missing_.size());
  if (!has_slots()) {
    acquired.hits = static_cast<uint32_t>(std::count_if(missing_.begin(), missing_.end(), [&](uint16_t id) { return host_.resident(id_of(layer, id)); }));
    acquired.misses -= acquired.hits;
  }
  pin_present(layer, access);
  const uint64_t start_ns = now_ns();
  const Status served = serve_missing(layer, access);
  if (acquired.misses != 0) stats_.stall_ns += now_ns() - start_ns;
  HOTSET_RETURN_IF_ERROR(served);
  count(acquired, access);
  return acquired;
}

void Residency::pin_present(uint32_t layer, Access access) {
  for (const uint16_t id : present_) {
    const SlotId slot = cache_.find(id_of(layer, id));
    cache_.pin(slot);
    if (access == Access::kDecode) cache_.touch(slot);
  }
  // A copy in the background that is needed now: the device waits for it.
  for (size_t i = 0; i < promoting_.size(); ++i) {
    const Promotion promotion = promoting_[i];
    if (promotion.id.layer != layer || marks_[promotion.id.expert] != mark_) continue;
    promoting_.erase(promoting_.begin() + static_cast<std::ptrdiff_t>(i--));
    publish(promotion);
  }
}

Status Residency::serve_missing(uint32_t layer, Access access) {
  uploaded_.clear();
  if (missing_.empty()) return ok_status();
  if (mode_of(access) == MissMode::kWait) return upload_missing(layer, access);
  return use_from_host(layer, access);
}

// Takes back the pins of this acquire and its newcomers, whose bytes may not have arrived.
void Residency::undo(uint32_t layer, size_t uploads) {
  if (link_) discard_copies();
  for (const uint16_t id : present_) cache_.retire(cache_.find(id_of(layer, id)), 0);
  for (size_t i = 0; i < uploads; ++i) {
    const SlotId slot = cache_.find(uploaded_[i]);
    cache_.retire(slot, 0);
    cache_.forget(slot);
    set_address(uploaded_[i], host_address(uploaded_[i]));
  }
}

// --- to VRAM

Status Residency::upload_missing(uint32_t layer, Access access) {
  const Heat heat = access == Access::kDecode ? Heat::kHot : Heat::kCold;
  // The policy knows the whole choice before it is asked who goes.
  for (size_t i = 0; access == Access::kDecode && i < missing_.size(); ++i) cache_.used_elsewhere(id_of(layer, missing_[i]));
  const uint32_t room = access == Access::kDecode ? host_.max_batch() : std::max(std::min(top_k_, host_.max_batch()), host_.scan_room());
  const size_t most = std::max(1u, room);
  for (size_t first = 0; first < missing_.size(); first += most) {
    wanted_.clear();
    for (size_t i = first; i < std::min(first + most, missing_.size()); ++i) wanted_.push_back(id_of(layer, missing_[i]));
    const Status status = upload_batch(wanted_, heat);
    if (status.ok()) continue;
    undo(layer, uploaded_.size());
    return status;
  }
  for (const ExpertId id : uploaded_) set_address(id, cache_.place(cache_.find(id)).device_address);
  stats_.uploads += uploaded_.size();
  stats_.upload_bytes += uploaded_.size() * table_.record_bytes(layer);
  return ok_status();
}

// Experts as they arrive in RAM, on to VRAM.
Status Residency::upload_batch(std::span<const ExpertId> ids, Heat heat) {
  HOTSET_RETURN_IF_ERROR(host_.acquire(ids, [this, heat](size_t i) { return upload(wanted_[i], heat); }, heat));
  auto submitted = submit_copies();
  if (submitted.ok()) visible_value_ = std::max(visible_value_, *submitted);
  // A bounded tier may give the bytes up once they are not pinned.
  const Status done = submitted.ok() && !host_.holds_all() ? link_->wait(*submitted) : submitted.status();
  host_.release(ids);
  for (const ExpertId id : ids) host_.demote(id);
  return done;
}

// Gives the expert a pinned slot and enqueues its bytes; the device table does not know it yet.
Status Residency::upload(ExpertId id, Heat heat) {
  ExpertCache::Inserted inserted = cache_.insert(id, heat);
  if (inserted.slot == kNoSlot && !promoting_.empty()) {  // experts on their way keep their slots
    HOTSET_RETURN_IF_ERROR(finish_copies());
    inserted = cache_.insert(id, heat);
  }
  if (inserted.slot == kNoSlot) {
    return error(Code::kOverBudget, "no expert slot is free for MoE layer %u: %zu experts were asked for at once and the GPU still uses the rest",
                 id.layer, present_.size() + missing_.size());
  }
  if (inserted.displaced) {
    set_address(*inserted.displaced, host_address(*inserted.displaced));
    ++stats_.evictions;
  }
  const Status copied = copy_parts(id, inserted.slot);
  if (!copied.ok()) {
    cache_.forget(inserted.slot);
    return copied;
  }
  cache_.pin(inserted.slot);
  uploaded_.push_back(id);
  return ok_status();
}

Status Residency::copy_parts(ExpertId id, SlotId slot) {
  const SlotPlace& place = cache_.place(slot);
  const uint64_t start_ns = events_ ? now_ns() : 0;
  for (const RecordPart& part : host_.parts(id)) {
    HOTSET_RETURN_IF_ERROR(link_->copy(part.bytes, place.slab, place.offset_bytes + part.record_offset_bytes));
  }
  if (events_) events_->begin_copy(id, table_.record_bytes(id.layer), start_ns, now_ns());
  return ok_status();
}

Result<uint64_t> Residency::submit_copies() {
  auto value = link_->submit();
  if (events_ && value.ok()) events_->sent(*value);
  return value;
}

void Residency::discard_copies() {
  link_->discard();
  if (events_) events_->discard();
}

// --- from RAM

// Brings the missing experts to RAM and pins them there; the device reads them in place, or the CPU runs them.
Status Residency::use_from_host(uint32_t layer, Access access) {
  wanted_.clear();
  for (const uint16_t id : missing_) wanted_.push_back(id_of(layer, id));
  const Status arrived = host_.acquire(wanted_, [](size_t) { return ok_status(); }, access == Access::kDecode ? Heat::kHot : Heat::kCold);
  if (!arrived.ok()) {
    undo(layer, 0);
    return arrived;
  }
  missing_.clear();  // from here on those that only VRAM can serve
  for (const ExpertId id : wanted_) {
    ++host_pins_[index(id)];
    const uint64_t address = host_address(id);
    set_address(id, address);
    if (address == 0 && mode_of(access) == MissMode::kInPlace) missing_.push_back(id.expert);
    else if (access == Access::kDecode) note_use_from_host(id);
  }
  if (missing_.empty()) return ok_status();
  for (const uint16_t id : missing_) release_host(id_of(layer, id));
  std::erase_if(wanted_, [&](ExpertId id) { return addresses_[index(id)] == 0; });
  std::swap(wanted_, from_host_);
  const Status uploaded = has_slots() ? upload_missing(layer, access)
                                      : error(Code::kUnsupported, "MoE layer %u has experts that the device cannot read in host memory", layer);
  if (!uploaded.ok()) std::for_each(from_host_.begin(), from_host_.end(), [&](ExpertId id) { release_host(id); });
  return uploaded;
}

void Residency::note_use_from_host(ExpertId id) {
  cache_.used_elsewhere(id);
  if (!has_slots()) return;
  if (serving_.promotion_bytes != 0 && candidates_.size() < candidates_.capacity()) candidates_.push_back(id);
  ++(addresses_[index(id)] != 0 ? stats_.in_place : stats_.on_host);
}

void Residency::release_host(ExpertId id) {
  HOTSET_CHECK(host_pins_[index(id)] > 0);
  --host_pins_[index(id)];
  host_.release({&id, 1});
}

ExpertPieces Residency::host_pieces(uint32_t layer, uint32_t expert) const { return pieces_of(table_, layer, host_parts(layer, expert)); }

// --- after use

void Residency::drop_pin(ExpertId id, uint64_t gpu_value) {
  if (host_pins_[index(id)] == 0) {
    const SlotId slot = cache_.find(id);
    HOTSET_CHECK(slot != kNoSlot);
    cache_.retire(slot, gpu_value);
  } else if (gpu_value > completed_gpu_value_ && !host_.holds_all() && delayed_.size() < delayed_.capacity()) {
    delayed_.push_back({id, gpu_value});
  } else {
    release_host(id);
  }
}

void Residency::retire(uint32_t layer, std::span<const uint16_t> ids, uint64_t gpu_value) {
  HOTSET_CHECK(layer < table_.layers());
  next_mark();
  for (const uint16_t id : ids) {
    HOTSET_CHECK(id < table_.experts(layer));
    if (marks_[id] == mark_) continue;
    marks_[id] = mark_;
    drop_pin(id_of(layer, id), gpu_value);
  }
}

void Residency::advance(uint64_t completed_gpu_value) {
  completed_gpu_value_ = std::max(completed_gpu_value_, completed_gpu_value);
  cache_.advance(completed_gpu_value);
  size_t kept = 0;
  for (const DelayedRelease& release : delayed_) {
    if (release.gpu_value > completed_gpu_value_) delayed_[kept++] = release;
    else release_host(release.id);
  }
  delayed_.resize(kept);
}

void Residency::touch(uint32_t layer, std::span<const uint16_t> ids) {
  if (layer >= table_.layers()) return;
  for (const uint16_t expert : ids) {
    if (expert >= table_.experts(layer)) continue;
    const ExpertId id = id_of(layer, expert);
    const bool hit = has_slots() ? published(id) : host_.resident(id);
    if (hit && has_slots()) cache_.touch(cache_.find(id));
    if (!published(id)) {
      host_.touch(id);
      if (addresses_[index(id)] != 0) note_use_from_host(id);
    }
    if (hit || addresses_[index(id)] != 0) count({.hits = hit ? 1u : 0u, .misses = hit ? 0u : 1u}, Access::kDecode);
  }
}

void Residency::count(const Acquired& acquired, Access access) {
  if (access == Access::kLoad) return;
  stats_.lookups += acquired.hits + acquired.misses;
  stats_.hits += acquired.hits;
  stats_.misses += acquired.misses;
  if (access != Access::kDecode) return;
  stats_.decode_lookups += acquired.hits + acquired.misses;
  stats_.decode_hits += acquired.hits;
}

// --- shape

// Layers keep top_k where there are as many slots for each, else what leaves any one of them room for two waves of a scan.
void Residency::fit_floor() {
  floor_ = top_k_;
  for (uint32_t c = 0; c < table_.classes(); ++c) {
    const SizeClassId id{c};
    const uint32_t slots = cache_.open_slots(id), layers = table_.class_layers(id);
    if (layers > 1 && slots / layers < top_k_) floor_ = std::min(floor_, (slots - std::min(slots, 2 * top_k_)) / (layers - 1));
  }
  cache_.set_floor(floor_);
  std::fill(kept_.begin(), kept_.end(), 0);
  std::fill(widest_wave_.begin(), widest_wave_.end(), 0);
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) kept_[index_of(table_.size_class(layer))] += std::min(floor_, table_.experts(layer));
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) {
    uint32_t& widest = widest_wave_[index_of(table_.size_class(layer))];
    widest = std::max(widest, max_load_wave(layer));
  }
}

// Slots that a scan of the layer can take, because the others of its class keep no more than their floors.
uint32_t Residency::scan_slots(uint32_t layer) const {
  const SizeClassId id = table_.size_class(layer);
  const uint32_t kept = kept_[index_of(id)] - std::min(floor_, table_.experts(layer)), open = cache_.open_slots(id);
  return open - std::min(open, kept);
}

uint32_t Residency::max_load_wave(uint32_t layer) const {
  // Half of the fair share lets one wave load while another computes; top_k is what even the smallest budget holds.
  return std::min(table_.experts(layer), std::max(top_k_, std::min(cache_.fair_share(layer) / 2, scan_slots(layer))));
}

uint32_t Residency::max_scan_wave(uint32_t layer) const {
  if (mode_of(Access::kScan) != MissMode::kInPlace) return max_load_wave(layer);
  if (host_.holds_all()) return table_.experts(layer);
  return std::min(table_.experts(layer), std::max(top_k_, host_.scan_room() / 2));
}

uint32_t Residency::scan_depth(uint32_t layer) const {
  const uint32_t wave = max_scan_wave(layer);
  if (mode_of(Access::kScan) == MissMode::kInPlace) return host_.holds_all() || 2 * wave <= host_.max_batch() ? 2 : 1;
  return wave + widest_wave_[index_of(table_.size_class(layer))] <= scan_slots(layer) ? 2 : 1;
}

bool Residency::resident(uint32_t layer, uint32_t expert) const {
  if (layer >= table_.layers() || expert >= table_.experts(layer)) return false;
  return has_slots() ? cache_.find(id_of(layer, expert)) != kNoSlot : host_.resident(id_of(layer, expert));
}

ResidencyStats Residency::stats() const {
  ResidencyStats stats = stats_;
  stats.residents = cache_.residents();
  for (uint32_t c = 0; c < table_.classes(); ++c) stats.slots += cache_.open_slots(SizeClassId{c});
  return stats;
}

Status Residency::check() const {
  HOTSET_RETURN_IF_ERROR(cache_.check());
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) {
    for (uint32_t expert = 0; expert < table_.experts(layer); ++expert) {
      const ExpertId id = id_of(layer, expert);
      const SlotId slot = cache_.find(id);
      const bool promoting = std::any_of(promoting_.begin(), promoting_.end(), [&](const Promotion& p) { return p.id == id; });
      const uint64_t in_vram = slot == kNoSlot || promoting ? 0 : cache_.place(slot).device_address;
      const uint64_t expected = in_vram != 0 ? in_vram : const_cast<Residency*>(this)->host_address(id);
      if (addresses_[index(id)] != expected || device_table_[index(id)] != expected) {
        return error(Code::kCorrupt, "the device table is wrong about expert %u of MoE layer %u", expert, layer);
      }
    }
  }
  return ok_status();
}

}  // namespace hotset
