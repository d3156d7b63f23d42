#include "platform/os_file.h"

#include <cerrno>

namespace hotset::os {

MovedBytes write_all_at(FileHandle file, uint64_t offset_bytes, std::span<const std::byte> bytes) {
  MovedBytes all;
  while (all.size_bytes < bytes.size()) {
    const MovedBytes moved = write_at(file, offset_bytes + all.size_bytes, bytes.subspan(all.size_bytes));
    all.size_bytes += moved.size_bytes;
    all.error = moved.error == 0 && moved.size_bytes == 0 ? EIO : moved.error;
    if (all.error != 0) break;
  }
  return all;
}

}  // namespace hotset::os
