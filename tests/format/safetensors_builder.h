// Builds safetensors files byte by byte, right ones and wrong ones, for tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotset::test {

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A file around any header text.
inline std::string safetensors_file(std::string_view header, std::string_view data, std::optional<uint64_t> header_bytes = {}) {
  const uint64_t size = header_bytes.value_or(header.size());
  std::string out(reinterpret_cast<const char*>(&size), sizeof size);
  return out.append(header).append(data);
}

class SafetensorsBuilder {
 public:
  SafetensorsBuilder& tensor(const std::string& name, const std::string& type, const std::vector<uint64_t>& shape, std::string_view data) {
    header_[name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {data_.size(), data_.size() + data.size()}}};
    data_ += data;
    return *this;
  }
  SafetensorsBuilder& floats(const std::string& name, const std::vector<uint64_t>& shape, const std::vector<float>& values) {
    return tensor(name, "F32", shape, bytes_of(values));
  }
  std::string bytes() const { return safetensors_file(header_.dump(), data_); }
  const nlohmann::json& header() const { return header_; }
  size_t count() const { return header_.size(); }

 private:
  nlohmann::json header_ = {{"__metadata__", {{"format", "pt"}}}};
  std::string data_;
};

}  // namespace hotset::test
