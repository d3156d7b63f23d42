#include "runtime/model/family.h"

#include <array>
#include <string>

namespace hotset {
namespace {

constexpr uint32_t kMaxHeadDim = 256;   // shaders/attention.comp keeps a head's sums in registers
constexpr uint32_t kMaxExperts = 1024;  // shaders/route.comp
constexpr uint32_t kRowGroup = 32;      // kernels of products walk rows in groups of this many values

constexpr std::array kFamilies = {
    Family{"llama", describe_llama},
    Family{"qwen2moe", describe_qwen2moe},
    Family{"qwen3moe", describe_qwen3moe},
    Family{"qwen3vlmoe", describe_qwen3moe},
};

Status check_attention(const AttentionShape& shape) {
  for (const uint32_t size : {shape.head_dim, shape.value_dim}) {
    if (size != 0 && size % 8 == 0 && size <= kMaxHeadDim) continue;
    return error(Code::kUnsupported, "attention heads of %u values cannot be run: multiples of 8 up to %u can", size, kMaxHeadDim);
  }
  return shape.kv_heads != 0 && shape.heads % shape.kv_heads == 0
             ? ok_status()
             : error(Code::kUnsupported, "attention of %u heads with %u key/value heads cannot be run", shape.heads, shape.kv_heads);
}

Status check_matmul(const MatmulStep& step) {
  for (const ProductSpec& product : step.products) {
    if (product.matrix.cols % kRowGroup == 0) continue;
    return error(Code::kUnsupported, "the tensor '%s' has rows of %u values; only multiples of %u can be run", product.matrix.tensor->name.c_str(),
                 product.matrix.cols, kRowGroup);
  }
  return ok_status();
}

Status check_experts(const MoeSpec& moe) {
  if (moe.route.experts > kMaxExperts) return error(Code::kUnsupported, "%u experts a layer cannot be run: at most %u", moe.route.experts, kMaxExperts);
  if (moe.route.used > shaders::kMaxTopK) {
    return error(Code::kUnsupported, "%u experts a token cannot be run: at most %u", moe.route.used, shaders::kMaxTopK);
  }
  for (const uint32_t size : {moe.experts.embd, moe.experts.ff}) {
    if (size % kRowGroup != 0) return error(Code::kUnsupported, "experts with rows of %u values cannot be run: a multiple of %u can", size, kRowGroup);
  }
  return ok_status();
}

// What the kernels can do with any family.
Status check_kernel_limits(const ModelSpec& spec) {
  for (const Step& step : spec.steps) {
    if (const auto* attend = std::get_if<AttendStep>(&step)) HOTSET_RETURN_IF_ERROR(check_attention(attend->shape));
    if (const auto* matmul = std::get_if<MatmulStep>(&step)) HOTSET_RETURN_IF_ERROR(check_matmul(*matmul));
  }
  for (const MoeSpec& moe : spec.moes) HOTSET_RETURN_IF_ERROR(check_experts(moe));
  return ok_status();
}

}  // namespace

std::span<const Family> families() { return kFamilies; }

Result<ModelSpec> describe_model(const GgufFile& file) {
  HOTSET_ASSIGN(const ModelConfig config, read_model_config(file));
  std::string known;
  for (const Family& family : families()) {
    known += (known.empty() ? "" : ", ") + std::string(family.architecture);
    if (family.architecture != config.architecture) continue;
    Graph graph(file, config);
    family.describe(graph);
    HOTSET_ASSIGN(ModelSpec spec, std::move(graph).finish());
    HOTSET_RETURN_IF_ERROR(check_kernel_limits(spec));
    return spec;
  }
  return error(Code::kUnsupported, "the architecture '%s' cannot be run yet; this build runs: %s", printable(config.architecture).c_str(), known.c_str());
}

}  // namespace hotset
