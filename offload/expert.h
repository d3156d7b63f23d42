// The names of this floor: which expert, which slot, which bytes. Plain values; any thread.
#pragma once

#include <cstdint>

namespace hotset {

// An expert of the model. `layer` counts MoE layers only, from 0.
struct ExpertId {
  uint16_t layer = 0;
  uint16_t expert = 0;
  bool operator==(const ExpertId&) const = default;
};

// A place for one expert record in a tier; slots of all size classes are numbered in one row.
enum class SlotId : uint32_t {};
inline constexpr SlotId kNoSlot{0xffffffffu};

// Records of one size. All experts of a layer share a class; layers quantised differently have different ones.
enum class SizeClassId : uint32_t {};

// A device buffer that slots lie in, by the number that its owner gave it.
enum class SlabId : uint32_t {};

inline constexpr uint32_t index_of(SlotId slot) { return static_cast<uint32_t>(slot); }
inline constexpr uint32_t index_of(SizeClassId size_class) { return static_cast<uint32_t>(size_class); }
inline constexpr uint32_t index_of(SlabId slab) { return static_cast<uint32_t>(slab); }

// Bytes of one file of a (perhaps split) model.
struct ByteRange {
  uint32_t part = 0;  // which file
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  bool operator==(const ByteRange&) const = default;
};

// Every piece of a record, and so every record, starts on this boundary: the largest minimum that Vulkan lets a device
// ask of a storage buffer offset (minStorageBufferOffsetAlignment).
inline constexpr uint64_t kRecordAlignment = 256;

}  // namespace hotset
