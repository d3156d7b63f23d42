// Random blocks of the types that random_blocks.h has no formulas for: their spread is measured once, with the runtime's own
// dequantisation. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <span>

#include "tests/tools/random_blocks.h"

namespace hotset::test {

// Sets the scales of whole blocks of random bits, and what of their quants is not symmetric, so that values have mean about 0
// and standard deviation `deviation`.
void scale_rare_blocks(BlockType type, double deviation, Random& random, std::span<std::byte> blocks);

}  // namespace hotset::test
