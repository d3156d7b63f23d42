// DenseWeights: everything of a model but its routed experts, on the device for good.
//
// Owned by the engine; made and loaded by one thread, then immutable. Tensors lie in slabs no larger than the device allows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "platform/vulkan/memory.h"
#include "platform/vulkan/upload.h"
#include "runtime/compute/tensor.h"
#include "runtime/format/gguf.h"
#include "runtime/model/model_spec.h"

namespace hotset {

class DenseWeights {
 public:
  // Bytes of each slab that the tensors of `spec` need.
  static std::vector<uint64_t> plan_slabs(const ModelSpec& spec, uint64_t max_slab_bytes);

  // Allocates the slabs and copies the tensors there. `progress` gets the bytes done; false cancels.
  static Result<std::unique_ptr<DenseWeights>> load(const GgufFile& file, const ModelSpec& spec, DeviceMemory& memory, Uploader& uploader,
                                                    uint64_t max_slab_bytes, const std::function<bool(uint64_t)>& progress);

  Weight matrix(const MatrixSpec& spec) const;
  uint64_t vector(const TensorInfo* tensor) const { return tensor ? address(tensor) : 0; }
  uint64_t size_bytes() const { return size_bytes_; }

 private:
  DenseWeights() = default;
  uint64_t address(const TensorInfo* tensor) const;

  std::vector<Buffer> slabs_;
  std::unordered_map<const TensorInfo*, uint64_t> addresses_;
  uint64_t size_bytes_ = 0;  // of the tensors
};

}  // namespace hotset
