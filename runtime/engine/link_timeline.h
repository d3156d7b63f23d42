// LinkTimeline: what links carried over the time of a run, for a picture. Pure; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "offload/link_events.h"
#include "runtime/engine/run_history.h"
#include "runtime/engine/trace_picture.h"

namespace hotset {

struct LinkTimeline {
  double bucket_ms = 0;
  std::vector<LinkSeries> links;  // those that carried anything
};

// Each transfer's bytes are spread evenly over its time. Times count from the first one's start.
LinkTimeline timeline_of(std::span<const LinkEvent> events, size_t buckets = 240);
// The stretches follow each other; each one's bytes are spread over it.
LinkTimeline timeline_of(std::span<const RunStretch> stretches, size_t buckets = 240);

}  // namespace hotset
