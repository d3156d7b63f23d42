#include "runtime/text/charsmap.h"

#include <cstring>

namespace hotset {

namespace {

uint32_t label_of(uint32_t unit) { return unit & (uint32_t{1} << 31 | 0xFF); }
bool has_value(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & uint32_t{1} << 9) >> 6); }
uint32_t value_of(uint32_t unit) { return unit & ~(uint32_t{1} << 31); }

}  // namespace

Result<Charsmap> Charsmap::create(std::string_view bytes) {
  Charsmap map;
  if (bytes.empty()) return map;
  uint32_t array_bytes = 0;
  if (bytes.size() < sizeof array_bytes) return error(Code::kCorrupt, "vocabulary: the table of characters is too short");
  std::memcpy(&array_bytes, bytes.data(), sizeof array_bytes);
  bytes.remove_prefix(sizeof array_bytes);
  if (array_bytes > bytes.size() || array_bytes % sizeof(uint32_t) != 0) {
    return error(Code::kCorrupt, "vocabulary: the table of characters states %u bytes and has %zu", array_bytes, bytes.size());
  }
  map.units_.resize(array_bytes / sizeof(uint32_t));
  std::memcpy(map.units_.data(), bytes.data(), array_bytes);
  map.replacements_ = bytes.substr(array_bytes);
  return map;
}

Charsmap::Match Charsmap::longest(std::string_view text) const {
  Match best;
  if (units_.empty()) return best;
  size_t node = offset_of(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || label_of(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (node >= units_.size()) break;
    const size_t begin = value_of(units_[node]);
    const size_t end = begin < replacements_.size() ? replacements_.find('\0', begin) : std::string::npos;
    if (end == std::string::npos) break;
    best = {i + 1, std::string_view(replacements_).substr(begin, end - begin)};
  }
  return best;
}

}  // namespace hotset
