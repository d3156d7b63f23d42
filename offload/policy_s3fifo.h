// PolicyS3Fifo: two queues without reordering. Newcomers pass through a small one (a tenth) and leave it soon unless they are used again;
// those that were, and those that come back soon after they left, go to the main one, where a use earns another round.
//
// After S3-FIFO (SOSP 2023). One owner thread.
#pragma once

#include "offload/aged_lists.h"
#include "offload/ranked_policy.h"

namespace hotset {

class PolicyS3Fifo final : public RankedPolicy {
 public:
  explicit PolicyS3Fifo(const PolicyShape& shape);

  std::string_view name() const override { return "s3fifo"; }
  double worth(ExpertId id) override;
  bool admits(ExpertId, SlotId) override { return true; }

 private:
  enum Queue : uint32_t { kScanned, kSmall, kMain, kQueues };
  static constexpr uint8_t kMostUses = 3;

  static uint32_t list(uint32_t layer, Queue queue) { return kQueues * layer + queue; }
  void join(SlotId slot) override;
  void part(SlotId slot) override;
  void note_use(ExpertId id) override;
  bool use_moves() const override { return false; }
  SlotId lowest(uint32_t layer, Heat heat, const Pins& pins) const override;
  double rank(SlotId slot) const override { return static_cast<double>(lists_.stamp(slot)); }
  SlotId hot_victim(uint32_t layer, const Pins& pins) override;
  Status check_order(uint32_t layer, uint32_t cold, uint32_t hot) const override;

  uint8_t& uses_of(SlotId slot) { return uses_[book().table_index(tenant_of(slot))]; }
  bool in_small(SlotId slot) const { return lists_.list_of(slot) % kQueues == kSmall; }
  SlotId oldest_of_peers(uint32_t layer, Queue queue, const Pins& pins) const;
  bool small_is_full(uint32_t layer) const;
  void move_to_main(SlotId slot);

  AgedLists lists_;                // [layers][Queue]
  std::vector<uint8_t> uses_;      // [layers][experts] since it came, at most kMostUses
  std::vector<uint64_t> left_at_;  // [layers][experts] how many had left the small queue when it did; 0: never
  uint64_t leavers_ = 0;
  const uint64_t remembered_;      // leavers
};

}  // namespace hotset
