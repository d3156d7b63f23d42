// Plain views of device memory: what an operation reads and writes. They own nothing.
#pragma once

#include <cstdint>

#include "runtime/format/quant.h"

namespace hotset {

// Bytes at a device address; the element type and shape are the operation's.
struct Tensor {
  uint64_t address = 0;
  uint64_t size_bytes = 0;
};

// A matrix of quantised rows: [rows][cols], each row a run of blocks along cols.
struct Weight {
  BlockType type = BlockType::kF32;
  uint32_t rows = 0;
  uint32_t cols = 0;
  uint64_t address = 0;
};

enum class KvElement : uint32_t { kF32 = 0, kF16 = 1 };

inline uint32_t kv_element_bytes(KvElement element) { return element == KvElement::kF16 ? 2 : 4; }

}  // namespace hotset
