// Rotation tables: computed on the host in double precision, because drivers may be off by 2^-11 in sin and cos
// (Vulkan specification, "Precision and Operation of SPIR-V Instructions").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model/model_spec.h"

namespace hotset {

class RopeTable {
 public:
  explicit RopeTable(const RopeSpec& spec);

  // (cos, sin) of the pairs 0..dim/2-1 of the positions first, first + 1, ...: float [tokens][dim/2][2] into `out`.
  void fill(uint32_t first_position, uint32_t tokens, std::span<float> out) const;
  static uint64_t bytes(const RopeSpec& spec, uint32_t tokens) { return uint64_t{tokens} * spec.dim * sizeof(float); }

 private:
  std::vector<double> angle_per_position_;  // [dim/2]
};

}  // namespace hotset
