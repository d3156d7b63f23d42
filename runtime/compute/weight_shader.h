// WeightShader: a shader that reads weights, in its two builds: one for the block types that most files hold, one for all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "runtime/format/quant.h"
#include "shaders/shaders.h"

namespace hotset {

// Whether a type is in the build for all types only; the same list as in shaders/rare_blocks.glsl.
constexpr bool is_rare(BlockType type) {
  switch (type) {
    case BlockType::kF32:
    case BlockType::kF16:
    case BlockType::kBF16:
    case BlockType::kQ8_0:
    case BlockType::kQ4_0:
    case BlockType::kMXFP4:
    case BlockType::kQ4_K:
    case BlockType::kQ5_K:
    case BlockType::kQ6_K: return false;
    default: return true;
  }
}

constexpr bool any_rare(std::initializer_list<BlockType> types) { return std::any_of(types.begin(), types.end(), is_rare); }

struct WeightShader {
  const char* name;
  std::span<const uint32_t> usual;
  std::span<const uint32_t> all;

  std::span<const uint32_t> build_for(std::initializer_list<BlockType> types) const { return any_rare(types) ? all : usual; }
};

}  // namespace hotset
