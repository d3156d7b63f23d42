// Residency: what happens beside the tokens: hints, promotions, budgets that change.
#include <algorithm>

#include "offload/residency.h"
#include "platform/clock.h"
#include "platform/log.h"

namespace hotset {

uint32_t Residency::hint(uint32_t layer, std::span<const uint16_t> ids) {
  if (layer >= table_.layers() || host_.holds_all()) return 0;
  wanted_.clear();
  for (const uint16_t expert : ids) {
    if (expert >= table_.experts(layer) || wanted_.size() == wanted_.capacity()) continue;
    const ExpertId id = id_of(layer, expert);
    if (cache_.find(id) == kNoSlot && !host_.resident(id)) wanted_.push_back(id);
  }
  return wanted_.empty() ? 0 : host_.hint(wanted_);
}

void Residency::begin_token() {
  if (serving_.use_slots || cache_.residents() == 0) return;
  for (uint32_t i = 0; i < cache_.slots(); ++i) {
    const SlotId slot{i};
    if (cache_.closed(slot) || cache_.empty(slot) || cache_.pinned(slot)) continue;
    const ExpertId tenant = cache_.tenant(slot);
    cache_.forget(slot);
    set_address(tenant, host_address(tenant));
    ++stats_.evictions;
  }
}

void Residency::end_token() {
  ++stats_.tokens;
  cache_.end_token();
  host_.end_token();
  poll();
  promote();
  candidates_.clear();
}

void Residency::poll() {
  host_.poll();
  const bool traced = events_ && events_->waits();
  if (promoting_.empty() && !traced) return;
  const uint64_t completed_value = link_->completed();
  if (traced) events_->completed(completed_value, now_ns());
  publish_finished(completed_value);
}

void Residency::publish_finished(uint64_t completed_value) {
  size_t kept = 0;
  for (const Promotion& promotion : promoting_) {
    if (promotion.value > completed_value) promoting_[kept++] = promotion;
    else publish(promotion);
  }
  promoting_.resize(kept);
}

void Residency::publish(const Promotion& promotion) {
  set_address(promotion.id, cache_.place(promotion.slot).device_address);
  visible_value_ = std::max(visible_value_, promotion.value);
  cache_.retire(promotion.slot, 0);
  release_host(promotion.id);
  host_.demote(promotion.id);
}

void Residency::promote() {
  if (serving_.promotion_bytes == 0 || candidates_.empty()) return;
  // What a token leaves may be used by the next, so that a budget below one expert still moves some.
  if (table_.classes() == 0) return;
  const uint64_t largest = table_.class_record_bytes(SizeClassId{table_.classes() - 1});
  promotion_credit_bytes_ = std::min(promotion_credit_bytes_ + serving_.promotion_bytes, serving_.promotion_bytes + largest);
  std::sort(candidates_.begin(), candidates_.end(), [&](ExpertId a, ExpertId b) { return cache_.worth(a) > cache_.worth(b); });
  const size_t first = promoting_.size();
  const Status enqueued = promote_candidates();
  if (enqueued.ok() && promoting_.size() == first) return;
  const Result<uint64_t> submitted = enqueued.ok() ? submit_copies() : Result<uint64_t>(enqueued);
  if (!submitted.ok()) {
    if (!told_of_failed_promotion_) log_line(LogLevel::kWarn, "experts were not moved to VRAM: %s", submitted.status().message().c_str());
    told_of_failed_promotion_ = true;
    return take_back_promotions(first);
  }
  for (size_t i = first; i < promoting_.size(); ++i) promoting_[i].value = *submitted;
  publish_finished(0);
}

Status Residency::promote_candidates() {
  for (const ExpertId id : candidates_) {
    if (table_.record_bytes(id.layer) > promotion_credit_bytes_ || promoting_.size() == promoting_.capacity()) break;
    HOTSET_ASSIGN(const bool moves, promote(id));
    if (moves) promotion_credit_bytes_ -= table_.record_bytes(id.layer);
  }
  return ok_status();
}

// The batch as a whole: of an expert that the link took in part, the part must not land in a slot that is another's by then.
void Residency::take_back_promotions(size_t first) {
  discard_copies();
  for (; promoting_.size() > first; promoting_.pop_back()) {
    const Promotion& back = promoting_.back();
    cache_.retire(back.slot, 0);
    cache_.forget(back.slot);
    release_host(back.id);
    --stats_.promotions;
    --stats_.uploads;
    stats_.upload_bytes -= table_.record_bytes(back.id.layer);
  }
}

// Enqueues one expert; false when it stays where it is. Error: the link's.
Result<bool> Residency::promote(ExpertId id) {
  if (cache_.find(id) != kNoSlot || !host_.resident(id) || !cache_.admits(id)) return false;
  const ExpertCache::Inserted inserted = cache_.insert(id, Heat::kHot);
  if (inserted.slot == kNoSlot) return false;
  if (inserted.displaced) {
    set_address(*inserted.displaced, host_address(*inserted.displaced));
    ++stats_.evictions;
  }
  const bool pinned = host_.acquire({&id, 1}, [](size_t) { return ok_status(); }).ok();
  Status copied = pinned ? copy_parts(id, inserted.slot) : ok_status();
  if (!pinned || !copied.ok()) {
    if (pinned) host_.release({&id, 1});
    cache_.forget(inserted.slot);
    return copied.ok() ? Result<bool>(false) : Result<bool>(std::move(copied));
  }
  ++host_pins_[index(id)];
  cache_.pin(inserted.slot);
  promoting_.push_back({id, inserted.slot, 0});
  ++stats_.promotions;
  ++stats_.uploads;
  stats_.upload_bytes += table_.record_bytes(id.layer);
  return true;
}

Status Residency::finish_copies() {
  if (link_ == nullptr) return ok_status();
  uint64_t last_value = 0;
  for (const Promotion& promotion : promoting_) last_value = std::max(last_value, promotion.value);
  HOTSET_RETURN_IF_ERROR(link_->wait(std::max(last_value, visible_value_)));
  publish_finished(last_value);
  return ok_status();
}

Status Residency::close_slab(SlabId slab) {
  HOTSET_RETURN_IF_ERROR(finish_copies());
  for (uint32_t i = 0; i < cache_.slots(); ++i) {
    const SlotId slot{i};
    if (cache_.place(slot).slab != slab || cache_.closed(slot)) continue;
    const auto tenant = cache_.close(slot);
    if (!tenant) continue;
    set_address(*tenant, host_address(*tenant));
    ++stats_.evictions;
  }
  fit_floor();
  return ok_status();
}

void Residency::open_slab(SlabId slab, uint64_t device_address) {
  for (uint32_t i = 0; i < cache_.slots(); ++i) {
    const SlotId slot{i};
    if (cache_.place(slot).slab != slab || !cache_.closed(slot)) continue;
    cache_.open(slot, device_address + cache_.place(slot).offset_bytes);
  }
  fit_floor();
}

}  // namespace hotset
