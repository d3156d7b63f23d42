#include "runtime/model/family.h"

#include <array>
#include <string>

#include "runtime/model/families/families.h"
#include "runtime/model/families/plain.h"

namespace hotset {
namespace {

constexpr uint32_t kMaxKeyDim = 576;    // what attention is tested with: latent attention has the largest heads
constexpr uint32_t kMaxValueDim = 512;  // shaders/attention.comp keeps a head's sums in registers
constexpr uint32_t kMaxExperts = 1024;  // shaders/route.comp
constexpr uint32_t kRowGroup = 32;      // kernels of products walk rows in groups of this many values

constexpr std::array kFamilies = {
    Family{"afmoe", {}, describe_afmoe},
    Family{"arctic", {}, describe_arctic},
    Family{"bailingmoe", {.adjacent_pairs = true}},
    Family{"bailingmoe2", {.query_norms = true}},
    Family{"bailingmoe3", {}, describe_bailingmoe3},
    Family{"cohere2moe", {}, describe_cohere2moe},
    Family{"dbrx", {.ffn_norm = "attn_output_norm"}},
    Family{"deepseek", {.adjacent_pairs = true, .renormalise = false}},
    Family{"deepseek2", {}, describe_deepseek2},
    Family{"deepseek32", {}, describe_deepseek32},
    Family{"deepseek4", {}, describe_deepseek4},
    Family{"dots1", {.query_norms = true}},
    Family{"dots3note", {}, describe_dots3note},
    Family{"ernie4_5-moe", {.adjacent_pairs = true}},
    Family{"exaone-moe", {.query_norms = true, .window_period = 4, .turns = Turns::kSliding}},
    Family{"gemma4", {}, describe_gemma4},
    Family{"glm-dsa", {}, describe_glm_dsa},
    Family{"glm4moe", {.ffn_norm = "post_attention_norm"}},
    Family{"gpt-oss", {.ffn_norm = "post_attention_norm", .window_period = 2, .glu = kGptOssGlu}},
    Family{"granite", {}, describe_granite},
    Family{"granite_swa", {}, describe_granite},
    Family{"granitehybrid", {}, describe_granite_hybrid},
    Family{"granitemoe", {}, describe_granite},
    Family{"grok", {}, describe_grok},
    Family{"grovemoe", {}, describe_grovemoe},
    Family{"hunyuan-moe", {.query_norms = true, .norm_after_rope = true, .wide_experts = true}},
    Family{"hy_v3", {.query_norms = true}},
    Family{"hy_v4", {}, describe_hy_v4},
    Family{"jamba", {}, describe_jamba},
    Family{"kimi-k3", {}, describe_kimi_k3},
    Family{"kimi-linear", {}, describe_kimi_linear},
    Family{"laguna", {}, describe_laguna},
    Family{"lfm2", {}, describe_lfm2},
    Family{"lfm2moe", {}, describe_lfm2},
    Family{"llama", {.adjacent_pairs = true}},
    Family{"llama4", {}, describe_llama4},
    Family{"maple", {}, describe_maple},
    Family{"mellum", {.query_norms = true, .window_period = 4}},
    Family{"mimo2", {.gating = Gating::kSigmoid}},
    Family{"minimax-01", {}, describe_minimax01},
    Family{"minimax-m2", {.gating = Gating::kSigmoid, .query_norms = true}},
    Family{"minimax-m3", {}, describe_minimax_m3},
    Family{"mistral4", {}, describe_deepseek2},
    Family{"nemotron_h", {}, describe_nemotron_h},
    Family{"nemotron_h_moe", {}, describe_nemotron_h},
    Family{"olmoe", {.renormalise = false, .query_norms = true}},
    Family{"phimoe", {}},
    Family{"qwen2", {}},
    Family{"qwen2moe", {.renormalise = false}},
    Family{"qwen3", {.query_norms = true}},
    Family{"qwen35", {}, describe_qwen35moe},
    Family{"qwen35moe", {}, describe_qwen35moe},
    Family{"qwen3moe", {.query_norms = true}},
    Family{"qwen3next", {}, describe_qwen3next},
    Family{"qwen3vlmoe", {.query_norms = true}},  // the sections of its positions are one in text
    Family{"qwen4exp", {}, describe_qwen4exp},
    Family{"smallthinker", {}, describe_smallthinker},
    Family{"step35", {}, describe_step35},
};

Status check_head_size(uint32_t size, uint32_t most) {
  if (size != 0 && size % 2 == 0 && size <= most) return ok_status();
  return error(Code::kUnsupported, "attention heads of %u values cannot be run: even sizes up to %u can", size, most);
}

Status check_attention(const AttentionShape& shape) {
  HOTSET_RETURN_IF_ERROR(check_head_size(shape.head_dim, kMaxKeyDim));
  HOTSET_RETURN_IF_ERROR(check_head_size(shape.value_dim, kMaxValueDim));
  if (shape.kv_heads == 0) return error(Code::kUnsupported, "attention without key/value heads cannot be run");
  return shape.heads % shape.kv_heads == 0 ? ok_status()
                                           : error(Code::kUnsupported, "attention of %u heads with %u key/value heads cannot be run", shape.heads, shape.kv_heads);
}

// Rotations stay within the heads that they turn and the table they read.
Status check_rope(const ModelSpec& spec, uint32_t table, uint32_t dim, uint64_t end, uint64_t width) {
  if (dim % 2 == 0 && end <= width && dim <= spec.ropes[table].dim) return ok_status();
  return error(Code::kUnsupported, "a rotation of %u dimensions in heads of %llu values cannot be run", dim, static_cast<unsigned long long>(width));
}

Status check_rotation(const ModelSpec& spec, const Step& step) {
  if (const auto* rope = std::get_if<RopeStep>(&step)) {
    const RopeShape& shape = rope->shape;
    const uint64_t end = uint64_t{shape.heads - 1} * shape.head_stride + shape.first + shape.dim;
    return check_rope(spec, rope->table, shape.dim, end, rope->x.width);
  }
  if (const auto* store = std::get_if<StoreKvStep>(&step)) {
    return check_rope(spec, store->table, store->shape.rope_dim, store->shape.rope_dim, store->shape.head_dim);
  }
  return ok_status();
}

Status check_matmul(const MatmulStep& step) {
  for (const ProductSpec& product : step.products) {
    if (product.matrix.cols % kRowGroup == 0) continue;
    return error(Code::kUnsupported, "the tensor '%s' has rows of %u values; only multiples of %u can be run", product.matrix.tensor->name.c_str(),
                 product.matrix.cols, kRowGroup);
  }
  return ok_status();
}

Status check_recurrent(const Step& step) {
  if (const auto* conv = std::get_if<ConvStep>(&step); conv != nullptr && (conv->shape.kernel < 2 || conv->shape.kernel > shaders::kMaxConvKernel)) {
    return error(Code::kUnsupported, "a convolution over %u tokens cannot be run: 2 to %u can", conv->shape.kernel, shaders::kMaxConvKernel);
  }
  uint32_t state_dim = 0;
  if (const auto* linear = std::get_if<LinearAttentionStep>(&step)) state_dim = linear->shape.key_dim;
  if (const auto* scan = std::get_if<SelectiveScanStep>(&step)) state_dim = scan->shape.state_dim;
  if (state_dim <= shaders::kMaxStateDim) return ok_status();
  return error(Code::kUnsupported, "a recurrent state of %u values a column cannot be run: at most %u", state_dim, shaders::kMaxStateDim);
}

Status check_experts(uint32_t experts, uint32_t used) {
  if (experts > kMaxExperts) return error(Code::kUnsupported, "%u experts a layer cannot be run: at most %u", experts, kMaxExperts);
  return used <= shaders::kMaxTopK ? ok_status() : error(Code::kUnsupported, "%u experts a token cannot be run: at most %u", used, shaders::kMaxTopK);
}

Status check_moe(const MoeSpec& moe) {
  HOTSET_RETURN_IF_ERROR(check_experts(moe.route.experts, moe.route.used));
  if (!can_route(moe.route)) return error(Code::kUnsupported, "this routing of layer %u cannot be run", moe.model_layer);
  for (const uint32_t size : {moe.experts.embd, moe.experts.ff}) {
    if (size % kRowGroup != 0) return error(Code::kUnsupported, "experts with rows of %u values cannot be run: a multiple of %u can", size, kRowGroup);
  }
  return ok_status();
}

// What the metadata alone says that the kernels cannot do, before tensors are looked for.
Status check_config(const ModelConfig& config) {
  HOTSET_RETURN_IF_ERROR(check_head_size(config.key_length, kMaxKeyDim));
  HOTSET_RETURN_IF_ERROR(check_head_size(config.value_length, kMaxValueDim));
  if (config.heads * config.value_length % kRowGroup != 0) {
    return error(Code::kUnsupported, "%u attention heads of %u values cannot be run: a multiple of %u values together can", config.heads,
                 config.value_length, kRowGroup);
  }
  if (config.embedding % kRowGroup != 0) {
    return error(Code::kUnsupported, "an embedding of %u values cannot be run: a multiple of %u can", config.embedding, kRowGroup);
  }
  if (config.expert_feed_forward % kRowGroup != 0) {
    return error(Code::kUnsupported, "experts of %u hidden values cannot be run: a multiple of %u can", config.expert_feed_forward, kRowGroup);
  }
  return check_experts(config.experts, config.experts_used);
}

// What the kernels can do with any family.
Status check_kernel_limits(const ModelSpec& spec) {
  for (const Step& step : spec.steps) {
    if (const auto* attend = std::get_if<AttendStep>(&step)) HOTSET_RETURN_IF_ERROR(check_attention(attend->shape));
    if (const auto* select = std::get_if<SelectStep>(&step); select != nullptr && !can_select(select->shape)) {
      return error(Code::kUnsupported, "an indexer of %u heads of %u values that chooses %u blocks of %u positions cannot be run", select->shape.heads,
                   select->shape.head_dim, select->shape.top_k, select->shape.block);
    }
    HOTSET_RETURN_IF_ERROR(check_recurrent(step));
    HOTSET_RETURN_IF_ERROR(check_rotation(spec, step));
    if (const auto* matmul = std::get_if<MatmulStep>(&step)) HOTSET_RETURN_IF_ERROR(check_matmul(*matmul));
  }
  for (const MoeSpec& moe : spec.moes) HOTSET_RETURN_IF_ERROR(check_moe(moe));
  return ok_status();
}

}  // namespace

std::span<const Family> families() { return kFamilies; }

Result<ModelSpec> describe_model(const GgufFile& file, const DescribeOptions& options) {
  HOTSET_ASSIGN(const ModelConfig config, read_model_config(file));
  std::string known;
  for (const Family& family : families()) {
    known += (known.empty() ? "" : ", ") + std::string(family.architecture);
    if (family.architecture != config.architecture) continue;
    HOTSET_RETURN_IF_ERROR(check_config(config));
    Graph graph(file, config, options);
    if (family.describe != nullptr) family.describe(graph);
    else describe_plain(graph, family.style);
    HOTSET_ASSIGN(ModelSpec spec, std::move(graph).finish());
    if (config.is_moe() && spec.moes.empty()) {
      return error(Code::kCorrupt, "the metadata names %u experts, but no layer that would run has any", config.experts);
    }
    HOTSET_RETURN_IF_ERROR(check_kernel_limits(spec));
    return spec;
  }
  return error(Code::kUnsupported, "the architecture '%s' cannot be run yet; this build runs: %s", printable(config.architecture).c_str(), known.c_str());
}

}  // namespace hotset
