#include "runtime/text/byte_alphabet.h"

#include <array>

#include "runtime/text/utf8.h"

namespace hotset {

namespace {

constexpr uint32_t kAlphabetEnd = 256 + 68;  // one past the last code point in use

constexpr bool stands_for_itself(uint32_t byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

constexpr std::array<uint16_t, 256> make_code_points() {
  std::array<uint16_t, 256> code_points{};
  uint16_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    code_points[byte] = stands_for_itself(byte) ? static_cast<uint16_t>(byte) : next++;
  }
  return code_points;
}
constexpr auto kCodePoints = make_code_points();

constexpr std::array<int16_t, kAlphabetEnd> make_bytes() {
  std::array<int16_t, kAlphabetEnd> bytes{};
  for (auto& byte : bytes) byte = -1;
  for (uint32_t byte = 0; byte < 256; ++byte) bytes[kCodePoints[byte]] = static_cast<int16_t>(byte);
  return bytes;
}
constexpr auto kBytes = make_bytes();

}  // namespace

std::string byte_alphabet_character(uint8_t byte) {
  std::string text;
  append_utf8(kCodePoints[byte], text);
  return text;
}

std::optional<std::string> bytes_from_alphabet(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t offset = 0; offset < text.size();) {
    const CodePoint c = utf8_code_point_at(text, offset);
    if (c.value >= kAlphabetEnd || kBytes[c.value] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kBytes[c.value]));
    offset += c.size_bytes;
  }
  return bytes;
}

}  // namespace hotset
