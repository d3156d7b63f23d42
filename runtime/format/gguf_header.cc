#include "runtime/format/gguf_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <unordered_set>

#include "platform/bytes.h"

namespace hotset {
namespace {

using Ull = unsigned long long;  // what %llu takes

// The least that an entry and a tensor take, to compare counts with the file's size before looping.
constexpr uint64_t kLeastEntryBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;
constexpr uint64_t kFirstReadBytes = 256u << 10;

// An entry while the header still grows and moves: offsets in place of pointers.
struct RawEntry {
  uint64_t key_begin = 0;
  uint64_t key_bytes = 0;
  GgufType type = GgufType::kU8;
  GgufType element_type = GgufType::kU8;
  uint64_t count = 1;
  uint64_t value_begin = 0;
  uint64_t value_end = 0;
};

struct RawText {
  uint64_t begin;
  uint64_t bytes;
};

class HeaderParser {
 public:
  explicit HeaderParser(const File& file)
      : file_(file), limit_bytes_(std::min(file.size_bytes(), kMaxGgufHeaderBytes)) {}

  Status parse();
  GgufHeader take() { return std::move(header_); }

 private:
  // Reading forward. `what` names the thing that is read, for messages.
  uint64_t left_in_file() const { return file_.size_bytes() - position_; }
  Status need(uint64_t bytes, const char* what);
  Status past_end(uint64_t bytes, const char* what) const;
  Status fill(uint64_t end);
  template <class T>
  Result<T> take_number(const char* what);
  Result<RawText> take_text(const char* what, uint64_t most_bytes);
  Result<GgufType> take_type(const char* what);
  std::string_view text_at(const RawText& text) const;

  // The parts of the header, in file order.
  Status parse_magic();
  Status parse_entry(uint64_t index, RawEntry& entry);
  Status parse_value(RawEntry& entry);
  Status skip_elements(GgufType type, uint64_t count, uint32_t depth);
  Status skip_array(RawEntry* entry, uint32_t depth);
  Status parse_tensor(uint64_t index, TensorInfo& tensor);
  Status parse_shape(TensorInfo& tensor);
  Status measure(uint64_t elements, TensorInfo& tensor) const;

  // What needs the whole header.
  Status bind_values(const std::vector<RawEntry>& entries);
  Status read_alignment();
  Status check_names() const;
  Status place_tensors();
  Status check_overlaps() const;

  const File& file_;
  const uint64_t limit_bytes_;
  GgufHeader header_;
  uint64_t position_ = 0;
};

Status HeaderParser::past_end(uint64_t bytes, const char* what) const {
  if (bytes > left_in_file()) {
    return error(Code::kCorrupt, "%s at byte %llu takes %llu bytes, but the file ends at byte %llu: truncated or corrupt", what,
                 static_cast<Ull>(position_), static_cast<Ull>(bytes), static_cast<Ull>(file_.size_bytes()));
  }
  return error(Code::kUnsupported, "the header is larger than the %s that are read", format_bytes(kMaxGgufHeaderBytes).c_str());
}

// Makes `bytes` more bytes available at position_.
Status HeaderParser::need(uint64_t bytes, const char* what) {
  if (bytes > limit_bytes_ - position_) return past_end(bytes, what);
  const uint64_t end = position_ + bytes;
  return end <= header_.bytes.size() ? ok_status() : fill(end);
}

Status HeaderParser::fill(uint64_t end) {
  const uint64_t old_size = header_.bytes.size();
  const uint64_t new_size = std::min(limit_bytes_, std::max({end, 2 * old_size, kFirstReadBytes}));
  header_.bytes.resize(new_size);
  return file_.read(old_size, std::span(header_.bytes).subspan(old_size));
}

template <class T>
Result<T> HeaderParser::take_number(const char* what) {
  HOTSET_RETURN_IF_ERROR(need(sizeof(T), what));
  T value;
  std::memcpy(&value, header_.bytes.data() + position_, sizeof(T));
  position_ += sizeof(T);
  return value;
}

Result<RawText> HeaderParser::take_text(const char* what, uint64_t most_bytes) {
  HOTSET_ASSIGN(const uint64_t bytes, take_number<uint64_t>(what));
  if (bytes > most_bytes && bytes <= left_in_file()) {
    return error(Code::kCorrupt, "%s is %llu bytes long, at most %llu are allowed", what, static_cast<Ull>(bytes),
                 static_cast<Ull>(most_bytes));
  }
  HOTSET_RETURN_IF_ERROR(need(bytes, what));
  const RawText text = {position_, bytes};
  position_ += bytes;
  return text;
}

Result<GgufType> HeaderParser::take_type(const char* what) {
  HOTSET_ASSIGN(const uint32_t number, take_number<uint32_t>(what));
  if (!gguf_type_name(number)) return error(Code::kCorrupt, "%s %u does not exist", what, number);
  return static_cast<GgufType>(number);
}

std::string_view HeaderParser::text_at(const RawText& text) const {
  return {reinterpret_cast<const char*>(header_.bytes.data() + text.begin), text.bytes};
}

Status HeaderParser::parse_magic() {
  if (file_.size_bytes() == 0) return error(Code::kCorrupt, "the file is empty");
  HOTSET_RETURN_IF_ERROR(need(4, "the magic"));
  if (text_at({0, 4}) != "GGUF") {
    return error(Code::kCorrupt, "not a GGUF file: it starts with '%s', not with 'GGUF'", printable(text_at({0, 4})).c_str());
  }
  position_ = 4;
  HOTSET_ASSIGN(header_.version, take_number<uint32_t>("the version"));
  // A version is a small number, so one with only high bytes was written the other way round.
  if ((header_.version & 0xffffu) == 0 && header_.version != 0) {
    return error(Code::kUnsupported, "big-endian GGUF files are not supported: convert the file to little-endian");
  }
  if (header_.version != 2 && header_.version != 3) {
    return error(Code::kUnsupported, "GGUF version %u is not supported, only 2 and 3 are", header_.version);
  }
  return ok_status();
}

Status HeaderParser::parse_entry(uint64_t index, RawEntry& entry) {
  const auto key = take_text("the key", kMaxGgufKeyBytes);
  if (!key.ok()) return key.status().with_context("metadata entry " + std::to_string(index));
  if (key->bytes == 0) return error(Code::kCorrupt, "metadata entry %llu: the key is empty", static_cast<Ull>(index));
  entry.key_begin = key->begin;
  entry.key_bytes = key->bytes;
  return parse_value(entry).with_context("key '" + printable(text_at(*key)) + "'");
}

Status HeaderParser::parse_value(RawEntry& entry) {
  HOTSET_ASSIGN(entry.type, take_type("the value type"));
  entry.value_begin = position_;
  HOTSET_RETURN_IF_ERROR(entry.type == GgufType::kArray ? skip_array(&entry, 1) : skip_elements(entry.type, 1, 0));
  entry.value_end = position_;
  return ok_status();
}

// Walks an array; notes its type, count and start in `entry` when that is given.
Status HeaderParser::skip_array(RawEntry* entry, uint32_t depth) {
  if (depth > kMaxGgufArrayDepth) {
    return error(Code::kUnsupported, "arrays are nested more than %u deep", kMaxGgufArrayDepth);
  }
  HOTSET_ASSIGN(const GgufType type, take_type("the array's element type"));
  HOTSET_ASSIGN(const uint64_t count, take_number<uint64_t>("the array's count"));
  const uint64_t least_bytes = type == GgufType::kString ? 8 : type == GgufType::kArray ? 12 : gguf_scalar_bytes(type);
  if (count > left_in_file() / least_bytes) {
    return error(Code::kCorrupt, "an array at byte %llu claims %llu elements, but the file ends at byte %llu: truncated or corrupt",
                 static_cast<Ull>(position_), static_cast<Ull>(count), static_cast<Ull>(file_.size_bytes()));
  }
  if (count > kMaxGgufArrayElements) {
    return error(Code::kUnsupported, "an array has %llu elements, at most %llu are read", static_cast<Ull>(count),
                 static_cast<Ull>(kMaxGgufArrayElements));
  }
  if (entry) {
    entry->element_type = type;
    entry->count = count;
    entry->value_begin = position_;
  }
  return skip_elements(type, count, depth);
}

// `count` is at most kMaxGgufArrayElements, so the product below cannot wrap.
Status HeaderParser::skip_elements(GgufType type, uint64_t count, uint32_t depth) {
  if (type == GgufType::kString) {
    for (uint64_t i = 0; i < count; ++i) {
      HOTSET_ASSIGN([[maybe_unused]] const RawText text, take_text("a string", UINT64_MAX));
    }
    return ok_status();
  }
  if (type == GgufType::kArray) {
    for (uint64_t i = 0; i < count; ++i) HOTSET_RETURN_IF_ERROR(skip_array(nullptr, depth + 1));
    return ok_status();
  }
  const uint64_t bytes = count * gguf_scalar_bytes(type);
  HOTSET_RETURN_IF_ERROR(need(bytes, "the value"));
  const std::byte* begin = header_.bytes.data() + position_;
  if (type == GgufType::kBool && !std::all_of(begin, begin + bytes, [](std::byte b) { return b <= std::byte{1}; })) {
    return error(Code::kCorrupt, "a bool is neither 0 nor 1");
  }
  position_ += bytes;
  return ok_status();
}

Status HeaderParser::parse_tensor(uint64_t index, TensorInfo& tensor) {
  const auto name = take_text("the name", kMaxGgufTensorNameBytes);
  if (!name.ok()) return name.status().with_context("tensor " + std::to_string(index));
  if (name->bytes == 0) return error(Code::kCorrupt, "tensor %llu: the name is empty", static_cast<Ull>(index));
  tensor.name = text_at(*name);
  return parse_shape(tensor).with_context("tensor '" + printable(tensor.name) + "'");
}

Status HeaderParser::parse_shape(TensorInfo& tensor) {
  HOTSET_ASSIGN(tensor.n_dims, take_number<uint32_t>("the number of dimensions"));
  if (tensor.n_dims == 0 || tensor.n_dims > tensor.dims.size()) {
    return error(Code::kCorrupt, "it has %u dimensions, 1 to 4 are possible", tensor.n_dims);
  }
  uint64_t elements = 1;
  for (uint32_t i = 0; i < tensor.n_dims; ++i) {
    HOTSET_ASSIGN(tensor.dims[i], take_number<uint64_t>("a dimension"));
    if (tensor.dims[i] == 0) return error(Code::kCorrupt, "dimension %u is 0", i);
    const auto product = checked_multiply(elements, tensor.dims[i]);
    if (!product) return error(Code::kCorrupt, "its number of elements does not fit in 64 bits");
    elements = *product;
  }
  HOTSET_ASSIGN(const uint32_t type_number, take_number<uint32_t>("the block type"));
  tensor.type = static_cast<BlockType>(type_number);
  HOTSET_RETURN_IF_ERROR(measure(elements, tensor));
  HOTSET_ASSIGN(tensor.file_offset_bytes, take_number<uint64_t>("the offset"));  // within the data until place_tensors
  return ok_status();
}

// Only a tensor of a known type has a size.
Status HeaderParser::measure(uint64_t elements, TensorInfo& tensor) const {
  const uint32_t block = block_elements(tensor.type);
  if (block == 0) return ok_status();
  if (tensor.dims[0] % block != 0) {
    return error(Code::kCorrupt, "its rows of %llu are not a whole number of %s blocks of %u", static_cast<Ull>(tensor.dims[0]),
                 block_type_name(tensor.type), block);
  }
  const auto size_bytes = checked_multiply(elements / block, block_bytes(tensor.type));
  if (!size_bytes) return error(Code::kCorrupt, "its size does not fit in 64 bits");
  tensor.size_bytes = *size_bytes;
  return ok_status();
}

Status HeaderParser::bind_values(const std::vector<RawEntry>& entries) {
  header_.bytes.resize(position_);
  header_.bytes.shrink_to_fit();
  header_.values.reserve(entries.size());
  std::unordered_set<std::string_view> keys;
  for (const RawEntry& entry : entries) {
    const std::string_view key = text_at({entry.key_begin, entry.key_bytes});
    if (!keys.insert(key).second) return error(Code::kCorrupt, "the key '%s' is there twice", printable(key).c_str());
    const auto value = std::span(header_.bytes).subspan(entry.value_begin, entry.value_end - entry.value_begin);
    header_.values.emplace_back(key, entry.type, entry.element_type, entry.count, value);
  }
  return ok_status();
}

Status HeaderParser::read_alignment() {
  const auto found = std::find_if(header_.values.begin(), header_.values.end(),
                                  [](const GgufValue& value) { return value.key() == "general.alignment"; });
  if (found == header_.values.end()) return ok_status();
  if (found->type() != GgufType::kU32) {
    return error(Code::kCorrupt, "key 'general.alignment' has the type %s, but u32 is expected", found->describe_type().c_str());
  }
  HOTSET_ASSIGN(header_.alignment, found->to_u64());
  if (!std::has_single_bit(header_.alignment) || header_.alignment > kMaxGgufAlignment) {
    return error(Code::kCorrupt, "key 'general.alignment' is %llu, but a power of two up to %llu is expected",
                 static_cast<Ull>(header_.alignment), static_cast<Ull>(kMaxGgufAlignment));
  }
  return ok_status();
}

Status HeaderParser::check_names() const {
  std::unordered_set<std::string_view> names;
  for (const TensorInfo& tensor : header_.tensors) {
    if (!names.insert(tensor.name).second) {
      return error(Code::kCorrupt, "the tensor '%s' is there twice", printable(tensor.name).c_str());
    }
  }
  return ok_status();
}

// Turns offsets within the data into offsets within the file, and sees that each tensor lies inside it.
Status HeaderParser::place_tensors() {
  header_.data_offset_bytes = align_up(position_, header_.alignment);  // both far below 2^63
  for (TensorInfo& tensor : header_.tensors) {
    const std::string name = printable(tensor.name);
    if (tensor.file_offset_bytes % header_.alignment != 0) {
      return error(Code::kCorrupt, "tensor '%s': its offset %llu is not a multiple of the alignment %llu", name.c_str(),
                   static_cast<Ull>(tensor.file_offset_bytes), static_cast<Ull>(header_.alignment));
    }
    const auto begin = checked_add(header_.data_offset_bytes, tensor.file_offset_bytes);
    const auto end = begin ? checked_add(*begin, tensor.size_bytes) : std::nullopt;
    if (!end || *end > file_.size_bytes()) {
      return error(Code::kCorrupt,
                   "tensor '%s': its %llu bytes at data offset %llu lie past the end of the file (%llu bytes): truncated?",
                   name.c_str(), static_cast<Ull>(tensor.size_bytes), static_cast<Ull>(tensor.file_offset_bytes),
                   static_cast<Ull>(file_.size_bytes()));
    }
    tensor.file_offset_bytes = *begin;
  }
  return ok_status();
}

Status HeaderParser::check_overlaps() const {
  std::vector<const TensorInfo*> in_order;
  in_order.reserve(header_.tensors.size());
  for (const TensorInfo& tensor : header_.tensors) in_order.push_back(&tensor);
  std::sort(in_order.begin(), in_order.end(),
            [](const TensorInfo* a, const TensorInfo* b) { return a->file_offset_bytes < b->file_offset_bytes; });
  for (size_t i = 1; i < in_order.size(); ++i) {
    const TensorInfo& before = *in_order[i - 1];
    if (before.file_offset_bytes + before.size_bytes <= in_order[i]->file_offset_bytes) continue;
    return error(Code::kCorrupt, "the tensors '%s' and '%s' overlap", printable(before.name).c_str(),
                 printable(in_order[i]->name).c_str());
  }
  return ok_status();
}

Status check_count(const char* what, uint64_t count, uint64_t most, uint64_t left_bytes, uint64_t least_bytes) {
  if (count <= most && count <= left_bytes / least_bytes) return ok_status();
  return error(Code::kCorrupt, "the header claims %llu %s, more than %s", static_cast<Ull>(count), what,
               count > most ? "any model has" : "the file has room for");
}

Status HeaderParser::parse() {
  HOTSET_RETURN_IF_ERROR(parse_magic());
  HOTSET_ASSIGN(const uint64_t tensor_count, take_number<uint64_t>("the tensor count"));
  HOTSET_ASSIGN(const uint64_t entry_count, take_number<uint64_t>("the metadata count"));
  HOTSET_RETURN_IF_ERROR(check_count("tensors", tensor_count, kMaxGgufTensors, left_in_file(), kLeastTensorBytes));
  HOTSET_RETURN_IF_ERROR(check_count("metadata entries", entry_count, kMaxGgufEntries, left_in_file(), kLeastEntryBytes));
  std::vector<RawEntry> entries(entry_count);
  for (uint64_t i = 0; i < entry_count; ++i) HOTSET_RETURN_IF_ERROR(parse_entry(i, entries[i]));
  header_.tensors.resize(tensor_count);
  for (uint64_t i = 0; i < tensor_count; ++i) HOTSET_RETURN_IF_ERROR(parse_tensor(i, header_.tensors[i]));
  HOTSET_RETURN_IF_ERROR(bind_values(entries));
  HOTSET_RETURN_IF_ERROR(read_alignment());
  HOTSET_RETURN_IF_ERROR(check_names());
  HOTSET_RETURN_IF_ERROR(place_tensors());
  return check_overlaps();
}

}  // namespace

Result<GgufHeader> read_gguf_header(const File& file) {
  HeaderParser parser(file);
  const Status status = parser.parse();
  if (!status.ok()) return status.with_context("'" + file.path() + "'");
  return parser.take();
}

}  // namespace hotset
