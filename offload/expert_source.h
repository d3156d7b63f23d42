// ExpertSource: where the bytes of an expert are read from, and where each read puts them.
//
// A slot of the RAM tier is filled by one read (extent) per piece of the model's files, or by a single one from a pack file.
// Direct I/O wants file offset, length and address on the file's alignment a, so an extent covers [floor(o, a), ceil(o + n, a)) around
// the n bytes at o, and lands at a multiple of a in the slot: the wanted bytes then lie lead_bytes behind it, where they stay.
// A slot starts on kSlotAlignment, and its regions follow each other in the order of the pieces.
//
// Owned by the engine, outlives the tier that reads from it; immutable, any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "offload/expert_table.h"
#include "platform/file.h"
#include "platform/status.h"

namespace hotset {

class PackFile;

// Memory pages, and the largest alignment that direct I/O may ask for.
inline constexpr uint64_t kSlotAlignment = 4096;

struct SourceExtent {
  uint32_t file = 0;
  uint64_t offset_bytes = 0;         // in the file, aligned
  uint64_t size_bytes = 0;           // aligned; the last one may reach past the end of the file
  uint64_t lead_bytes = 0;           // of these, before the wanted ones
  uint64_t wanted_bytes = 0;
  uint64_t slot_offset_bytes = 0;    // where the extent lands, aligned
  uint64_t record_offset_bytes = 0;  // where the wanted bytes belong in the record (ExpertTable)
};

class ExpertSource {
 public:
  // The model's own files, in the order of ByteRange::part; each is opened a second time for direct I/O where the system allows. `table`
  // outlives the source. Error: another number of files than the table knows, or one that was replaced meanwhile.
  static Result<std::unique_ptr<ExpertSource>> from_model(const ExpertTable& table, std::span<const File* const> parts);

  // A pack file that belongs to the model. `verify`: check() compares checksums, until an expert was found good once.
  static Result<std::unique_ptr<ExpertSource>> from_pack(const ExpertTable& table, std::unique_ptr<PackFile> pack, bool verify);

  virtual ~ExpertSource() = default;

  virtual uint32_t files() const = 0;
  virtual const File& file(uint32_t index) const = 0;

  // Reads per expert of a layer, at most ExpertTableBuilder::kMaxPieces.
  virtual uint32_t extents(uint32_t layer) const = 0;
  virtual SourceExtent extent(ExpertId id, uint32_t index) const = 0;

  // Room for any expert of the class, a multiple of kSlotAlignment.
  virtual uint64_t slot_bytes(SizeClassId size_class) const = 0;

  // Whether what was read of an expert is what should be there; `slot` starts where extent offsets count from. Error: kCorrupt.
  virtual Status check(ExpertId id, std::span<const std::byte> slot) const = 0;
};

// Room for any expert of each class [classes] as it lies in the model's files, read at an alignment of up to kSlotAlignment.
std::vector<uint64_t> model_slot_bytes(const ExpertTable& table, uint64_t alignment_bytes);

}  // namespace hotset
