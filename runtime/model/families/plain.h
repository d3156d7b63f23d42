// PlainStyle: what tells families of the plain form apart.
#pragma once

#include "runtime/model/blocks.h"

namespace hotset {

enum class Turns { kAlways, kSliding };  // which layers rotate

struct PlainStyle {
  bool adjacent_pairs = false;   // (2 i, 2 i + 1) rotate, else (i, i + dim/2)
  Gating gating = Gating::kSoftmax;
  bool renormalise = true;
  const char* ffn_norm = "ffn_norm";
  bool query_norms = false;      // q and k are normed; else they are where the file has weights for it
  bool norm_after_rope = false;
  uint32_t window_period = 0;    // all but every such layer slide, where the file has no pattern of its own
  Turns turns = Turns::kAlways;
  OutputGate gate = OutputGate::kNone;
  Glu glu = {};
  bool wide_experts = false;     // experts are as wide as feed_forward_length says, whatever expert_feed_forward_length does
};

void describe_plain(Graph& graph, const PlainStyle& style);

}  // namespace hotset
