#include "offload/link_events.h"

#include <algorithm>

namespace hotset {

LinkEvents::LinkEvents(size_t room) {
  done_.reserve(room);
  under_way_.reserve(room);
}

void LinkEvents::add(const LinkEvent& event) {
  if (done_.size() == done_.capacity()) ++left_out_;
  else done_.push_back(event);
}

void LinkEvents::begin_copy(ExpertId expert, uint64_t bytes, uint64_t start_ns, uint64_t now_ns) {
  if (under_way_.size() == under_way_.capacity()) {
    ++left_out_;
    return;
  }
  under_way_.push_back({{EventLink::kHostToDevice, expert, bytes, start_ns, now_ns - start_ns}, kNotSent});
}

void LinkEvents::sent(uint64_t value) {
  for (Copy& copy : under_way_) {
    if (copy.value == kNotSent) copy.value = value;
    if (copy.value == 0) add(copy.event);
  }
  std::erase_if(under_way_, [](const Copy& copy) { return copy.value == 0; });
}

void LinkEvents::discard() {
  std::erase_if(under_way_, [](const Copy& copy) { return copy.value == kNotSent; });
}

void LinkEvents::completed(uint64_t value, uint64_t now_ns) {
  const auto there = [value](const Copy& copy) { return copy.value <= value; };
  for (Copy& copy : under_way_) {
    if (!there(copy)) continue;
    copy.event.duration_ns = now_ns - copy.event.start_ns;
    add(copy.event);
  }
  std::erase_if(under_way_, there);
}

}  // namespace hotset
