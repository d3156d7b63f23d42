// Residency: the one door through which the runtime gets experts to where they can be computed.
//
// It keeps the device table [layers][experts] of addresses (0: the device cannot reach the expert now), which kernels read to
// find their experts, and everything behind it: VRAM slots, eviction, pins, copies, the RAM tier. Owned by the engine; one
// owner thread makes all calls. In acquire, retire, touch, advance, hint and end_token nothing is allocated or locked and
// the work is bounded.
//
// An expert's address is that of its VRAM slot once its bytes have arrived there; else, where the device reads host memory
// (Serving::decode is kInPlace), that of its bytes in RAM; else 0.
//
// Rules between the caller and the device:
// - acquire(), hint(), end_token() and the setters may evict, that is change addresses in the table and write other bytes
//   where they led to. A submit that looks experts up in the table by itself may use any address it holds. So
//   these are only called when no such submit is in flight, or when every expert that it can choose is pinned.
// - poll() gives experts better addresses, or their first; those they had stay good until the next call that may evict.
// - A submit that uses experts waits for copies_to_wait_for() on the link's timeline.
// - Pins end with retire(layer, ids, gpu_value): when the compute timeline has passed gpu_value, as told by advance().
//
// What always succeeds, at the smallest budgets too (errors of the link and the disk aside):
// - Decode: acquire of up to top_k distinct experts of a layer while every other layer holds pins on at most top_k,
//   and this layer on none but those asked for. So a token may keep its experts of all layers pinned in VRAM.
// - Scan: acquire of up to max_scan_wave(layer) distinct experts when, of all layers together, at most
//   scan_depth(layer) - 1 earlier waves are still pinned, and nothing else is.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "offload/expert_cache.h"
#include "offload/expert_pieces.h"
#include "offload/expert_table.h"
#include "offload/host_tier.h"
#include "offload/link.h"
#include "offload/link_events.h"
#include "offload/link_model.h"
#include "platform/status.h"

namespace hotset {

enum class Access : uint8_t {
  kDecode,  // a token uses them: they become the most recent, and misses are served as Serving::decode says
  kScan,    // prefill: each expert once; recency stays as it is and newcomers are the first to go
  kLoad,    // fills VRAM as a scan does, whatever Serving says
};

// How the device reads experts where they lie in host memory.
class HostWindow {
 public:
  virtual ~HostWindow() = default;
  // The address for kernels of an expert whose bytes are `parts`, valid while they stay where they are; 0: not these.
  virtual uint64_t address(ExpertId id, std::span<const RecordPart> parts) = 0;
};

// How experts that have no VRAM slot are served.
struct Serving {
  MissMode decode = MissMode::kWait;
  bool scan_in_place = false;       // prefill reads them in host memory too; else it copies each once
  uint64_t promotion_bytes = 0;     // kInPlace, kCpu: most bytes a token copies to VRAM in the background
  bool use_slots = true;            // false (kCpu with a whole RAM tier): what a prompt left in VRAM goes before the next token
};

struct Acquired {
  uint32_t hits = 0;    // distinct experts that needed nothing moved and no CPU
  uint32_t misses = 0;  // the others
};

struct ResidencyStats {
  uint64_t lookups = 0;  // distinct experts per acquire, ids per touch
  uint64_t hits = 0;     // found in VRAM; where there are no slots, in RAM
  uint64_t misses = 0;
  uint64_t decode_lookups = 0;  // the share of Access::kDecode and touch
  uint64_t decode_hits = 0;
  uint64_t in_place = 0;        // decode uses that the device served out of host memory while VRAM has slots
  uint64_t on_host = 0;         // decode uses that were left to the CPU
  uint64_t uploads = 0;         // to VRAM, promotions among them
  uint64_t upload_bytes = 0;
  uint64_t promotions = 0;      // in the background, at the end of a token
  uint64_t evictions = 0;       // from VRAM
  uint64_t stall_ns = 0;        // spent inside acquire on misses
  uint64_t tokens = 0;          // calls of end_token
  uint32_t residents = 0;       // of VRAM
  uint32_t slots = 0;           // of VRAM that are open
};

struct ResidencyParts {
  const ExpertTable& table;                   // these three outlive the Residency, as do link and window
  HostTier& host;
  DeviceLink* link = nullptr;                 // may be nullptr where there are no slots
  std::span<uint64_t> device_table;           // [layers][experts], host-mapped; set to 0 at creation
  std::span<const Slab> slabs;                // read at creation; the memory behind them stays
  std::span<const uint32_t> slots_per_class;  // [classes], from plan_slots; all 0: no VRAM tier
  uint32_t top_k = 0;                         // experts that a token uses of a layer: its floor, where slots allow
  std::string_view policy = "lru";
  HostWindow* window = nullptr;               // nullptr: the device does not read host memory
  Serving serving = {};                       // without slots: always in place
};

class Residency {
 public:
  // Errors (kInvalidArgument): unknown policy, slabs or device table too small, fewer slots than the floors need, in place
  // without a window.
  static Result<std::unique_ptr<Residency>> create(const ResidencyParts& parts);
  ~Residency();
  Residency(const Residency&) = delete;
  Residency& operator=(const Residency&) = delete;

  // Makes the experts `ids` of `layer` reachable and pins each (ids may repeat: an expert is pinned once a call). Afterwards each
  // has an address(), or, with Access::kDecode and MissMode::kCpu, bytes in host_parts().
  // Errors: an id out of range (kInvalidArgument), more experts than unpinned slots (kOverBudget), the link's and the disk's own.
  // After an error no pin is added, no expert whose bytes did not arrive is in the table; some may have been evicted.
  Result<Acquired> acquire(uint32_t layer, std::span<const uint16_t> ids, Access access);

  // Ends the pins of one acquire of the same ids when the GPU's timeline has passed `gpu_value` (0: at once).
  void retire(uint32_t layer, std::span<const uint16_t> ids, uint64_t gpu_value);

  // The compute timeline stands at `completed_gpu_value`.
  void advance(uint64_t completed_gpu_value);

  // What a submit that reads the table, or addresses of it, waits for on the link's timeline; 0: nothing.
  uint64_t copies_to_wait_for() const { return visible_value_; }

  // The device used these experts by itself: recency and counts only. Ids that are out of range are passed over.
  void touch(uint32_t layer, std::span<const uint16_t> ids);

  // Experts that a later token or layer may want, the likeliest first: begins to bring them from disk to RAM, as far as there is
  // room. Returns how many it began. Advice only.
  uint32_t hint(uint32_t layer, std::span<const uint16_t> ids);

  // A decode token begins; nothing is pinned and no submit is in flight.
  void begin_token();

  // One token is done: promotes what its misses have earned, within Serving::promotion_bytes.
  void end_token();

  // Takes in what copies and reads have finished, without waiting: experts that a hint brought get their addresses.
  void poll();

  // All experts of a layer of a whole RAM tier are loaded: they get addresses where the device reads host memory.
  void publish_layer(uint32_t layer);

  // Errors (kInvalidArgument): in place without a window; without slots where the CPU does not run what it misses, or RAM not hold all.
  Status set_serving(const Serving& serving);
  const Serving& serving() const { return serving_; }

  // Copies to VRAM and reads from disk are reported from here on; nullptr: no more. `events` outlives that.
  void set_events(LinkEvents* events);

  // The most distinct experts of `layer` to acquire at once in a scan, and how many such waves may be pinned at a time.
  // The most distinct experts of `layer` to acquire at once in a scan, and how many such waves may be pinned at a time. Of a bounded RAM
  // tier a scan takes what decode has not warmed, or a quarter.
  uint32_t max_scan_wave(uint32_t layer) const;
  uint32_t scan_depth(uint32_t layer) const;
  // The same with Access::kLoad, one wave at a time.
  uint32_t max_load_wave(uint32_t layer) const;

  // Slots of the layer's size class divided by the layers of that class: what a scan fills while slots are free.
  uint32_t fair_share(uint32_t layer) const { return cache_.fair_share(layer); }

  // In VRAM; where there are no slots, in RAM. What costs nothing to acquire.
  bool resident(uint32_t layer, uint32_t expert) const;
  bool in_ram(uint32_t layer, uint32_t expert) const { return expert < table_.experts(layer) && host_.resident(id_of(layer, expert)); }
  // What the device table holds. Not read from there: the host reaches it over the bus.
  uint64_t address(uint32_t layer, uint32_t expert) const { return addresses_[size_t{layer} * table_.experts() + expert]; }
  // The bytes of an expert that is acquired and has no address.
  std::span<const RecordPart> host_parts(uint32_t layer, uint32_t expert) const { return host_.parts(id_of(layer, expert)); }

  // The same by piece.
  ExpertPieces host_pieces(uint32_t layer, uint32_t expert) const;

  // What an expert is worth as a resident (Policy::worth).
  double worth(uint32_t layer, uint32_t expert) const { return cache_.worth(id_of(layer, expert)); }

  // --- live budgets; no pins may be left
  // Waits until no copy is under way, so that no expert is held for one. Error: the link's.
  Status finish_copies();
  // Closes slot after slot of the slab, so that its memory may be given back: its experts leave VRAM. Returns once no copy into it
  // is under way. Error: the link's.
  Status close_slab(SlabId slab);
  // The slab's memory is there again, now at `device_address`.
  void open_slab(SlabId slab, uint64_t device_address);

  ResidencyStats stats() const;

  // Proves that the table, the slots and the policy agree. For tests; O(slots + experts).
  Status check() const;

 private:
  // A copy to VRAM that nobody waits for: the expert is used from where it was until the copy is done.
  struct Promotion {
    ExpertId id;
    SlotId slot = kNoSlot;
    uint64_t value = 0;  // of the link
  };
  struct DelayedRelease {
    ExpertId id;
    uint64_t gpu_value = 0;
  };

  Residency(const ResidencyParts& parts, ExpertCache cache);
  MissMode mode_of(Access access) const;
  Result<uint64_t> submit_copies();
  void discard_copies();
  Status collect_distinct(uint32_t layer, std::span<const uint16_t> ids);
  void fit_floor();
  uint32_t scan_slots(uint32_t layer) const;
  void next_mark();
  void pin_present(uint32_t layer, Access access);
  Status serve_missing(uint32_t layer, Access access);
  Status upload_missing(uint32_t layer, Access access);
  Status upload_batch(std::span<const ExpertId> ids, Heat heat);
  Status upload(ExpertId id, Heat heat);
  Status copy_parts(ExpertId id, SlotId slot);
  Status use_from_host(uint32_t layer, Access access);
  void undo(uint32_t layer, size_t uploads);
  void release_host(ExpertId id);
  void drop_pin(ExpertId id, uint64_t gpu_value);
  void count(const Acquired& acquired, Access access);
  void note_use_from_host(ExpertId id);
  void promote();
  Status promote_candidates();
  Result<bool> promote(ExpertId id);
  void take_back_promotions(size_t first);
  void publish(const Promotion& promotion);
  void publish_finished(uint64_t completed_value);
  void came_to_host(ExpertId id);
  void left_host(ExpertId id);
  bool has_slots() const { return cache_.slots() > 0; }
  bool in_place() const { return window_ != nullptr && (!has_slots() || serving_.decode == MissMode::kInPlace); }
  bool published(ExpertId id) const;
  uint64_t host_address(ExpertId id);
  void set_address(ExpertId id, uint64_t address);
  size_t index(ExpertId id) const { return size_t{id.layer} * table_.experts() + id.expert; }
  ExpertId id_of(uint32_t layer, uint32_t expert) const { return {static_cast<uint16_t>(layer), static_cast<uint16_t>(expert)}; }

  const ExpertTable& table_;
  HostTier& host_;
  DeviceLink* const link_;
  HostWindow* const window_;
  const std::span<uint64_t> device_table_;  // [layers][experts]; equals addresses_
  const uint32_t top_k_;
  Serving serving_;
  LinkEvents* events_ = nullptr;

  ExpertCache cache_;
  uint32_t floor_ = 0;                   // experts that each layer keeps; see Policy
  std::vector<uint32_t> kept_;           // [classes] by the floors of all its layers
  std::vector<uint32_t> widest_wave_;    // [classes] of its layers' loads and scans into slots
  std::vector<uint64_t> addresses_;      // [layers][experts]
  std::vector<uint16_t> host_pins_;      // [layers][experts] acquires that use the bytes in RAM
  uint64_t visible_value_ = 0;           // of the link: the last copy whose bytes the table leads to
  uint64_t completed_gpu_value_ = 0;
  std::vector<DelayedRelease> delayed_;  // host pins that end with a GPU value, in the order of retire()
  std::vector<Promotion> promoting_;     // under way; their slots and host bytes are pinned
  std::vector<ExpertId> candidates_;     // decode uses of this token without a slot
  uint64_t promotion_credit_bytes_ = 0;
  bool told_of_failed_promotion_ = false;
  std::vector<ExpertId> wanted_;         // scratch of the call under way
  std::vector<ExpertId> from_host_;      // scratch: used in place by the acquire under way
  std::vector<ExpertId> uploaded_;       // those of the acquire under way that got a slot, pinned
  std::vector<uint16_t> present_;        // the distinct experts of the acquire under way that had a slot,
  std::vector<uint16_t> missing_;        // and those that had none
  std::vector<uint32_t> marks_;          // [experts]; == mark_ when seen in the call under way
  uint32_t mark_ = 0;
  ResidencyStats stats_;
};

}  // namespace hotset
