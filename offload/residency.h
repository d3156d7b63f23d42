// Residency: the one door through which the runtime gets experts onto the device.
//
// It keeps the device table [layers][experts] of slot addresses (0: not resident), which shaders read to find
// their experts, and everything behind it: slots, eviction, pins, copies. Owned by the engine; one owner thread makes all
// calls. In acquire, retire, touch, advance and end_token nothing is allocated or locked and the work is bounded.
//
// Rules between the caller and the GPU:
// - acquire() may evict, that is write 0 or another address into the table and other bytes into a slot. A submit that
//   looks experts up in the table by itself may use any address it holds. So acquire() is only called when no such
//   submit is in flight, or when every expert that it can choose is pinned.
// - A submit that uses acquired experts waits for Acquired::ready_value on the link's timeline. Later submits to the
//   same queue need not wait again.
// - Pins end with retire(layer, ids, gpu_value): when the compute timeline has passed gpu_value, as told by advance().
//
// What always succeeds, at the smallest budget too (errors of the link aside):
// - Decode: acquire of up to top_k distinct experts of a layer while every other layer holds pins on at most top_k,
//   and this layer on none but those asked for. So a token may keep its experts of all layers pinned.
// - Scan: acquire of up to max_scan_wave(layer) distinct experts when, of all layers together, at most
//   scan_depth(layer) - 1 earlier waves are still pinned, and nothing else is.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "offload/expert_cache.h"
#include "offload/expert_table.h"
#include "offload/host_tier.h"
#include "offload/link.h"
#include "platform/status.h"

namespace hotset {

enum class Access : uint8_t {
  kDecode,  // the experts become the most recent
  kScan,    // prefill: each expert once; recency stays as it is and newcomers are the first to go
};

struct Acquired {
  uint32_t hits = 0;         // distinct experts that were resident
  uint32_t misses = 0;       // distinct experts that were copied
  uint64_t ready_value = 0;  // on the link's timeline; 0: nothing to wait for
};

struct ResidencyStats {
  uint64_t lookups = 0;  // distinct experts per acquire, ids per touch
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t decode_lookups = 0;  // the share of Access::kDecode and touch
  uint64_t decode_hits = 0;
  uint64_t uploads = 0;
  uint64_t upload_bytes = 0;
  uint64_t evictions = 0;
  uint64_t stall_ns = 0;  // spent inside acquire on misses
  uint64_t tokens = 0;    // calls of end_token
  uint32_t residents = 0;
  uint32_t slots = 0;
};

struct ResidencyParts {
  const ExpertTable& table;                   // these four outlive the Residency
  const HostTier& host;                       // loaded
  DeviceLink& link;
  std::span<uint64_t> device_table;           // [layers][experts], host-mapped; set to 0 at creation
  std::span<const Slab> slabs;                // read at creation; the memory behind them stays
  std::span<const uint32_t> slots_per_class;  // [classes], from plan_slots
  uint32_t top_k = 0;                         // the floor of each layer
  std::string_view policy = "lru";
};

class Residency {
 public:
  // Errors (kInvalidArgument): unknown policy, slabs or device table too small, fewer slots than the floors need.
  static Result<std::unique_ptr<Residency>> create(const ResidencyParts& parts);

  // Makes the experts `ids` of `layer` resident and pins each (ids may repeat: an expert is pinned once a call).
  // Errors: an id out of range (kInvalidArgument), more experts than unpinned slots (kOverBudget), the link's own.
  // After an error no pin is added, no expert whose bytes did not arrive is in the table; some may have been evicted.
  Result<Acquired> acquire(uint32_t layer, std::span<const uint16_t> ids, Access access);

  // Ends the pins of one acquire of the same ids when the GPU's timeline has passed `gpu_value` (0: at once).
  void retire(uint32_t layer, std::span<const uint16_t> ids, uint64_t gpu_value);

  // The compute timeline stands at `completed_gpu_value`.
  void advance(uint64_t completed_gpu_value) { cache_.advance(completed_gpu_value); }

  // The GPU used these experts by itself: recency and counts only. Ids that are out of range or no longer resident
  // are passed over.
  void touch(uint32_t layer, std::span<const uint16_t> ids);

  // One token is done.
  void end_token() {
    ++stats_.tokens;
    cache_.end_token();
  }

  // The most distinct experts of `layer` to acquire at once in a scan, and how many such waves may be pinned at a time.
  uint32_t max_scan_wave(uint32_t layer) const;
  uint32_t scan_depth(uint32_t layer) const { return 2 * max_scan_wave(layer) <= cache_.fair_share(layer) ? 2 : 1; }

  // Slots of the layer's size class divided by the layers of that class: what a scan fills while slots are free.
  uint32_t fair_share(uint32_t layer) const { return cache_.fair_share(layer); }

  bool resident(uint32_t layer, uint32_t expert) const;
  // The device address of an expert that is resident. Not read from the device table, which the host reaches over the bus.
  uint64_t address(uint32_t layer, uint32_t expert) const;
  ResidencyStats stats() const;

  // Proves that the table, the slots and the policy agree. For tests; O(slots + experts).
  Status check() const;

 private:
  Residency(const ResidencyParts& parts, ExpertCache cache);
  Status collect_distinct(uint32_t layer, std::span<const uint16_t> ids);
  void next_mark();
  uint64_t pin_present(uint32_t layer, Access access);
  Result<uint64_t> upload_missing(uint32_t layer, Access access);
  Status upload(ExpertId id, Heat heat);
  void undo(uint32_t layer, size_t uploads);
  uint64_t still_pending(uint64_t ready_value);
  void count(const Acquired& acquired, Access access);
  uint64_t& table_entry(ExpertId id) { return device_table_[size_t{id.layer} * table_.experts() + id.expert]; }
  ExpertId id_of(uint32_t layer, uint32_t expert) const { return {static_cast<uint16_t>(layer), static_cast<uint16_t>(expert)}; }

  const ExpertTable& table_;
  const HostTier& host_;
  DeviceLink& link_;
  const std::span<uint64_t> device_table_;  // [layers][experts]; nonzero <=> resident and copied
  const uint32_t top_k_;

  ExpertCache cache_;
  std::vector<uint64_t> ready_values_;  // [slots] link value after which the tenant's bytes are there
  uint64_t link_completed_ = 0;         // the link's timeline as last seen
  std::vector<uint16_t> present_;       // the distinct experts of the acquire under way that were resident,
  std::vector<uint16_t> missing_;       // and those that were not
  std::vector<uint32_t> marks_;         // [experts]; == mark_ when seen in the call under way
  uint32_t mark_ = 0;
  ResidencyStats stats_;
};

}  // namespace hotset
