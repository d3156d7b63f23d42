// OpsVulkan: Ops on a Vulkan device. A segment is a command buffer, or with a slice several: its parts. With a slice one submit is
// under way at a time, and as long as the Slicer lets it be.
//
// A barrier comes only where an operation touches what an earlier one of the segment wrote, or writes what it read.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "platform/vulkan/commands.h"
#include "platform/vulkan/memory.h"
#include "platform/vulkan/program.h"
#include "platform/vulkan/timestamps.h"
#include "runtime/compute/hazards.h"
#include "runtime/compute/ops.h"
#include "runtime/compute/programs.h"
#include "runtime/compute/slicer.h"
#include "runtime/compute/tuning.h"
#include "runtime/compute/weight_shader.h"

namespace hotset {

// Makes compute submits wait for copies of the transfer queue. A copy that the host has seen finished still needs the wait
// once: only that makes its bytes visible to shaders (Vulkan specification, "Semaphore Signaling"). One an Ops.
class TransferFence {
 public:
  // What was copied before counts as asked for.
  explicit TransferFence(Device& device) : device_(device), wanted_(device.transfer().last_point().value) {}

  // What the next submit waits for so that the copies up to `value` are there; nothing when an earlier one has.
  std::span<const TimelinePoint> until(uint64_t value) {
    wanted_ = std::max(wanted_, value);
    if (wanted_ <= point_.value) return {};
    point_ = {device_.transfer().last_point().semaphore, wanted_};
    return {&point_, 1};
  }

 private:
  Device& device_;
  uint64_t wanted_;
  TimelinePoint point_;
};

class OpsVulkan final : public Ops {
 public:
  // `control`: address of a shaders::Control that the host fills before each submit. `slice_ns`: most device time of a submit, but for
  // operations that take longer alone; 0: submits are as long as they come.
  OpsVulkan(Device& device, Programs& programs, uint64_t control, uint64_t slice_ns = 0)
      : device_(device),
        programs_(programs),
        control_(control),
        slicer_(slice_ns),
        timestamps_(device),
        pool_(device, device.compute().family()),
        recorder_(device, programs.cache()),
        transfers_(device),
        batch_(tuning::batch(device.limits())) {}

  Result<SegmentId> new_segment() override;
  Status begin(SegmentId segment) override;
  Status end() override;
  Result<uint64_t> submit(std::span<const SegmentId> segments, uint64_t copies = 0) override;
  Status wait(uint64_t point) override { return device_.compute().wait(point); }
  size_t max_segments() const override { return Queue::kMaxCommandBuffers; }

  void embed(const Weight& table, uint64_t tokens, const Tensor& out, uint32_t n) override;
  void rms_norm(const Tensor& x, uint64_t weight, const Tensor& out, uint32_t n, uint32_t cols, float eps) override;
  void matmul(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, Phase phase, const Tensor* residual = nullptr) override;
  void matmul_each(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, Phase phase) override;
  void store_kv(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, uint64_t q_norm, uint64_t k_norm, uint64_t rope,
                const KvCacheView& cache, uint32_t n) override;
  void attention(const AttentionShape& shape, const Tensor& q, const KvCacheView& cache, const Tensor& out, const Tensor& scratch, uint32_t n,
                 Phase phase, const AttentionInputs& inputs = {}) override;
  void route(const RouteShape& shape, const Tensor& scores, const Tensor& ids, const Tensor& weights, uint32_t n, uint64_t table = 0,
             const Tensor* addresses = nullptr, uint32_t stop_value = 0, const RouteInputs& inputs = {}) override;
  void expert_up(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& x, const Tensor& hidden) override;
  void expert_down(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& hidden, const Tensor& out) override;
  void expert_up_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& weights, const Tensor& x,
                       const Tensor& hidden) override;
  void expert_down_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& hidden,
                         const Tensor& parts) override;
  void combine(const ExpertShape& shape, const Tensor& weights, const Tensor& parts, const Tensor& out, uint32_t n) override;
  void norm(const NormShape& shape, const Rows& x, uint64_t weight, uint64_t bias, const Rows& out, uint32_t n) override;
  void map(const Glu& glu, float scale, const Operand& a, const Operand& b, const Operand& c, const Rows& out, uint32_t n, uint32_t cols) override;
  void rope(const RopeShape& shape, const Rows& x, uint64_t table, uint32_t n) override;
  void store_rows(KvElement element, const Rows& x, uint64_t cache, uint32_t row_stride, uint32_t context_tokens, uint32_t cols, uint32_t n,
                  uint32_t every = 1) override;
  void matmul_heads(const HeadsShape& shape, const Weight& w, const Rows& x, const Rows& out, uint32_t n) override;
  void conv(const ConvShape& shape, const Rows& x, uint64_t weight, uint64_t bias, uint64_t state, const Rows& out, uint32_t n) override;
  void linear_attention(const LinearAttentionShape& shape, const Rows& q, const Rows& k, const Rows& v, const Rows& decay, const Rows& beta,
                        uint64_t state, const Rows& out, uint32_t n) override;
  void selective_scan(const SelectiveScanShape& shape, const Rows& x, const Rows& dt, const Rows& b, const Rows& c, uint64_t a, uint64_t d,
                      uint64_t state, const Rows& out, uint32_t n) override;
  void select_positions(const SelectShape& shape, const Rows& q, const Rows& weights, uint64_t keys, const Tensor& scratch, const Tensor& mask,
                        uint32_t n) override;
  void compress(const CompressShape& shape, const Rows& values, const Rows& scores, uint64_t bias, uint64_t state, const Rows& out,
                uint32_t n) override;
  void stream_weights(const StreamShape& shape, const Rows& mixes, uint64_t scale, uint64_t bias, const Rows& out, uint32_t n) override;
  void mix_streams(const MixShape& shape, const Rows& x, const Rows& weights, const Rows& added, const Rows& added_weights, const Rows& out,
                   uint32_t n) override;
  void add(const Tensor& x, const Tensor& out, uint32_t count) override;
  void export_stopped(const Tensor& x, const Tensor& out, uint32_t count, uint32_t stop_value) override;

  const Recorder& recorder() const { return recorder_; }
  // How the batch kernels are cut up from now on, instead of the device's own choice: for tests and measurements.
  void set_batch_tuning(const tuning::Batch& batch) { batch_ = batch; }

 private:
  struct Part {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    uint32_t timestamps = 0;  // a pair, where the device has them
    uint32_t dispatches = 0;
    uint64_t took_ns = 0;     // when it ran last; 0: not known
  };
  struct Segment {
    std::deque<Part> parts;  // those beyond used are left of an earlier recording
    size_t used = 0;
  };

  Status begin_part();
  Status end_part(bool last);
  // Ends the part that is recorded where it is long enough.
  void cut();
  void push_codebooks();
  // How many of ready_ from `first` on go into the next submit.
  size_t parts_of_submit(size_t first) const;
  // With a slice: until the submit under way is done, and its times are known.
  Status finish_submit();
  // Inserts the barrier that an operation with these reads and writes needs, and notes them.
  void order(std::initializer_list<Tensor> reads, std::initializer_list<Tensor> writes);
  // The program for `key`; on failure notes the error and returns nullptr (the operation is then left out).
  const Program* program(const ProgramKey& key);
  // The same of the build of `shader` for weights of these types.
  const Program* weight_program(const WeightShader& shader, std::initializer_list<BlockType> types, const std::array<uint32_t, 12>& constants);
  // Records the dispatch, or notes the error when the device takes no grid of that size.
  template <class Push>
  void dispatch(const Program& program, const Push& push, uint32_t x, uint32_t y = 1, uint32_t z = 1) {
    if (fits_grid(x, y, z)) recorder_.dispatch(program, push, x, y, z);
  }
  bool fits_grid(uint32_t x, uint32_t y, uint32_t z);
  // matmul by phase; each orders its operands itself.
  void matmul_decode(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, const Tensor* residual);
  void matmul_batch(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, const Tensor* residual);

  Device& device_;
  Programs& programs_;
  const uint64_t control_;
  Slicer slicer_;
  Timestamps timestamps_;
  CommandPool pool_;
  Recorder recorder_;
  TransferFence transfers_;
  std::deque<Segment> segments_;  // [SegmentId]
  Segment* recorded_ = nullptr;   // between begin and end
  uint32_t part_start_ = 0;       // the recorder's dispatches when the part began
  std::vector<Part*> ready_;      // of the call of submit
  std::vector<Part*> running_;    // with a slice: of the submit under way
  uint64_t running_value_ = 0;    // on the queue's timeline when it is done
  std::vector<VkCommandBuffer> submitted_;  // scratch
  tuning::Batch batch_;
  bool has_codebooks_ = false;  // their address is among the push constants of the segment that is recorded
  Hazards hazards_;
  Status status_;
  Program current_;
};

}  // namespace hotset
