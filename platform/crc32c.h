// CRC-32C (Castagnoli), the checksum of iSCSI (RFC 3720) and of many storage formats. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hotset {

// The checksum of `bytes`, or of what `before` is the checksum of with `bytes` behind it.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before = 0);

// The same from tables, as on processors without an instruction for it.
uint32_t crc32c_portable(std::span<const std::byte> bytes, uint32_t before = 0);

}  // namespace hotset
