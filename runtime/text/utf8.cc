#include "runtime/text/utf8.h"

namespace hotset {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// What a first byte promises (Unicode standard, table 3-7): how many more bytes, and the range of the next one.
struct Lead {
  size_t more = 0;
  unsigned char next_min = 0x80;
  unsigned char next_max = 0xBF;
  bool valid = false;
};

constexpr Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {0, 0, 0, true};
  if (byte < 0xC2) return {};
  if (byte < 0xE0) return {1, 0x80, 0xBF, true};
  if (byte == 0xE0) return {2, 0xA0, 0xBF, true};
  if (byte == 0xED) return {2, 0x80, 0x9F, true};
  if (byte < 0xF0) return {2, 0x80, 0xBF, true};
  if (byte == 0xF0) return {3, 0x90, 0xBF, true};
  if (byte < 0xF4) return {3, 0x80, 0xBF, true};
  if (byte == 0xF4) return {3, 0x80, 0x8F, true};
  return {};
}

unsigned char byte_at(std::string_view text, size_t offset) { return static_cast<unsigned char>(text[offset]); }

}  // namespace

size_t utf8_length_at(std::string_view text, size_t offset) {
  if (offset >= text.size()) return 0;
  const Lead lead = lead_of(byte_at(text, offset));
  if (!lead.valid || lead.more >= text.size() - offset) return 0;
  for (size_t i = 1; i <= lead.more; ++i) {
    const unsigned char low = i == 1 ? lead.next_min : 0x80;
    const unsigned char high = i == 1 ? lead.next_max : 0xBF;
    const unsigned char byte = byte_at(text, offset + i);
    if (byte < low || byte > high) return 0;
  }
  return lead.more + 1;
}

size_t find_invalid_utf8(std::string_view text) {
  for (size_t offset = 0; offset < text.size();) {
    const size_t length = byte_at(text, offset) < 0x80 ? 1 : utf8_length_at(text, offset);
    if (length == 0) return offset;
    offset += length;
  }
  return std::string_view::npos;
}

CodePoint utf8_code_point_at(std::string_view text, size_t offset) {
  const size_t length = utf8_length_at(text, offset);
  if (length == 0) return {0xFFFD, 1};
  if (length == 1) return {byte_at(text, offset), 1};
  uint32_t value = byte_at(text, offset) & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) value = value << 6 | (byte_at(text, offset + i) & 0x3Fu);
  return {value, length};
}

void append_utf8(uint32_t code_point, std::string& out) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000)) code_point = 0xFFFD;
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
  } else {
    if (code_point < 0x10000) {
      put(0xE0 | code_point >> 12);
    } else {
      put(0xF0 | code_point >> 18);
      put(0x80 | (code_point >> 12 & 0x3F));
    }
    put(0x80 | (code_point >> 6 & 0x3F));
  }
  put(0x80 | (code_point & 0x3F));
}

void Utf8Stream::start(unsigned char byte, std::string& out) {
  const Lead lead = lead_of(byte);
  if (!lead.valid) {
    out.append(kReplacement);
  } else if (lead.more == 0) {
    out.push_back(static_cast<char>(byte));
  } else {
    pending_[0] = static_cast<char>(byte);
    pending_count_ = 1;
    missing_ = lead.more;
    next_min_ = lead.next_min;
    next_max_ = lead.next_max;
  }
}

void Utf8Stream::push(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (missing_ != 0 && (byte < next_min_ || byte > next_max_)) flush(out);
    if (missing_ == 0) {
      start(byte, out);
      continue;
    }
    pending_[pending_count_++] = c;
    next_min_ = 0x80;
    next_max_ = 0xBF;
    if (--missing_ == 0) {
      out.append(pending_.data(), pending_count_);
      pending_count_ = 0;
    }
  }
}

void Utf8Stream::flush(std::string& out) {
  if (missing_ != 0) out.append(kReplacement);
  missing_ = 0;
  pending_count_ = 0;
}

}  // namespace hotset
