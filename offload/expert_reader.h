// ExpertReader: fills slots of the RAM tier from disk, many reads at a time.
//
// An expert is read by the extents of its source. Two lanes wait for the queue: demand goes first, and hints take only part of the
// queue's depth, so that a demand never stands behind a full queue of guesses. A read that ends early goes on from where it
// ended; one that direct I/O refuses (EINVAL) is done again through the page cache, as are all later ones of that file.
//
// Owned by a HostCache; one owner thread; nothing is allocated after creation but the text of errors. The slots' memory outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "offload/expert_source.h"
#include "offload/link_events.h"
#include "offload/slot_lists.h"
#include "platform/io_queue.h"

namespace hotset {

class ExpertReader {
 public:
  enum class Lane : uint32_t { kDemand, kHint };

  struct Finished {
    SlotId slot = kNoSlot;
    Status status;
  };

  struct Stats {
    uint64_t reads = 0;
    uint64_t bytes = 0;
    uint64_t busy_ns = 0;  // some read was under way
  };

  // `source` outlives the reader. `direct_io`: where the source's files allow it.
  ExpertReader(const ExpertSource& source, std::unique_ptr<IoQueue> queue, uint32_t slots, bool direct_io);

  // Lets an expert wait for its turn; `memory` is its slot's, which nobody else touches until it is finished or cancelled.
  void begin(SlotId slot, ExpertId id, std::span<std::byte> memory, Lane lane);

  // Moves what has not begun yet to the other lane.
  void move(SlotId slot, Lane lane);

  // Forgets an expert of which no read has begun; false: too late.
  bool cancel(SlotId slot);
  // The first expert of the hint lane that cancel() can forget.
  std::optional<SlotId> waiting_hint() const;

  // Begins what the queue has room for and takes in what has ended, without waiting.
  void poll();
  // The same, waiting until a read ends; busy() is true. Error: the queue gives no more results.
  Status wait();

  // An expert whose last read has ended.
  std::optional<Finished> take_finished();

  // Some expert is waiting, being read, or not taken yet.
  bool busy() const { return experts_ > 0; }

  Stats stats() const;

  // Experts whose reads have ended well are reported from here on; nullptr: no more.
  void set_events(LinkEvents* events) { events_ = events; }

 private:
  struct Expert {  // of a slot that is being filled
    ExpertId id;
    std::span<std::byte> memory;
    Status status;
    uint32_t next_extent = 0;  // to be submitted
    uint32_t under_way = 0;
    uint64_t start_ns = 0;     // of its first read, where events are wanted
    uint64_t bytes = 0;        // read
  };
  struct Read {  // in the queue; by tag
    SlotId slot = kNoSlot;
    SourceExtent extent;
    uint64_t done_bytes = 0;
    bool direct = false;
    bool hint = false;
  };
  static constexpr uint32_t kFinished = 2;  // the list after those of the lanes

  Expert& expert(SlotId slot) { return slots_[index_of(slot)]; }
  SlotId next_slot() const;
  void pump();
  void submit_next_extent(SlotId slot);
  void submit(uint32_t tag);
  void take_in(uint32_t count);
  Status advance(uint32_t tag, const IoDone& done, bool* over);
  void end_read(uint32_t tag, Status status);
  bool refused_directly(const Read& read, const IoDone& done);

  const ExpertSource& source_;
  const uint32_t hint_depth_;
  std::vector<bool> direct_;      // [files]
  std::vector<Expert> slots_;     // [slots]
  SlotLists lists_;               // the lanes hold experts with extents to submit, kFinished those that are done
  std::vector<Read> reads_;       // [depth]
  std::vector<uint32_t> free_;    // tags of no read
  std::vector<IoDone> done_;      // [depth] room for results
  uint32_t experts_ = 0;          // begun and not taken
  uint32_t hint_reads_ = 0;       // under way
  uint64_t busy_since_ns_ = 0;    // 0: nothing is under way
  Stats stats_;
  LinkEvents* events_ = nullptr;
  const std::unique_ptr<IoQueue> queue_;  // last: its end waits for the reads that use the rest
};

}  // namespace hotset
