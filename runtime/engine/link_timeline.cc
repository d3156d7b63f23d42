#include "runtime/engine/link_timeline.h"

#include <algorithm>
#include <array>

namespace hotset {
namespace {

constexpr size_t kLinks = 2;  // EventLink
constexpr const char* kNames[kLinks] = {"RAM to VRAM", "disk to RAM"};
constexpr double kLeastSpanNs = 1e3;  // of a timeline: something that took no time still has a rate

class Buckets {
 public:
  Buckets(double span_ns, size_t count) : bucket_ns_(std::max(span_ns, kLeastSpanNs) / static_cast<double>(count)) {
    for (std::vector<double>& link : bytes_) link.resize(count);
  }

  void spread(EventLink link, double start_ns, double duration_ns, double bytes) {
    std::vector<double>& of = bytes_[static_cast<size_t>(link)];
    carried_[static_cast<size_t>(link)] = carried_[static_cast<size_t>(link)] || bytes > 0;
    const double end_ns = start_ns + duration_ns;
    const size_t last = std::min(static_cast<size_t>(std::max(0.0, end_ns / bucket_ns_)), of.size() - 1);
    const size_t first = std::min(static_cast<size_t>(std::max(0.0, start_ns / bucket_ns_)), last);
    for (size_t i = first; i <= last; ++i) {
      const double begin = std::max(start_ns, bucket_ns_ * static_cast<double>(i));
      const double end = i == last ? end_ns : bucket_ns_ * static_cast<double>(i + 1);
      of[i] += first == last ? bytes : bytes * std::max(0.0, end - begin) / duration_ns;
    }
  }

  LinkTimeline timeline() const {
    LinkTimeline timeline;
    timeline.bucket_ms = bucket_ns_ * 1e-6;
    for (size_t link = 0; link < kLinks; ++link) {
      if (carried_[link]) timeline.links.push_back({kNames[link], bytes_[link]});
    }
    return timeline;
  }

 private:
  const double bucket_ns_;
  std::array<std::vector<double>, kLinks> bytes_;
  std::array<bool, kLinks> carried_ = {};
};

}  // namespace

LinkTimeline timeline_of(std::span<const LinkEvent> events, size_t buckets) {
  if (events.empty() || buckets == 0) return {};
  uint64_t first_ns = UINT64_MAX, last_ns = 0;
  for (const LinkEvent& event : events) {
    first_ns = std::min(first_ns, event.start_ns);
    last_ns = std::max(last_ns, event.start_ns + event.duration_ns);
  }
  Buckets of(static_cast<double>(last_ns - first_ns), buckets);
  for (const LinkEvent& event : events) {
    of.spread(event.link, static_cast<double>(event.start_ns - first_ns), static_cast<double>(event.duration_ns), static_cast<double>(event.bytes));
  }
  return of.timeline();
}

LinkTimeline timeline_of(std::span<const RunStretch> stretches, size_t buckets) {
  double span_ns = 0;
  for (const RunStretch& stretch : stretches) span_ns += static_cast<double>(stretch.ns);
  if (stretches.empty() || buckets == 0) return {};
  Buckets of(span_ns, buckets);
  double at_ns = 0;
  for (const RunStretch& stretch : stretches) {
    const auto ns = static_cast<double>(stretch.ns);
    of.spread(EventLink::kHostToDevice, at_ns, ns, static_cast<double>(stretch.host_to_device_bytes));
    of.spread(EventLink::kDiskToHost, at_ns, ns, static_cast<double>(stretch.disk_to_host_bytes));
    at_ns += ns;
  }
  return of.timeline();
}

}  // namespace hotset
