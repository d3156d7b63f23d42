#include "offload/policy.h"

#include <string>

#include "offload/policy_lru.h"

namespace hotset {
namespace {

constexpr std::string_view kNames[] = {"lru"};

std::string all_names() {
  std::string names;
  for (const std::string_view name : kNames) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

}  // namespace

std::span<const std::string_view> policy_names() { return kNames; }

Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const PolicyShape& shape) {
  if (name == "lru") return std::unique_ptr<Policy>(std::make_unique<PolicyLru>(shape));
  return error(Code::kInvalidArgument, "no eviction policy is called '%s'; there is: %s", std::string(name.substr(0, 64)).c_str(),
               all_names().c_str());
}

}  // namespace hotset
