// What of a decode token does not depend on which experts it is routed to, counted from its steps. For estimates of time.
#pragma once

#include <cstdint>

#include "runtime/model/model_spec.h"

namespace hotset {

// Operations of one token, each of which costs something whatever its size. Steps that a device joins or splits are counted once.
uint32_t decode_operations(const ModelSpec& spec);

// Bytes of embedding tables of which a token reads a row and nothing else does: not those that make logits as well.
uint64_t embedding_only_bytes(const ModelSpec& spec);

}  // namespace hotset
