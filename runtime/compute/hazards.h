// Hazards: decides where a barrier is needed between operations of one command buffer.
//
// Ranges read and written since the last barrier are kept; an operation that reads or writes what was written, or writes what
// was read, needs a barrier first. One thread; fixed size; when full, it asks for a barrier.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "runtime/compute/tensor.h"

namespace hotset {

class Hazards {
 public:
  // True when a barrier must come before an operation with these reads and writes. Notes them as pending (after the
  // barrier, when one is needed).
  bool note(std::initializer_list<Tensor> reads, std::initializer_list<Tensor> writes);
  void clear();

 private:
  static constexpr uint32_t kCapacity = 48;
  struct Range {
    uint64_t begin;
    uint64_t end;
    bool written;
  };
  bool conflicts(std::initializer_list<Tensor> reads, std::initializer_list<Tensor> writes) const;
  void add(std::initializer_list<Tensor> tensors, bool written);

  std::array<Range, kCapacity> pending_ = {};
  uint32_t count_ = 0;
};

}  // namespace hotset
