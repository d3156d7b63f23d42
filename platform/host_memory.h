// Host memory for large, long-lived data: an aligned anonymous arena, and how much RAM there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "platform/status.h"

namespace hotset {

// One anonymous mapping, page aligned, zero at the start, huge pages asked for. Private anonymous memory is what
// GPU drivers accept for import. Owned by one holder; its bytes are as thread safe as any array.
class HostArena {
 public:
  static Result<std::unique_ptr<HostArena>> create(uint64_t size_bytes);
  ~HostArena();
  HostArena(const HostArena&) = delete;
  HostArena& operator=(const HostArena&) = delete;

  std::span<std::byte> bytes() { return {data_, size_bytes_}; }
  std::span<const std::byte> bytes() const { return {data_, size_bytes_}; }
  uint64_t size_bytes() const { return size_bytes_; }

  // Address space alone, for memory that comes and goes: not a byte may be touched before commit().
  static Result<std::unique_ptr<HostArena>> reserve(uint64_t size_bytes);
  // Backs a range of whole pages of a reserved arena; they read as zero. Error: kOutOfMemory.
  Status commit(uint64_t offset_bytes, uint64_t size_bytes);
  // Gives it back to the system, to be committed again before the next touch.
  void decommit(uint64_t offset_bytes, uint64_t size_bytes);

  // Gives whole pages inside the range back to the system; they read as zero afterwards.
  void discard(uint64_t offset_bytes, uint64_t size_bytes);

 private:
  HostArena(std::byte* data, uint64_t size_bytes) : data_(data), size_bytes_(size_bytes) {}

  std::byte* const data_;
  const uint64_t size_bytes_;
};

struct HostMemoryInfo {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;  // what the system says it could give without swapping
};
HostMemoryInfo host_memory_info();

// The largest resident set this process has had, in bytes.
uint64_t peak_resident_bytes();

}  // namespace hotset
