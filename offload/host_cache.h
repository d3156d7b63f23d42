// HostCache: the bounded RAM tier. Which experts are in RAM, in which slots; who goes; what is read from disk when.
//
// The calls are those of HostTier (offload/host_tier.h), which owns it and says what they promise. One owner thread.
// Invariants (check() proves them):
// - a slot with a tenant is reading or ready; without one it is empty, or closed and gives its memory back;
// - a reading slot is pinned in the cache by its read, a slot that was acquired once more by each acquire: such a slot keeps its tenant;
// - open slots never need more than the budget.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "offload/expert_cache.h"
#include "offload/expert_reader.h"
#include "offload/host_slots.h"
#include "offload/host_tier.h"

namespace hotset {

class HostCache {
 public:
  static Result<std::unique_ptr<HostCache>> create(const ExpertTable& table, const ExpertSource& source, const HostTierOptions& options,
                                                   std::unique_ptr<IoQueue> queue);

  bool resident(ExpertId id) const;
  std::span<const RecordPart> parts(ExpertId id) const;
  Status acquire(std::span<const ExpertId> ids, const HostTier::ArrivedFunction& arrived, Heat heat);
  void release(std::span<const ExpertId> ids);
  uint32_t max_batch() const { return max_batch_; }
  uint32_t scan_room() const;
  uint32_t hint(std::span<const ExpertId> ids);
  void poll();
  void cancel_hints();
  void set_evict_listener(HostTier::EvictListener listener) { evicted_ = std::move(listener); }
  void set_events(LinkEvents* events) { reader_.set_events(events); }
  void set_arrival_listener(HostTier::ArrivalListener listener) { arrived_ = std::move(listener); }
  void touch(ExpertId id);
  void demote(ExpertId id);
  void end_token() { cache_.end_token(); }
  Status set_budget(uint64_t bytes);
  std::vector<SlotRun> slot_runs() const;
  HostTierStats stats() const;
  uint64_t size_bytes() const;
  Status check() const;

 private:
  enum class State : uint8_t { kEmpty, kReading, kReady };
  static constexpr size_t kNoRequest = SIZE_MAX;

  struct Slot {
    size_t request = kNoRequest;  // place in the acquire under way
    uint32_t pins = 0;            // of acquires
    State state = State::kEmpty;
    bool guessed = false;  // a hint brought it in and nothing demanded it yet
    bool hinted = false;   // its read counts as a hint under way
    bool demoted = false;  // to go first, once nothing pins it
    bool warm = false;     // a decode token used its tenant
  };

  HostCache(const ExpertTable& table, const ExpertSource& source, const HostTierOptions& options, std::unique_ptr<HostSlots> slots,
            ExpertCache cache, std::unique_ptr<IoQueue> queue);

  // acquire, step by step.
  Status check_ids(std::span<const ExpertId> ids) const;
  Status claim(std::span<const ExpertId> ids, Heat heat);
  Status claim_present(ExpertId id, size_t request, Heat heat);
  Status claim_absent(ExpertId id, size_t request, Heat heat);
  Status deliver(std::span<const ExpertId> ids, const HostTier::ArrivedFunction& arrived);
  void give_up(std::span<const ExpertId> ids);
  void give_up(SlotId slot);

  // Slots.
  Slot& at(SlotId slot) { return slots_[index_of(slot)]; }
  const Slot& at(SlotId slot) const { return slots_[index_of(slot)]; }
  bool known(ExpertId id) const { return table_.has(id); }
  SizeClassId class_of(SlotId slot) const { return cache_.size_class(slot); }
  bool has_free(SizeClassId size_class) const { return used_[index_of(size_class)] < cache_.open_slots(size_class); }
  SlotId take_slot(ExpertId id, Heat heat);
  Result<SlotId> make_room(ExpertId id, Heat heat);
  SlotId least_worthy(SizeClassId size_class) const;
  void leave(SlotId slot);
  void lose(SlotId slot, ExpertId id);
  void drop(SlotId slot);
  void begin_read(SlotId slot, ExpertId id, ExpertReader::Lane lane);
  void count_use(Slot& slot);
  void use(SlotId slot);
  void pin(SlotId slot, size_t request);
  void unpin(SlotId slot);
  void list_demoted(SlotId slot);

  // Reads that ended.
  void take_finished();
  void finish(ExpertReader::Finished finished);
  void describe_parts(SlotId slot, ExpertId id);
  Status wait_for_reads();
  Status drain();
  bool cancel_hint();

  // The budget.
  Status open_slots(std::span<const uint32_t> wanted);
  Status open_more(SizeClassId size_class, uint32_t wanted);
  void close_slots(SizeClassId size_class, uint32_t wanted);
  void set_limits();

  const ExpertTable& table_;
  const ExpertSource& source_;
  const uint32_t top_k_;
  const uint32_t queue_depth_;
  const std::unique_ptr<HostSlots> memory_;

  ExpertCache cache_;
  std::vector<Slot> slots_;         // [slots]
  std::vector<RecordPart> parts_;   // [slots][kMaxPieces], those of ready slots
  std::vector<uint32_t> used_;      // [classes] slots with a tenant
  SlotLists lists_;                 // [classes] demoted slots that nothing pins, then those that arrived for the acquire under way
  uint32_t max_batch_ = 0;
  uint32_t max_hints_ = 0;
  uint32_t hints_ = 0;              // under way or waiting
  uint32_t pinned_ = 0;             // slots with pins of acquires
  uint32_t ready_ = 0;
  uint32_t warm_ = 0;               // slots that decode has warmed
  bool told_of_failed_hint_ = false;
  HostTier::EvictListener evicted_;
  HostTier::ArrivalListener arrived_;
  Status failure_;                  // of a read of the acquire under way
  HostTierStats stats_;
  ExpertReader reader_;             // last: its end waits for the reads that use the memory
};

}  // namespace hotset
