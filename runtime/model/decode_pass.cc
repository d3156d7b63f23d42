#include "runtime/model/decode_pass.h"

#include <algorithm>

#include "platform/clock.h"

namespace hotset {
namespace {

// Segments of one submit: a whole token's but for absurdly deep models.
uint32_t most_segments(const ModelSpec& spec, const Ops& ops) { return static_cast<uint32_t>(std::min(spec.layers.size() + 1, ops.max_segments())); }

}  // namespace

DecodePass::DecodePass(const Model& model, Workspace& workspace)
    : model_(model),
      ws_(workspace),
      ops_(model.backend.make_ops(workspace.control.address)),
      layers_(model_, workspace, *ops_),
      rope_(model.spec.rope),
      chosen_(model.spec.layers[0].moe.route.used),
      served_(model.spec.layers.size()),
      window_(most_segments(model.spec, *ops_)) {}

Result<std::unique_ptr<DecodePass>> DecodePass::create(const Model& model, Workspace& workspace) {
  std::unique_ptr<DecodePass> pass(new DecodePass(model, workspace));
  HOTSET_RETURN_IF_ERROR(pass->record());
  return pass;
}

Status DecodePass::record() {
  const uint32_t layer_count = static_cast<uint32_t>(model_.spec.layers.size());
  for (uint32_t i = 0; i <= layer_count; ++i) {
    HOTSET_ASSIGN(const SegmentId segment, ops_->new_segment());
    segments_.push_back(segment);
    HOTSET_RETURN_IF_ERROR(ops_->begin(segment));
    if (i == 0) layers_.embed(1);
    else layers_.experts_decode(i - 1);
    if (i < layer_count) {
      layers_.attention(i, 1, Phase::kDecode);
      layers_.route_decode(i);
    } else {
      layers_.head(0, 1, Phase::kDecode);
    }
    HOTSET_RETURN_IF_ERROR(ops_->end());
  }
  return ok_status();
}

Status DecodePass::run(uint32_t token, uint32_t position) {
  auto& control = ws_.host<shaders::Control>(ws_.control)[0];
  control.position = position;
  ws_.host<uint32_t>(ws_.tokens)[0] = token;
  rope_.fill(position, 1, ws_.host<float>(ws_.rope));
  std::fill(served_.begin(), served_.end(), false);

  const uint32_t end = static_cast<uint32_t>(segments_.size());
  bool missed = false;
  for (uint32_t next = 0; next < end;) {
    control.stop = 0;
    const uint32_t count = std::min(window_, end - next);
    HOTSET_RETURN_IF_ERROR(submit(next, count));
    const uint32_t stop = control.stop;
    if (stop == 0) {
      next += count;
      continue;
    }
    missed = true;
    window_ = std::max(1u, window_ / 2);
    HOTSET_RETURN_IF_ERROR(serve_misses(stop - 1));
    next = stop;  // the segment that begins with this layer's experts
  }
  if (!missed) window_ = std::min(most_segments(model_.spec, *ops_), window_ * 2);
  note_hits();
  return ok_status();
}

Status DecodePass::submit(uint32_t first, uint32_t count) {
  HOTSET_ASSIGN(const uint64_t point, ops_->submit(std::span(segments_).subspan(first, count)));
  return ops_->wait(point);
}

Status DecodePass::serve_misses(uint32_t layer) {
  const uint64_t start_ns = now_ns();
  const std::span<const uint16_t> ids = chosen(layer);
  const auto acquired = model_.residency.acquire(layer, ids, Access::kDecode);
  if (!acquired.ok()) return acquired.status();
  const std::span<uint64_t> addresses = ws_.host<uint64_t>(ws_.addresses);
  for (size_t i = 0; i < ids.size(); ++i) addresses[i] = model_.residency.address(layer, ids[i]);
  // No later acquire comes before the submit that uses these has been waited for, so the pins may end here.
  model_.residency.retire(layer, ids, 0);
  served_[layer] = true;
  stall_ns_ += now_ns() - start_ns;
  return ok_status();
}

void DecodePass::note_hits() {
  for (uint32_t layer = 0; layer < served_.size(); ++layer) {
    if (!served_[layer]) model_.residency.touch(layer, chosen(layer));
  }
  model_.residency.end_token();
}

std::span<const uint16_t> DecodePass::chosen(uint32_t layer) {
  const std::span<const uint32_t> log = ws_.host<uint32_t>(ws_.route_log).subspan(size_t{layer} * chosen_.size(), chosen_.size());
  std::transform(log.begin(), log.end(), chosen_.begin(), [](uint32_t id) { return static_cast<uint16_t>(id); });
  return chosen_;
}

}  // namespace hotset
