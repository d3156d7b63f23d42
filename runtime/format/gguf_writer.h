// GgufWriter: the head of a GGUF file (version 3): metadata, the table of tensors, and where each tensor's data goes.
//
// Use: add metadata and tensors in file order; head() is then the file's beginning, and tensor i's data lies at data_offset(i). The order of
// calls alone decides the bytes. One owner, one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"
#include "runtime/format/quant.h"

namespace hotset {

class GgufWriter {
 public:
  void add_u32(std::string_view key, uint32_t value);
  void add_i32(std::string_view key, int32_t value);
  void add_f32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_u32s(std::string_view key, std::span<const uint32_t> values);
  void add_i32s(std::string_view key, std::span<const int32_t> values);
  void add_f32s(std::string_view key, std::span<const float> values);
  void add_bools(std::string_view key, const std::vector<bool>& values);
  void add_strings(std::string_view key, const std::vector<std::string>& values);

  // Dimensions innermost first, one to four. Errors: rows that are no whole blocks, a name that is too long, a size beyond 64 bits.
  Status add_tensor(std::string_view name, std::span<const uint64_t> dims, BlockType type);

  // Magic to padding; valid when everything is added.
  std::string head() const;
  size_t tensor_count() const { return places_.size(); }
  uint64_t data_offset_bytes(size_t tensor) const { return places_[tensor].begin; }  // from the head's end
  uint64_t data_size_bytes(size_t tensor) const { return places_[tensor].size; }
  uint64_t data_bytes() const { return data_bytes_; }  // of all tensors, padding included

 private:
  struct Place {
    uint64_t begin;
    uint64_t size;
  };

  void begin_value(std::string_view key, uint32_t type);
  void begin_array(std::string_view key, uint32_t type, size_t count);

  std::string metadata_;
  std::string table_;
  uint64_t entries_ = 0;
  std::vector<Place> places_;
  uint64_t data_bytes_ = 0;
};

}  // namespace hotset
