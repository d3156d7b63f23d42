#include "runtime/format/gguf_value.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "platform/check.h"

namespace hotset {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF values are read as they lie in the file");

template <class T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

bool is_integer(GgufType type) {
  return gguf_scalar_bytes(type) != 0 && type != GgufType::kF32 && type != GgufType::kF64 && type != GgufType::kBool;
}

bool is_number(GgufType type) { return is_integer(type) || type == GgufType::kF32 || type == GgufType::kF64; }

// An integer of a declared type: the magnitude's 64 bits and whether they are to be read as signed.
struct Integer {
  uint64_t bits;
  bool is_signed;
};

Integer load_integer(GgufType type, const std::byte* bytes) {
  const auto of_signed = [](int64_t value) { return Integer{static_cast<uint64_t>(value), true}; };
  switch (type) {
    case GgufType::kU8: return {load<uint8_t>(bytes), false};
    case GgufType::kU16: return {load<uint16_t>(bytes), false};
    case GgufType::kU32: return {load<uint32_t>(bytes), false};
    case GgufType::kU64: return {load<uint64_t>(bytes), false};
    case GgufType::kI8: return of_signed(load<int8_t>(bytes));
    case GgufType::kI16: return of_signed(load<int16_t>(bytes));
    case GgufType::kI32: return of_signed(load<int32_t>(bytes));
    case GgufType::kI64: return of_signed(load<int64_t>(bytes));
    default: break;
  }
  HOTSET_CHECK(!"load_integer is asked about integers only");
  return {};
}

double load_number(GgufType type, const std::byte* bytes) {
  if (type == GgufType::kF32) return load<float>(bytes);
  if (type == GgufType::kF64) return load<double>(bytes);
  const Integer integer = load_integer(type, bytes);
  return integer.is_signed ? static_cast<double>(static_cast<int64_t>(integer.bits)) : static_cast<double>(integer.bits);
}

// A double beyond float's range is undefined to convert; it becomes infinite here. NaN stays NaN.
float narrow(double value) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (value > kLargest) return std::numeric_limits<float>::infinity();
  if (value < -kLargest) return -std::numeric_limits<float>::infinity();
  return static_cast<float>(value);
}

// The string at the front of `bytes`, which starts with its length.
std::string_view front_string(std::span<const std::byte> bytes) {
  HOTSET_CHECK(bytes.size() >= sizeof(uint64_t));
  const uint64_t length = load<uint64_t>(bytes.data());
  HOTSET_CHECK(length <= bytes.size() - sizeof(uint64_t));
  return {reinterpret_cast<const char*>(bytes.data() + sizeof(uint64_t)), length};
}

constexpr size_t kArrayHeadBytes = sizeof(uint32_t) + sizeof(uint64_t);  // element type, count

// Bytes that `count` elements of this type take at the front of `bytes`.
size_t elements_bytes(GgufType type, uint64_t count, std::span<const std::byte> bytes) {
  if (const size_t each = gguf_scalar_bytes(type)) return each * count;
  size_t used = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const auto rest = bytes.subspan(used);
    if (type == GgufType::kString) {
      used += sizeof(uint64_t) + front_string(rest).size();
    } else {
      const auto inner_type = static_cast<GgufType>(load<uint32_t>(rest.data()));
      const uint64_t inner_count = load<uint64_t>(rest.data() + sizeof(uint32_t));
      used += kArrayHeadBytes + elements_bytes(inner_type, inner_count, rest.subspan(kArrayHeadBytes));
    }
  }
  return used;
}

}  // namespace

const char* gguf_type_name(uint32_t number) {
  static constexpr std::array<const char*, 13> kNames = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                         "bool", "string", "array", "u64", "i64", "f64"};
  return number < kNames.size() ? kNames[number] : nullptr;
}

size_t gguf_scalar_bytes(GgufType type) {
  static constexpr std::array<uint8_t, 13> kBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kBytes[static_cast<uint32_t>(type)];
}

std::string printable(std::string_view text) {
  constexpr size_t kMost = 96;
  std::string out(text.substr(0, kMost));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text.size() > kMost ? out + "..." : out;
}

std::string GgufValue::describe_type() const {
  if (!is_array()) return gguf_type_name(static_cast<uint32_t>(type_));
  return "array of " + std::to_string(count_) + " " + gguf_type_name(static_cast<uint32_t>(element_type_));
}

Status GgufValue::wrong_type(const char* expected) const {
  return error(Code::kCorrupt, "key '%s' has the type %s, but %s is expected", printable(key_).c_str(),
               describe_type().c_str(), expected);
}

Result<uint64_t> GgufValue::to_u64() const {
  if (!is_integer(type_)) return wrong_type("a whole number");
  const Integer integer = load_integer(type_, bytes_.data());
  if (integer.is_signed && static_cast<int64_t>(integer.bits) < 0) {
    return error(Code::kCorrupt, "key '%s' is %lld, which is below zero", printable(key_).c_str(),
                 static_cast<long long>(integer.bits));
  }
  return integer.bits;
}

Result<uint32_t> GgufValue::to_u32() const {
  HOTSET_ASSIGN(const uint64_t number, to_u64());
  if (number <= UINT32_MAX) return static_cast<uint32_t>(number);
  return error(Code::kCorrupt, "key '%s' is %llu, which is too large", printable(key_).c_str(),
               static_cast<unsigned long long>(number));
}

Result<int64_t> GgufValue::to_i64() const {
  if (!is_integer(type_)) return wrong_type("a whole number");
  const Integer integer = load_integer(type_, bytes_.data());
  if (!integer.is_signed && integer.bits > INT64_MAX) {
    return error(Code::kCorrupt, "key '%s' is %llu, which is too large", printable(key_).c_str(),
                 static_cast<unsigned long long>(integer.bits));
  }
  return static_cast<int64_t>(integer.bits);
}

Result<double> GgufValue::to_f64() const {
  if (!is_number(type_)) return wrong_type("a number");
  return load_number(type_, bytes_.data());
}

Result<float> GgufValue::to_f32() const {
  HOTSET_ASSIGN(const double number, to_f64());
  return narrow(number);
}

Result<bool> GgufValue::to_bool() const {
  if (type_ != GgufType::kBool) return wrong_type("a bool");
  return load<uint8_t>(bytes_.data()) != 0;
}

Result<std::string_view> GgufValue::to_string() const {
  if (type_ != GgufType::kString) return wrong_type("a string");
  return front_string(bytes_);
}

Result<std::vector<int64_t>> GgufValue::to_ints() const {
  if (!is_array() || !is_integer(element_type_)) return wrong_type("an array of whole numbers");
  const size_t each = gguf_scalar_bytes(element_type_);
  std::vector<int64_t> out(count_);
  for (size_t i = 0; i < out.size(); ++i) {
    const Integer integer = load_integer(element_type_, bytes_.data() + i * each);
    if (!integer.is_signed && integer.bits > INT64_MAX) {
      return error(Code::kCorrupt, "key '%s' holds %llu, which is too large", printable(key_).c_str(),
                   static_cast<unsigned long long>(integer.bits));
    }
    out[i] = static_cast<int64_t>(integer.bits);
  }
  return out;
}

Result<std::vector<float>> GgufValue::to_floats() const {
  if (!is_array() || !is_number(element_type_)) return wrong_type("an array of numbers");
  const size_t each = gguf_scalar_bytes(element_type_);
  std::vector<float> out(count_);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = narrow(load_number(element_type_, bytes_.data() + i * each));
  }
  return out;
}

Result<std::vector<bool>> GgufValue::to_bools() const {
  if (!is_array() || element_type_ != GgufType::kBool) return wrong_type("an array of bools");
  std::vector<bool> out(count_);
  for (size_t i = 0; i < out.size(); ++i) out[i] = load<uint8_t>(bytes_.data() + i) != 0;
  return out;
}

Result<std::vector<std::string_view>> GgufValue::to_strings() const {
  if (!is_array() || element_type_ != GgufType::kString) return wrong_type("an array of strings");
  std::vector<std::string_view> out(count_);
  std::span<const std::byte> rest = bytes_;
  for (std::string_view& text : out) {
    text = front_string(rest);
    rest = rest.subspan(sizeof(uint64_t) + text.size());
  }
  return out;
}

Result<std::vector<GgufValue>> GgufValue::to_arrays() const {
  if (!is_array() || element_type_ != GgufType::kArray) return wrong_type("an array of arrays");
  std::vector<GgufValue> out;
  out.reserve(count_);
  std::span<const std::byte> rest = bytes_;
  for (uint64_t i = 0; i < count_; ++i) {
    const auto inner_type = static_cast<GgufType>(load<uint32_t>(rest.data()));
    const uint64_t inner_count = load<uint64_t>(rest.data() + sizeof(uint32_t));
    rest = rest.subspan(kArrayHeadBytes);
    const size_t used = elements_bytes(inner_type, inner_count, rest);
    out.emplace_back(key_, GgufType::kArray, inner_type, inner_count, rest.first(used));
    rest = rest.subspan(used);
  }
  return out;
}

}  // namespace hotset
