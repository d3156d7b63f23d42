// A checkpoint folder as Hugging Face's libraries write it: safetensors files, an index where there are several, and the texts beside them.
//
// Opening reads headers only. Owned by one holder; immutable after open, any thread may read. The tensors live as long as the Checkpoint.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/file.h"
#include "platform/status.h"
#include "runtime/format/safetensors.h"

namespace hotset {

// Whether `path` is a folder that looks like a checkpoint: it has a config.json.
bool is_checkpoint_folder(const std::string& path);

class Checkpoint {
 public:
  // Takes the files that model.safetensors.index.json names, else model.safetensors, else all *.safetensors of the folder. Errors: no
  // folder, no such files (kNotFound); a file that the index names and that is missing or lacks a tensor; a tensor in two files; what
  // read_safetensors_header says.
  static Result<std::unique_ptr<Checkpoint>> open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  const StoredTensor* find(std::string_view name) const;
  size_t file_count() const { return files_.size(); }
  const File& file(size_t index) const { return *files_[index]; }

  // Fills `out` from `offset_bytes` within the tensor. Errors: past its end (kInvalidArgument), what File::read says.
  Status read(const StoredTensor& tensor, uint64_t offset_bytes, std::span<std::byte> out) const;

  // A text of the folder, such as "tokenizer.json"; empty when it is not there.
  Result<std::string> text(const std::string& name, uint64_t limit_bytes) const;

 private:
  Checkpoint() = default;
  Status add_file(const std::string& name);
  Status index_names();

  std::string folder_;
  std::vector<std::unique_ptr<File>> files_;
  std::vector<StoredTensor> tensors_;
  std::unordered_map<std::string_view, const StoredTensor*> by_name_;
};

}  // namespace hotset
