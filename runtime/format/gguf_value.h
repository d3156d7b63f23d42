// One metadata entry of a GGUF file, read as the type the caller needs from the type the file declares.
//
// A GgufValue is a view: it points into the header bytes that its GgufFile owns and lives as long as that. Its bytes were
// checked when the file was opened, so the readers below cannot run past them whatever element type they meet: every
// conversion goes by the declared type, never by the expected one. Any thread.
//
// Errors of the readers are kCorrupt and name the key, the type found and the type expected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"

namespace hotset {

enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

// "u8", "string", "array"; nullptr for a number that is no type.
const char* gguf_type_name(uint32_t number);

// Bytes of one scalar; 0 for strings and arrays, whose size lies in the file.
size_t gguf_scalar_bytes(GgufType type);

// Text from a file, made fit for a one-line message: other than printable ASCII as '?', cut after 96 bytes.
std::string printable(std::string_view text);

class GgufValue {
 public:
  // `bytes` is the value as it lies in the file; for an array the elements without their type and count. It must have
  // been walked and found whole (gguf_header.h does that).
  GgufValue(std::string_view key, GgufType type, GgufType element_type, uint64_t count, std::span<const std::byte> bytes)
      : key_(key), type_(type), element_type_(element_type), count_(count), bytes_(bytes) {}

  std::string_view key() const { return key_; }
  GgufType type() const { return type_; }
  bool is_array() const { return type_ == GgufType::kArray; }
  GgufType element_type() const { return element_type_; }  // of an array
  uint64_t count() const { return count_; }                // elements of an array, else 1
  std::span<const std::byte> bytes() const { return bytes_; }

  // "u32" or "array of 3 f32".
  std::string describe_type() const;

  // Scalars. Whole numbers come from any integer type, floats from any number type. Error also: the value does not fit.
  Result<uint32_t> to_u32() const;
  Result<uint64_t> to_u64() const;
  Result<int64_t> to_i64() const;
  Result<double> to_f64() const;
  Result<float> to_f32() const;  // infinite where a double is out of range
  Result<bool> to_bool() const;
  Result<std::string_view> to_string() const;

  // Arrays, with the same conversions for each element.
  Result<std::vector<int64_t>> to_ints() const;
  Result<std::vector<float>> to_floats() const;
  Result<std::vector<bool>> to_bools() const;
  Result<std::vector<std::string_view>> to_strings() const;
  Result<std::vector<GgufValue>> to_arrays() const;  // the inner arrays of an array of arrays

 private:
  Status wrong_type(const char* expected) const;

  std::string_view key_;
  GgufType type_;
  GgufType element_type_;
  uint64_t count_;
  std::span<const std::byte> bytes_;
};

}  // namespace hotset
