// LinkEvents: which experts crossed which link, and when. For traces and pictures; nothing depends on them.
//
// Kept in a ring of fixed room between two drains: what does not fit is counted and left out, so that recording allocates nothing and
// never waits. One owner thread, that of the Residency and the HostTier which report to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "offload/expert.h"

namespace hotset {

enum class EventLink : uint8_t { kHostToDevice, kDiskToHost };

struct LinkEvent {
  EventLink link = EventLink::kHostToDevice;
  ExpertId expert;
  uint64_t bytes = 0;
  uint64_t start_ns = 0;     // of platform/clock.h
  uint64_t duration_ns = 0;  // until the bytes were there, as far as the host saw it
};

class LinkEvents {
 public:
  explicit LinkEvents(size_t room = 1u << 14);

  // A transfer that is over.
  void add(const LinkEvent& event);

  // Copies of a batch: begun, then sent together (value 0: there already), then there once the link's timeline has passed the value.
  void begin_copy(ExpertId expert, uint64_t bytes, uint64_t start_ns, uint64_t now_ns);
  void sent(uint64_t value);
  void discard();  // the copies begun and not sent are no more
  bool waits() const { return !under_way_.empty(); }
  void completed(uint64_t value, uint64_t now_ns);

  // Hands over what is there, in the order of their ends, and begins anew. `take`: void(const LinkEvent&).
  template <class Take>
  void drain(Take take) {
    for (const LinkEvent& event : done_) take(event);
    done_.clear();
  }
  // All that did not fit.
  uint64_t left_out() const { return left_out_; }

 private:
  static constexpr uint64_t kNotSent = UINT64_MAX;
  struct Copy {
    LinkEvent event;  // duration_ns: of the call that copied, until the timeline tells more
    uint64_t value = kNotSent;
  };

  std::vector<LinkEvent> done_;  // capacity: the room
  std::vector<Copy> under_way_;  // the same
  uint64_t left_out_ = 0;
};

}  // namespace hotset
