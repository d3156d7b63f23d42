// The code books of IQ blocks as shaders read them: shaders/grid_blocks.glsl. Pure; any thread.
#pragma once

#include <cstdint>
#include <vector>

namespace hotset {

// shaders::kBookWords words, each book from where shaders/params.h says: two words an index for IQ2, one for IQ3; for IQ1 one, whose
// low nibbles are numbers 0..3 of the eight and the high ones 4..7, each one too large.
std::vector<uint32_t> codebook_words();

}  // namespace hotset
