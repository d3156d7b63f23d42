// How many parameters a model has, as people say it. Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/engine/engine.h"

namespace hotset {

// "1.03 T", "20.9 B", "34.6 M".
std::string parameters_text(uint64_t count);

// What one token is multiplied with: all but the experts that are not chosen. The whole input table is counted.
uint64_t active_parameters(const ModelReport& report);

}  // namespace hotset
