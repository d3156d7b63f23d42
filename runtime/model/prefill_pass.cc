#include "runtime/model/prefill_pass.h"

#include <algorithm>
#include <limits>

#include "platform/clock.h"

namespace hotset {
namespace {

// With slices: what a prompt begins with until more was measured, and the least, below which operations cost as much for fewer tokens.
constexpr uint32_t kFirstSlicedTokens = 64;
constexpr uint32_t kLeastSlicedTokens = 16;

}  // namespace

PrefillPass::PrefillPass(const Model& model, Workspace& workspace, const std::atomic<bool>& stop)
    : model_(model),
      ws_(workspace),
      stop_(stop),
      ops_(model.backend.make_ops(workspace.control.address)),
      steps_(model_, workspace, *ops_),
      positions_(model.spec, workspace),
      batch_(model.experts.experts(), static_cast<uint32_t>(workspace.pairs.size_bytes / sizeof(uint32_t))),
      chunk_tokens_(workspace.shape().batch_tokens) {
  if (ops_->take_overrun()) chunk_tokens_ = std::min(chunk_tokens_, kFirstSlicedTokens);
}

Result<std::unique_ptr<PrefillPass>> PrefillPass::create(const Model& model, Workspace& workspace, const std::atomic<bool>& stop) {
  std::unique_ptr<PrefillPass> pass(new PrefillPass(model, workspace, stop));
  HOTSET_RETURN_IF_ERROR(pass->allocate());
  return pass;
}

Status PrefillPass::allocate() {
  for (RingEntry& entry : ring_) {
    HOTSET_ASSIGN(entry.segment, ops_->new_segment());
  }
  return make_programs();
}

Status PrefillPass::make_programs() {
  HOTSET_ASSIGN(RingEntry* entry, next_entry());
  static_cast<void>(entry);  // recorded and never submitted
  // Kernels are cut differently for few and for many tokens.
  for (const uint32_t n : {1u, ws_.shape().batch_tokens}) {
    for (uint32_t i = 0; i < model_.spec.moes.size(); ++i) {
      steps_.stretch(i, n, Phase::kBatch);
      steps_.router(i, n, Phase::kBatch);
      steps_.route_batch(i, n);
      steps_.experts_batch(i, 0, 1);
      steps_.combine(i, n);
    }
    steps_.stretch(steps_.stretches() - 1, n, Phase::kBatch);
    steps_.head(0, std::min(n, ws_.logit_rows), Phase::kBatch);
  }
  return ops_->end();
}

Result<PrefillPass::RingEntry*> PrefillPass::next_entry() {
  RingEntry& entry = ring_[ring_next_];
  ring_next_ = (ring_next_ + 1) % kRing;
  HOTSET_RETURN_IF_ERROR(ops_->wait(entry.value));
  HOTSET_RETURN_IF_ERROR(ops_->begin(entry.segment));
  return &entry;
}

Status PrefillPass::submit(RingEntry& entry) {
  HOTSET_RETURN_IF_ERROR(ops_->end());
  HOTSET_ASSIGN(entry.value, ops_->submit({&entry.segment, 1}, model_.residency.copies_to_wait_for()));
  return ok_status();
}

Status PrefillPass::run(std::span<const int32_t> tokens, uint32_t position, bool last, const LogitsFunction& each) {
  return settle(feed(tokens, position, last, each, false), static_cast<uint32_t>(tokens.size()));
}

Status PrefillPass::run_hidden(std::span<const int32_t> tokens, uint32_t position, bool last) {
  return settle(feed(tokens, position, last, {}, true), static_cast<uint32_t>(tokens.size()));
}

Status PrefillPass::settle(Status fed, uint32_t n) {
  if (!fed.ok()) give_up();
  fit_chunk(n);
  return fed;
}

// A chunk may have any size without changing a bit (ops.h), so it follows what operations took.
void PrefillPass::fit_chunk(uint32_t n) {
  const std::optional<double> slices = ops_->take_overrun();
  if (!slices) return;
  const uint32_t most = ws_.shape().batch_tokens;
  if (*slices > 1) chunk_tokens_ = std::max(kLeastSlicedTokens, static_cast<uint32_t>(n / *slices));
  else if (*slices < 0.5 && n == chunk_tokens_) chunk_tokens_ *= 2;
  chunk_tokens_ = std::min(chunk_tokens_, most);
}

Status PrefillPass::feed(std::span<const int32_t> tokens, uint32_t position, bool last, const LogitsFunction& each, bool hidden) {
  const uint32_t n = static_cast<uint32_t>(tokens.size());
  HOTSET_CHECK(n > 0 && n <= ws_.shape().batch_tokens);
  auto& control = ws_.host<shaders::Control>(ws_.control)[0];
  control.position = position;
  control.stop = 0;
  std::transform(tokens.begin(), tokens.end(), ws_.host<uint32_t>(ws_.tokens).begin(), [](int32_t token) { return static_cast<uint32_t>(token); });
  positions_.fill(position, n);
  const uint32_t layer_count = static_cast<uint32_t>(model_.spec.moes.size());
  for (uint32_t i = 0; i < layer_count; ++i) HOTSET_RETURN_IF_ERROR(layer(i, n));
  HOTSET_ASSIGN(RingEntry* entry, next_entry());
  if (layer_count != 0) steps_.combine(layer_count - 1, n);
  steps_.stretch(layer_count, n, Phase::kBatch);
  if (hidden) steps_.hidden(n, Phase::kBatch);
  if (hidden && last) steps_.output(n - 1, Phase::kBatch);
  if (!hidden && last && !each) steps_.head(n - 1, 1, Phase::kBatch);
  HOTSET_RETURN_IF_ERROR(submit(*entry));
  HOTSET_RETURN_IF_ERROR(drain_waves(0));
  HOTSET_RETURN_IF_ERROR(ops_->wait(entry->value));
  return each ? read_logits(n, position, each) : ok_status();
}

Status PrefillPass::layer(uint32_t layer, uint32_t n) {
  if (stop_) return error(Code::kCancelled, "stopped on request");
  HOTSET_ASSIGN(RingEntry* entry, next_entry());
  if (layer != 0) steps_.combine(layer - 1, n);
  steps_.stretch(layer, n, Phase::kBatch);
  steps_.router(layer, n, Phase::kBatch);
  steps_.route_batch(layer, n);
  HOTSET_RETURN_IF_ERROR(submit(*entry));
  HOTSET_RETURN_IF_ERROR(ops_->wait(entry->value));
  return expert_waves(layer, n);
}

Status PrefillPass::expert_waves(uint32_t layer, uint32_t n) {
  const uint32_t used = model_.spec.moes[layer].route.used;
  const std::span<const uint32_t> ids = ws_.host<uint32_t>(ws_.ids).subspan(0, size_t{n} * used);
  if (route_sink_) route_sink_(layer, ids);
  // Residents first: a newcomer may take the place of one that is still to be used.
  batch_.group(ids, [&](uint32_t expert) { return model_.residency.resident(layer, expert) ? 0u : 1u; });
  std::copy(batch_.pairs().begin(), batch_.pairs().end(), ws_.host<uint32_t>(ws_.pairs).begin());
  const std::span<const uint16_t> experts = batch_.experts();
  const uint32_t wave_size = model_.residency.max_scan_wave(layer);
  uint32_t tile_cursor = 0;
  for (size_t first = 0; first < experts.size(); first += wave_size) {
    HOTSET_RETURN_IF_ERROR(drain_waves(model_.residency.scan_depth(layer) - 1));
    const size_t count = std::min<size_t>(wave_size, experts.size() - first);
    HOTSET_RETURN_IF_ERROR(wave(layer, experts.subspan(first, count), tile_cursor));
  }
  return ok_status();
}

Status PrefillPass::wave(uint32_t layer, std::span<const uint16_t> ids, uint32_t& tile_cursor) {
  const uint64_t start_ns = now_ns();
  HOTSET_ASSIGN(const Acquired acquired, model_.residency.acquire(layer, ids, Access::kScan));
  if (acquired.misses != 0) stall_ns_ += now_ns() - start_ns;
  const std::span<shaders::ExpertTile> tiles = ws_.host<shaders::ExpertTile>(ws_.tiles);
  const uint32_t first_tile = tile_cursor;
  for (const uint16_t id : ids) {
    tile_cursor += batch_.write_tiles(id, model_.residency.address(layer, id), Ops::kTilePairs, tiles.subspan(tile_cursor));
  }
  auto submitted = [&]() -> Result<uint64_t> {
    HOTSET_ASSIGN(RingEntry* entry, next_entry());
    steps_.experts_batch(layer, first_tile, tile_cursor - first_tile);
    HOTSET_RETURN_IF_ERROR(submit(*entry));
    return entry->value;
  }();
  model_.residency.retire(layer, ids, submitted.ok() ? *submitted : 0);
  if (!submitted.ok()) return submitted.status();
  wave_values_[waves_in_flight_++] = *submitted;
  return ok_status();
}

Status PrefillPass::drain_waves(uint32_t waves) {
  while (waves_in_flight_ > waves) {
    HOTSET_RETURN_IF_ERROR(ops_->wait(wave_values_[0]));
    model_.residency.advance(wave_values_[0]);
    wave_values_[0] = wave_values_[1];
    --waves_in_flight_;
  }
  return ok_status();
}

void PrefillPass::give_up() {
  model_.backend.wait_idle();
  if (waves_in_flight_ > 0) model_.residency.advance(wave_values_[waves_in_flight_ - 1]);
  waves_in_flight_ = 0;
}

Status PrefillPass::read_logits(uint32_t n, uint32_t position, const LogitsFunction& each) {
  const uint32_t vocab = model_.spec.vocab;
  for (uint32_t first = 0; first < n; first += ws_.logit_rows) {
    const uint32_t rows = std::min(ws_.logit_rows, n - first);
    HOTSET_ASSIGN(RingEntry* entry, next_entry());
    steps_.head(first, rows, Phase::kBatch);
    HOTSET_RETURN_IF_ERROR(submit(*entry));
    HOTSET_RETURN_IF_ERROR(ops_->wait(entry->value));
    const std::span<float> logits = ws_.host<float>(ws_.logits);
    for (uint32_t row = 0; row < rows; ++row) each(position + first + row, logits.subspan(size_t{row} * vocab, vocab));
    // The last position's logits end in row 0, as they do without `each`.
    if (first + rows == n) std::copy_n(logits.begin() + size_t{rows - 1} * vocab, vocab, logits.begin());
  }
  return ok_status();
}

}  // namespace hotset
