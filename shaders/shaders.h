// The embedded SPIR-V of every shader, by name: generated from shaders/CMakeLists.txt.
#pragma once

#include <cstdint>
#include <span>

namespace hotset::shaders {

extern const std::span<const uint32_t> embed;

}  // namespace hotset::shaders
