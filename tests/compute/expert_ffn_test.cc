// Experts on the CPU against double precision.
#include "runtime/compute/cpu/expert_ffn.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "platform/bytes.h"
#include "tests/compute/guarded_memory.h"
#include "tests/compute/quant_rows.h"

using namespace hotset;
using namespace hotset::test;
using namespace hotset::cpu;

namespace {

struct Experts {
  ExpertLayout layout;
  std::vector<QuantRows> gates, ups, downs;
  std::vector<ChosenExpert> chosen;
  std::vector<float> x;
  GuardedMemory for_gate, for_up, scratch;

  Experts(const ExpertLayout& made_of, uint32_t count)
      : layout(made_of), x(random_floats(layout.embd, 9)), for_gate(activation_bytes(layout.gate_type, layout.embd)),
        for_up(activation_bytes(layout.up_type, layout.embd)), scratch(expert_scratch_bytes(layout, count)) {
    kernels().prepare(layout.gate_type, x.data(), layout.embd, for_gate.as<void>());
    kernels().prepare(layout.up_type, x.data(), layout.embd, for_up.as<void>());
    for (uint32_t i = 0; i < count; ++i) {
      gates.push_back(random_rows(layout.gate_type, layout.ff, layout.embd, 3 * i));
      ups.push_back(random_rows(layout.up_type, layout.ff, layout.embd, 3 * i + 1));
      downs.push_back(random_rows(layout.down_type, layout.embd, layout.ff, 3 * i + 2));
    }
    for (uint32_t i = 0; i < count; ++i) {
      chosen.push_back({gates[i].blocks.data(), ups[i].blocks.data(), downs[i].blocks.data(), 0.5f / static_cast<float>(i + 1)});
    }
  }

  ExpertInput input() const { return {for_gate.as<void>(), for_up.as<void>()}; }
};

double dot(const std::vector<float>& values, uint32_t row, const std::vector<double>& x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += double{values[row * x.size() + i]} * x[i];
  return sum;
}

std::vector<double> exact_output(const Experts& experts, const std::vector<float>& start) {
  const auto& layout = experts.layout;
  std::vector<double> out(start.begin(), start.end());
  const std::vector<double> x(experts.x.begin(), experts.x.end());
  for (size_t e = 0; e < experts.chosen.size(); ++e) {
    std::vector<double> active(layout.ff);
    for (uint32_t i = 0; i < layout.ff; ++i) {
      const double gate = dot(experts.gates[e].values, i, x);
      active[i] = gate / (1 + std::exp(-gate)) * dot(experts.ups[e].values, i, x);
    }
    for (uint32_t i = 0; i < layout.embd; ++i) out[i] += double{experts.chosen[e].weight} * dot(experts.downs[e].values, i, active);
  }
  return out;
}

ExpertLayout layout_of(uint32_t embd, uint32_t ff, BlockType gate, BlockType up, BlockType down) { return {embd, ff, gate, up, down}; }

const ExpertLayout kLayouts[] = {layout_of(256, 512, BlockType::kQ4_K, BlockType::kQ4_K, BlockType::kQ6_K),
                                 layout_of(96, 160, BlockType::kQ8_0, BlockType::kMXFP4, BlockType::kQ4_0),
                                 layout_of(40, 24, BlockType::kF32, BlockType::kBF16, BlockType::kF16),
                                 layout_of(512, 96, BlockType::kQ5_K, BlockType::kQ8_0, BlockType::kMXFP4)};

}  // namespace

// Rounded to 8 bits, an activation of normal values is off by some 0.7 % of its length, twice over; float32 by rounding alone.
TEST_CASE("expert ffn: outputs equal exact arithmetic on the same weights but for rounded activations") {
  for (const ExpertLayout& layout : kLayouts) {
    const Experts experts(layout, 3);
    REQUIRE(check_layout(layout).ok());
    const std::vector<float> start = random_floats(layout.embd, 77, 1e-6f);
    std::vector<float> out = start;
    run_experts(layout, experts.chosen, experts.input(), out.data(), experts.scratch.as<void>());
    const std::vector<double> exact = exact_output(experts, start);
    double squares = 0, errors = 0;
    for (uint32_t i = 0; i < layout.embd; ++i) {
      squares += (exact[i] - double{start[i]}) * (exact[i] - double{start[i]});
      errors += (double{out[i]} - exact[i]) * (double{out[i]} - exact[i]);
    }
    REQUIRE(squares > 0);
    const double limit = layout.gate_type == BlockType::kF32 ? 1e-5 : 0.03;
    CHECK_MESSAGE(std::sqrt(errors / squares) <= limit, block_type_name(layout.gate_type), " ", std::sqrt(errors / squares));
  }
}

TEST_CASE("expert ffn: the same bits on any number of threads, one expert after the other or all at once") {
  for (const ExpertLayout& layout : kLayouts) {
    const Experts experts(layout, 4);
    std::vector<float> alone(layout.embd, 1.0f);
    run_experts(layout, experts.chosen, experts.input(), alone.data(), experts.scratch.as<void>());
    std::vector<float> in_turn(layout.embd, 1.0f);
    for (const ChosenExpert& expert : experts.chosen) {
      run_experts(layout, std::span(&expert, 1), experts.input(), in_turn.data(), experts.scratch.as<void>());
    }
    CHECK(std::memcmp(alone.data(), in_turn.data(), alone.size() * sizeof(float)) == 0);
    for (const uint32_t threads : {1u, 2u, 3u}) {
      ThreadPool pool(threads);
      for (int round = 0; round < 5; ++round) {
        std::vector<float> shared(layout.embd, 1.0f);
        run_experts(pool, layout, experts.chosen, experts.input(), shared.data(), experts.scratch.as<void>());
        CHECK(std::memcmp(alone.data(), shared.data(), alone.size() * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("expert ffn: widths that are not whole blocks are refused, no experts add nothing") {
  CHECK(check_layout(layout_of(96, 256, BlockType::kQ4_K, BlockType::kQ4_K, BlockType::kQ4_K)).code() == Code::kInvalidArgument);
  CHECK(check_layout(layout_of(256, 96, BlockType::kQ4_K, BlockType::kQ4_K, BlockType::kQ4_K)).code() == Code::kInvalidArgument);
  const Experts experts(kLayouts[0], 1);
  std::vector<float> out(256, 3.0f);
  run_experts(experts.layout, {}, experts.input(), out.data(), nullptr);
  CHECK(out == std::vector<float>(256, 3.0f));
}
