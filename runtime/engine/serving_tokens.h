// ServingTokens: the tokens of a trial of the ways to serve misses (offload/serving_trial.h), run through the loaded model.
//
// Each continues its own text greedily, from a few starts spread over the vocabulary: routing as a text has it. Used between the load and the
// first session; what it leaves in the KV cache is never read. One thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "offload/serving_trial.h"
#include "runtime/engine/expert_tiers.h"
#include "runtime/model/decode_pass.h"
#include "runtime/model/model.h"

namespace hotset {

class ServingTokens {
 public:
  // `model` and `workspace` as sessions use them; all outlive the object, as do `ways`. Error: a pass cannot be recorded.
  static Result<std::unique_ptr<ServingTokens>> create(ExpertTiers& tiers, const Model& model, Workspace& workspace, std::span<const TriedWay> ways);

  // One token, served as ways[way] says; a TrialFunction.
  Result<TrialToken> next(size_t way);

 private:
  ServingTokens(ExpertTiers& tiers, const Model& model, Workspace& workspace, std::span<const TriedWay> ways);
  uint32_t next_token();

  ExpertTiers& tiers_;
  const Model model_;
  Workspace& workspace_;
  const std::span<const TriedWay> ways_;
  const uint32_t text_tokens_;
  std::vector<std::unique_ptr<DecodePass>> passes_;  // [ways]
  size_t served_ = SIZE_MAX;                         // the way that is set
  uint32_t count_ = 0;
};

}  // namespace hotset
