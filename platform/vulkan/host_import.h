// HostImport: our own host memory made visible to the GPU where it lies (VK_EXT_external_memory_host).
//
// An arena of anonymous private memory is imported in pieces, each a buffer with a device address, a source of copies and
// readable by shaders. It takes nothing of the VRAM budget, but the driver pins the pages: they are all backed from then on,
// and none may be given back to the system (HostArena::discard) while the import lives. The arena outlives the import, the import
// all work that reads it. What the host wrote is seen by the submits that come after the write.
// Immutable after create(): any thread may ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/device.h"

namespace hotset {

struct HostImportOptions {
  uint64_t max_piece_bytes = 1ull << 30;   // drivers fail on larger ones that their limits allow; also at most what the device allows
  uint64_t limit_bytes = UINT64_MAX;       // refused beyond, as some drivers do by themselves (AMD on Windows: about 30 GiB); 0 refuses all
};

// What one piece holds, as offsets into the arena.
struct ImportRange {
  uint64_t core_begin_bytes = 0;  // [core_begin, core_end): the bytes it is there for
  uint64_t core_end_bytes = 0;
  uint64_t begin_bytes = 0;       // [begin, end): what is imported, the core widened to whole pages
  uint64_t end_bytes = 0;
};

// Cuts an arena at `address` into pieces of at most `max_piece_bytes` (at least two pages) for a device that takes whole pages of
// `page_bytes`. A page that is not wholly in the arena is left out. See HostImport::create for `cuts`.
std::vector<ImportRange> plan_import(uint64_t address, uint64_t size_bytes, std::span<const uint64_t> cuts, uint64_t page_bytes,
                                     uint64_t max_piece_bytes);

class HostImport {
 public:
  // A place that a copy reads from.
  struct Source {
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t offset_bytes = 0;
  };

  // Imports `arena` from its start, as far as the driver goes along. `cuts`: ascending offsets into the arena at which a piece may
  // end, so that what lies between two neighbouring cuts is in one piece (unless it is larger than a piece may be);
  // empty: pieces end anywhere. Error: not even the first piece was imported (extension missing, refused, no memory).
  static Result<std::unique_ptr<HostImport>> create(Device& device, std::span<std::byte> arena, std::span<const uint64_t> cuts,
                                                    const HostImportOptions& options = {});
  ~HostImport();
  HostImport(const HostImport&) = delete;
  HostImport& operator=(const HostImport&) = delete;

  // All of these bytes lie in one imported piece; any address may be asked about.
  bool covers(const std::byte* bytes, uint64_t size_bytes) const { return find(bytes, size_bytes) != nullptr; }
  // Where shaders find the bytes; none where they are not covered.
  std::optional<uint64_t> device_address(const std::byte* bytes, uint64_t size_bytes) const;
  // Where copies find them.
  std::optional<Source> source(const std::byte* bytes, uint64_t size_bytes) const;

  uint64_t imported_bytes() const { return imported_bytes_; }
  size_t pieces() const { return pieces_.size(); }
  // Why not all of the arena was imported; ok where it was.
  const Status& refusal() const { return refusal_; }

 private:
  struct Piece {
    ImportRange range;
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    uint64_t address = 0;  // of range.begin_bytes
  };

  HostImport(Device& device, std::span<std::byte> arena) : device_(device), arena_(arena) {}
  // Imports until something is refused, and returns that.
  Status import_all(std::span<const ImportRange> ranges, uint64_t limit_bytes);
  Status import(Piece& piece);
  Status bind(Piece& piece, uint32_t type);
  void release(Piece& piece);
  const Piece* find(const std::byte* bytes, uint64_t size_bytes) const;

  Device& device_;
  const std::span<std::byte> arena_;
  std::vector<Piece> pieces_;  // in the order of the arena
  uint64_t imported_bytes_ = 0;
  uint64_t room_bytes_ = 0;    // of the heap that the imports count as part of, before the first
  Status refusal_;
};

}  // namespace hotset
