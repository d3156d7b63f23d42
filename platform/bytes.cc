#include "platform/bytes.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace hotset {
namespace {

// The factor that a unit stands for; 0 when there is no such unit. `unit` is lower case.
double unit_factor(std::string_view unit) {
  if (unit.empty() || unit == "b") return 1;
  const std::string_view letters = "kmgt";
  const size_t power = letters.find(unit[0]);
  if (power == std::string_view::npos) return 0;
  const std::string_view rest = unit.substr(1);
  const bool decimal = rest == "b";
  if (!rest.empty() && !decimal && rest != "ib" && rest != "i") return 0;
  return std::pow(decimal ? 1000.0 : 1024.0, static_cast<double>(power + 1));
}

}  // namespace

uint64_t ByteSize::resolve(uint64_t whole_bytes) const {
  if (!is_percent) return bytes;
  return static_cast<uint64_t>(static_cast<double>(whole_bytes) * (percent / 100.0));
}

Result<ByteSize> parse_byte_size(std::string_view text) {
  const auto bad = [&] {
    return error(Code::kInvalidArgument, "'%.*s' is not a size: write 512M, 6GiB, 1500000 or 80%%",
                 static_cast<int>(std::min<size_t>(text.size(), 40)), text.data());
  };
  double number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc() || !std::isfinite(number) || number < 0) return bad();
  std::string unit;
  for (const char* p = end; p != text.data() + text.size(); ++p) {
    if (*p != ' ') unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*p)));
  }
  if (unit == "%") {
    if (number > 100) return bad();
    return ByteSize{0, number, true};
  }
  const double factor = unit_factor(unit);
  const double bytes = number * factor;
  if (factor == 0 || bytes > 9.2e18) return bad();
  return ByteSize{static_cast<uint64_t>(bytes), 0, false};
}

std::string format_bytes(uint64_t bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, value == std::floor(value) || unit == 0 ? "%.0f %s" : "%.2f %s", value, units[unit]);
  return text;
}

std::optional<uint64_t> checked_multiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

std::optional<uint64_t> checked_align_up(uint64_t value, uint64_t alignment) {
  const auto padded = checked_add(value, alignment - 1);
  if (!padded) return std::nullopt;
  return *padded & ~(alignment - 1);
}

}  // namespace hotset
