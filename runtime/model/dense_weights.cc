#include "runtime/model/dense_weights.h"

#include <algorithm>

#include "platform/bytes.h"

namespace hotset {
namespace {

// Kernels load aligned words around a row's bytes: a little room behind the last tensor of a slab keeps them inside.
constexpr uint64_t kTensorAlignment = 256;
constexpr uint64_t kChunkBytes = 8u << 20;  // read from the file and uploaded at a time

uint64_t padded_bytes(const TensorInfo* tensor) { return align_up(tensor->size_bytes + kTensorAlignment, kTensorAlignment); }

// Which slab a tensor goes to when they are placed in order.
struct Placement {
  size_t slab = 0;
  uint64_t offset_bytes = 0;
};

std::vector<Placement> place(const std::vector<const TensorInfo*>& tensors, uint64_t max_slab_bytes, std::vector<uint64_t>& slab_bytes) {
  std::vector<Placement> placements;
  slab_bytes.assign(1, 0);
  for (const TensorInfo* tensor : tensors) {
    const uint64_t bytes = padded_bytes(tensor);
    if (slab_bytes.back() != 0 && slab_bytes.back() + bytes > max_slab_bytes) slab_bytes.push_back(0);
    placements.push_back({slab_bytes.size() - 1, slab_bytes.back()});
    slab_bytes.back() += bytes;
  }
  return placements;
}

}  // namespace

std::vector<uint64_t> DenseWeights::plan_slabs(const ModelSpec& spec, uint64_t max_slab_bytes) {
  std::vector<uint64_t> slab_bytes;
  place(spec.tensors, max_slab_bytes, slab_bytes);
  return slab_bytes;
}

Result<std::unique_ptr<DenseWeights>> DenseWeights::load(const GgufFile& file, const ModelSpec& spec, DeviceMemory& memory, Uploader& uploader,
                                                         uint64_t max_slab_bytes, const std::function<bool(uint64_t)>& progress) {
  std::unique_ptr<DenseWeights> weights(new DenseWeights());
  const std::vector<const TensorInfo*>& tensors = spec.tensors;
  std::vector<uint64_t> slab_bytes;
  const auto placements = place(tensors, max_slab_bytes, slab_bytes);
  for (const uint64_t bytes : slab_bytes) {
    HOTSET_ASSIGN(Buffer slab, memory.allocate(bytes, MemoryKind::kDevice, "dense weights"));
    weights->slabs_.push_back(std::move(slab));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& tensor = *tensors[i];
    const Buffer& slab = weights->slabs_[placements[i].slab];
    for (uint64_t done = 0; done < tensor.size_bytes; done += kChunkBytes) {
      const uint64_t bytes = std::min(kChunkBytes, tensor.size_bytes - done);
      const auto fill = [&](std::span<std::byte> out) { return file.read(tensor, done, out); };
      HOTSET_RETURN_IF_ERROR(uploader.upload(slab, placements[i].offset_bytes + done, bytes, fill));
      weights->size_bytes_ += bytes;
      if (progress && !progress(weights->size_bytes_)) return error(Code::kCancelled, "loading was cancelled");
    }
    weights->addresses_[&tensor] = slab.address() + placements[i].offset_bytes;
  }
  return weights;
}

uint64_t DenseWeights::address(const TensorInfo* tensor) const {
  const auto found = addresses_.find(tensor);
  HOTSET_CHECK(found != addresses_.end());
  return found->second;
}

Weight DenseWeights::matrix(const MatrixSpec& spec) const {
  const uint64_t row = row_bytes(spec.tensor->type, spec.cols).value();
  return {spec.tensor->type, spec.rows, spec.cols, address(spec.tensor) + row * spec.first_row};
}

}  // namespace hotset
