#include "runtime/compute/ops_vulkan.h"

#include <algorithm>

namespace hotset {

Result<SegmentId> OpsVulkan::new_segment() {
  segments_.emplace_back();
  return SegmentId{static_cast<uint32_t>(segments_.size() - 1)};
}

Status OpsVulkan::begin(SegmentId segment) {
  recorded_ = &segments_[static_cast<uint32_t>(segment)];
  // The caller has seen it done, but its times may still be to be read.
  const auto is_running = [&](const Part& part) { return std::find(running_.begin(), running_.end(), &part) != running_.end(); };
  if (std::any_of(recorded_->parts.begin(), recorded_->parts.end(), is_running)) HOTSET_RETURN_IF_ERROR(finish_submit());
  recorded_->used = 0;
  status_ = ok_status();
  has_codebooks_ = false;
  return begin_part();
}

Status OpsVulkan::begin_part() {
  hazards_.clear();
  if (recorded_->used == recorded_->parts.size()) {
    Part made;
    HOTSET_ASSIGN(made.commands, pool_.allocate());
    if (slicer_.on() && timestamps_.available()) {
      HOTSET_ASSIGN(made.timestamps, timestamps_.new_pair());
    }
    recorded_->parts.push_back(made);
  }
  Part& part = recorded_->parts[recorded_->used++];
  part.took_ns = 0;
  part_start_ = recorder_.dispatch_count();
  HOTSET_RETURN_IF_ERROR(recorder_.begin(part.commands));
  // What earlier segments of the same submit or queue wrote.
  recorder_.barrier(WorkKind::kShader, WorkKind::kShader);
  if (slicer_.on() && timestamps_.available()) timestamps_.start(part.commands, part.timestamps);
  return ok_status();
}

Status OpsVulkan::end_part(bool last) {
  Part& part = recorded_->parts[recorded_->used - 1];
  part.dispatches = recorder_.dispatch_count() - part_start_;
  if (last) recorder_.barrier(WorkKind::kShader, WorkKind::kHost);
  if (slicer_.on() && timestamps_.available()) timestamps_.stop(part.commands, part.timestamps);
  return recorder_.end();
}

Status OpsVulkan::end() {
  const Status ended = end_part(true);
  return status_.ok() ? ended : status_;
}

void OpsVulkan::cut() {
  if (!status_.ok() || !slicer_.ends_part(recorder_.dispatch_count() - part_start_)) return;
  status_ = end_part(false);
  if (status_.ok()) status_ = begin_part();
  if (status_.ok() && has_codebooks_) push_codebooks();
}

Result<uint64_t> OpsVulkan::submit(std::span<const SegmentId> segments, uint64_t copies) {
  ready_.clear();
  for (const SegmentId id : segments) {
    Segment& segment = segments_[static_cast<uint32_t>(id)];
    for (size_t i = 0; i < segment.used; ++i) ready_.push_back(&segment.parts[i]);
  }
  std::span<const TimelinePoint> waits = transfers_.until(copies);
  for (size_t first = 0;;) {
    HOTSET_RETURN_IF_ERROR(finish_submit());
    const size_t count = parts_of_submit(first);
    submitted_.clear();
    for (size_t i = 0; i < count; ++i) submitted_.push_back(ready_[first + i]->commands);
    HOTSET_ASSIGN(const TimelinePoint point, device_.compute().submit(submitted_, waits));
    if (slicer_.on()) running_.assign(ready_.begin() + static_cast<std::ptrdiff_t>(first), ready_.begin() + static_cast<std::ptrdiff_t>(first + count));
    running_value_ = point.value;
    waits = {};
    first += count;
    if (first == ready_.size()) return point.value;
  }
}

size_t OpsVulkan::parts_of_submit(size_t first) const {
  const size_t most = std::min(ready_.size() - first, Queue::kMaxCommandBuffers);
  if (!slicer_.on()) return most;
  if (!timestamps_.available()) return std::min<size_t>(most, 1);
  size_t count = 0;
  uint64_t submit_ns = 0;
  while (count < most && slicer_.joins(submit_ns, ready_[first + count]->took_ns, ready_[first + count]->dispatches)) ++count;
  return count;
}

Status OpsVulkan::finish_submit() {
  if (running_.empty()) return ok_status();
  HOTSET_RETURN_IF_ERROR(device_.compute().wait(running_value_));
  for (Part* part : running_) {
    if (timestamps_.available()) part->took_ns = timestamps_.elapsed_ns(part->timestamps);
    slicer_.note(part->took_ns, part->dispatches);
  }
  running_.clear();
  return ok_status();
}

void OpsVulkan::order(std::initializer_list<Tensor> reads, std::initializer_list<Tensor> writes) {
  cut();
  if (hazards_.note(reads, writes)) recorder_.barrier(WorkKind::kShader, WorkKind::kShader);
}

const Program* OpsVulkan::program(const ProgramKey& key) {
  const auto made = programs_.get(key);
  if (made.ok()) {
    current_ = *made;
    return &current_;
  }
  if (status_.ok()) status_ = made.status();
  return nullptr;
}

const Program* OpsVulkan::weight_program(const WeightShader& shader, std::initializer_list<BlockType> types,
                                         const std::array<uint32_t, 12>& constants) {
  if (any_rare(types) && !has_codebooks_) push_codebooks();
  return program({shader.name, shader.build_for(types), constants});
}

void OpsVulkan::push_codebooks() {
  const uint64_t address = programs_.codebooks();
  recorder_.push(shaders::kBooksPushOffset, std::as_bytes(std::span(&address, 1)));
  has_codebooks_ = true;
}

bool OpsVulkan::fits_grid(uint32_t x, uint32_t y, uint32_t z) {
  const DeviceLimits& limits = device_.limits();
  if (x <= limits.max_workgroups_x && y <= limits.max_workgroups_y && z <= limits.max_workgroups_z) return true;
  if (status_.ok()) {
    status_ = error(Code::kUnsupported, "the device runs at most %u x %u x %u workgroups at once, the model needs %u x %u x %u: a smaller batch may help",
                    limits.max_workgroups_x, limits.max_workgroups_y, limits.max_workgroups_z, x, y, z);
  }
  return false;
}

void OpsVulkan::matmul(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, Phase phase, const Tensor* residual) {
  if (phase == Phase::kDecode) {
    const MatrixProduct product = {w, out};
    matmul_decode({&product, 1}, x, n, residual);
  } else {
    matmul_batch(w, x, out, n, residual);
  }
}

void OpsVulkan::matmul_each(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, Phase phase) {
  while (!products.empty()) {
    // The run of matrices that one dispatch can take; a batch has work enough in each.
    size_t count = 1;
    while (phase == Phase::kDecode && count < std::min<size_t>(products.size(), shaders::kMaxProducts) &&
           products[count].weight.type == products[0].weight.type && products[count].weight.cols == products[0].weight.cols) {
      ++count;
    }
    if (phase == Phase::kDecode) matmul_decode(products.first(count), x, n, nullptr);
    else matmul_batch(products[0].weight, x, products[0].out, n, nullptr);
    products = products.subspan(count);
  }
}

}  // namespace hotset
