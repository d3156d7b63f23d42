// The embedded SPIR-V of every shader, by name: generated from shaders/CMakeLists.txt.
#pragma once

#include <cstdint>
#include <span>

namespace hotset::shaders {

}  // namespace hotset::shaders
