// DecodePass: one token through the model.
//
// The token's commands are recorded once as segments: segment i ends with the router of layer i; the last one ends with the
// logits. A run of segments is one submit. Inside it the router looks each chosen expert up in the device table; at a
// missing one it stops the pass on the GPU, the host pages it in, and the pass resumes with that layer's experts. How many
// segments run ahead of the host adapts: all of them while every expert is found, fewer while experts are missing.
//
// One thread. Steady state allocates nothing and records nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/model/layers.h"
#include "runtime/model/model.h"
#include "runtime/model/rope.h"
#include "runtime/model/workspace.h"

namespace hotset {

class DecodePass {
 public:
  static Result<std::unique_ptr<DecodePass>> create(const Model& model, Workspace& workspace);

  // Feeds `token` at `position`; its logits lie in row 0 of the workspace's logits. After an error the expert cache is
  // consistent and the token was not fed.
  Status run(uint32_t token, uint32_t position);

  uint64_t stall_ns() const { return stall_ns_; }  // waited for experts

 private:
  DecodePass(const Model& model, Workspace& workspace);
  Status record();
  Status submit(uint32_t first, uint32_t count);
  // Pages in the experts that layer `layer` chose and writes their addresses.
  Status serve_misses(uint32_t layer);
  void note_hits();
  std::span<const uint16_t> chosen(uint32_t layer);

  const Model model_;
  Workspace& ws_;
  const std::unique_ptr<Ops> ops_;
  Layers layers_;
  RopeTable rope_;
  std::vector<SegmentId> segments_;  // [layers + 1]
  std::vector<uint16_t> chosen_;           // [used]
  std::vector<bool> served_;               // [layers]: acquired in this token, so not to be touched again
  uint32_t window_;                        // segments per submit
  uint64_t stall_ns_ = 0;
};

}  // namespace hotset
