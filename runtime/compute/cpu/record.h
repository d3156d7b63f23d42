// What the files share that record operations of OpsCpu as stages.
#pragma once

#include <algorithm>

#include "platform/check.h"
#include "runtime/compute/cpu/ops_cpu.h"

namespace hotset {
namespace cpu {

// Numbers that one core handles while two meet: fewer are not worth sharing out.
constexpr uint64_t kAloneValues = 8192;
// Products of quantised numbers for which a core needs the time of one other value.
constexpr uint64_t kProductsPerValue = 8;
// Several pieces a thread even out what disturbs one, but none is so small that taking it counts.
constexpr uint64_t kPieceValues = 16384;
constexpr uint64_t kMostPieces = 8;

template <class T>
T* pointer(uint64_t address) {
  return reinterpret_cast<T*>(address);
}
template <class T>
T* pointer(const Tensor& tensor) {
  return reinterpret_cast<T*>(tensor.address);
}

inline uint64_t bytes_of_row(BlockType type, uint32_t cols) {
  const auto bytes = row_bytes(type, cols);
  HOTSET_CHECK(bytes.ok());
  return *bytes;
}

}  // namespace cpu

template <class Work>
void OpsCpu::push(const Work& work, uint64_t values, uint64_t own_bytes) {
  HOTSET_CHECK(recording_ != nullptr);
  const bool worth_it = values > cpu::kAloneValues || (always_shared_ && values != 0);
  const uint64_t pieces = std::clamp<uint64_t>(values / pool_.threads() / cpu::kPieceValues, 1, cpu::kMostPieces);
  recording_->push_back({work, pool_.threads() > 1 && worth_it ? static_cast<uint32_t>(pieces) : 0});
  own_bytes_ = std::max(own_bytes_, own_bytes);
}

}  // namespace hotset
