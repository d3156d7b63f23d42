#include "platform/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace hotset {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41, bits reversed

using Tables = std::array<std::array<uint32_t, 256>, 8>;

// tables[k][b]: what byte b does to the checksum when k bytes follow it.
constexpr Tables make_tables() {
  Tables tables = {};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][b] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (uint32_t b = 0; b < 256; ++b) tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 255];
  }
  return tables;
}

constexpr Tables kTables = make_tables();

uint64_t load_word(const std::byte* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

uint32_t table_step(uint32_t crc, uint64_t word) {
  word ^= crc;
  uint32_t next = 0;
  for (size_t k = 0; k < 8; ++k) next ^= kTables[7 - k][(word >> (8 * k)) & 255];
  return next;
}

uint32_t table_byte_step(uint32_t crc, std::byte byte) { return (crc >> 8) ^ kTables[0][(crc ^ static_cast<uint32_t>(byte)) & 255]; }

#if defined(__x86_64__)

bool has_instruction() { return __builtin_cpu_supports("sse4.2") != 0; }

[[gnu::target("sse4.2")]] uint32_t crc32c_hardware(std::span<const std::byte> bytes, uint32_t before) {
  uint64_t crc = ~before;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) crc = _mm_crc32_u64(crc, load_word(bytes.data() + at));
  auto tail = static_cast<uint32_t>(crc);
  for (; at < bytes.size(); ++at) tail = _mm_crc32_u8(tail, static_cast<unsigned char>(bytes[at]));
  return ~tail;
}

#elif defined(__aarch64__)

bool has_instruction() { return (::getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

[[gnu::target("+crc")]] uint32_t crc32c_hardware(std::span<const std::byte> bytes, uint32_t before) {
  uint32_t crc = ~before;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) crc = __crc32cd(crc, load_word(bytes.data() + at));
  for (; at < bytes.size(); ++at) crc = __crc32cb(crc, static_cast<unsigned char>(bytes[at]));
  return ~crc;
}

#else

bool has_instruction() { return false; }
uint32_t crc32c_hardware(std::span<const std::byte> bytes, uint32_t before) { return crc32c_portable(bytes, before); }

#endif

}  // namespace

uint32_t crc32c_portable(std::span<const std::byte> bytes, uint32_t before) {
  uint32_t crc = ~before;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) crc = table_step(crc, load_word(bytes.data() + at));
  for (; at < bytes.size(); ++at) crc = table_byte_step(crc, bytes[at]);
  return ~crc;
}

uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before) {
  static const bool hardware = has_instruction();
  return hardware ? crc32c_hardware(bytes, before) : crc32c_portable(bytes, before);
}

}  // namespace hotset
