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
  // [core_begin, core_end) are the bytes it is there for, [begin, end) those imported: widened to the device's alignment,
  // so that neighbours may share a page.
  struct Piece {
    const std::byte* core_begin = nullptr;
    const std::byte* core_end = nullptr;
    std::byte* begin = nullptr;
    std::byte* end = nullptr;
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    uint64_t address = 0;
  };

  HostImport(Device& device, std::span<std::byte> arena, const HostImportOptions& options);
  void plan(std::span<const uint64_t> cuts);
  Status import_all();
  Status import(Piece& piece);
  void release(Piece& piece);
  const Piece* find(const std::byte* bytes, uint64_t size_bytes) const;

  Device& device_;
  const std::span<std::byte> arena_;
  const HostImportOptions options_;
  uint64_t alignment_bytes_ = 0;
  std::vector<Piece> pieces_;  // by core_begin
  uint64_t imported_bytes_ = 0;
  Status refusal_;
};

}  // namespace hotset
