// Byte sizes as people write them, and arithmetic on sizes that come from files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/status.h"

namespace hotset {

// A size that is absolute or a share of something known later (free VRAM, say).
struct ByteSize {
  uint64_t bytes = 0;
  double percent = 0;       // used when is_percent
  bool is_percent = false;

  // The size in bytes, given what 100 % is.
  uint64_t resolve(uint64_t whole_bytes) const;
};

// Reads "512M", "6GiB", "6G", "1500000", "1.5g", "80%". K, M, G, T are powers of 1024; kB, MB, GB, TB are powers
// of 1000. Error: not a size, negative, above 2^63, above 100 %.
Result<ByteSize> parse_byte_size(std::string_view text);

// "512 MiB", "6.25 GiB", "17 B".
std::string format_bytes(uint64_t bytes);

// a*b, a+b or `value` rounded up to `alignment` (a power of two); nullopt when 64 bits do not hold it.
std::optional<uint64_t> checked_multiply(uint64_t a, uint64_t b);
std::optional<uint64_t> checked_add(uint64_t a, uint64_t b);
std::optional<uint64_t> checked_align_up(uint64_t value, uint64_t alignment);

inline uint64_t align_up(uint64_t value, uint64_t alignment) { return (value + alignment - 1) & ~(alignment - 1); }

}  // namespace hotset
