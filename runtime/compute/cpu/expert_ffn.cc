#include "runtime/compute/cpu/expert_ffn.h"

#include <algorithm>
#include <cmath>

#include "platform/bytes.h"
#include "platform/check.h"
#include "runtime/compute/cpu/expert_form.h"

namespace hotset::cpu {
namespace {

// Rows of one piece of work: some 50 KB of weights, 5 us and more, against 0.1 us to claim it.
constexpr uint32_t kPieceRows = 32;

uint32_t pieces_of(uint32_t rows) { return (rows + kPieceRows - 1) / kPieceRows; }

uint64_t bytes_of_row(BlockType type, uint32_t cols) {
  const auto bytes = row_bytes(type, cols);
  HOTSET_CHECK(bytes.ok());
  return *bytes;
}

// Scratch of one expert: up's products, the activated products as floats and as down reads them, the output.
struct Scratch {
  float* gate;            // [ff]
  float* up;              // [ff]
  std::byte* activation;  // prepared for down
  float* down;            // [embd]
};

struct Sizes {
  uint64_t ff;
  uint64_t activation;
  uint64_t embd;
  uint64_t total() const { return 2 * ff + activation + embd; }
};

Sizes sizes_of(const ExpertLayout& layout) {
  return {align_up(uint64_t{layout.ff} * sizeof(float), 64), activation_bytes(layout.down_type, layout.ff),
          align_up(uint64_t{layout.embd} * sizeof(float), 64)};
}

// One token's experts, cut into pieces of rows.
class Work {
 public:
  Work(const ExpertLayout& layout, std::span<const ChosenExpert> experts, const ExpertInput& input, float* out, void* scratch)
      : layout_(layout), experts_(experts), input_(input), out_(out), scratch_(static_cast<std::byte*>(scratch)), sizes_(sizes_of(layout)),
        is_plain_(layout.has_gate && !layout.weight_on_input && layout.glu == Glu{}) {}

  uint32_t up_pieces() const { return count() * pieces_of(layout_.ff); }
  uint32_t down_pieces() const { return count() * pieces_of(layout_.embd); }
  uint32_t sum_pieces() const { return pieces_of(layout_.embd); }
  uint32_t count() const { return static_cast<uint32_t>(experts_.size()); }

  // Rows of gate and up, and what the hidden values of them are.
  void run_up(uint32_t piece) const {
    const auto [expert, first, rows] = rows_of(piece, layout_.ff);
    const Scratch own = scratch_of(expert);
    const ChosenExpert& chosen = experts_[expert];
    if (layout_.has_gate) multiply(layout_.gate_type, chosen.gate, first, rows, layout_.embd, input_.for_gate, own.gate + first);
    multiply(layout_.up_type, chosen.up, first, rows, layout_.embd, input_.for_up, own.up + first);
    const HiddenBiases biases = {chosen.gate_bias != nullptr ? chosen.gate_bias + first : nullptr,
                                 chosen.up_bias != nullptr ? chosen.up_bias + first : nullptr};
    if (is_plain_ && biases.gate == nullptr && biases.up == nullptr) {
      for (uint32_t i = first; i < first + rows; ++i) own.gate[i] = own.gate[i] / (1.0f + std::exp(-own.gate[i])) * own.up[i];
      return;
    }
    form_hidden(layout_.glu, layout_.weight_on_input ? chosen.weight : 1.0f, layout_.has_gate ? own.gate + first : nullptr, own.up + first, biases,
                own.gate + first, rows);
  }

  void prepare_down(uint32_t expert) const {
    const Scratch own = scratch_of(expert);
    kernels().prepare(layout_.down_type, own.gate, layout_.ff, own.activation);
  }

  void run_down(uint32_t piece) const {
    const auto [expert, first, rows] = rows_of(piece, layout_.embd);
    const Scratch own = scratch_of(expert);
    multiply(layout_.down_type, experts_[expert].down, first, rows, layout_.ff, own.activation, own.down + first);
  }

  // Elements of the output, expert by expert.
  void run_sum(uint32_t piece) const {
    const auto [none, first, rows] = rows_of(piece, layout_.embd);
    for (uint32_t expert = 0; expert < count(); ++expert) {
      const float* part = scratch_of(expert).down;
      const float* bias = experts_[expert].down_bias;
      const float weight = layout_.weight_on_input ? 1.0f : experts_[expert].weight;
      for (uint32_t i = first; i < first + rows; ++i) out_[i] += weight * (bias != nullptr ? part[i] + bias[i] : part[i]);
    }
  }

 private:
  struct Rows {
    uint32_t expert;
    uint32_t first;
    uint32_t count;
  };

  static Rows rows_of(uint32_t piece, uint32_t rows) {
    const uint32_t first = piece % pieces_of(rows) * kPieceRows;
    return {piece / pieces_of(rows), first, std::min(kPieceRows, rows - first)};
  }

  Scratch scratch_of(uint32_t expert) const {
    std::byte* base = scratch_ + expert * sizes_.total();
    return {reinterpret_cast<float*>(base), reinterpret_cast<float*>(base + sizes_.ff), base + 2 * sizes_.ff,
            reinterpret_cast<float*>(base + 2 * sizes_.ff + sizes_.activation)};
  }

  static void multiply(BlockType type, const void* matrix, uint32_t first, uint32_t rows, uint32_t cols, const void* x, float* out) {
    const uint64_t row = bytes_of_row(type, cols);
    kernels().multiply(type, static_cast<const std::byte*>(matrix) + first * row, row, rows, cols, x, 0, 1, out, rows);
  }

  const ExpertLayout& layout_;
  std::span<const ChosenExpert> experts_;
  ExpertInput input_;
  float* out_;
  std::byte* scratch_;
  Sizes sizes_;
  bool is_plain_;  // but for biases
};

}  // namespace

Status check_layout(const ExpertLayout& layout) {
  for (const BlockType type : {layout.gate_type, layout.up_type}) HOTSET_RETURN_IF_ERROR(row_bytes(type, layout.embd).status());
  return row_bytes(layout.down_type, layout.ff).status();
}

uint64_t expert_scratch_bytes(const ExpertLayout& layout, uint32_t experts) { return sizes_of(layout).total() * experts; }

void run_experts(const ExpertLayout& layout, std::span<const ChosenExpert> experts, const ExpertInput& input, float* out, void* scratch) {
  const Work work(layout, experts, input, out, scratch);
  for (uint32_t i = 0; i < work.up_pieces(); ++i) work.run_up(i);
  for (uint32_t i = 0; i < work.count(); ++i) work.prepare_down(i);
  for (uint32_t i = 0; i < work.down_pieces(); ++i) work.run_down(i);
  for (uint32_t i = 0; i < work.sum_pieces(); ++i) work.run_sum(i);
}

void run_experts(ThreadPool& pool, const ExpertLayout& layout, std::span<const ChosenExpert> experts, const ExpertInput& input, float* out,
                 void* scratch) {
  const Work work(layout, experts, input, out, scratch);
  pool.run_phases([&](uint32_t) {
    for (uint32_t i = pool.claim(); i < work.up_pieces(); i = pool.claim()) work.run_up(i);
    pool.barrier();
    for (uint32_t i = pool.claim(); i < work.count(); i = pool.claim()) work.prepare_down(i);
    pool.barrier();
    for (uint32_t i = pool.claim(); i < work.down_pieces(); i = pool.claim()) work.run_down(i);
    pool.barrier();
    for (uint32_t i = pool.claim(); i < work.sum_pieces(); i = pool.claim()) work.run_sum(i);
  });
}

}  // namespace hotset::cpu
