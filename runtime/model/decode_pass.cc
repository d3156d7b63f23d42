#include "runtime/model/decode_pass.h"

#include <algorithm>

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
  HOTSET_ASSIGN(silent_, record_token(false));
  if (model_.prefetch != nullptr && model_.prefetch->asks_router()) {
    HOTSET_ASSIGN(guessing_, record_token(true));
  }
  for (uint32_t i = 0; model_.cpu_experts != nullptr && i < model_.spec.moes.size(); ++i) {
    HOTSET_ASSIGN(const SegmentId experts, record_experts(i));
    experts_segments_.push_back(experts);
  }
  return ok_status();
}

Result<DecodePass::Recording> DecodePass::record_token(bool guess) {
  Recording recording;
  for (uint32_t i = 0; i <= model_.spec.moes.size(); ++i) {
    HOTSET_ASSIGN(const SegmentId plain, record_segment(i, false, guess));
    recording.plain.push_back(plain);
    if (model_.cpu_experts == nullptr) continue;
    HOTSET_ASSIGN(const SegmentId after_cpu, i == 0 ? Result<SegmentId>(plain) : record_segment(i, true, guess));
    recording.after_cpu.push_back(after_cpu);
  }
  return recording;
}

Result<SegmentId> DecodePass::record_segment(uint32_t index, bool after_cpu, bool guess) {
  HOTSET_ASSIGN(const SegmentId segment, ops_->new_segment());
  HOTSET_RETURN_IF_ERROR(ops_->begin(segment));
  if (index != 0 && after_cpu) steps_.add_cpu_part(index - 1);
  if (index != 0 && !after_cpu) steps_.experts_decode(index - 1);
  steps_.stretch(index, 1, Phase::kDecode);
  if (index < model_.spec.moes.size()) {
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
  const uint64_t start_ns = now_ns();
  begin_token(token, position);
  const Status done = run_segments();
  if (!done.ok()) model_.backend.wait_idle();  // what was submitted may still read what is pinned and shared
  end_pins();
  if (!done.ok()) return done;
  note_hits();
  if (model_.prefetch) model_.prefetch->end_token(now_ns() - start_ns);
  return done;
}

void DecodePass::begin_token(uint32_t token, uint32_t position) {
  ws_.host<shaders::Control>(ws_.control)[0].position = position;
  ws_.host<uint32_t>(ws_.tokens)[0] = token;
  positions_.fill(position, 1);
  std::fill(served_.begin(), served_.end(), false);
  after_cpu_next_ = false;
  model_.residency.begin_token();
  if (model_.prefetch) model_.prefetch->begin_token(token, model_.residency);
  recording_ = guessing() && model_.prefetch->asks_router() ? &guessing_ : &silent_;
}

Status DecodePass::run_segments() {
  const uint32_t end = static_cast<uint32_t>(silent_.plain.size());
  auto& control = ws_.host<shaders::Control>(ws_.control)[0];
  bool missed = false;
  for (uint32_t next = 0; next < end;) {
    control.stop = 0;
    const uint32_t first = next;
    const uint32_t count = guessing() ? 1 : std::min(window_, end - next);
    HOTSET_RETURN_IF_ERROR(run_ahead(first, count));
    const uint32_t stop = control.stop;
    next = stop == 0 ? next + count : stop;  // after a stop: the segment that begins with this layer's experts
    missed = missed || stop != 0;
    stops_ += stop != 0 ? 1 : 0;
    if (stop != 0 && !guessing()) window_ = std::max(1u, window_ / 2);
    if (stop != 0 || (guessing() && next < end)) HOTSET_RETURN_IF_ERROR(serve(next - 1));
    if (model_.prefetch) note_choices(first, std::min(next, end - 1));
  }
  if (!missed && !guessing()) window_ = std::min(most_segments(model_.spec, *ops_), window_ * 2);
  return ok_status();
}

// Runs `count` segments, or less where the device stops.
Status DecodePass::run_ahead(uint32_t first, uint32_t count) {
  run_.clear();
  for (uint32_t i = 0; i < count; ++i) run_.push_back(segment(first + i));
  model_.residency.poll();  // what has come meanwhile need not stop the pass
  HOTSET_ASSIGN(const uint64_t point, ops_->submit(run_, model_.residency.copies_to_wait_for()));
  const Status done = ops_->wait(point);
  end_pins();
  return done;
}

SegmentId DecodePass::segment(uint32_t index) {
  const bool after_cpu = after_cpu_next_;
  after_cpu_next_ = false;
  return (after_cpu ? recording_->after_cpu : recording_->plain)[index];
}

// The experts of the layer that stopped last keep their places until the submit that uses them is done: a hint may come before it.
void DecodePass::end_pins() {
  if (pinned_layer_ == kNoLayer) return;
  model_.residency.retire(pinned_layer_, chosen(pinned_layer_), 0);
  pinned_layer_ = kNoLayer;
}

// The experts keep their places until the submit that uses them is done: a hint may come before it.
Status DecodePass::serve(uint32_t layer) {
  const uint64_t start_ns = now_ns();
  const std::span<const uint16_t> ids = chosen(layer);
  note_residents(layer, ids);
  HOTSET_RETURN_IF_ERROR(model_.residency.acquire(layer, ids, Access::kDecode).status());
  pinned_layer_ = layer;
  served_[layer] = true;
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

// The layers from `first_layer` to `last_layer` - 1 have chosen.
void DecodePass::note_choices(uint32_t first_layer, uint32_t last_layer) {
  for (uint32_t layer = first_layer; layer < last_layer; ++layer) model_.prefetch->chose(layer, chosen(layer));
  if (last_layer > first_layer) model_.prefetch->guess_after(last_layer - 1, guess_of(last_layer - 1), model_.residency);
}

// What the device guessed at `layer` for the one after it.
std::span<const uint32_t> DecodePass::guess_of(uint32_t layer) {
  return ws_.host<uint32_t>(ws_.guess_log).subspan(size_t{layer} * chosen_.size(), chosen_.size());
}

void DecodePass::note_hits() {
  for (uint32_t layer = 0; layer < served_.size(); ++layer) {
    if (served_[layer]) continue;
    const std::span<const uint16_t> ids = chosen(layer);
    note_residents(layer, ids);
    model_.residency.touch(layer, ids);
  }
  model_.residency.end_token();
}

void DecodePass::note_residents(uint32_t layer, std::span<const uint16_t> ids) {
  if (resident_.empty()) return;
  for (size_t i = 0; i < ids.size(); ++i) resident_[layer * chosen_.size() + i] = model_.residency.resident(layer, ids[i]);
}

std::span<const uint16_t> DecodePass::chosen(uint32_t layer) {
  const std::span<const uint32_t> log = ws_.host<uint32_t>(ws_.route_log).subspan(size_t{layer} * chosen_.size(), chosen_.size());
  std::transform(log.begin(), log.end(), chosen_.begin(), [](uint32_t id) { return static_cast<uint16_t>(id); });
  return chosen_;
}

}  // namespace hotset
