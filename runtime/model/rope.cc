#include "runtime/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace hotset {
namespace {

// The pair (as a fraction) whose angle makes `turns` turns in original_context positions.
double pair_of_turns(const RopeSpec& spec, double turns) {
  return spec.dim * std::log(spec.original_context / (turns * 2 * std::numbers::pi)) / (2 * std::log(static_cast<double>(spec.base)));
}

// 1 for pairs that turn fast and keep their angle, 0 for those that are interpolated.
double extrapolation(const RopeSpec& spec, uint32_t pair) {
  if (spec.yarn == 0 || spec.original_context == 0) return 0;
  const double low = std::max(0.0, std::floor(pair_of_turns(spec, static_cast<double>(spec.beta_fast))));
  const double high = std::min(spec.dim - 1.0, std::ceil(pair_of_turns(spec, static_cast<double>(spec.beta_slow))));
  const double ramp = (pair - low) / std::max(0.001, high - low);
  return (1 - std::clamp(ramp, 0.0, 1.0)) * static_cast<double>(spec.yarn);
}

}  // namespace

RopeTable::RopeTable(const RopeSpec& spec, uint32_t context_tokens) : magnitude_(static_cast<double>(spec.magnitude)), every_(spec.every) {
  const bool is_long = !spec.long_factors.empty() && context_tokens > spec.original_context;
  const std::vector<float>& factors = is_long ? spec.long_factors : spec.factors;
  for (uint32_t i = 0; i < spec.dim / 2; ++i) {
    double angle = std::pow(static_cast<double>(spec.base), -2.0 * i / spec.dim);
    if (!factors.empty()) angle /= static_cast<double>(factors[i]);
    const double kept = extrapolation(spec, i);
    angle_per_position_.push_back(angle * kept + angle / static_cast<double>(spec.linear_factor) * (1 - kept));
  }
}

void RopeTable::fill(uint32_t first_position, uint32_t tokens, std::span<float> out) const {
  size_t next = 0;
  for (uint32_t t = 0; t < tokens; ++t) {
    const uint32_t position = (first_position + t) / every_ * every_;
    for (const double angle : angle_per_position_) {
      const double theta = position * angle;
      out[next++] = static_cast<float>(std::cos(theta) * magnitude_);
      out[next++] = static_cast<float>(std::sin(theta) * magnitude_);
    }
  }
}

float PositionScale::at(uint32_t position) const {
  const double steps = std::floor((static_cast<double>(position) + static_cast<double>(offset)) / static_cast<double>(floor_positions));
  return static_cast<float>(std::log(steps + 1) * static_cast<double>(scale) + 1);
}

}  // namespace hotset
