#include "runtime/compute/cpu/ops_cpu.h"

#include <algorithm>

#include "platform/bytes.h"
#include "platform/check.h"

namespace hotset {

using cpu::Split;
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
  next_item_.store(0, std::memory_order_relaxed);
  // What one thread does needs no other to be awake.
  const size_t first = run_alone(0, context_of(0));
  if (first < running_.size()) {
    barrier_.reset(pool_.threads());
    pool_.run_phases([&](uint32_t thread) { walk(first, thread); });
  }
  return point_;
}

size_t OpsCpu::run_alone(size_t first, const StageContext& context) {
  size_t i = first;
  for (; i < running_.size(); ++i) {
    const Stage& stage = *running_[i];
    if (stopped() && !stage.runs_when_stopped()) continue;
    const uint32_t items = stage.items(context);
    if (stage.split != Split::kAlone && items != 0) break;
    stage.run(0, items, context);
  }
  return i;
}

// Control.stop changes only while one thread works alone, which then goes to the end of the list: all threads leave together.
void OpsCpu::walk(size_t first, uint32_t thread) {
  const StageContext context = context_of(thread);
  for (size_t i = first; i < running_.size(); i = resume_) {
    run_share(*running_[i], thread, context);
    if (i + 1 == running_.size()) return;
    barrier_.arrive([&] {
      next_item_.store(0, std::memory_order_relaxed);
      resume_ = run_alone(i + 1, context);
    });
  }
}

void OpsCpu::run_share(const Stage& stage, uint32_t thread, const StageContext& context) {
  const uint32_t items = stage.items(context);
  if (stage.split == Split::kEvenly) {
    const uint64_t threads = pool_.threads();
    const auto first = static_cast<uint32_t>(uint64_t{items} * thread / threads), end = static_cast<uint32_t>(uint64_t{items} * (thread + 1) / threads);
    if (first < end) stage.run(first, end, context);
    return;
  }
  for (uint32_t item = next_item_.fetch_add(1, std::memory_order_relaxed); item < items; item = next_item_.fetch_add(1, std::memory_order_relaxed)) {
    stage.run(item, item + 1, context);
  }
}

}  // namespace hotset
