// TokenId: the number of a token in its model's vocabulary.
#pragma once

#include <cstdint>

namespace hotset {

using TokenId = int32_t;

inline constexpr TokenId kNoToken = -1;

}  // namespace hotset
