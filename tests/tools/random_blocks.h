// Random weights written directly in quantised form: every block is valid and finite, and the values have a wanted
// standard deviation. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace hotset::test {

// ggml's numbers.
enum class BlockType : uint32_t {
  kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ5_0 = 6, kQ5_1 = 7, kQ8_0 = 8, kQ2_K = 10, kQ3_K = 11, kQ4_K = 12, kQ5_K = 13, kQ6_K = 14,
  kIQ2_XXS = 16, kIQ2_XS = 17, kIQ3_XXS = 18, kIQ1_S = 19, kIQ4_NL = 20, kIQ3_S = 21, kIQ2_S = 22, kIQ4_XS = 23, kIQ1_M = 29, kBf16 = 30,
  kTQ1_0 = 34, kTQ2_0 = 35, kMXFP4 = 39, kNVFP4 = 40, kQ1_0 = 41, kQ2_0 = 42,
};

struct BlockFormat {
  BlockType type;
  const char* name;          // as people write it: "Q4_K"
  uint32_t values;           // in a block
  uint32_t size_bytes;       // of a block
  uint32_t file_type;        // ggml's general.file_type of a file made mostly of it
  double positive_mean;      // mean of values made by make_channels_positive, for a standard deviation of 1; 0: it takes no such type
};

std::span<const BlockFormat> block_formats();
const BlockFormat& block_format(BlockType type);
std::optional<BlockType> parse_block_type(std::string_view name);

// xoshiro256++ by Blackman and Vigna (public domain), seeded through splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t next();
  // Uniform in [-1, 1).
  double next_signed() { return static_cast<double>(static_cast<int64_t>(next())) * 0x1p-63; }

 private:
  uint64_t state_[4];
};

// Fills `out`, a whole number of blocks, with values of mean about 0 and standard deviation `deviation`.
void fill_blocks(BlockType type, double deviation, Random& random, std::span<std::byte> out);

// How many leading values of a row make_channels_positive changes.
inline constexpr uint32_t kPositiveChannels = 32;

// Makes the first kPositiveChannels values of a row (at its first block) non-negative; the rest stays. Of types with a positive_mean.
void make_channels_positive(BlockType type, std::span<std::byte> row);

// IEEE half, round to nearest even; too large becomes infinity.
uint16_t half_bits(float value);

}  // namespace hotset::test
