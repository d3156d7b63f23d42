#include "runtime/model/family.h"

#include <array>
#include <string>

namespace hotset {
namespace {

constexpr std::array kFamilies = {
    Family{"qwen3moe", describe_qwen3moe},
};

}  // namespace

std::span<const Family> families() { return kFamilies; }

Result<ModelSpec> describe_model(const GgufFile& file) {
  HOTSET_ASSIGN(const ModelConfig config, read_model_config(file));
  std::string known;
  for (const Family& family : families()) {
    if (family.architecture == config.architecture) return family.describe(file, config);
    known += (known.empty() ? "" : ", ") + std::string(family.architecture);
  }
  return error(Code::kUnsupported, "the architecture '%.60s' cannot be run yet; this build runs: %s", config.architecture.c_str(), known.c_str());
}

}  // namespace hotset
