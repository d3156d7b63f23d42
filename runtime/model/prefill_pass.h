// PrefillPass: a chunk of prompt tokens through the model, layer by layer.
//
// Per layer: attention and router for the whole chunk, one wait to learn the experts, then the experts in waves that fit the
// cache: each touched expert is paged in at most once a layer, and while one wave computes the next one's bytes come. Scans
// leave the decode set of the cache alone (Access::kScan). Works at the smallest budget, with waves of a few experts.
//
// One thread. Steady state allocates nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "runtime/model/expert_batch.h"
#include "runtime/model/step_recorder.h"
#include "runtime/model/model.h"
#include "runtime/model/position_tables.h"
#include "runtime/model/workspace.h"

namespace hotset {

class PrefillPass {
 public:
  // Logits of `position`: float [vocab].
  using LogitsFunction = std::function<void(uint32_t position, std::span<const float> logits)>;

  // `stop` is looked at between layers: set, it ends the pass with kCancelled.
  static Result<std::unique_ptr<PrefillPass>> create(const Model& model, Workspace& workspace, const std::atomic<bool>& stop);

  // Feeds at most batch_tokens tokens from `position` on. With `each`, hands over the logits of every position; with it, or
  // with `last`, leaves the last position's in row 0 of the workspace's logits. After an error the expert cache is
  // consistent and the chunk was not fed.
  Status run(std::span<const int32_t> tokens, uint32_t position, bool last, const LogitsFunction& each);
  // The same, but without `each`, and leaves ModelSpec::hidden of all of them in the workspace.
  Status run_hidden(std::span<const int32_t> tokens, uint32_t position, bool last);

  // The choices of a layer for the tokens of the chunk: ids [tokens][used], by falling score.
  using RouteFunction = std::function<void(uint32_t layer, std::span<const uint32_t> ids)>;
  void set_route_sink(RouteFunction sink) { route_sink_ = std::move(sink); }

  // Tokens of a run that are best: batch_tokens, or with slices of device time so many that no operation takes longer than a slice.
  uint32_t chunk_tokens() const { return chunk_tokens_; }

  uint64_t stall_ns() const { return stall_ns_; }  // waited for experts

 private:
  // Segments that are recorded anew while earlier ones still run.
  struct RingEntry {
    SegmentId segment{0};
    uint64_t value = 0;  // on the operations' timeline when its last submit is done
  };
  static constexpr uint32_t kRing = 4;

  PrefillPass(const Model& model, Workspace& workspace, const std::atomic<bool>& stop);
  Status allocate();
  // Makes every pipeline that run() will use, so that the first prompt does not wait for them.
  Status make_programs();
  Result<RingEntry*> next_entry();
  // Ends and submits what was recorded since next_entry().
  Status submit(RingEntry& entry);
  Status feed(std::span<const int32_t> tokens, uint32_t position, bool last, const LogitsFunction& each, bool hidden);
  Status layer(uint32_t layer, uint32_t n);
  Status expert_waves(uint32_t layer, uint32_t n);
  Status wave(uint32_t layer, std::span<const uint16_t> ids, uint32_t& tile_cursor);
  // Until at most `waves` expert waves are in flight.
  Status drain_waves(uint32_t waves);
  // After a run of `n` tokens.
  void fit_chunk(uint32_t n);
  // After feed() of n tokens: gives up what an error left under way, and fits the next chunk.
  Status settle(Status fed, uint32_t n);
  // After an error: until nothing is in flight and nothing is pinned.
  void give_up();
  Status read_logits(uint32_t n, uint32_t position, const LogitsFunction& each);

  const Model model_;
  Workspace& ws_;
  const std::atomic<bool>& stop_;
  const std::unique_ptr<Ops> ops_;
  StepRecorder steps_;
  PositionTables positions_;
  ExpertBatch batch_;
  std::array<RingEntry, kRing> ring_ = {};
  uint32_t ring_next_ = 0;
  std::array<uint64_t, 2> wave_values_ = {};  // timeline values of the waves in flight, oldest first
  uint32_t waves_in_flight_ = 0;
  uint64_t stall_ns_ = 0;
  uint32_t chunk_tokens_;
  RouteFunction route_sink_;
};

}  // namespace hotset
