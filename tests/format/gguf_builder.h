// Builds GGUF files byte by byte, right ones and wrong ones, for tests. Every count and offset can be overridden.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tests/temp_folder.h"

namespace hotset::test {

template <class T>
void append_number(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

inline void append_string(std::string& out, std::string_view text) {
  append_number<uint64_t>(out, text.size());
  out += text;
}

// The GGUF number of a C++ type.
template <class T>
constexpr uint32_t gguf_number() {
  if (std::is_same_v<T, uint8_t>) return 0;
  if (std::is_same_v<T, int8_t>) return 1;
  if (std::is_same_v<T, uint16_t>) return 2;
  if (std::is_same_v<T, int16_t>) return 3;
  if (std::is_same_v<T, uint32_t>) return 4;
  if (std::is_same_v<T, int32_t>) return 5;
  if (std::is_same_v<T, float>) return 6;
  if (std::is_same_v<T, bool>) return 7;
  if (std::is_same_v<T, uint64_t>) return 10;
  if (std::is_same_v<T, int64_t>) return 11;
  if (std::is_same_v<T, double>) return 12;
  return std::numeric_limits<uint32_t>::max();
}

class GgufBuilder {
 public:
  // Overrides; what is not set is right.
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> tensor_count;
  std::optional<uint64_t> entry_count;
  uint64_t alignment = 32;  // of the data; add "general.alignment" oneself

  // An entry with any type number and any bytes.
  GgufBuilder& raw(std::string_view key, uint32_t type, std::string_view value) {
    append_string(entries_, key);
    append_number(entries_, type);
    entries_ += value;
    ++entries_added_;
    return *this;
  }
  template <class T>
  GgufBuilder& number(std::string_view key, T value) {
    std::string bytes;
    append_number(bytes, value);
    return raw(key, gguf_number<T>(), bytes);
  }
  GgufBuilder& u32(std::string_view key, uint32_t value) { return number(key, value); }
  GgufBuilder& f32(std::string_view key, float value) { return number(key, value); }
  GgufBuilder& text(std::string_view key, std::string_view value) {
    std::string bytes;
    append_string(bytes, value);
    return raw(key, 8, bytes);
  }
  GgufBuilder& raw_array(std::string_view key, uint32_t element_type, uint64_t count, std::string_view elements) {
    std::string bytes;
    append_number(bytes, element_type);
    append_number(bytes, count);
    return raw(key, 9, bytes.append(elements));
  }
  template <class T>
  GgufBuilder& numbers(std::string_view key, const std::vector<T>& values) {
    std::string elements;
    for (const T value : values) append_number(elements, value);
    return raw_array(key, gguf_number<T>(), values.size(), elements);
  }
  GgufBuilder& texts(std::string_view key, const std::vector<std::string>& values) {
    std::string elements;
    for (const std::string& value : values) append_string(elements, value);
    return raw_array(key, 8, values.size(), elements);
  }

  // A tensor whose data follows that of the tensor before.
  GgufBuilder& tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type, std::string_view data) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment, '\0');
    raw_tensor(name, dims, type, data_.size());
    data_ += data;
    return *this;
  }
  // An F32 tensor of ones.
  GgufBuilder& ones(std::string_view name, const std::vector<uint64_t>& dims) {
    uint64_t count = 1;
    for (const uint64_t dim : dims) count *= dim;
    std::string bytes;
    for (uint64_t i = 0; i < count; ++i) append_number(bytes, 1.0f);
    return tensor(name, dims, 0, bytes);
  }
  // A table entry alone, with any offset.
  GgufBuilder& raw_tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset,
                          std::optional<uint32_t> n_dims = {}) {
    append_string(tensors_, name);
    append_number(tensors_, n_dims.value_or(static_cast<uint32_t>(dims.size())));
    for (const uint64_t dim : dims) append_number(tensors_, dim);
    append_number(tensors_, type);
    append_number(tensors_, offset);
    ++tensors_added_;
    return *this;
  }
  // Bytes after the last tensor.
  GgufBuilder& data(std::string_view bytes) {
    data_ += bytes;
    return *this;
  }

  // Everything up to the padding before the data.
  std::string header() const {
    std::string out = magic;
    append_number(out, version);
    append_number(out, tensor_count.value_or(tensors_added_));
    append_number(out, entry_count.value_or(entries_added_));
    return out + entries_ + tensors_;
  }
  std::string bytes() const {
    std::string out = header();
    if (data_.empty()) return out;
    out.resize((out.size() + alignment - 1) / alignment * alignment, '\0');
    return out + data_;
  }

 private:
  std::string entries_;
  std::string tensors_;
  std::string data_;
  uint64_t entries_added_ = 0;
  uint64_t tensors_added_ = 0;
};

}  // namespace hotset::test
