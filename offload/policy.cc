#include "offload/policy.h"

#include <string>

#include "offload/policy_lru.h"

namespace hotset {

Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const PolicyShape& shape) {
  if (name == "lru") return std::unique_ptr<Policy>(std::make_unique<PolicyLru>(shape));
  return error(Code::kInvalidArgument, "no eviction policy is called '%s'; there is: lru", std::string(name.substr(0, 64)).c_str());
}

}  // namespace hotset
