#include "offload/host_cache.h"

#include <algorithm>

#include "platform/clock.h"
#include "platform/log.h"

namespace hotset {
namespace {

// Of all slots, what a scan may take whatever it displaces: enough to keep the disk busy, and most of what is warm stays.
constexpr uint32_t kScanShare = 4;

using Lane = ExpertReader::Lane;

constexpr uint32_t kMostParts = ExpertTableBuilder::kMaxPieces;

// Experts that each layer keeps against the others: those of a token where there is room for them.
uint32_t floor_of(const ExpertTable& table, std::span<const uint32_t> slots, uint32_t top_k) {
  uint32_t floor = top_k;
  for (uint32_t c = 0; c < table.classes(); ++c) floor = std::min(floor, slots[c] / table.class_layers(SizeClassId{c}));
  return floor;
}

// The most slots there can ever be, all of them closed: the cache only counts, so their addresses mean nothing.
Result<ExpertCache> make_cache(const ExpertTable& table, std::span<const SlotDemand> demands, uint32_t floor, std::string_view policy_name) {
  std::vector<uint32_t> most;
  for (const SlotDemand& demand : demands) most.push_back(static_cast<uint32_t>(demand.most));
  const Slab all = {SlabId{0}, kRecordAlignment, table.total_bytes()};
  HOTSET_ASSIGN(SlotArena arena, SlotArena::create(table, most, {&all, 1}));
  PolicyShape shape;
  for (uint32_t layer = 0; layer < table.layers(); ++layer) shape.class_of_layer.push_back(table.size_class(layer));
  shape.classes = table.classes();
  shape.slots = arena.slots();
  shape.floor = floor;
  shape.experts = table.experts();
  HOTSET_ASSIGN(auto policy, make_policy(policy_name, shape));
  ExpertCache cache(table, std::move(arena), std::move(policy));
  for (uint32_t slot = cache.slots(); slot-- > 0;) cache.close(SlotId{slot});
  return cache;
}

}  // namespace

HostCache::HostCache(const ExpertTable& table, const ExpertSource& source, const HostTierOptions& options, std::unique_ptr<HostSlots> slots,
                     ExpertCache cache, std::unique_ptr<IoQueue> queue)
    : table_(table),
      source_(source),
      top_k_(options.top_k),
      queue_depth_(queue->depth()),
      memory_(std::move(slots)),
      cache_(std::move(cache)),
      slots_(cache_.slots()),
      parts_(size_t{cache_.slots()} * kMostParts),
      used_(table.classes()),
      lists_(cache_.slots(), table.classes() + 1),
      reader_(source, std::move(queue), cache_.slots(), options.direct_io) {}

Result<std::unique_ptr<HostCache>> HostCache::create(const ExpertTable& table, const ExpertSource& source, const HostTierOptions& options,
                                                     std::unique_ptr<IoQueue> queue) {
  if (options.top_k > table.experts()) {
    return error(Code::kInvalidArgument, "%u experts used of %u: 1 to all of them work", options.top_k, table.experts());
  }
  const auto demands = host_demands(table, source, options.top_k);
  HOTSET_ASSIGN(const auto wanted, plan_host_slots(demands, options.budget_bytes));
  HOTSET_ASSIGN(auto memory, HostSlots::create(table, source));
  HOTSET_ASSIGN(auto cache, make_cache(table, demands, floor_of(table, wanted, options.top_k), options.policy));
  std::unique_ptr<HostCache> made(new HostCache(table, source, options, std::move(memory), std::move(cache), std::move(queue)));
  HOTSET_RETURN_IF_ERROR(made->open_slots(wanted));
  return made;
}

bool HostCache::resident(ExpertId id) const {
  const SlotId slot = known(id) ? cache_.find(id) : kNoSlot;
  return slot != kNoSlot && at(slot).state == State::kReady;
}

std::span<const RecordPart> HostCache::parts(ExpertId id) const {
  HOTSET_CHECK(resident(id));
  return {&parts_[size_t{index_of(cache_.find(id))} * kMostParts], source_.extents(id.layer)};
}

Status HostCache::check_ids(std::span<const ExpertId> ids) const {
  for (const ExpertId id : ids) {
    if (!known(id)) return error(Code::kInvalidArgument, "there is no expert %u in MoE layer %u", id.expert, id.layer);
  }
  if (ids.size() + pinned_ <= max_batch_) return ok_status();
  return error(Code::kOverBudget, "%zu experts cannot be held in RAM at once beside %u others: %u can in all", ids.size(), pinned_, max_batch_);
}

Status HostCache::acquire(std::span<const ExpertId> ids, const HostTier::ArrivedFunction& arrived, Heat heat) {
  HOTSET_RETURN_IF_ERROR(check_ids(ids));
  failure_ = {};
  Status status = claim(ids, heat);
  if (status.ok()) status = deliver(ids, arrived);
  if (!status.ok()) give_up(ids);
  for (const ExpertId id : ids) {
    const SlotId slot = cache_.find(id);
    if (slot != kNoSlot) at(slot).request = kNoRequest;
  }
  return status;
}

Status HostCache::claim(std::span<const ExpertId> ids, Heat heat) {
  reader_.poll();
  take_finished();
  // Those that have a slot are pinned before others are given one, which may evict.
  for (size_t i = 0; i < ids.size(); ++i) {
    if (cache_.find(ids[i]) != kNoSlot) HOTSET_RETURN_IF_ERROR(claim_present(ids[i], i, heat));
  }
  // And the policy knows the whole choice before it is asked who goes.
  for (const ExpertId id : ids) {
    if (heat == Heat::kHot && cache_.find(id) == kNoSlot) cache_.used_elsewhere(id);
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    const SlotId slot = cache_.find(ids[i]);
    if (slot == kNoSlot || at(slot).request != i) HOTSET_RETURN_IF_ERROR(claim_absent(ids[i], i, heat));
  }
  reader_.poll();
  return ok_status();
}

Status HostCache::claim_present(ExpertId id, size_t request, Heat heat) {
  const SlotId slot = cache_.find(id);
  Slot& of = at(slot);
  if (of.request != kNoRequest) return error(Code::kInvalidArgument, "expert %u of MoE layer %u was asked for twice", id.expert, id.layer);
  const bool ready = of.state == State::kReady;
  pin(slot, request);
  if (heat == Heat::kHot) use(slot);
  count_use(of);
  if (ready) lists_.append(table_.classes(), slot);
  else reader_.move(slot, Lane::kDemand);
  return ok_status();
}

// A decode token uses the slot's tenant.
void HostCache::use(SlotId slot) {
  cache_.touch(slot);
  warm_ += at(slot).warm ? 0 : 1;
  at(slot).warm = true;
}

uint32_t HostCache::scan_room() const { return std::max(max_batch_ - std::min(warm_, max_batch_), std::max(max_batch_ / kScanShare, 1u)); }

// The expert in the slot is demanded.
void HostCache::count_use(Slot& slot) {
  const bool ready = slot.state == State::kReady;
  ++(ready ? stats_.demand_hits : stats_.demand_misses);
  if (slot.guessed) ++(ready ? stats_.hint_useful : stats_.hint_late);
  slot.guessed = false;
}

Status HostCache::claim_absent(ExpertId id, size_t request, Heat heat) {
  if (cache_.find(id) != kNoSlot) return error(Code::kInvalidArgument, "expert %u of MoE layer %u was asked for twice", id.expert, id.layer);
  HOTSET_ASSIGN(const SlotId slot, make_room(id, heat));
  ++stats_.demand_misses;
  begin_read(slot, id, Lane::kDemand);
  pin(slot, request);
  warm_ += heat == Heat::kHot ? 1 : 0;
  at(slot).warm = heat == Heat::kHot;
  return ok_status();
}

Status HostCache::deliver(std::span<const ExpertId> ids, const HostTier::ArrivedFunction& arrived) {
  const uint32_t list = table_.classes();
  for (size_t left = ids.size(); left > 0;) {
    take_finished();
    HOTSET_RETURN_IF_ERROR(failure_);
    const SlotId slot = lists_.first(list);
    if (slot == kNoSlot) {
      HOTSET_RETURN_IF_ERROR(wait_for_reads());
      continue;
    }
    lists_.remove(slot);
    HOTSET_RETURN_IF_ERROR(arrived(at(slot).request));
    --left;
    reader_.poll();  // keeps the queue full while `arrived` works
  }
  return ok_status();
}

void HostCache::give_up(std::span<const ExpertId> ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    const SlotId slot = cache_.find(ids[i]);
    if (slot != kNoSlot && at(slot).request == i) give_up(slot);
  }
}

void HostCache::give_up(SlotId slot) {
  Slot& of = at(slot);
  of.request = kNoRequest;
  if (lists_.list_of(slot) == table_.classes()) lists_.remove(slot);
  unpin(slot);
  if (of.state == State::kEmpty) drop(slot);  // its read failed
  else if (of.state == State::kReading && reader_.cancel(slot)) leave(slot);
  else if (of.state == State::kReading) reader_.move(slot, Lane::kHint);
}

void HostCache::release(std::span<const ExpertId> ids) {
  for (const ExpertId id : ids) {
    const SlotId slot = cache_.find(id);
    HOTSET_CHECK(slot != kNoSlot && at(slot).pins > 0);
    unpin(slot);
  }
}

void HostCache::pin(SlotId slot, size_t request) {
  Slot& of = at(slot);
  of.request = request;
  of.demoted = false;
  lists_.remove(slot);
  cache_.pin(slot);
  pinned_ += of.pins++ == 0 ? 1 : 0;
}

void HostCache::unpin(SlotId slot) {
  Slot& of = at(slot);
  cache_.retire(slot, 0);
  pinned_ -= --of.pins == 0 ? 1 : 0;
  list_demoted(slot);
}

void HostCache::list_demoted(SlotId slot) {
  const Slot& of = at(slot);
  if (of.demoted && of.pins == 0 && of.state == State::kReady) lists_.append(index_of(class_of(slot)), slot);
}

// A slot for an expert that has none, taken from whoever may go; kNoSlot when nobody may.
SlotId HostCache::take_slot(ExpertId id, Heat heat) {
  const SizeClassId size_class = table_.size_class(id.layer);
  const SlotId demoted = lists_.first(index_of(size_class));
  if (!has_free(size_class) && demoted != kNoSlot) drop(demoted);
  const ExpertCache::Inserted inserted = cache_.insert(id, heat);
  if (inserted.slot == kNoSlot) return kNoSlot;
  if (inserted.displaced) {
    lose(inserted.slot, *inserted.displaced);
    warm_ -= at(inserted.slot).warm ? 1 : 0;
    at(inserted.slot) = {};
  } else {
    ++used_[index_of(size_class)];
  }
  return inserted.slot;
}

// The same for a demand, which always gets one: the policy's floors give way to it, then hints do.
Result<SlotId> HostCache::make_room(ExpertId id, Heat heat) {
  for (;;) {
    const SlotId slot = take_slot(id, heat);
    if (slot != kNoSlot) return slot;
    const SlotId poor = least_worthy(table_.size_class(id.layer));
    if (poor != kNoSlot) {
      drop(poor);
    } else if (!cancel_hint()) {
      HOTSET_CHECK(reader_.busy());  // pins alone never fill a class: see max_batch_
      HOTSET_RETURN_IF_ERROR(wait_for_reads());
      take_finished();
      HOTSET_RETURN_IF_ERROR(failure_);
    }
  }
}

// The resident that the policy values least among those that nothing pins, whatever the floor of its layer. O(slots).
SlotId HostCache::least_worthy(SizeClassId size_class) const {
  SlotId least = kNoSlot;
  double least_worth = 0;
  uint32_t slot_index = index_of(memory_->first(size_class));
  for (uint32_t open = cache_.open_slots(size_class); open > 0; ++slot_index) {
    const SlotId slot{slot_index};
    if (cache_.closed(slot)) continue;  // few lie between open ones
    --open;
    if (cache_.empty(slot) || cache_.pinned(slot)) continue;
    const double worth = cache_.worth(cache_.tenant(slot));
    if (least != kNoSlot && worth >= least_worth) continue;
    least = slot;
    least_worth = worth;
  }
  return least;
}

// The slot's tenant, of which nothing was read, is gone.
void HostCache::leave(SlotId slot) {
  Slot& of = at(slot);
  stats_.hint_wasted += of.guessed ? 1 : 0;
  hints_ -= of.hinted ? 1 : 0;
  cache_.retire(slot, 0);  // the pin of its read
  of.state = State::kEmpty;
  of.guessed = of.hinted = false;
  drop(slot);
}

// A ready expert is about to lose its slot.
void HostCache::lose(SlotId slot, ExpertId id) {
  if (evicted_) evicted_(id);
  ++stats_.evictions;
  stats_.hint_wasted += at(slot).guessed ? 1 : 0;
  --ready_;
}

// Empties a slot that nothing pins.
void HostCache::drop(SlotId slot) {
  Slot& of = at(slot);
  if (of.state == State::kReady) lose(slot, cache_.tenant(slot));
  lists_.remove(slot);
  --used_[index_of(class_of(slot))];
  cache_.forget(slot);
  warm_ -= of.warm ? 1 : 0;
  of = {};
}

void HostCache::begin_read(SlotId slot, ExpertId id, Lane lane) {
  at(slot).state = State::kReading;
  cache_.pin(slot);
  reader_.begin(slot, id, memory_->bytes(slot, class_of(slot)), lane);
}

uint32_t HostCache::hint(std::span<const ExpertId> ids) {
  uint32_t begun = 0;
  reader_.poll();
  take_finished();
  for (const ExpertId id : ids) {
    if (hints_ >= max_hints_) break;
    if (!known(id) || cache_.find(id) != kNoSlot) continue;
    const SlotId slot = take_slot(id, Heat::kHot);
    if (slot == kNoSlot) break;
    begin_read(slot, id, Lane::kHint);
    at(slot).guessed = at(slot).hinted = true;
    ++hints_;
    ++begun;
  }
  stats_.hinted += begun;
  reader_.poll();
  return begun;
}

void HostCache::poll() {
  reader_.poll();
  take_finished();
}

bool HostCache::cancel_hint() {
  const auto slot = reader_.waiting_hint();
  if (!slot || !reader_.cancel(*slot)) return false;
  leave(*slot);
  return true;
}

void HostCache::cancel_hints() {
  while (cancel_hint()) {
  }
}

void HostCache::touch(ExpertId id) {
  if (!known(id)) return;
  const SlotId slot = cache_.find(id);
  if (slot == kNoSlot) return cache_.used_elsewhere(id);
  use(slot);
  if (at(slot).state == State::kReady) count_use(at(slot));
  at(slot).demoted = false;
  if (lists_.list_of(slot) < table_.classes()) lists_.remove(slot);
}

void HostCache::demote(ExpertId id) {
  if (!resident(id)) return;
  const SlotId slot = cache_.find(id);
  if (at(slot).demoted) return;
  at(slot).demoted = true;
  list_demoted(slot);
}

void HostCache::take_finished() {
  while (auto finished = reader_.take_finished()) finish(std::move(*finished));
}

void HostCache::finish(ExpertReader::Finished finished) {
  const SlotId slot = finished.slot;
  Slot& of = at(slot);
  hints_ -= of.hinted ? 1 : 0;
  of.hinted = false;
  cache_.retire(slot, 0);
  if (finished.status.ok()) {
    describe_parts(slot, cache_.tenant(slot));
    of.state = State::kReady;
    ++ready_;
    if (of.request != kNoRequest) lists_.append(table_.classes(), slot);
    if (arrived_) arrived_(cache_.tenant(slot));
    return;
  }
  ++stats_.read_errors;
  of.state = State::kEmpty;
  if (of.request != kNoRequest) {
    if (failure_.ok()) failure_ = std::move(finished.status);
    return;  // the acquire under way empties it
  }
  if (!told_of_failed_hint_) log_line(LogLevel::kWarn, "reading ahead failed: %s", finished.status.message().c_str());
  told_of_failed_hint_ = true;
  stats_.hint_wasted += of.guessed ? 1 : 0;
  drop(slot);
}

void HostCache::describe_parts(SlotId slot, ExpertId id) {
  const std::span<const std::byte> memory = memory_->bytes(slot, class_of(slot));
  for (uint32_t i = 0; i < source_.extents(id.layer); ++i) {
    const SourceExtent extent = source_.extent(id, i);
    parts_[size_t{index_of(slot)} * kMostParts + i] = {memory.subspan(extent.slot_offset_bytes + extent.lead_bytes, extent.wanted_bytes),
                                                       extent.record_offset_bytes};
    stats_.read_bytes += extent.wanted_bytes;
  }
}

Status HostCache::wait_for_reads() {
  const uint64_t start_ns = now_ns();
  Status status = reader_.wait();
  stats_.stall_ns += now_ns() - start_ns;
  return status;
}

Status HostCache::drain() {
  cancel_hints();
  while (reader_.busy()) {
    HOTSET_RETURN_IF_ERROR(reader_.wait());
    take_finished();
  }
  return ok_status();
}

HostTierStats HostCache::stats() const {
  HostTierStats stats = stats_;
  const ExpertReader::Stats reads = reader_.stats();
  stats.reads = reads.reads;
  stats.disk_bytes = reads.bytes;
  stats.busy_ns = reads.busy_ns;
  stats.residents = ready_;
  for (uint32_t c = 0; c < table_.classes(); ++c) stats.slots += cache_.open_slots(SizeClassId{c});
  return stats;
}

uint64_t HostCache::size_bytes() const {
  uint64_t bytes = 0;
  for (uint32_t c = 0; c < table_.classes(); ++c) bytes += cache_.open_slots(SizeClassId{c}) * memory_->slot_bytes(SizeClassId{c});
  return bytes;
}

Status HostCache::check() const {
  HOTSET_RETURN_IF_ERROR(cache_.check());
  std::vector<uint32_t> used(table_.classes());
  uint32_t ready = 0, pinned = 0, hints = 0, reading = 0, warm = 0;
  for (uint32_t i = 0; i < cache_.slots(); ++i) {
    const SlotId slot{i};
    const Slot& of = at(slot);
    if (cache_.empty(slot) != (of.state == State::kEmpty)) return error(Code::kCorrupt, "slot %u has a tenant without bytes, or bytes without one", i);
    const bool reads = of.state == State::kReading;
    if (cache_.holders(slot) != of.pins + (reads ? 1 : 0)) return error(Code::kCorrupt, "slot %u has lost or kept a pin", i);
    if (of.request != kNoRequest) return error(Code::kCorrupt, "slot %u belongs to an acquire that has ended", i);
    const bool listed = lists_.list_of(slot) != SlotLists::kNone;
    if (listed != (of.demoted && of.pins == 0)) return error(Code::kCorrupt, "slot %u is wrongly listed as one that goes first", i);
    used[index_of(class_of(slot))] += of.state != State::kEmpty ? 1 : 0;
    ready += of.state == State::kReady ? 1 : 0;
    pinned += of.pins > 0 ? 1 : 0;
    hints += of.hinted ? 1 : 0;
    reading += reads ? 1 : 0;
    warm += of.warm ? 1 : 0;
  }
  const bool counted = used == used_ && ready == ready_ && pinned == pinned_ && hints == hints_ && warm == warm_;
  if (!counted) return error(Code::kCorrupt, "the tier has lost count");
  if (reader_.busy() != (reading > 0)) return error(Code::kCorrupt, "%u slots are being read, but the reader does not think so", reading);
  return ok_status();
}

}  // namespace hotset
