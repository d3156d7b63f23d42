// Rotation tables: computed on the host in double precision, because drivers may be off by 2^-11 in sin and cos
// (Vulkan specification, "Precision and Operation of SPIR-V Instructions").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hotset {

// Rotation angles: position * base^(-2i/dim) / factors[i] / linear_factor for the pair i. With yarn (Peng et al. 2023, "YaRN", section 3.2)
// the division by linear_factor fades out over the pairs between beta_slow and beta_fast turns in original_context positions. cos
// and sin are multiplied by magnitude.
struct RopeSpec {
  uint32_t dim = 0;
  float base = 10000;
  float linear_factor = 1;
  float yarn = 0;                     // share of extrapolation; 0: plain linear scaling
  float beta_fast = 32;
  float beta_slow = 1;
  uint32_t original_context = 0;
  float magnitude = 1;
  uint32_t every = 1;                 // positions are rounded down to multiples of this
  std::vector<float> factors;         // [dim/2]; empty: none
  std::vector<float> long_factors;    // [dim/2], in place of factors when the session's context is longer than original_context

  bool operator==(const RopeSpec&) const = default;
};

class RopeTable {
 public:
  RopeTable(const RopeSpec& spec, uint32_t context_tokens);

  // (cos, sin) of the pairs 0..dim/2-1 of the positions first, first + 1, ...: float [tokens][dim/2][2] into `out`.
  void fill(uint32_t first_position, uint32_t tokens, std::span<float> out) const;
  static uint64_t bytes(const RopeSpec& spec, uint32_t tokens) { return uint64_t{tokens} * spec.dim * sizeof(float); }

 private:
  std::vector<double> angle_per_position_;  // [dim/2]
  double magnitude_;
  uint32_t every_;
};

// A factor of a token by its position p: 1 + scale * log(1 + floor((p + offset) / floor_positions)) (Llama 4's attention temperature).
struct PositionScale {
  float scale = 0;
  float floor_positions = 1;
  float offset = 0;

  float at(uint32_t position) const;
  bool operator==(const PositionScale&) const = default;
};

}  // namespace hotset
