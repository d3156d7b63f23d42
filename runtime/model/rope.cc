#include "runtime/model/rope.h"

#include <cmath>

namespace hotset {

RopeTable::RopeTable(const RopeSpec& spec) {
  for (uint32_t i = 0; i < spec.dim / 2; ++i) {
    angle_per_position_.push_back(std::pow(static_cast<double>(spec.base), -2.0 * i / spec.dim) / static_cast<double>(spec.linear_factor));
  }
}

void RopeTable::fill(uint32_t first_position, uint32_t tokens, std::span<float> out) const {
  size_t next = 0;
  for (uint32_t t = 0; t < tokens; ++t) {
    for (const double angle : angle_per_position_) {
      const double theta = (static_cast<double>(first_position) + t) * angle;
      out[next++] = static_cast<float>(std::cos(theta));
      out[next++] = static_cast<float>(std::sin(theta));
    }
  }
}

}  // namespace hotset
