// Slicer: how recorded work is cut so that no submit holds the device longer than a slice, and other work on it gets its turn.
//
// Commands are recorded as parts of a few dispatches each; what a part takes is measured when it runs. Parts go together while
// what they took before, or what dispatches take of late, fits the slice. A cut is where an operation ends, behind a barrier: results do not
// change. One thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hotset {

class Slicer {
 public:
  // 0: nothing is cut.
  explicit Slicer(uint64_t slice_ns) : slice_ns_(slice_ns) {}

  bool on() const { return slice_ns_ != 0; }
  // A part that is recorded ends after so many dispatches.
  bool ends_part(uint32_t dispatches) const { return on() && dispatches >= part_dispatches_; }
  // Whether a part goes into a submit that already has parts of `submit_ns`; adds what it is expected to take. One that was never measured,
  // nor any other, goes alone.
  bool joins(uint64_t& submit_ns, uint64_t measured_ns, uint32_t dispatches) const {
    const uint64_t expected_ns = measured_ns != 0 ? measured_ns : std::max<uint64_t>(dispatch_ns_ * dispatches, dispatch_ns_ == 0 ? slice_ns_ : 1);
    const bool fits = submit_ns == 0 || submit_ns + expected_ns <= slice_ns_;
    submit_ns += expected_ns;
    return fits;
  }
  // A part took `part_ns`. What dispatches take follows a slower one at once and a faster one slowly; parts that are too long by
  // themselves are made of fewer dispatches from then on.
  void note(uint64_t part_ns, uint32_t dispatches) {
    if (part_ns == 0 || dispatches == 0) return;
    const uint64_t each_ns = std::max<uint64_t>(part_ns / dispatches, 1);
    dispatch_ns_ = std::max(each_ns, (kSlowness * dispatch_ns_ + each_ns) / (kSlowness + 1));
    if (part_ns > slice_ns_) part_dispatches_ = std::max(1u, part_dispatches_ / 2);
  }

 private:
  static constexpr uint32_t kFirstDispatches = 4;  // small beside a slice on a GPU, and few enough barriers
  static constexpr uint64_t kSlowness = 7;

  const uint64_t slice_ns_;
  uint32_t part_dispatches_ = kFirstDispatches;
  uint64_t dispatch_ns_ = 0;  // of late; 0: not known
};

}  // namespace hotset
