#include "runtime/model/decode_pass.h"

#include <algorithm>

#include "offload/prefetch.h"
#include "platform/clock.h"

namespace hotset {
namespace {

// Segments of one submit: a whole token's but for absurdly deep models.
uint32_t most_segments(const ModelSpec& spec, const Ops& ops) { return static_cast<uint32_t>(std::min(spec.moes.size() + 1, ops.max_segments())); }

}  // namespace

DecodePass::DecodePass(const Model& model, Workspace& workspace)
    : model_(model),
      ws_(workspace),
      ops_(model.backend.make_ops(workspace.control.address)),
      steps_(model_, workspace, *ops_),
      positions_(model.spec, workspace),
      chosen_(largest_top_k(model.spec)),
      served_(model.spec.moes.size()),
      window_(most_segments(model.spec, *ops_)) {
  run_.reserve(model.spec.moes.size() + 1);
  jobs_.reserve(chosen_.size());
}

Result<std::unique_ptr<DecodePass>> DecodePass::create(const Model& model, Workspace& workspace) {
  std::unique_ptr<DecodePass> pass(new DecodePass(model, workspace));
  HOTSET_RETURN_IF_ERROR(pass->record());
  return pass;
}

Status DecodePass::record() {
  const uint32_t layer_count = static_cast<uint32_t>(model_.spec.moes.size());
  for (uint32_t i = 0; i <= layer_count; ++i) {
    HOTSET_ASSIGN(const SegmentId segment, record_segment(i, false));
    segments_.push_back(segment);
    if (model_.cpu_experts == nullptr) continue;
    HOTSET_ASSIGN(const SegmentId after_cpu, i == 0 ? Result<SegmentId>(segment) : record_segment(i, true));
    after_cpu_.push_back(after_cpu);
    if (i == layer_count) break;
    HOTSET_ASSIGN(const SegmentId experts, record_experts(i));
    experts_segments_.push_back(experts);
  }
  return ok_status();
}

Result<SegmentId> DecodePass::record_segment(uint32_t index, bool after_cpu) {
  HOTSET_ASSIGN(const SegmentId segment, ops_->new_segment());
  HOTSET_RETURN_IF_ERROR(ops_->begin(segment));
  if (index != 0 && after_cpu) steps_.add_cpu_part(index - 1);
  if (index != 0 && !after_cpu) steps_.experts_decode(index - 1);
  steps_.stretch(index, 1, Phase::kDecode);
  if (index < model_.spec.moes.size()) {
    const bool guess = model_.prefetch != nullptr && model_.prefetch->asks_router();
    steps_.router(index, 1, Phase::kDecode, guess);
    if (guess) steps_.guess_next(index);
    steps_.route_decode(index);
    if (model_.cpu_experts != nullptr) steps_.export_stopped(index);
  } else {
    steps_.head(0, 1, Phase::kDecode);
  }
  HOTSET_RETURN_IF_ERROR(ops_->end());
  return segment;
}

Result<SegmentId> DecodePass::record_experts(uint32_t layer) {
  HOTSET_ASSIGN(const SegmentId segment, ops_->new_segment());
  HOTSET_RETURN_IF_ERROR(ops_->begin(segment));
  steps_.experts_decode(layer);
  HOTSET_RETURN_IF_ERROR(ops_->end());
  return segment;
}

Status DecodePass::run(uint32_t token, uint32_t position) {
  const Status done = run_segments(token, position);
  end_pins();
  if (done.ok()) note_hits();
  return done;
}

Status DecodePass::run_segments(uint32_t token, uint32_t position) {
  auto& control = ws_.host<shaders::Control>(ws_.control)[0];
  control.position = position;
  ws_.host<uint32_t>(ws_.tokens)[0] = token;
  positions_.fill(position, 1);
  std::fill(served_.begin(), served_.end(), false);
  after_cpu_next_ = false;
  if (model_.prefetch) model_.prefetch->begin_token(token, model_.residency);

  const uint32_t end = static_cast<uint32_t>(segments_.size());
  bool missed = false;
  for (uint32_t next = 0; next < end;) {
    control.stop = 0;
    // Guesses are only of use to a host that sees them before the next layer runs.
    const uint32_t window = model_.prefetch != nullptr && model_.prefetch->wants_every_layer() ? 1 : window_;
    const uint32_t count = std::min(window, end - next);
    HOTSET_RETURN_IF_ERROR(submit(next, count));
    const uint32_t stop = control.stop;
    const uint32_t first = next;
    next = stop == 0 ? next + count : stop;  // after a stop: the segment that begins with this layer's experts
    if (stop != 0) {
      missed = true;
      ++stops_;
      window_ = std::max(1u, window_ / 2);
      HOTSET_RETURN_IF_ERROR(serve_misses(stop - 1));
    }
    if (stop == 0 && next < end && model_.prefetch && model_.prefetch->wants_every_layer()) HOTSET_RETURN_IF_ERROR(hold(next - 1));
    if (model_.prefetch) guess(first, std::min(next, end - 1));
  }
  if (!missed) window_ = std::min(most_segments(model_.spec, *ops_), window_ * 2);
  return ok_status();
}

Status DecodePass::submit(uint32_t first, uint32_t count) {
  run_.assign(segments_.begin() + first, segments_.begin() + first + count);
  if (after_cpu_next_) run_[0] = after_cpu_[first];
  after_cpu_next_ = false;
  HOTSET_ASSIGN(const uint64_t point, ops_->submit(run_, model_.residency.copies_to_wait_for()));
  const Status done = ops_->wait(point);
  end_pins();
  return done;
}

// The experts of the layer that stopped last keep their places until the submit that uses them is done: a hint may come before it.
void DecodePass::end_pins() {
  if (pinned_layer_ == kNoLayer) return;
  model_.residency.retire(pinned_layer_, chosen(pinned_layer_), 0);
  pinned_layer_ = kNoLayer;
}

// The device has looked up where this layer's experts lie and uses that in the next submit: no hint may move them before.
Status DecodePass::hold(uint32_t layer) {
  HOTSET_RETURN_IF_ERROR(model_.residency.acquire(layer, chosen(layer), Access::kDecode).status());
  pinned_layer_ = layer;
  served_[layer] = true;
  return ok_status();
}

Status DecodePass::serve_misses(uint32_t layer) {
  const uint64_t start_ns = now_ns();
  HOTSET_RETURN_IF_ERROR(hold(layer));
  const std::span<const uint16_t> ids = chosen(layer);
  const std::span<uint64_t> addresses = ws_.host<uint64_t>(ws_.addresses);
  bool on_cpu = false;
  for (size_t i = 0; i < ids.size(); ++i) {
    addresses[i] = model_.residency.address(layer, ids[i]);
    on_cpu = on_cpu || addresses[i] == 0;
  }
  stall_ns_ += now_ns() - start_ns;
  return on_cpu ? run_on_cpu(layer) : ok_status();
}

// The device has the experts with addresses, the CPU the others; the device's part is not waited for.
Status DecodePass::run_on_cpu(uint32_t layer) {
  HOTSET_CHECK(model_.cpu_experts != nullptr);
  const std::span<const uint64_t> addresses = ws_.host<uint64_t>(ws_.addresses).subspan(0, chosen_.size());
  const std::span<const float> weights = ws_.host<float>(ws_.host_weights);
  jobs_.clear();
  for (size_t i = 0; i < chosen_.size(); ++i) {
    if (addresses[i] != 0) continue;
    jobs_.push_back({model_.residency.host_pieces(layer, chosen_[i]), weights[i]});
  }
  if (jobs_.size() < chosen_.size()) {
    ws_.host<shaders::Control>(ws_.control)[0].stop = 0;
    HOTSET_RETURN_IF_ERROR(ops_->submit({&experts_segments_[layer], 1}, model_.residency.copies_to_wait_for()).status());
  }
  const ExpertShape& shape = steps_.expert_shape(layer);
  model_.cpu_experts->run(shape, jobs_, ws_.host<float>(ws_.host_input).subspan(0, shape.embd), ws_.host<float>(ws_.cpu_part));
  after_cpu_next_ = true;
  return ok_status();
}

void DecodePass::guess(uint32_t first_layer, uint32_t last_layer) {
  const size_t used = chosen_.size();
  const std::span<const uint32_t> guesses = ws_.host<uint32_t>(ws_.guess_log);
  for (uint32_t layer = first_layer; layer < last_layer; ++layer) {
    model_.prefetch->chose(layer, chosen(layer), guesses.subspan(layer * used, used), layer + 1 == last_layer, model_.residency);
  }
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
