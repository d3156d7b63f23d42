#include "runtime/format/codebooks.h"

#include <bit>
#include <cstddef>

#include "runtime/format/codebook_codes.h"

namespace hotset {
namespace {

// Entries of `Entry`'s bytes, from codes of `bits` bits that count in `values`.
template <class Entry, size_t kCount, size_t kValues>
constexpr std::array<Entry, kCount> expand(const uint16_t (&codes)[kCount], uint32_t bits, const uint8_t (&values)[kValues]) {
  std::array<Entry, kCount> grid = {};
  for (size_t i = 0; i < kCount; ++i) {
    for (uint32_t byte = 0; byte < sizeof(Entry); ++byte) {
      grid[i] |= static_cast<Entry>(values[codes[i] >> (bits * byte) & ((1u << bits) - 1)]) << (8 * byte);
    }
  }
  return grid;
}

constexpr std::array<uint8_t, 128> even_signs() {
  std::array<uint8_t, 128> signs = {};
  for (uint32_t i = 0; i < 128; ++i) signs[i] = static_cast<uint8_t>(i | (std::popcount(i) & 1u) << 7);
  return signs;
}

constexpr uint8_t kIq2Values[3] = {8, 25, 43};
constexpr uint8_t kIq3XxsValues[8] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr uint8_t kIq3SValues[8] = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr uint8_t kIq1Values[3] = {0, 8, 16};

}  // namespace

constexpr std::array<uint64_t, 256> kIq2XxsGrid = expand<uint64_t>(codes::kIq2Xxs, 2, kIq2Values);
constexpr std::array<uint64_t, 512> kIq2XsGrid = expand<uint64_t>(codes::kIq2Xs, 2, kIq2Values);
constexpr std::array<uint64_t, 1024> kIq2SGrid = expand<uint64_t>(codes::kIq2S, 2, kIq2Values);
constexpr std::array<uint32_t, 256> kIq3XxsGrid = expand<uint32_t>(codes::kIq3Xxs, 3, kIq3XxsValues);
constexpr std::array<uint32_t, 512> kIq3SGrid = expand<uint32_t>(codes::kIq3S, 3, kIq3SValues);
constexpr std::array<uint64_t, 2048> kIq1Grid = expand<uint64_t>(codes::kIq1, 2, kIq1Values);
constexpr std::array<uint8_t, 128> kEvenSigns = even_signs();

}  // namespace hotset
