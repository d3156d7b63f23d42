#include "runtime/compute/hazards.h"

namespace hotset {

bool Hazards::note(std::initializer_list<Tensor> reads, std::initializer_list<Tensor> writes) {
  const bool full = count_ + reads.size() + writes.size() > kCapacity;
  const bool barrier = full || conflicts(reads, writes);
  if (barrier) clear();
  add(reads, false);
  add(writes, true);
  return barrier;
}

void Hazards::clear() { count_ = 0; }

bool Hazards::conflicts(std::initializer_list<Tensor> reads, std::initializer_list<Tensor> writes) const {
  const auto overlaps = [](const Range& range, const Tensor& tensor) {
    return tensor.address < range.end && range.begin < tensor.address + tensor.size_bytes;
  };
  for (uint32_t i = 0; i < count_; ++i) {
    for (const Tensor& tensor : writes) {
      if (overlaps(pending_[i], tensor)) return true;
    }
    for (const Tensor& tensor : reads) {
      if (pending_[i].written && overlaps(pending_[i], tensor)) return true;
    }
  }
  return false;
}

void Hazards::add(std::initializer_list<Tensor> tensors, bool written) {
  for (const Tensor& tensor : tensors) pending_[count_++] = {tensor.address, tensor.address + tensor.size_bytes, written};
}

}  // namespace hotset
