#include "runtime/model/tensor_finder.h"

#include <array>

namespace hotset {
namespace {

// "64 x 32 x 8", without the ones at the end.
std::string shape_text(const std::array<uint64_t, 4>& dims) {
  size_t shown = dims.size();
  while (shown > 1 && dims[shown - 1] == 1) --shown;
  std::string text = std::to_string(dims[0]);
  for (size_t i = 1; i < shown; ++i) text += " x " + std::to_string(dims[i]);
  return text;
}

}  // namespace

std::string layer_tensor(uint32_t layer, const char* part) { return "blk." + std::to_string(layer) + "." + part; }

Result<const TensorInfo*> TensorFinder::find(const std::string& name, uint64_t d0, uint64_t d1, uint64_t d2) const {
  const TensorInfo* tensor = file_.find_tensor(name);
  if (!tensor) return error(Code::kCorrupt, "the tensor '%s' is missing", name.c_str());
  const std::array<uint64_t, 4> wanted = {d0, d1, d2, 1};
  if (tensor->dims != wanted) {
    return error(Code::kCorrupt, "the tensor '%s' is %s, the metadata wants %s", name.c_str(), shape_text(tensor->dims).c_str(),
                 shape_text(wanted).c_str());
  }
  HOTSET_RETURN_IF_ERROR(tensor->check_type());
  HOTSET_RETURN_IF_ERROR(check_no_scales(*tensor));
  return tensor;
}

// A file may hold a scale for a whole NVFP4 tensor, or one for each of its experts, in a tensor of its own.
Status TensorFinder::check_no_scales(const TensorInfo& tensor) const {
  constexpr std::string_view kSuffix = ".weight";
  if (tensor.type != BlockType::kNVFP4 || !tensor.name.ends_with(kSuffix)) return ok_status();
  const std::string scales = tensor.name.substr(0, tensor.name.size() - kSuffix.size()) + ".scale";
  if (!file_.find_tensor(scales)) return ok_status();
  return error(Code::kUnsupported, "the tensor '%s' scales an NVFP4 tensor as a whole, which is not supported yet", scales.c_str());
}

Result<const TensorInfo*> TensorFinder::vector(const std::string& name, uint32_t size) const {
  HOTSET_ASSIGN(const TensorInfo* tensor, find(name, size, 1, 1));
  if (tensor->type != BlockType::kF32) {
    return error(Code::kUnsupported, "the tensor '%s' is %s, expected F32", name.c_str(), block_type_name(tensor->type));
  }
  return tensor;
}

Result<MatrixSpec> TensorFinder::matrix(const std::string& name, uint32_t rows, uint32_t cols) const {
  HOTSET_ASSIGN(const TensorInfo* tensor, find(name, cols, rows, 1));
  return MatrixSpec{tensor, 0, rows, cols};
}

Result<const TensorInfo*> TensorFinder::stack(const std::string& name, uint32_t experts, uint32_t rows, uint32_t cols) const {
  return find(name, cols, rows, experts);
}

}  // namespace hotset
