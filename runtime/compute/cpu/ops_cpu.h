// OpsCpu: Ops on the CPU. A segment is a list of stages.
//
// submit() runs everything at once, on the calling thread and the pool: one run of the pool a submit, in which threads walk the
// stages together, each stage a phase. What is too small to share out is done by the thread that finishes a phase, while the
// others wait for it anyway. A thread that is late or held up is waited for only where it has begun something. How stages are
// shared out changes no result.
#pragma once

#include <memory>
#include <vector>

#include "platform/host_memory.h"
#include "platform/phase_shares.h"
#include "platform/thread_pool.h"
#include "runtime/compute/cpu/stages.h"
#include "runtime/compute/ops.h"

namespace hotset {

class OpsCpu final : public Ops {
 public:
  // Kernels of one machine; tests choose among those that it can run.
  struct KernelChoice {
    const cpu::Kernels& dot;
    const cpu::FloatKernels& floats;
  };

  // `control`: address of a shaders::Control. `submits` counts every submit. Both and the pool outlive this; while a submit
  // runs the pool does nothing else.
  OpsCpu(ThreadPool& pool, uint64_t control, uint64_t& submits, const KernelChoice& kernels = {cpu::kernels(), cpu::float_kernels()})
      : pool_(pool), control_(*reinterpret_cast<shaders::Control*>(control)), kernels_(kernels), submits_(submits), phases_(pool.threads()) {}

  Result<SegmentId> new_segment() override;
  Status begin(SegmentId segment) override;
  Status end() override;
  // Copies are done when the host has made them.
  Result<uint64_t> submit(std::span<const SegmentId> segments, uint64_t copies = 0) override;
  Status wait(uint64_t) override { return ok_status(); }
  size_t max_segments() const override { return size_t{1} << 20; }

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

  // Shares out even the smallest stage from now on: for tests.
  void set_always_shared(bool always) { always_shared_ = always; }

 private:
  // Recording. `values`: how many numbers the stage handles, which says whether and how finely it is shared out; 0: never.
  template <class Work>
  void push(const Work& work, uint64_t values, uint64_t own_bytes = 0);
  // Where the activation of `n` rows for weights of this type will lie: x itself, or shared memory from `offset` on, which then
  // grows past it, filled by a stage of its own.
  cpu::Activations prepare(BlockType type, uint64_t x, uint32_t n, uint32_t cols, uint64_t& offset, uint64_t addresses = 0);
  void multiply(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, Phase phase, const Tensor* residual);
  void expert_batch(bool goes_up, const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& weights, const Tensor& x,
                    const Tensor& out);
  Status grow_scratch();

  // Running.
  cpu::StageContext context_of(uint32_t thread) const;
  bool stopped() const { return control_.stop != 0; }
  // Does the stages from `first` on that one thread does, up to the first that is shared out; returns its index.
  size_t run_alone(size_t first, const cpu::StageContext& context);
  // Begins the phase of a shared-out stage, or the last one behind all stages.
  void start_phase(size_t stage, const cpu::StageContext& context);
  void run_piece(const PhaseShares::Piece& piece, const cpu::StageContext& context);
  // What each thread does until all stages are done.
  void walk(uint32_t thread);

  ThreadPool& pool_;
  shaders::Control& control_;
  const KernelChoice kernels_;
  uint64_t& submits_;
  bool always_shared_ = false;

  std::vector<std::vector<cpu::Stage>> segments_;  // [SegmentId]
  std::vector<cpu::Stage>* recording_ = nullptr;   // between begin and end
  uint64_t shared_bytes_ = 0;                      // that the recorded stages want
  uint64_t own_bytes_ = 0;                         // of each thread
  std::unique_ptr<HostArena> scratch_;             // shared, then [threads] own
  uint64_t scratch_shared_bytes_ = 0;              // as laid out in scratch_
  uint64_t scratch_own_bytes_ = 0;

  std::vector<const cpu::Stage*> running_;  // of the submit under way; the phase of stage i is i + 1
  PhaseShares phases_;
  uint32_t items_ = 0;   // of the phase at hand: written by the thread that starts it
  uint32_t pieces_ = 0;
  uint64_t point_ = 0;
};

}  // namespace hotset
