// A link into plain memory, whose copies arrive when the test says so and which fails when the test says so.
#pragma once

#include <cstring>
#include <vector>

#include "offload/link.h"

namespace hotset::test {

class FakeLink final : public DeviceLink {
 public:
  explicit FakeLink(std::vector<uint64_t> slab_sizes_bytes) {
    for (const uint64_t bytes : slab_sizes_bytes) slabs_.emplace_back(bytes);
  }

  // Delayed: copies arrive with complete(); else at once, and submit() returns 0.
  bool delayed = false;
  // The n-th call from now fails (1: the next); 0: none.
  int fail_copy_in = 0;
  int fail_submit_in = 0;
  int fail_wait_in = 0;
  uint32_t discards = 0;
  bool wrote_twice = false;  // some batch wrote a byte twice, which a link may do in any order

  Status copy(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes) override {
    if (fail_copy_in > 0 && --fail_copy_in == 0) return error(Code::kDevice, "made to fail");
    auto& target = slabs_.at(index_of(slab));
    if (offset_bytes + from.size() > target.size()) return error(Code::kInvalidArgument, "copy past the end of a slab");
    stats_.bytes += from.size();
    ++stats_.copies;
    open_.push_back({from, slab, offset_bytes, 0});
    return ok_status();
  }

  Result<uint64_t> submit() override {
    if (fail_submit_in > 0 && --fail_submit_in == 0) return error(Code::kDevice, "made to fail");
    ++submitted_;
    note_overlaps();
    for (Copy copy : open_) {
      copy.value = submitted_;
      sent_.push_back(copy);
    }
    open_.clear();
    if (delayed) return submitted_;
    complete(submitted_);
    return uint64_t{0};
  }

  void discard() override {
    ++discards;
    open_.clear();
  }
  uint64_t completed() override { return completed_; }
  Status wait(uint64_t value) override {
    if (fail_wait_in > 0 && --fail_wait_in == 0) return error(Code::kDevice, "made to fail");
    if (value > submitted_) return error(Code::kInvalidArgument, "waited for a batch that was never sent");
    complete(value);
    return ok_status();
  }
  DeviceLinkStats stats() const override { return stats_; }

  // The timeline reaches `value`.
  void complete(uint64_t value) {
    size_t kept = 0;
    for (const Copy& copy : sent_) {
      if (copy.value > value) sent_[kept++] = copy;
      else std::memcpy(slabs_[index_of(copy.slab)].data() + copy.offset_bytes, copy.from.data(), copy.from.size());
    }
    sent_.resize(kept);
    completed_ = std::max(completed_, value);
  }
  uint64_t submitted() const { return submitted_; }

  const std::vector<std::byte>& slab(uint32_t index) const { return slabs_[index]; }
  size_t slab_count() const { return slabs_.size(); }

 private:
  struct Copy {
    std::span<const std::byte> from;
    SlabId slab{0};
    uint64_t offset_bytes = 0;
    uint64_t value = 0;
  };
  void note_overlaps() {
    for (size_t i = 0; i < open_.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        const Copy& a = open_[i];
        const Copy& b = open_[j];
        const bool apart = a.slab != b.slab || a.offset_bytes + a.from.size() <= b.offset_bytes || b.offset_bytes + b.from.size() <= a.offset_bytes;
        wrote_twice = wrote_twice || !apart;
      }
    }
  }

  std::vector<std::vector<std::byte>> slabs_;
  std::vector<Copy> open_;
  std::vector<Copy> sent_;
  uint64_t submitted_ = 0;
  uint64_t completed_ = 0;
  DeviceLinkStats stats_;
};

}  // namespace hotset::test
