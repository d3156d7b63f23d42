#include "offload/policy.h"

#include <string>

#include "offload/policy_forecast.h"
#include "offload/policy_lrfu.h"
#include "offload/policy_lru.h"
#include "offload/policy_s3fifo.h"

namespace hotset {
namespace {

constexpr std::string_view kNames[] = {"forecast", "lrfu", "lru", "lfu", "s3fifo"};

std::string all_names() {
  std::string names;
  for (const std::string_view name : kNames) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

}  // namespace

std::span<const std::string_view> policy_names() { return kNames; }

Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const PolicyShape& shape) {
  std::unique_ptr<Policy> policy;
  if (name == "forecast") policy = std::make_unique<PolicyForecast>(shape);
  if (name == "lrfu") policy = std::make_unique<PolicyLrfu>(shape, "lrfu", PolicyLrfu::kHalfLifeTokens);
  if (name == "lru") policy = std::make_unique<PolicyLru>(shape);
  if (name == "lfu") policy = std::make_unique<PolicyLrfu>(shape, "lfu", PolicyLrfu::kNoEnd);
  if (name == "s3fifo") policy = std::make_unique<PolicyS3Fifo>(shape);
  if (policy) return policy;
  return error(Code::kInvalidArgument, "no eviction policy is called '%s'; there is: %s", std::string(name.substr(0, 64)).c_str(),
               all_names().c_str());
}

}  // namespace hotset
