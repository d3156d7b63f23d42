#include "runtime/compute/cpu/ops_cpu.h"

#include <algorithm>

#include "platform/bytes.h"
#include "platform/check.h"

namespace hotset {

using cpu::Stage;
using cpu::StageContext;

namespace {

constexpr uint64_t kScratchAlignment = 256;

}  // namespace

Result<SegmentId> OpsCpu::new_segment() {
  HOTSET_CHECK(recording_ == nullptr);  // the list may move
  segments_.emplace_back();
  return SegmentId{static_cast<uint32_t>(segments_.size() - 1)};
}

Status OpsCpu::begin(SegmentId segment) {
  recording_ = &segments_[static_cast<uint32_t>(segment)];
  recording_->clear();
  return ok_status();
}

Status OpsCpu::end() {
  recording_ = nullptr;
  return grow_scratch();
}

Status OpsCpu::grow_scratch() {
  if (scratch_ && shared_bytes_ <= scratch_shared_bytes_ && own_bytes_ <= scratch_own_bytes_) return ok_status();
  scratch_.reset();
  scratch_shared_bytes_ = align_up(shared_bytes_, kScratchAlignment);
  scratch_own_bytes_ = align_up(own_bytes_, kScratchAlignment);
  const uint64_t bytes = std::max(scratch_shared_bytes_ + pool_.threads() * scratch_own_bytes_, kScratchAlignment);
  HOTSET_ASSIGN(scratch_, HostArena::create(bytes));
  return ok_status();
}

StageContext OpsCpu::context_of(uint32_t thread) const {
  std::byte* const shared = scratch_->bytes().data();
  return {kernels_.dot, kernels_.floats, control_, shared, shared + scratch_shared_bytes_ + thread * scratch_own_bytes_};
}

Result<uint64_t> OpsCpu::submit(std::span<const SegmentId> segments, uint64_t) {
  running_.clear();
  for (const SegmentId segment : segments) {
    for (const Stage& stage : segments_[static_cast<uint32_t>(segment)]) running_.push_back(&stage);
  }
  ++point_;
  ++submits_;
  if (running_.empty()) return point_;
  // What one thread does needs no other to be awake.
  const StageContext context = context_of(0);
  const size_t first = run_alone(0, context);
  if (first < running_.size()) {
    phases_.reset();
    start_phase(first, context);
    pool_.run(pool_.threads(), [this](uint32_t, uint32_t thread) { walk(thread); });
  }
  return point_;
}

size_t OpsCpu::run_alone(size_t first, const StageContext& context) {
  size_t i = first;
  for (; i < running_.size(); ++i) {
    const Stage& stage = *running_[i];
    if (stopped() && !stage.runs_when_stopped()) continue;
    const uint32_t items = stage.items(context);
    if (stage.is_shared() && items != 0) break;
    stage.run(0, items, context);
  }
  return i;
}

void OpsCpu::start_phase(size_t stage, const StageContext& context) {
  items_ = pieces_ = 0;
  if (stage < running_.size()) {
    items_ = running_[stage]->items(context);
    pieces_ = std::min({items_, running_[stage]->pieces_per_thread * pool_.threads(), PhaseShares::kMaxPieces});
  }
  phases_.start(static_cast<uint32_t>(stage + 1), pieces_);
}

void OpsCpu::run_piece(const PhaseShares::Piece& piece, const StageContext& context) {
  const auto first = static_cast<uint32_t>(uint64_t{items_} * piece.index / pieces_);
  const auto end = static_cast<uint32_t>(uint64_t{items_} * (piece.index + 1) / pieces_);
  running_[piece.phase - 1]->run(first, end, context);
}

// Control.stop changes only while one thread works alone, which then goes to the end of the list: all threads leave.
void OpsCpu::walk(uint32_t thread) {
  const StageContext context = context_of(thread);
  for (size_t phase = 0; phase <= running_.size();) {
    uint32_t count = 0;
    for (PhaseShares::Piece piece; phases_.claim(thread, piece); ++count) {
      phase = piece.phase;
      run_piece(piece, context);
    }
    if (count != 0 && phases_.finish(count)) {
      const size_t stage = run_alone(phase, context);
      start_phase(stage, context);
      phase = stage + 1;
    } else {
      phase = phases_.wait_past(static_cast<uint32_t>(phase));
    }
  }
}

}  // namespace hotset
