#include "runtime/format/gguf_writer.h"

#include <cstring>

#include "platform/bytes.h"
#include "runtime/format/gguf_header.h"

namespace hotset {
namespace {

constexpr uint64_t kAlignment = 32;  // what readers take where general.alignment is absent

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<uint64_t>(text.size()));
  out += text;
}

uint32_t number_of(GgufType type) { return static_cast<uint32_t>(type); }

}  // namespace

void GgufWriter::begin_value(std::string_view key, uint32_t type) {
  put_text(metadata_, key);
  put(metadata_, type);
  ++entries_;
}

void GgufWriter::begin_array(std::string_view key, uint32_t type, size_t count) {
  begin_value(key, number_of(GgufType::kArray));
  put(metadata_, type);
  put(metadata_, static_cast<uint64_t>(count));
}

void GgufWriter::add_u32(std::string_view key, uint32_t value) {
  begin_value(key, number_of(GgufType::kU32));
  put(metadata_, value);
}

void GgufWriter::add_i32(std::string_view key, int32_t value) {
  begin_value(key, number_of(GgufType::kI32));
  put(metadata_, value);
}

void GgufWriter::add_f32(std::string_view key, float value) {
  begin_value(key, number_of(GgufType::kF32));
  put(metadata_, value);
}

void GgufWriter::add_bool(std::string_view key, bool value) {
  begin_value(key, number_of(GgufType::kBool));
  put(metadata_, static_cast<uint8_t>(value));
}

void GgufWriter::add_string(std::string_view key, std::string_view value) {
  begin_value(key, number_of(GgufType::kString));
  put_text(metadata_, value);
}

void GgufWriter::add_u32s(std::string_view key, std::span<const uint32_t> values) {
  begin_array(key, number_of(GgufType::kU32), values.size());
  for (const uint32_t value : values) put(metadata_, value);
}

void GgufWriter::add_i32s(std::string_view key, std::span<const int32_t> values) {
  begin_array(key, number_of(GgufType::kI32), values.size());
  for (const int32_t value : values) put(metadata_, value);
}

void GgufWriter::add_f32s(std::string_view key, std::span<const float> values) {
  begin_array(key, number_of(GgufType::kF32), values.size());
  for (const float value : values) put(metadata_, value);
}

void GgufWriter::add_bools(std::string_view key, const std::vector<bool>& values) {
  begin_array(key, number_of(GgufType::kBool), values.size());
  for (const bool value : values) put(metadata_, static_cast<uint8_t>(value));
}

void GgufWriter::add_strings(std::string_view key, const std::vector<std::string>& values) {
  begin_array(key, number_of(GgufType::kString), values.size());
  for (const std::string& value : values) put_text(metadata_, value);
}

Status GgufWriter::add_tensor(std::string_view name, std::span<const uint64_t> dims, BlockType type) {
  if (name.empty() || name.size() > kMaxGgufTensorNameBytes || dims.empty() || dims.size() > 4) {
    return error(Code::kInvalidArgument, "the tensor '%s' of %zu dimensions cannot be in a GGUF file", printable(name).c_str(), dims.size());
  }
  HOTSET_ASSIGN(uint64_t size, row_bytes(type, dims[0]));
  for (const uint64_t dim : dims.subspan(1)) {
    const auto product = checked_multiply(size, dim);
    if (!product) return error(Code::kInvalidArgument, "the tensor '%s' is too large", printable(name).c_str());
    size = *product;
  }
  const auto end = checked_add(data_bytes_, size);
  const auto padded = end ? checked_align_up(*end, kAlignment) : std::nullopt;
  if (!padded) return error(Code::kInvalidArgument, "the tensors are too large together");
  put_text(table_, name);
  put(table_, static_cast<uint32_t>(dims.size()));
  for (const uint64_t dim : dims) put(table_, dim);
  put(table_, static_cast<uint32_t>(type));
  put(table_, data_bytes_);
  places_.push_back({data_bytes_, size});
  data_bytes_ = *padded;
  return ok_status();
}

std::string GgufWriter::head() const {
  std::string bytes = "GGUF";
  put(bytes, uint32_t{3});
  put(bytes, static_cast<uint64_t>(places_.size()));
  put(bytes, entries_);
  bytes += metadata_;
  bytes += table_;
  bytes.resize(align_up(bytes.size(), kAlignment), '\0');
  return bytes;
}

}  // namespace hotset
