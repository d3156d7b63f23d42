// TensorFinder: looks tensors up by name and checks their shapes against the metadata, for the families.
// Short-lived; one thread.
#pragma once

#include <cstdint>
#include <string>

#include "platform/status.h"
#include "runtime/format/gguf.h"
#include "runtime/model/model_spec.h"

namespace hotset {

class TensorFinder {
 public:
  explicit TensorFinder(const GgufFile& file) : file_(file) {}

  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }
  // Float32 vector of `size`.
  Result<const TensorInfo*> vector(const std::string& name, uint32_t size) const;
  // [rows][cols] as one matrix.
  Result<MatrixSpec> matrix(const std::string& name, uint32_t rows, uint32_t cols) const;
  // [experts][rows][cols].
  Result<const TensorInfo*> stack(const std::string& name, uint32_t experts, uint32_t rows, uint32_t cols) const;

 private:
  Result<const TensorInfo*> find(const std::string& name, uint64_t d0, uint64_t d1, uint64_t d2) const;
  Status check_no_scales(const TensorInfo& tensor) const;

  const GgufFile& file_;
};

// "blk.7.attn_q.weight" for (7, "attn_q.weight").
std::string layer_tensor(uint32_t layer, const char* part);

}  // namespace hotset
