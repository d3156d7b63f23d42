// PositionTables: what depends on the positions of a pass's tokens alone, written by the host before it: rotation tables and factors.
// One thread.
#pragma once

#include <vector>

#include "runtime/model/model_spec.h"
#include "runtime/model/workspace.h"

namespace hotset {

class PositionTables {
 public:
  PositionTables(const ModelSpec& spec, Workspace& workspace) : spec_(spec), ws_(workspace) {
    for (const RopeSpec& rope : spec.ropes) ropes_.emplace_back(rope, workspace.shape().context_tokens);
  }

  // For tokens at `first_position` and after it.
  void fill(uint32_t first_position, uint32_t tokens) {
    for (uint32_t i = 0; i < ropes_.size(); ++i) ropes_[i].fill(first_position, tokens, ws_.host<float>(ws_.rope(i)));
    for (uint32_t i = 0; i < spec_.position_scales.size(); ++i) {
      const std::span<float> out = ws_.host<float>(ws_.position_scale(i));
      for (uint32_t t = 0; t < tokens; ++t) out[t] = spec_.position_scales[i].at(first_position + t);
    }
  }

 private:
  const ModelSpec& spec_;
  Workspace& ws_;
  std::vector<RopeTable> ropes_;
};

}  // namespace hotset
