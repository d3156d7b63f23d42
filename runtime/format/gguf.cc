#include "runtime/format/gguf.h"

#include <algorithm>
#include <cstdio>

#include "runtime/format/checkpoint.h"

namespace hotset {
namespace {

using Ull = unsigned long long;  // what %llu takes

// Each part stays open; more would run into the usual limit of 1024 open files. Real models have at most some dozens.
constexpr uint32_t kMostParts = 900;

std::string part_suffix(uint32_t index, uint32_t count) {
  char suffix[40];
  std::snprintf(suffix, sizeof suffix, "-%05u-of-%05u.gguf", index + 1, count);
  return suffix;
}

// `key` as u32 from `values`, or `absent`.
Result<uint32_t> u32_of(const std::vector<GgufValue>& values, std::string_view key, uint32_t absent) {
  for (const GgufValue& value : values) {
    if (value.key() == key) return value.to_u32();
  }
  return absent;
}

}  // namespace

Result<GgufFile::Part> GgufFile::open_part(const std::string& path, const ReadSeam& seam) {
  Part part;
  HOTSET_ASSIGN(part.file, File::open(path, seam));
  HOTSET_ASSIGN(part.header, read_gguf_header(*part.file));
  return part;
}

Result<std::unique_ptr<GgufFile>> GgufFile::open(const std::string& path, const ReadSeam& seam) {
  if (is_checkpoint_folder(path)) {
    return error(Code::kInvalidArgument, "'%s' is a folder of safetensors, which is not run as it is: make a file of it with `hotset convert %s OUT.gguf`",
                 path.c_str(), path.c_str());
  }
  std::unique_ptr<GgufFile> gguf(new GgufFile());
  HOTSET_ASSIGN(Part first, open_part(path, seam));
  gguf->parts_.push_back(std::move(first));
  const Status status = gguf->open_other_parts(seam);
  if (!status.ok()) return status.with_context("'" + path + "'");
  for (const GgufValue& value : gguf->values()) gguf->value_by_key_.emplace(value.key(), &value);
  return gguf;
}

Status GgufFile::open_other_parts(const ReadSeam& seam) {
  HOTSET_ASSIGN(const uint32_t count, u32_of(values(), "split.count", 1));
  HOTSET_ASSIGN(const uint32_t index, u32_of(values(), "split.no", 0));
  if (count > kMostParts) return error(Code::kUnsupported, "the model has %u parts, at most %u are read", count, kMostParts);
  if (index >= std::max(count, 1u)) return error(Code::kCorrupt, "it says to be part %u of %u", index + 1, count);
  if (index != 0) {
    return error(Code::kInvalidArgument, "this is part %u of %u: open the first one, '...%s'", index + 1, count,
                 part_suffix(0, count).c_str());
  }
  for (uint32_t i = 1; i < count; ++i) HOTSET_RETURN_IF_ERROR(add_part(i, count, seam));
  if (count > 1) HOTSET_RETURN_IF_ERROR(check_tensor_count());
  return collect_tensors();
}

Status GgufFile::add_part(uint32_t index, uint32_t count, const ReadSeam& seam) {
  const std::string first_suffix = part_suffix(0, count);
  if (!path().ends_with(first_suffix)) {
    return error(Code::kInvalidArgument, "this is the first of %u parts, so its name must end in '%s' for the others to be found",
                 count, first_suffix.c_str());
  }
  const std::string other = path().substr(0, path().size() - first_suffix.size()) + part_suffix(index, count);
  if (!file_exists(other)) {
    return error(Code::kNotFound, "part %u of %u is missing: '%s'", index + 1, count, other.c_str());
  }
  HOTSET_ASSIGN(Part part, open_part(other, seam));
  HOTSET_ASSIGN(const uint32_t its_index, u32_of(part.header.values, "split.no", 0));
  HOTSET_ASSIGN(const uint32_t its_count, u32_of(part.header.values, "split.count", 1));
  if (its_index != index || its_count != count) {
    return error(Code::kCorrupt, "'%s' should be part %u of %u, but says to be part %u of %u", other.c_str(), index + 1, count,
                 its_index + 1, its_count);
  }
  parts_.push_back(std::move(part));
  return ok_status();
}

// A part of another model with the same name would show here first.
Status GgufFile::check_tensor_count() const {
  uint64_t found = 0;
  for (const Part& part : parts_) found += part.header.tensors.size();
  HOTSET_ASSIGN(const uint32_t expected, u32_of(values(), "split.tensors.count", static_cast<uint32_t>(found)));
  if (found == expected) return ok_status();
  return error(Code::kCorrupt, "the parts hold %llu tensors together, but %u are expected", static_cast<Ull>(found), expected);
}

Status GgufFile::collect_tensors() {
  for (size_t i = 0; i < parts_.size(); ++i) {
    for (TensorInfo& tensor : parts_[i].header.tensors) {
      tensor.part = static_cast<uint32_t>(i);
      tensors_.push_back(std::move(tensor));
    }
    parts_[i].header.tensors.clear();
  }
  for (const TensorInfo& tensor : tensors_) {
    const auto [at, added] = tensor_by_name_.emplace(tensor.name, &tensor);
    if (added) continue;
    return error(Code::kCorrupt, "the tensor '%s' is in part %u and in part %u", printable(tensor.name).c_str(),
                 at->second->part + 1, tensor.part + 1);
  }
  return ok_status();
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto at = value_by_key_.find(key);
  return at == value_by_key_.end() ? nullptr : at->second;
}

const TensorInfo* GgufFile::find_tensor(std::string_view name) const {
  const auto at = tensor_by_name_.find(name);
  return at == tensor_by_name_.end() ? nullptr : at->second;
}

Result<const GgufValue*> GgufFile::require(std::string_view key) const {
  if (const GgufValue* value = find(key)) return value;
  return error(Code::kNotFound, "key '%s' is missing", printable(key).c_str());
}

Result<uint64_t> GgufFile::get_u64(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_u64();
}

Result<uint32_t> GgufFile::get_u32(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_u32();
}

Result<int64_t> GgufFile::get_i64(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_i64();
}

Result<float> GgufFile::get_f32(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_f32();
}

Result<bool> GgufFile::get_bool(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_bool();
}

Result<std::string_view> GgufFile::get_string(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_string();
}

Result<std::vector<int64_t>> GgufFile::get_ints(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_ints();
}

Result<std::vector<float>> GgufFile::get_floats(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_floats();
}

Result<std::vector<bool>> GgufFile::get_bools(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_bools();
}

Result<std::vector<std::string_view>> GgufFile::get_strings(std::string_view key) const {
  HOTSET_ASSIGN(const GgufValue* value, require(key));
  return value->to_strings();
}

Result<uint32_t> GgufFile::get_u32_or(std::string_view key, uint32_t absent) const {
  return find(key) ? get_u32(key) : absent;
}

Result<float> GgufFile::get_f32_or(std::string_view key, float absent) const { return find(key) ? get_f32(key) : absent; }

Result<bool> GgufFile::get_bool_or(std::string_view key, bool absent) const { return find(key) ? get_bool(key) : absent; }

Result<std::string_view> GgufFile::get_string_or(std::string_view key, std::string_view absent) const {
  return find(key) ? get_string(key) : absent;
}

Status GgufFile::read(const TensorInfo& tensor, uint64_t offset_bytes, std::span<std::byte> out) const {
  if (offset_bytes > tensor.size_bytes || out.size() > tensor.size_bytes - offset_bytes) {
    return error(Code::kInvalidArgument, "%llu bytes at %llu lie past the end of the tensor '%s' (%llu bytes)",
                 static_cast<Ull>(out.size()), static_cast<Ull>(offset_bytes), printable(tensor.name).c_str(),
                 static_cast<Ull>(tensor.size_bytes));
  }
  HOTSET_CHECK(tensor.part < parts_.size());
  return parts_[tensor.part].file->read(tensor.file_offset_bytes + offset_bytes, out);
}

uint64_t GgufFile::file_size_bytes() const {
  uint64_t bytes = 0;
  for (const Part& part : parts_) bytes += part.file->size_bytes();
  return bytes;
}

}  // namespace hotset
