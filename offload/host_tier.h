// HostTier: experts in RAM, in memory of our own: all of them, or as many as a budget allows, read from disk on demand.
//
// Whole (holds_all): one compact arena; each expert is one contiguous record. create(), load() and release_layer() belong to one
// thread; once loaded the bytes never change and any thread may read them, the device link among them.
//
// Bounded: a cache of slots, filled by asynchronous reads (offload/host_cache.h). One owner thread makes all calls; the bytes of
// a pinned expert may be read by any thread. acquire, hint, poll, touch and the like allocate nothing.
//
// Owned by the engine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "offload/expert_source.h"
#include "offload/expert_table.h"
#include "offload/policy.h"
#include "platform/file.h"
#include "platform/host_memory.h"
#include "platform/io_queue.h"
#include "platform/status.h"

namespace hotset {

class HostCache;
class LinkEvents;
struct Seams;

// A run of an expert's bytes, and where it belongs in the record's layout (ExpertTable). Padding between runs is in no part.
// A part of a bounded tier starts wherever its place in the file puts it: nothing but the element size may be taken for granted.
struct RecordPart {
  std::span<const std::byte> bytes;
  uint64_t record_offset_bytes = 0;
};

// Neighbouring open slots of a bounded tier, each `slot_bytes` long and any expert of its class from its first byte on.
struct SlotRun {
  std::span<std::byte> memory;
  uint64_t slot_bytes = 0;
};

struct HostTierOptions {
  uint64_t budget_bytes = 0;        // of RAM for experts; 0, or enough for all: hold everything
  uint32_t threads = 1;             // that load a whole tier
  bool direct_io = true;            // past the system's page cache where the files allow it
  uint32_t queue_depth = 64;        // reads under way at once
  std::string_view policy = "lru";  // who goes when a slot is needed
  uint32_t top_k = 1;               // experts of a layer that a token uses: the least that is pinned at once
  IoQueueKind queue = IoQueueKind::kAuto;
  const Seams* seams = nullptr;     // for tests: platform/seams.h
};

struct HostTierStats {
  uint64_t reads = 0;          // requests to the system that ended well
  uint64_t read_bytes = 0;     // of experts that arrived
  uint64_t disk_bytes = 0;     // of all reads, what alignment adds among them
  uint64_t read_errors = 0;    // experts that could not be read
  uint64_t demand_hits = 0;    // experts per acquire that were resident
  uint64_t demand_misses = 0;  // and that were not, hint_late among them
  uint64_t hinted = 0;         // experts whose reading a hint began
  uint64_t hint_useful = 0;    // of these: resident when first demanded
  uint64_t hint_late = 0;      // demanded while their read was under way or waiting
  uint64_t hint_wasted = 0;    // evicted, cancelled or failed without having been demanded
  uint64_t evictions = 0;
  uint64_t busy_ns = 0;        // some read was under way
  uint64_t stall_ns = 0;       // acquire waited for the disk
  uint32_t residents = 0;
  uint32_t slots = 0;
};

class HostTier {
 public:
  // Fills `out` with the bytes of `range`; out.size() == range.size_bytes. Called from several threads at once.
  using ReadFunction = std::function<Status(const ByteRange& range, std::span<std::byte> out)>;
  // How far a load is, in bytes of the files; false stops it.
  using ProgressFunction = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;
  // The expert ids[index] of an acquire is there. May read parts(); makes no other call of the tier. An error ends the acquire.
  using ArrivedFunction = std::function<Status(size_t index)>;

  // A whole tier: room for every expert of `table`, which must outlive it; loads with up to `threads` threads.
  // Error: kOutOfMemory.
  static Result<std::unique_ptr<HostTier>> create(const ExpertTable& table, uint32_t threads = 1);

  // What `options` ask for: a whole tier that is still to be loaded, or a bounded one that fills itself from `source`.
  // Both outlive the tier. Errors: kOverBudget with the least that works, kOutOfMemory, an unknown policy, no queue.
  static Result<std::unique_ptr<HostTier>> create(const ExpertTable& table, const ExpertSource& source, const HostTierOptions& options);
  // A bounded tier with a queue of the caller's choice, whatever the budget.
  static Result<std::unique_ptr<HostTier>> create_bounded(const ExpertTable& table, const ExpertSource& source,
                                                          const HostTierOptions& options, std::unique_ptr<IoQueue> queue);
  ~HostTier();
  HostTier(const HostTier&) = delete;
  HostTier& operator=(const HostTier&) = delete;

  bool holds_all() const { return cache_ == nullptr; }
  // Not a whole tier that has given all of its layers back.
  bool holds_anything() const { return cache_ != nullptr || std::find(held_.begin(), held_.end(), true) != held_.end(); }

  // --- Whole tiers only ---

  // Reads every piece into its place, in file order: about 16 MiB between two calls of `progress` (may be empty).
  // Errors: kCancelled, or what `read` says; the tier is not usable then.
  Status load(const ReadFunction& read, const ProgressFunction& progress);

  // The same from the model's files, in the order of ByteRange::part.
  Status load(std::span<const std::unique_ptr<File>> parts, const ProgressFunction& progress);

  // One layer of it; `progress` counts the bytes of the layers read so far.
  Status load_layer(uint32_t layer, const ReadFunction& read, const ProgressFunction& progress);

  // Gives a layer's memory back to the system: all of its experts have a place elsewhere for good.
  void release_layer(uint32_t layer);

  // The record of one expert of a layer that is loaded; kRecordAlignment aligned, padding is zero.
  std::span<const std::byte> bytes(ExpertId id) const;

  // The memory that the records lie in, and the ascending offsets at which one begins.
  std::span<std::byte> arena() { return arena_ ? arena_->bytes() : std::span<std::byte>(); }
  std::vector<uint64_t> record_offsets_bytes() const;

  // --- Both ---

  // Whether all bytes of the expert are there now.
  bool resident(ExpertId id) const;

  // The bytes of a resident expert. Valid until it may be evicted: pinned ones until release(), others until the next call that
  // may bring in an expert. Whole tiers: one part, the record.
  std::span<const RecordPart> parts(ExpertId id) const;

  // Makes `ids` (distinct) resident and pins each until release(). All reads are begun before the first `arrived`, which
  // is called once for each id: for residents first, then as reads end. Hot: a decode token uses them, which the policy is told. Cold:
  // a scan reads each once, so recency and counts stay as they are; newcomers are the first to go and take each other's places.
  // Errors: what the disk or `arrived` says, an id twice or out of range, more pins than max_batch(). No pin of this call is
  // left then, and a retry may succeed; reads that are under way end as those of a hint.
  Status acquire(std::span<const ExpertId> ids, const ArrivedFunction& arrived, Heat heat = Heat::kHot);
  void release(std::span<const ExpertId> ids);

  // How many distinct experts can be pinned at once.
  uint32_t max_batch() const;
  // How many of these a scan may take without harm: the slots that no decode token has warmed, or a quarter of all where that is more.
  uint32_t scan_room() const;

  // Begins to read experts that a later acquire may want, the likeliest first, as far as there is unpinned room and the number of
  // hints under way allows; returns how many it began. Never waits; demand goes before it and joins it.
  uint32_t hint(std::span<const ExpertId> ids);

  // Takes in finished reads and begins waiting ones, without waiting. To be called now and then while hints are under way.
  void poll();

  // Forgets hints whose reads have not begun.
  void cancel_hints();

  // Is told of every expert that leaves a bounded tier, before its bytes go. Makes no call of the tier.
  using EvictListener = std::function<void(ExpertId)>;
  void set_evict_listener(EvictListener listener);
  // Is told of every expert whose bytes have come to a bounded tier: resident() is true. Makes no call of the tier that changes it.
  using ArrivalListener = std::function<void(ExpertId)>;
  void set_arrival_listener(ArrivalListener listener);

  // Experts that arrive in a bounded tier are reported from here on; nullptr: no more.
  void set_events(LinkEvents* events);

  // A decode token used the expert where it lies, without an acquire: counts as one. Takes back demote().
  void touch(ExpertId id);
  // VRAM holds the expert too: it is the first to go from RAM. Nothing where it is not resident.
  void demote(ExpertId id);
  // One token is done: what decays with tokens decays.
  void end_token();

  // Changes a bounded tier's budget; no expert may be pinned (kInvalidArgument). Shrinking evicts and gives memory back to the
  // system. Errors: kOverBudget with the least that works: the tier stays as it was; kOutOfMemory: it grew as far as the system
  // went along. A whole tier stays whole: kUnsupported when the budget is below what it holds.
  Status set_budget(uint64_t bytes);

  // The open slots of a bounded tier as they lie until the next set_budget(); none of a whole one.
  std::vector<SlotRun> slot_runs() const;

  HostTierStats stats() const;

  // Bytes of the layers that are held; of all slots, filled or not. Never above the budget.
  uint64_t size_bytes() const;

  // Proves that slots, reads and bookkeeping agree. For tests; O(slots + experts).
  Status check() const;

 private:
  HostTier(const ExpertTable& table, std::unique_ptr<HostArena> arena, uint32_t threads);
  HostTier(const ExpertTable& table, std::unique_ptr<HostCache> cache);
  Status load_piece(uint32_t layer, uint32_t piece, const ReadFunction& read, const ProgressFunction& progress);
  std::span<std::byte> piece_bytes(ExpertId id, const ExpertPiece& piece);
  void describe_records();
  size_t table_index(ExpertId id) const { return size_t{id.layer} * table_.experts() + id.expert; }
  bool known(ExpertId id) const { return table_.has(id); }
  Status acquire_loaded(std::span<const ExpertId> ids, const ArrivedFunction& arrived);

  const ExpertTable& table_;
  const uint32_t threads_;
  std::vector<uint64_t> layer_offsets_bytes_;  // [layers] into the arena
  std::vector<RecordPart> records_;            // [layers][experts]
  std::vector<bool> held_;                     // [layers]: loaded and not released
  uint64_t done_bytes_ = 0;                    // read from the files
  uint64_t told_bytes_ = 0;                    // of these, told to the progress function
  uint64_t acquired_ = 0;                      // experts that acquire() handed out
  const std::unique_ptr<HostArena> arena_;     // whole tiers
  const std::unique_ptr<HostCache> cache_;     // bounded ones
};

// The least budget of a bounded tier, whatever the model's files are like: room for the `top_k` experts of a layer in each size class.
uint64_t least_host_bytes(const ExpertTable& table, uint32_t top_k);

}  // namespace hotset
