#include "runtime/format/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "platform/paths.h"
#include "runtime/format/gguf_value.h"
#include "runtime/format/json_document.h"

namespace hotset {
namespace {

constexpr uint64_t kMaxIndexBytes = 256u << 20;  // the largest published ones are near 20 MB
constexpr size_t kMaxFiles = 1000;               // each stays open
constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr const char* kSingleName = "model.safetensors";

// A name within the folder: an index must not lead out of it.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

struct Index {
  std::vector<std::pair<std::string, std::string>> tensors;  // name and file
  std::set<std::string> files;
};

Result<Index> read_index(const std::string& path) {
  HOTSET_ASSIGN(const nlohmann::json document, read_json_file(path, kMaxIndexBytes));
  const nlohmann::json* map = json_member(document, "weight_map");
  if (map == nullptr || !map->is_object() || map->empty()) return error(Code::kCorrupt, "'%s': it has no weight_map", path.c_str());
  Index index;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_plain_name(file.get_ref<const std::string&>())) {
      return error(Code::kCorrupt, "'%s': the tensor '%s' lies in no file of the folder", path.c_str(), printable(tensor).c_str());
    }
    index.tensors.emplace_back(tensor, file.get<std::string>());
    index.files.insert(index.tensors.back().second);
  }
  if (index.files.size() > kMaxFiles) return error(Code::kUnsupported, "'%s': it names more than %zu files", path.c_str(), kMaxFiles);
  return index;
}

Result<std::vector<std::string>> list_safetensors(const std::string& folder) {
  std::vector<std::string> names;
  bool has_pickles = false;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(native_path(folder), ec), end; !ec && it != end; it.increment(ec)) {
    const std::string extension = it->path().extension().string();
    if (extension == ".safetensors") names.push_back(utf8_text(it->path().filename()));
    has_pickles = has_pickles || extension == ".bin" || extension == ".pt" || extension == ".pth";
  }
  if (ec) return error(Code::kIo, "cannot list the folder '%s': %s", folder.c_str(), ec.message().c_str());
  if (names.empty()) {
    return error(Code::kNotFound, "no safetensors file is in '%s'%s", folder.c_str(), has_pickles ? ": PyTorch's own files are not read" : "");
  }
  if (names.size() > kMaxFiles) return error(Code::kUnsupported, "'%s' has more than %zu safetensors files", folder.c_str(), kMaxFiles);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

bool is_checkpoint_folder(const std::string& path) {
  std::error_code ec;
  return std::filesystem::is_directory(native_path(path), ec) && file_exists(path + "/config.json");
}

Result<std::unique_ptr<Checkpoint>> Checkpoint::open(const std::string& folder) {
  std::error_code ec;
  if (!std::filesystem::is_directory(native_path(folder), ec)) return error(Code::kNotFound, "'%s' is no folder", folder.c_str());
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint);
  checkpoint->folder_ = folder;
  Index index;
  if (file_exists(folder + "/" + kIndexName)) {
    HOTSET_ASSIGN(index, read_index(folder + "/" + kIndexName));
  } else if (file_exists(folder + "/" + kSingleName)) {
    index.files.insert(kSingleName);
  } else {
    HOTSET_ASSIGN(const auto names, list_safetensors(folder));
    index.files.insert(names.begin(), names.end());
  }
  for (const std::string& name : index.files) HOTSET_RETURN_IF_ERROR(checkpoint->add_file(name));
  HOTSET_RETURN_IF_ERROR(checkpoint->index_names());
  for (const auto& [name, file] : index.tensors) {
    const StoredTensor* tensor = checkpoint->find(name);
    if (tensor != nullptr && checkpoint->files_[tensor->file]->path() == folder + "/" + file) continue;
    return error(Code::kCorrupt, "'%s/%s' lacks the tensor '%s' that the index sees in it", folder.c_str(), file.c_str(), printable(name).c_str());
  }
  return checkpoint;
}

Status Checkpoint::add_file(const std::string& name) {
  const std::string path = folder_ + "/" + name;
  auto file = File::open(path);
  if (!file.ok() && file.status().code() == Code::kNotFound) {
    return error(Code::kNotFound, "the checkpoint is not whole: '%s' is missing", path.c_str());
  }
  if (!file.ok()) return file.status();
  HOTSET_ASSIGN(auto tensors, read_safetensors_header(**file));
  for (StoredTensor& tensor : tensors) {
    tensor.file = static_cast<uint32_t>(files_.size());
    tensors_.push_back(std::move(tensor));
  }
  files_.push_back(std::move(file).value());
  return ok_status();
}

Status Checkpoint::index_names() {
  for (const StoredTensor& tensor : tensors_) {
    const auto [found, is_new] = by_name_.emplace(tensor.name, &tensor);
    if (is_new) continue;
    return error(Code::kCorrupt, "the tensor '%s' lies in '%s' and in '%s'", printable(tensor.name).c_str(), files_[found->second->file]->path().c_str(),
                 files_[tensor.file]->path().c_str());
  }
  return ok_status();
}

const StoredTensor* Checkpoint::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

Status Checkpoint::read(const StoredTensor& tensor, uint64_t offset_bytes, std::span<std::byte> out) const {
  if (offset_bytes > tensor.size_bytes || out.size() > tensor.size_bytes - offset_bytes) {
    return error(Code::kInvalidArgument, "bytes past the end of the tensor '%s' are asked for", printable(tensor.name).c_str());
  }
  return files_[tensor.file]->read(tensor.file_offset_bytes + offset_bytes, out);
}

Result<std::string> Checkpoint::text(const std::string& name, uint64_t limit_bytes) const {
  const std::string path = folder_ + "/" + name;
  if (!file_exists(path)) return std::string();
  return read_whole_file(path, limit_bytes);
}

}  // namespace hotset
