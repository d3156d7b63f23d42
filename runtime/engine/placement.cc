#include "runtime/engine/placement.h"

#include <algorithm>
#include <cmath>

#include "platform/bytes.h"

namespace hotset {
namespace {

constexpr uint32_t kBatchTokens = 512;   // EngineOptions::batch_tokens
constexpr double kPromotedShare = 0.05;  // of the misses: what an admission gate lets through (measured: 3 to 20 %)
// Operations of a decode token, for what each of them costs whatever its size: of a layer (norm, q k v, cache, attention, output, norm,
// router, choice, experts up and down), and beside the layers (embedding, norm, logits).
constexpr uint32_t kLayerOperations = 10;
constexpr uint32_t kTokenOperations = 3;
constexpr const char* kEmbeddingName = "token_embd.weight";
constexpr const char* kOutputName = "output.weight";

uint64_t bytes_of(uint64_t weights, double bits) { return static_cast<uint64_t>(static_cast<double>(weights) * bits / 8); }

// Prefill keeps the hidden state of each token a few times over, and of each pair of a token and its expert two vectors.
uint64_t workspace_of(uint64_t embd, uint64_t expert_ff, uint64_t top_k, uint64_t vocab) {
  return kBatchTokens * (8 * embd + top_k * (expert_ff + embd)) * sizeof(float) + vocab * sizeof(float);
}

struct Tiers {
  double vram_share = 0;
  double ram_share = 0;  // beyond VRAM
};

// Where the experts go. Where RAM holds all of them it holds those in VRAM too; where it does not, each is in one place.
Tiers fill_tiers(const ModelNeeds& needs, const PlanMachine& machine, uint64_t slots_budget_bytes, Placement& placement) {
  const uint64_t bank = needs.bank_bytes();
  placement.slot_bytes = std::min(slots_budget_bytes, bank);
  const uint64_t missing = bank - placement.slot_bytes;
  placement.ram_bytes = missing == 0 ? 0 : std::min(machine.ram_bytes, machine.ram_bytes >= bank && !machine.rates.unified ? bank : missing);
  placement.disk_bytes = missing - std::min(missing, placement.ram_bytes);
  const double whole = static_cast<double>(std::max<uint64_t>(bank, 1));
  return {static_cast<double>(placement.slot_bytes) / whole, static_cast<double>(std::min(missing, placement.ram_bytes)) / whole};
}

TokenWork work_of(const ModelNeeds& needs, const PlanMachine& machine, const Placement& placement) {
  TokenWork work;
  work.dense_bytes = needs.dense_read_bytes + needs.kv_read_bytes(placement.context_tokens);
  work.dense_bytes_per_s = machine.dense_bytes_per_s;
  if (machine.rates.operation_ns > 0) {
    work.operations = kTokenOperations + needs.layers * kLayerOperations;
    work.submits = 1;
  } else {
    work.fixed_ns = needs.layers * kLayerFixedNs;
  }
  work.moe_layers = needs.moe_layers;
  work.top_k = needs.top_k;
  work.record_bytes = needs.record_bytes;
  work.vram_hit_rate = placement.hit_rate;
  work.ram_hit_share = placement.ram_hit_share;
  const double routed = static_cast<double>(needs.moe_layers) * needs.top_k * static_cast<double>(needs.record_bytes);
  work.promoted_bytes = machine.rates.copy_bytes_per_s > 0 ? routed * (1 - placement.hit_rate) * kPromotedShare : 0;
  return work;
}

std::string too_small(const Placement& placement, const PlanMachine& machine) {
  return "at least " + format_bytes(placement.least_vram_bytes) + " of VRAM are needed with a context of " +
         std::to_string(placement.context_tokens) + ", and " + format_bytes(machine.vram_bytes) + " may be used";
}

}  // namespace

ModelNeeds needs_of(const ModelShape& shape, const QuantMix& mix) {
  ModelNeeds needs;
  needs.title = shape.title;
  needs.quant = mix.name;
  needs.dense_bytes = bytes_of(dense_parameters(shape), mix.dense_bits);
  const uint64_t unread = shape.tied ? 0 : embedding_parameters(shape);
  needs.dense_read_bytes = bytes_of(dense_parameters(shape) - unread, mix.dense_bits) + state_elements(shape) * sizeof(float);
  needs.workspace_bytes = workspace_of(shape.embd, shape.expert_ff, shape.top_k, shape.vocab);
  needs.layers = layer_count(shape);
  needs.moe_layers = shape.moe_layers;
  needs.experts = shape.experts;
  needs.top_k = shape.top_k;
  needs.record_bytes = bytes_of(expert_parameters(shape), mix.expert_bits);
  // Mixes commonly have experts of two sizes.
  needs.least_slot_bytes = uint64_t{std::min(shape.moe_layers, 4u)} * shape.top_k * needs.record_bytes;
  needs.context_tokens = shape.context_tokens;
  needs.file_bytes = needs.dense_bytes + needs.bank_bytes();
  needs.kv_bytes = [&shape](uint32_t context_tokens) {
    return static_cast<uint64_t>(kv_elements(shape, context_tokens) * 2) + state_elements(shape) * sizeof(float);
  };
  needs.kv_read_bytes = [&shape](uint32_t context_tokens) { return static_cast<uint64_t>(kv_read_elements(shape, context_tokens) * 2); };
  return needs;
}

Result<ModelNeeds> needs_of(const ModelReport& report) {
  if (!report.runnable) return error(Code::kUnsupported, "this build cannot run the file: %s", report.why_not.c_str());
  ModelNeeds needs;
  needs.title = report.name.empty() ? report.path : report.name;
  needs.file_bytes = report.file_bytes;
  needs.dense_bytes = needs.dense_read_bytes = report.dense_bytes;
  uint64_t embedding_bytes = 0;
  bool tied = true;
  for (const TensorLine& tensor : report.tensors) {
    if (tensor.name == kEmbeddingName) embedding_bytes = tensor.size_bytes;
    if (tensor.name == kOutputName) tied = false;
  }
  if (!tied) needs.dense_read_bytes -= std::min(needs.dense_read_bytes, embedding_bytes);
  needs.workspace_bytes = report.workspace_bytes;
  needs.layers = report.layers;
  needs.moe_layers = report.moe_layers;
  needs.experts = report.experts;
  needs.top_k = report.experts_used;
  needs.least_slot_bytes = report.least_slot_bytes;
  needs.record_bytes = report.all_expert_bytes / std::max<uint64_t>(uint64_t{report.moe_layers} * report.experts, 1);
  needs.context_tokens = report.context_tokens;
  needs.kv_bytes = [per_token = report.kv_bytes_per_token, fixed = report.state_bytes](uint32_t context_tokens) { return fixed + per_token * context_tokens; };
  needs.kv_read_bytes = needs.kv_bytes;
  return needs;
}

Placement place(const ModelNeeds& needs, const PlanMachine& machine, uint32_t context_tokens, double skew, std::optional<double> hit_rate) {
  Placement placement;
  placement.context_tokens = context_tokens;
  placement.kv_bytes = needs.kv_bytes(context_tokens);
  const uint64_t fixed = needs.dense_bytes + needs.workspace_bytes + placement.kv_bytes;
  placement.least_vram_bytes = fixed + needs.least_slot_bytes;
  if (machine.vram_bytes < placement.least_vram_bytes) {
    placement.why_not = too_small(placement, machine);
    return placement;
  }
  const Tiers tiers = fill_tiers(needs, machine, machine.vram_bytes - fixed, placement);
  placement.vram_share = tiers.vram_share;
  if (placement.disk_bytes > 0 && machine.rates.disk_bytes_per_s <= 0) {
    placement.why_not = format_bytes(placement.disk_bytes) + " of experts fit neither VRAM nor RAM, and there is no disk to read them from";
    return placement;
  }
  placement.hit_rate = std::clamp(hit_rate.value_or(modelled_hit_rate(tiers.vram_share, skew)), 0.0, 1.0);
  placement.ram_hit_share = placement.disk_bytes == 0 ? 1 : modelled_ram_hit_share(tiers.vram_share, tiers.ram_share, skew);
  const TokenWork work = work_of(needs, machine, placement);
  placement.misses = best_plan(machine.rates, work, paths_of(machine.rates));
  placement.token = estimate_token(machine.rates, work, placement.misses);
  if (!std::isfinite(placement.token.total_ns)) {
    placement.why_not = "the machine has no path for an expert that is not in VRAM";
    return placement;
  }
  placement.fits = true;
  return placement;
}

std::vector<QuantChoice> weigh_quants(const ModelShape& shape, const PlanMachine& machine, uint32_t context_tokens) {
  const QuantMix& largest = largest_useful_mix(shape.native);
  std::vector<QuantChoice> choices;
  for (const QuantMix& mix : quant_mixes()) {
    const bool published_as_it_is = largest.name == "MXFP4";  // such files are not requantised
    const bool useful = mix.usual && mix.expert_bits <= largest.expert_bits && !published_as_it_is;
    if (&mix != &largest && !useful) continue;
    ModelNeeds needs = needs_of(shape, mix);
    const Placement placement = place(needs, machine, context_tokens);
    choices.push_back({&mix, std::move(needs), placement});
  }
  return choices;
}

const QuantChoice* pick_quant(const std::vector<QuantChoice>& choices) {
  const QuantChoice* fastest = nullptr;
  for (const QuantChoice& choice : choices) {
    if (!choice.placement.fits) continue;
    if (choice.placement.token.tokens_per_s() >= kReadingTokensPerS) return &choice;
    if (fastest == nullptr || choice.placement.token.tokens_per_s() > fastest->placement.token.tokens_per_s()) fastest = &choice;
  }
  return fastest;
}

}  // namespace hotset
