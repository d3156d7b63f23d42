#include "runtime/format/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "platform/bytes.h"
#include "runtime/format/gguf_value.h"
#include "runtime/format/half.h"
#include "runtime/format/json_document.h"

namespace hotset {
namespace {

using Json = nlohmann::json;
using Ull = unsigned long long;

struct TypeFacts {
  StoredType type;
  const char* name;
  uint32_t bytes;
};

constexpr TypeFacts kTypes[] = {
    {StoredType::kBool, "BOOL", 1},       {StoredType::kU8, "U8", 1},           {StoredType::kI8, "I8", 1},     {StoredType::kF8E4M3, "F8_E4M3", 1},
    {StoredType::kF8E5M2, "F8_E5M2", 1},  {StoredType::kF8E8M0, "F8_E8M0", 1},  {StoredType::kU16, "U16", 2},   {StoredType::kI16, "I16", 2},
    {StoredType::kF16, "F16", 2},         {StoredType::kBF16, "BF16", 2},       {StoredType::kU32, "U32", 4},   {StoredType::kI32, "I32", 4},
    {StoredType::kF32, "F32", 4},         {StoredType::kU64, "U64", 8},         {StoredType::kI64, "I64", 8},   {StoredType::kF64, "F64", 8},
};

const TypeFacts& facts_of(StoredType type) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeFacts& facts) { return facts.type == type; });
}

Status read_type(const Json& entry, StoredTensor& tensor) {
  const Json* name = json_member(entry, "dtype");
  if (name == nullptr || !name->is_string()) return error(Code::kCorrupt, "it has no dtype");
  const auto& text = name->get_ref<const std::string&>();
  for (const TypeFacts& facts : kTypes) {
    if (text != facts.name) continue;
    tensor.type = facts.type;
    return ok_status();
  }
  return error(Code::kUnsupported, "numbers of the type '%s' are not read", printable(text).c_str());
}

Status read_shape(const Json& entry, StoredTensor& tensor) {
  const Json* shape = json_member(entry, "shape");
  if (shape == nullptr || !shape->is_array()) return error(Code::kCorrupt, "it has no shape");
  if (shape->size() > kMaxStoredDims) return error(Code::kUnsupported, "it has %zu dimensions, at most %zu are read", shape->size(), kMaxStoredDims);
  uint64_t bytes = stored_type_bytes(tensor.type);
  for (const Json& dim : *shape) {
    if (!dim.is_number_unsigned()) return error(Code::kCorrupt, "a dimension is no whole number from 0 up");
    tensor.shape.push_back(dim.get<uint64_t>());
    const auto product = checked_multiply(bytes, tensor.shape.back());
    if (!product) return error(Code::kCorrupt, "its size does not fit in 64 bits");
    bytes = *product;
  }
  tensor.size_bytes = bytes;
  return ok_status();
}

Status read_place(const Json& entry, uint64_t data_bytes, StoredTensor& tensor) {
  const Json* offsets = json_member(entry, "data_offsets");
  const bool pair = offsets != nullptr && offsets->is_array() && offsets->size() == 2 && (*offsets)[0].is_number_unsigned() && (*offsets)[1].is_number_unsigned();
  if (!pair) return error(Code::kCorrupt, "it has no two data_offsets");
  const auto begin = (*offsets)[0].get<uint64_t>();
  const auto end = (*offsets)[1].get<uint64_t>();
  if (begin > end || end > data_bytes) {
    return error(Code::kCorrupt, "its data from %llu to %llu is not within the %llu bytes of data: truncated?", static_cast<Ull>(begin),
                 static_cast<Ull>(end), static_cast<Ull>(data_bytes));
  }
  if (end - begin != tensor.size_bytes) {
    return error(Code::kCorrupt, "its shape takes %llu bytes, but its data has %llu", static_cast<Ull>(tensor.size_bytes), static_cast<Ull>(end - begin));
  }
  tensor.file_offset_bytes = begin;
  return ok_status();
}

Status read_entry(const Json& entry, uint64_t data_bytes, StoredTensor& tensor) {
  HOTSET_RETURN_IF_ERROR(read_type(entry, tensor));
  HOTSET_RETURN_IF_ERROR(read_shape(entry, tensor));
  return read_place(entry, data_bytes, tensor);
}

// Tensors without data may lie anywhere between others.
bool lies_before(const StoredTensor& a, const StoredTensor& b) {
  return a.file_offset_bytes != b.file_offset_bytes ? a.file_offset_bytes < b.file_offset_bytes : a.size_bytes < b.size_bytes;
}

Status check_no_gaps(const std::vector<StoredTensor>& tensors, uint64_t data_bytes) {
  uint64_t end = 0;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.file_offset_bytes != end) {
      return error(Code::kCorrupt, "the tensor '%s' begins at %llu of the data, but the one before ends at %llu: %s", printable(tensor.name).c_str(),
                   static_cast<Ull>(tensor.file_offset_bytes), static_cast<Ull>(end), tensor.file_offset_bytes < end ? "they overlap" : "a hole");
    }
    end += tensor.size_bytes;
  }
  if (end == data_bytes) return ok_status();
  return error(Code::kCorrupt, "the tensors end at %llu of the data, which has %llu bytes", static_cast<Ull>(end), static_cast<Ull>(data_bytes));
}

Result<std::vector<StoredTensor>> take_tensors(const Json& header, uint64_t data_begin, uint64_t data_bytes) {
  if (!header.is_object()) return error(Code::kCorrupt, "the header is no JSON object");
  std::vector<StoredTensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    StoredTensor tensor;
    tensor.name = name;
    HOTSET_RETURN_IF_ERROR(read_entry(entry, data_bytes, tensor).with_context("tensor '" + printable(name) + "'"));
    tensors.push_back(std::move(tensor));
  }
  std::sort(tensors.begin(), tensors.end(), lies_before);
  HOTSET_RETURN_IF_ERROR(check_no_gaps(tensors, data_bytes));
  for (StoredTensor& tensor : tensors) tensor.file_offset_bytes += data_begin;
  return tensors;
}

Result<std::vector<StoredTensor>> read_header(const File& file) {
  uint64_t header_bytes = 0;
  if (file.size_bytes() < sizeof header_bytes) return error(Code::kCorrupt, "too short for a safetensors file: %llu bytes", static_cast<Ull>(file.size_bytes()));
  HOTSET_RETURN_IF_ERROR(file.read(0, std::as_writable_bytes(std::span(&header_bytes, 1))));
  const uint64_t left_bytes = file.size_bytes() - sizeof header_bytes;
  if (header_bytes > left_bytes) {
    return error(Code::kCorrupt, "not a safetensors file, or truncated: it claims a header of %llu bytes, but has %llu", static_cast<Ull>(header_bytes),
                 static_cast<Ull>(left_bytes));
  }
  if (header_bytes > kMaxSafetensorsHeaderBytes) {
    return error(Code::kUnsupported, "its header of %s is larger than the %s that are read", format_bytes(header_bytes).c_str(),
                 format_bytes(kMaxSafetensorsHeaderBytes).c_str());
  }
  std::string text(header_bytes, '\0');
  HOTSET_RETURN_IF_ERROR(file.read(sizeof header_bytes, std::as_writable_bytes(std::span(text.data(), text.size()))));
  if (!text.starts_with('{')) return error(Code::kCorrupt, "not a safetensors file: its header is no JSON object");
  const auto header = parse_json(text);
  if (!header.ok()) return header.status().with_context("header");
  return take_tensors(*header, sizeof header_bytes + header_bytes, left_bytes - header_bytes);
}

// Sign, 4 bits of exponent, 3 of fraction; no infinities, and only all ones is no number.
float float_of_e4m3(uint8_t bits) {
  const uint32_t magnitude = bits & 0x7fu;
  const float sign = bits >> 7 ? -1.0f : 1.0f;
  if (magnitude == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  if (magnitude < 8) return sign * static_cast<float>(magnitude) * 0x1p-9f;
  return sign * std::bit_cast<float>((magnitude << 20) + (120u << 23));
}

float float_of_e8m0(uint8_t bits) {
  if (bits == 255) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(bits == 0 ? 0x00400000u : static_cast<uint32_t>(bits) << 23);
}

template <class T, class Convert>
void convert_all(std::span<const std::byte> bytes, std::span<float> out, Convert convert) {
  for (size_t i = 0; i < out.size(); ++i) {
    T number;
    std::memcpy(&number, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = convert(number);
  }
}

template <class T>
void cast_all(std::span<const std::byte> bytes, std::span<float> out) {
  convert_all<T>(bytes, out, [](T number) { return static_cast<float>(number); });
}

void convert_numbers(StoredType type, std::span<const std::byte> bytes, std::span<float> out) {
  switch (type) {
    case StoredType::kBool:
    case StoredType::kU8: return cast_all<uint8_t>(bytes, out);
    case StoredType::kI8: return cast_all<int8_t>(bytes, out);
    case StoredType::kF8E4M3: return convert_all<uint8_t>(bytes, out, float_of_e4m3);
    case StoredType::kF8E5M2: return convert_all<uint8_t>(bytes, out, [](uint8_t b) { return half_to_float(static_cast<uint16_t>(b << 8)); });
    case StoredType::kF8E8M0: return convert_all<uint8_t>(bytes, out, float_of_e8m0);
    case StoredType::kU16: return cast_all<uint16_t>(bytes, out);
    case StoredType::kI16: return cast_all<int16_t>(bytes, out);
    case StoredType::kF16: return convert_all<uint16_t>(bytes, out, half_to_float);
    case StoredType::kBF16: return convert_all<uint16_t>(bytes, out, bfloat16_to_float);
    case StoredType::kU32: return cast_all<uint32_t>(bytes, out);
    case StoredType::kI32: return cast_all<int32_t>(bytes, out);
    case StoredType::kF32: return cast_all<float>(bytes, out);
    case StoredType::kU64: return cast_all<uint64_t>(bytes, out);
    case StoredType::kI64: return cast_all<int64_t>(bytes, out);
    case StoredType::kF64: return cast_all<double>(bytes, out);
  }
}

}  // namespace

const char* stored_type_name(StoredType type) { return facts_of(type).name; }
uint32_t stored_type_bytes(StoredType type) { return facts_of(type).bytes; }

Result<std::vector<StoredTensor>> read_safetensors_header(const File& file) {
  auto tensors = read_header(file);
  if (!tensors.ok()) return tensors.status().with_context("'" + file.path() + "'");
  return tensors;
}

Status stored_to_floats(StoredType type, std::span<const std::byte> bytes, std::span<float> out) {
  const uint64_t expected_bytes = uint64_t{out.size()} * stored_type_bytes(type);
  if (bytes.size() != expected_bytes) {
    return error(Code::kInvalidArgument, "%zu numbers of the type %s take %llu bytes, not %zu", out.size(), stored_type_name(type),
                 static_cast<Ull>(expected_bytes), bytes.size());
  }
  convert_numbers(type, bytes, out);
  return ok_status();
}

}  // namespace hotset
