// A GGUF model: metadata, tensor table and positional reads of tensor data, from one file or from the parts of a split one.
//
// Opening reads and checks the headers only (gguf_header.h); no tensor data is read or mapped, so a model of any size opens
// in milliseconds. A split model is opened by its first part, NAME-00001-of-00003.gguf; the others are found beside it, and
// the metadata is that of the first part.
//
// Owned by one holder; immutable after open, so any number of threads may use it at once, read() included. Views
// (string_view, GgufValue, TensorInfo references) live as long as the GgufFile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/file.h"
#include "platform/status.h"
#include "runtime/format/gguf_header.h"
#include "runtime/format/gguf_value.h"
#include "runtime/format/tensor_info.h"

namespace hotset {

class GgufFile {
 public:
  // Errors: what File::open says; kCorrupt or kUnsupported with one line on what is wrong in which file; a missing or
  // foreign part; a tensor that two parts hold.
  static Result<std::unique_ptr<GgufFile>> open(const std::string& path, const ReadSeam& seam = {});
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  uint32_t version() const { return parts_[0].header.version; }
  const std::string& path() const { return parts_[0].file->path(); }

  // Metadata, in the file's order, and by key: nullptr when absent.
  const std::vector<GgufValue>& values() const { return parts_[0].header.values; }
  const GgufValue* find(std::string_view key) const;

  // Typed access. Errors name the key: absent (kNotFound), another type or out of range (kCorrupt). Whole numbers are taken
  // from any integer type and floats from any number type, scalars and array elements alike.
  Result<uint32_t> get_u32(std::string_view key) const;
  Result<uint64_t> get_u64(std::string_view key) const;
  Result<int64_t> get_i64(std::string_view key) const;
  Result<float> get_f32(std::string_view key) const;
  Result<bool> get_bool(std::string_view key) const;
  Result<std::string_view> get_string(std::string_view key) const;
  Result<std::vector<int64_t>> get_ints(std::string_view key) const;
  Result<std::vector<float>> get_floats(std::string_view key) const;
  Result<std::vector<bool>> get_bools(std::string_view key) const;
  Result<std::vector<std::string_view>> get_strings(std::string_view key) const;

  // The same with a value for an absent key; a key of the wrong type is still an error.
  Result<uint32_t> get_u32_or(std::string_view key, uint32_t absent) const;
  Result<float> get_f32_or(std::string_view key, float absent) const;
  Result<bool> get_bool_or(std::string_view key, bool absent) const;
  Result<std::string_view> get_string_or(std::string_view key, std::string_view absent) const;

  // Tensors, part by part in file order, and by name: nullptr when absent.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo* find_tensor(std::string_view name) const;

  // Fills `out` from `offset_bytes` within the tensor. Errors: past the tensor's end (kInvalidArgument), what File::read says.
  Status read(const TensorInfo& tensor, uint64_t offset_bytes, std::span<std::byte> out) const;

  // The files; TensorInfo::part counts them.
  size_t part_count() const { return parts_.size(); }
  const File& part(size_t index) const { return *parts_[index].file; }
  uint64_t file_size_bytes() const;  // all parts together

 private:
  struct Part {
    std::unique_ptr<File> file;
    GgufHeader header;  // its tensors have moved to tensors_
  };

  GgufFile() = default;
  static Result<Part> open_part(const std::string& path, const ReadSeam& seam);
  Status open_other_parts(const ReadSeam& seam);
  Status add_part(uint32_t index, uint32_t count, const ReadSeam& seam);
  Status check_tensor_count() const;
  Status collect_tensors();
  Result<const GgufValue*> require(std::string_view key) const;

  std::vector<Part> parts_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, const GgufValue*> value_by_key_;
  std::unordered_map<std::string_view, const TensorInfo*> tensor_by_name_;
};

}  // namespace hotset
