// Code books of quantised blocks, ready for use: the magnitudes that an index of an IQ block stands for, byte by byte.
//
// runtime/format/codebook_codes.h holds the same in fewer bits. Constant after start; any thread.
#pragma once

#include <array>
#include <cstdint>

namespace hotset {

// Eight magnitudes an entry, the first in the lowest byte: 8, 25, 43.
extern const std::array<uint64_t, 256> kIq2XxsGrid;
extern const std::array<uint64_t, 512> kIq2XsGrid;
extern const std::array<uint64_t, 1024> kIq2SGrid;
// Four an entry: up to 62 and up to 15.
extern const std::array<uint32_t, 256> kIq3XxsGrid;
extern const std::array<uint32_t, 512> kIq3SGrid;
// Of IQ1: eight numbers -1, 0, 1 as 0, 8, 16.
extern const std::array<uint64_t, 2048> kIq1Grid;

// The eight signs that 7 bits stand for: the last makes their number even.
extern const std::array<uint8_t, 128> kEvenSigns;

// The numbers of IQ4_NL and IQ4_XS.
inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

}  // namespace hotset
