#include "runtime/compute/ops_vulkan.h"

#include <algorithm>

namespace hotset {

Result<SegmentId> OpsVulkan::new_segment() {
  HOTSET_ASSIGN(const VkCommandBuffer commands, pool_.allocate());
  segments_.push_back(commands);
  return SegmentId{static_cast<uint32_t>(segments_.size() - 1)};
}

Status OpsVulkan::begin(SegmentId segment) {
  hazards_.clear();
  status_ = ok_status();
  has_codebooks_ = false;
  HOTSET_RETURN_IF_ERROR(recorder_.begin(segments_[static_cast<uint32_t>(segment)]));
  // What earlier segments of the same submit or queue wrote.
  recorder_.barrier(WorkKind::kShader, WorkKind::kShader);
  return ok_status();
}

Status OpsVulkan::end() {
  recorder_.barrier(WorkKind::kShader, WorkKind::kHost);
  const Status ended = recorder_.end();
  return status_.ok() ? ended : status_;
}

Result<uint64_t> OpsVulkan::submit(std::span<const SegmentId> segments, uint64_t copies) {
  submitted_.clear();
  for (const SegmentId segment : segments) submitted_.push_back(segments_[static_cast<uint32_t>(segment)]);
  HOTSET_ASSIGN(const TimelinePoint point, device_.compute().submit(submitted_, transfers_.until(copies)));
  return point.value;
}

void OpsVulkan::order(std::initializer_list<Tensor> reads, std::initializer_list<Tensor> writes) {
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
  if (any_rare(types) && !has_codebooks_) {
    const uint64_t address = programs_.codebooks();
    recorder_.push(shaders::kBooksPushOffset, std::as_bytes(std::span(&address, 1)));
    has_codebooks_ = true;
  }
  return program({shader.name, shader.build_for(types), constants});
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
