// Rounding floats into quantised blocks: what model files are converted with. Layouts: runtime/format/quant.h.
//
// F16, BF16, Q8_0 and Q4_0 give the bytes of ggml's reference quantiser. Q4_K, Q6_K and MXFP4 search the scales that make the
// sum of squared errors small, all weights alike. Deterministic: the same floats give the same bytes on every machine and
// however rows are shared out. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <span>

#include "platform/status.h"
#include "runtime/format/quant.h"

namespace hotset {

// Whether quantize takes the type: F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K, MXFP4.
bool can_quantize(BlockType type);

// Rounds `values`, any whole number of blocks of any number of rows, into `blocks`. NaN and infinities become some number, or
// what the type has for them. Errors: another type (kUnsupported), sizes that do not fit each other.
Status quantize(BlockType type, std::span<const float> values, std::span<std::byte> blocks);

}  // namespace hotset
