#include "runtime/engine/serving_tokens.h"

#include <algorithm>

#include "platform/clock.h"

namespace hotset {
namespace {

constexpr uint32_t kTextTokens = 24;  // then another begins

}  // namespace

ServingTokens::ServingTokens(ExpertTiers& tiers, const Model& model, Workspace& workspace, std::span<const TriedWay> ways)
    : tiers_(tiers), model_(model), workspace_(workspace), ways_(ways), text_tokens_(std::min(kTextTokens, workspace.shape().context_tokens)) {}

Result<std::unique_ptr<ServingTokens>> ServingTokens::create(ExpertTiers& tiers, const Model& model, Workspace& workspace,
                                                             std::span<const TriedWay> ways) {
  std::unique_ptr<ServingTokens> tokens(new ServingTokens(tiers, model, workspace, ways));
  for (const TriedWay& way : ways) {
    HOTSET_RETURN_IF_ERROR(tiers.serve(way.plan));  // makes what the pass needs
    Model of_way = model;
    of_way.cpu_experts = way.plan.mode == MissMode::kCpu ? tiers.cpu_experts() : nullptr;
    HOTSET_ASSIGN(auto pass, DecodePass::create(of_way, workspace));
    tokens->passes_.push_back(std::move(pass));
  }
  return tokens;
}

// The likeliest after the last; where a text begins, one of a row that goes round the vocabulary by its golden section.
uint32_t ServingTokens::next_token() {
  const uint32_t vocab = model_.spec.vocab;
  const uint32_t text = count_ / text_tokens_;
  if (count_ % text_tokens_ == 0) return static_cast<uint32_t>((uint64_t{text + 1} * 2654435769u >> 8) % vocab);
  const std::span<const float> logits = workspace_.host<float>(workspace_.logits).subspan(0, vocab);
  return static_cast<uint32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

Result<TrialToken> ServingTokens::next(size_t way) {
  if (served_ != way) HOTSET_RETURN_IF_ERROR(tiers_.serve(ways_[way].plan));
  served_ = way;
  const uint32_t token = next_token();
  const uint32_t position = count_ % text_tokens_;
  const ResidencyStats before = tiers_.residency().stats();
  const uint64_t start_ns = now_ns();
  HOTSET_RETURN_IF_ERROR(passes_[way]->run(token, position));
  const uint64_t end_ns = now_ns();
  const ResidencyStats after = tiers_.residency().stats();
  ++count_;
  return TrialToken{end_ns - start_ns, after.decode_lookups - before.decode_lookups, after.decode_hits - before.decode_hits};
}

}  // namespace hotset
