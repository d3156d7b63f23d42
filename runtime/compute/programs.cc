#include "runtime/compute/programs.h"

namespace hotset {

Result<std::unique_ptr<Programs>> Programs::create(Device& device, const std::string& cache_directory) {
  HOTSET_ASSIGN(auto cache, ProgramCache::create(device, cache_directory));
  return std::unique_ptr<Programs>(new Programs(std::move(cache)));
}

Result<Program> Programs::get(const ProgramKey& key) {
  const auto found = programs_.find(key);
  if (found != programs_.end()) return found->second;
  HOTSET_ASSIGN(const Program made, cache_->create_program(key.spirv, key.constants, key.name));
  programs_.emplace(key, made);
  return made;
}

}  // namespace hotset
