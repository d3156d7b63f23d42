#include "runtime/model/family.h"

#include <array>
#include <string>

namespace hotset {
namespace {

constexpr uint32_t kMaxKeyDim = 576;    // what attention is tested with: latent attention has the largest heads
constexpr uint32_t kMaxValueDim = 512;  // shaders/attention.comp keeps a head's sums in registers
constexpr uint32_t kMaxExperts = 1024;  // shaders/route.comp

constexpr std::array kFamilies = {
    Family{"qwen3moe", describe_qwen3moe},
};

// Kernels of products walk rows in groups of this many values.
constexpr uint32_t kRowGroup = 32;

Status check_head_size(uint32_t size, uint32_t most) {
  if (size % 2 == 0 && size <= most) return ok_status();
  return error(Code::kUnsupported, "attention heads of %u values cannot be run: even sizes up to %u can", size, most);
}

Status check_heads(const ModelConfig& config) {
  HOTSET_RETURN_IF_ERROR(check_head_size(config.key_length, kMaxKeyDim));
  HOTSET_RETURN_IF_ERROR(check_head_size(config.value_length, kMaxValueDim));
  if (config.heads * config.value_length % kRowGroup != 0) {
    return error(Code::kUnsupported, "%u attention heads of %u values cannot be run: a multiple of %u values together can", config.heads,
                 config.value_length, kRowGroup);
  }
  return config.kv_heads != 0 ? ok_status() : error(Code::kUnsupported, "attention without key/value heads cannot be run");
}

}  // namespace

std::span<const Family> families() { return kFamilies; }

Status check_kernel_limits(const ModelConfig& config) {
  HOTSET_RETURN_IF_ERROR(check_heads(config));
  if (config.experts > kMaxExperts) return error(Code::kUnsupported, "%u experts a layer cannot be run: at most %u", config.experts, kMaxExperts);
  if (config.experts_used > shaders::kMaxTopK) {
    return error(Code::kUnsupported, "%u experts a token cannot be run: at most %u", config.experts_used, shaders::kMaxTopK);
  }
  if (config.embedding % kRowGroup != 0) {
    return error(Code::kUnsupported, "an embedding of %u values cannot be run: a multiple of %u can", config.embedding, kRowGroup);
  }
  if (config.expert_feed_forward % kRowGroup != 0) {
    return error(Code::kUnsupported, "experts of %u hidden values cannot be run: a multiple of %u can", config.expert_feed_forward, kRowGroup);
  }
  return ok_status();
}

Result<ModelSpec> describe_model(const GgufFile& file) {
  HOTSET_ASSIGN(const ModelConfig config, read_model_config(file));
  std::string known;
  for (const Family& family : families()) {
    if (family.architecture == config.architecture) return family.describe(file, config);
    known += (known.empty() ? "" : ", ") + std::string(family.architecture);
  }
  return error(Code::kUnsupported, "the architecture '%s' cannot be run yet; this build runs: %s", printable(config.architecture).c_str(), known.c_str());
}

}  // namespace hotset
