#include "runtime/compute/programs.h"

#include <cstring>

#include "platform/vulkan/upload.h"
#include "runtime/compute/codebook_words.h"

namespace hotset {

Result<std::unique_ptr<Programs>> Programs::create(Device& device, const std::string& cache_directory) {
  HOTSET_ASSIGN(auto cache, ProgramCache::create(device, cache_directory));
  std::unique_ptr<Programs> programs(new Programs(device, std::move(cache)));
  HOTSET_RETURN_IF_ERROR(programs->upload_codebooks());
  return programs;
}

Status Programs::upload_codebooks() {
  const std::vector<uint32_t> words = codebook_words();
  const auto bytes = std::as_bytes(std::span(words));
  HOTSET_ASSIGN(codebooks_, memory_.allocate(bytes.size(), MemoryKind::kDevice, "code books"));
  Uploader uploader(memory_, cache_.get(), bytes.size());
  return uploader.upload(codebooks_, 0, bytes.size(), [&](std::span<std::byte> out) {
    std::memcpy(out.data(), bytes.data(), out.size());
    return ok_status();
  });
}

Result<Program> Programs::get(const ProgramKey& key) {
  const auto found = programs_.find(key);
  if (found != programs_.end()) return found->second;
  HOTSET_ASSIGN(const Program made, cache_->create_program(key.spirv, key.constants, key.name));
  programs_.emplace(key, made);
  return made;
}

}  // namespace hotset
