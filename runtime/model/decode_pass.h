// DecodePass: one token through the model.
//
// The token's commands are recorded once as segments: segment i ends with the router of the experts i (ModelSpec::moes; "layer" below
// means that); the last one ends with the logits. A run of segments is one submit. Inside it the router looks each chosen expert up in the device table; at one
// without an address it stops the pass on the device, the host sees to it, and the pass resumes with that layer's experts.
// How many segments run ahead of the host adapts: all of them while every expert is found, fewer while experts are
// missing, one in a token for which Prefetch wants to see each layer's choice before the next runs. The commands of such tokens make
// guesses; those of others do not.
//
// Experts that are left to the CPU: the device runs the others of the layer meanwhile, then adds the CPU's part.
//
// One thread. Steady state allocates nothing and records nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "offload/prefetch.h"
#include "runtime/model/cpu_experts.h"
#include "runtime/model/step_recorder.h"
#include "runtime/model/model.h"
#include "runtime/model/position_tables.h"
#include "runtime/model/workspace.h"

namespace hotset {

class DecodePass {
 public:
  static Result<std::unique_ptr<DecodePass>> create(const Model& model, Workspace& workspace);

  // Feeds `token` at `position`; its logits lie in row 0 of the workspace's logits. After an error the expert cache is
  // consistent and the token was not fed.
  Status run(uint32_t token, uint32_t position);

  // The experts that layer `layer` of the last token chose, in the order of falling score.
  std::span<const uint16_t> chosen(uint32_t layer);

  // From the next token on: notes which of the chosen experts were resident (Residency::resident) when they were chosen.
  void watch_residents(bool watched) { resident_.assign(watched ? served_.size() * chosen_.size() : 0, 0); }
  // Of layer `layer` of the last token: 1 for each of chosen(layer) that was.
  std::span<const uint8_t> residents(uint32_t layer) const { return std::span(resident_).subspan(layer * chosen_.size(), chosen_.size()); }

  uint64_t stall_ns() const { return stall_ns_; }  // waited for experts
  uint64_t stops() const { return stops_; }        // times the device waited for the host

 private:
  // A token's segments, made with or without guesses.
  struct Recording {
    std::vector<SegmentId> plain;      // [layers + 1]
    std::vector<SegmentId> after_cpu;  // [layers + 1], with CpuExperts: segment i with the CPU's part in place of the experts
  };

  DecodePass(const Model& model, Workspace& workspace);
  Status record();
  Result<Recording> record_token(bool guess);
  Result<SegmentId> record_segment(uint32_t index, bool after_cpu, bool guess);
  Result<SegmentId> record_experts(uint32_t layer);
  void begin_token(uint32_t token, uint32_t position);
  Status run_segments();
  Status run_ahead(uint32_t first, uint32_t count);
  SegmentId segment(uint32_t index);
  // Sees to the experts that layer `layer` chose, and holds them: writes their addresses, or runs them on the CPU. The layer whose
  // segment comes next then begins with what is left to do.
  Status serve(uint32_t layer);
  Status run_on_cpu(uint32_t layer);
  void note_choices(uint32_t first_layer, uint32_t last_layer);
  std::span<const uint32_t> guess_of(uint32_t layer);
  bool guessing() const { return model_.prefetch != nullptr && model_.prefetch->active(); }
  void note_residents(uint32_t layer, std::span<const uint16_t> ids);
  void end_pins();
  void note_hits();

  const Model model_;
  Workspace& ws_;
  const std::unique_ptr<Ops> ops_;
  StepRecorder steps_;
  PositionTables positions_;
  Recording silent_;                         // without guesses
  Recording guessing_;                       // where the device makes guesses
  const Recording* recording_ = &silent_;    // of the token under way
  std::vector<SegmentId> experts_segments_;  // [layers], with CpuExperts: the experts that have addresses, alone
  std::vector<SegmentId> run_;               // of the submit under way
  bool after_cpu_next_ = false;              // the next segment goes on from the CPU's part
  std::vector<uint16_t> chosen_;             // [used]
  std::vector<CpuExperts::Job> jobs_;        // [used]
  static constexpr uint32_t kNoLayer = UINT32_MAX;
  uint32_t pinned_layer_ = kNoLayer;         // whose experts are acquired and not retired
  std::vector<bool> served_;                 // [layers]: acquired in this token, so not to be touched again
  std::vector<uint8_t> resident_;            // [layers][used] while they are watched, else empty
  uint32_t window_;                          // segments per submit
  uint64_t stall_ns_ = 0;
  uint64_t stops_ = 0;
};

}  // namespace hotset
