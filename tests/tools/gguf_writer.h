// Builds the head of a GGUF file: magic, counts, metadata, tensor table, padding. Made for tests and test tools; it
// writes whatever it is told (a test of broken input patches the bytes afterwards), so it checks nothing.
//
// Use: add metadata and tensors in file order, then head(); the tensors' data follows it, each at
// data_offset(i) from the head's end, the whole padded to data_bytes(). One owner, one thread.
// Format: GGUF version 3, little endian, as ggml's docs/gguf.md describes it.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "platform/bytes.h"

namespace hotset::test {

// Numbers of the format's metadata types.
enum class GgufType : uint32_t {
  kU8 = 0, kI8 = 1, kU16 = 2, kI16 = 3, kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9, kU64 = 10,
  kI64 = 11, kF64 = 12,
};

class GgufWriter {
 public:
  explicit GgufWriter(uint32_t alignment_bytes = 32) : alignment_bytes_(alignment_bytes) {}

  void add_u16(std::string_view key, uint16_t value) { add_scalar(key, GgufType::kU16, value); }
  void add_u32(std::string_view key, uint32_t value) { add_scalar(key, GgufType::kU32, value); }
  void add_i32(std::string_view key, int32_t value) { add_scalar(key, GgufType::kI32, value); }
  void add_u64(std::string_view key, uint64_t value) { add_scalar(key, GgufType::kU64, value); }
  void add_f32(std::string_view key, float value) { add_scalar(key, GgufType::kF32, value); }
  void add_bool(std::string_view key, bool value) { add_scalar(key, GgufType::kBool, static_cast<uint8_t>(value)); }
  void add_string(std::string_view key, std::string_view value) {
    begin_value(key, GgufType::kString);
    put_string(metadata_, value);
  }
  void add_strings(std::string_view key, const std::vector<std::string>& values) {
    begin_array(key, GgufType::kString, values.size());
    for (const std::string& value : values) put_string(metadata_, value);
  }
  void add_i32s(std::string_view key, std::span<const int32_t> values) {
    begin_array(key, GgufType::kI32, values.size());
    for (const int32_t value : values) put(metadata_, value);
  }
  void add_f32s(std::string_view key, std::span<const float> values) {
    begin_array(key, GgufType::kF32, values.size());
    for (const float value : values) put(metadata_, value);
  }

  // Dimensions innermost first; `type` is ggml's number; `size_bytes` what the data takes.
  void add_tensor(std::string_view name, std::span<const uint64_t> dims, uint32_t type, uint64_t size_bytes) {
    put_string(tensors_, name);
    put(tensors_, static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) put(tensors_, dim);
    put(tensors_, type);
    put(tensors_, data_bytes_);
    offsets_.push_back(data_bytes_);
    data_bytes_ = align_up(data_bytes_ + size_bytes, alignment_bytes_);
  }

  std::string head() const {
    std::string bytes = "GGUF";
    put(bytes, uint32_t{3});
    put(bytes, static_cast<uint64_t>(offsets_.size()));
    put(bytes, metadata_count_);
    bytes += metadata_;
    bytes += tensors_;
    bytes.resize(align_up(bytes.size(), alignment_bytes_), '\0');
    return bytes;
  }
  uint64_t data_offset(size_t tensor) const { return offsets_[tensor]; }
  uint64_t data_bytes() const { return data_bytes_; }

 private:
  template <class T>
  static void put(std::string& out, T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    out.append(raw, sizeof(T));
  }
  static void put_string(std::string& out, std::string_view text) {
    put(out, static_cast<uint64_t>(text.size()));
    out += text;
  }
  void begin_value(std::string_view key, GgufType type) {
    put_string(metadata_, key);
    put(metadata_, static_cast<uint32_t>(type));
    ++metadata_count_;
  }
  void begin_array(std::string_view key, GgufType element, size_t count) {
    begin_value(key, GgufType::kArray);
    put(metadata_, static_cast<uint32_t>(element));
    put(metadata_, static_cast<uint64_t>(count));
  }
  template <class T>
  void add_scalar(std::string_view key, GgufType type, T value) {
    begin_value(key, type);
    put(metadata_, value);
  }

  const uint32_t alignment_bytes_;
  std::string metadata_;
  std::string tensors_;
  uint64_t metadata_count_ = 0;
  std::vector<uint64_t> offsets_;
  uint64_t data_bytes_ = 0;
};

}  // namespace hotset::test
