// EngineCounts: what an engine counts over its life, so that a session can tell its own share: the difference over its calls.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/engine/loaded_model.h"

namespace hotset {

enum class EngineCount : size_t {
  kLookups,
  kHits,
  kDecodeLookups,
  kDecodeHits,
  kInPlace,
  kOnHost,
  kPromotions,
  kLinkBytes,
  kLinkBusyNs,
  kDiskBytes,
  kDiskBusyNs,
  kRamHits,
  kRamMisses,
  kHinted,
  kHintUseful,
  kHintLate,
  kHintWasted,
  kSubmits,
  kCounts
};

class EngineCounts {
 public:
  EngineCounts() = default;
  // Under the engine's lock.
  static EngineCounts of(const LoadedModel& loaded);

  uint64_t operator[](EngineCount count) const { return values_[static_cast<size_t>(count)]; }
  // Adds what was counted between two looks at one engine.
  void add(const EngineCounts& before, const EngineCounts& after);

 private:
  uint64_t& at(EngineCount count) { return values_[static_cast<size_t>(count)]; }

  std::array<uint64_t, static_cast<size_t>(EngineCount::kCounts)> values_ = {};
};

}  // namespace hotset
