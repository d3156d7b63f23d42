// Values as text: Python's str() and repr(), and JSON.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "runtime/text/jinja_value.h"
#include "runtime/text/utf8.h"

namespace hotset::jinja {

namespace {

constexpr int kMaxPrintDepth = 64;

// Python's repr(float): shortest digits that read back, an exponent below 1e-4 and from 1e16 on.
void append_real(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "nan";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-inf" : "inf";
    return;
  }
  char buffer[400];
  const double size = std::fabs(value);
  const bool scientific = size != 0 && (size < 1e-4 || size >= 1e16);
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr;
  const std::string_view digits(buffer, static_cast<size_t>(end - buffer));
  out += digits;
  if (!scientific && digits.find('.') == std::string_view::npos) out += ".0";
}

void append_hex(uint32_t value, int digits, std::string& out) {
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out.push_back("0123456789abcdef"[value >> shift & 15]);
}

// Python's repr(str), but leaves all of Unicode above ASCII as it is.
void append_quoted(std::string_view text, std::string& out) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out.push_back(quote);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      append_hex(byte, 2, out);
    } else {
      if (c == quote || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
  }
  out.push_back(quote);
}

// A character as JSON's \u escapes: above U+FFFF as two halves.
void append_json_escape(uint32_t c, std::string& out) {
  if (c >= 0x10000) {
    append_json_escape(0xD800 + ((c - 0x10000) >> 10), out);
    c = 0xDC00 + ((c - 0x10000) & 0x3FF);
  }
  out += "\\u";
  append_hex(c, 4, out);
}

void append_json_string(std::string_view text, bool ascii_only, std::string& out) {
  out.push_back('"');
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (ascii_only && static_cast<unsigned char>(c) >= 0x80) {
      const CodePoint point = utf8_code_point_at(text, at);
      append_json_escape(point.value, out);
      at += point.size_bytes - 1;
      continue;
    }
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          append_json_escape(static_cast<unsigned char>(c), out);
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

// Prints one value; the two notations differ in names, quotes and line breaks only.
class Printer {
 public:
  Printer(bool json, const JsonFormat& format, size_t limit_bytes) : json_(json), format_(format), limit_bytes_(limit_bytes) {}

  Status print(const Value& value, int depth) {
    if (depth > kMaxPrintDepth) return error(Code::kInvalidArgument, "a value is nested deeper than %d", kMaxPrintDepth);
    if (out_.size() > limit_bytes_) return error(Code::kInvalidArgument, "a text is longer than %zu bytes", limit_bytes_);
    switch (value.kind()) {
      case Kind::kNone: out_ += json_ ? "null" : "None"; return ok_status();
      case Kind::kBoolean: out_ += name_of(value.as_boolean()); return ok_status();
      case Kind::kInteger: out_ += std::to_string(value.as_integer()); return ok_status();
      case Kind::kReal: append_real(value.as_real(), out_); return ok_status();
      case Kind::kString: print_string(value.as_text()); return ok_status();
      case Kind::kList: return print_list(value, depth);
      case Kind::kDict: return print_dict(value, depth);
      default: break;
    }
    if (!json_ && value.is(Kind::kUndefined)) return ok_status();
    return error(Code::kInvalidArgument, "a %s cannot be printed", value.type_name());
  }

  std::string take() { return std::move(out_); }

 private:
  const char* name_of(bool value) const {
    if (json_) return value ? "true" : "false";
    return value ? "True" : "False";
  }

  void print_string(std::string_view text) {
    if (json_) {
      append_json_string(text, format_.ascii_only, out_);
    } else {
      append_quoted(text, out_);
    }
  }

  // Between two items, or after an opening (`first`): with an indent each item has its own line.
  void part(bool first, int depth) {
    if (!first) out_ += format_.item_separator;
    break_line(depth + 1);
  }
  void break_line(int depth) {
    if (format_.indent < 0) return;
    out_.push_back('\n');
    out_.append(static_cast<size_t>(format_.indent) * static_cast<size_t>(depth), ' ');
  }

  Status print_list(const Value& value, int depth) {
    const bool tuple = value.is_tuple() && !json_;
    out_.push_back(tuple ? '(' : '[');
    bool first = true;
    for (const Value& item : value.as_list()) {
      part(first, depth);
      first = false;
      HOTSET_RETURN_IF_ERROR(print(item, depth + 1));
    }
    if (!first) break_line(depth);
    if (tuple && value.as_list().size() == 1) out_.push_back(',');
    out_.push_back(tuple ? ')' : ']');
    return ok_status();
  }

  Status print_dict(const Value& value, int depth) {
    out_.push_back('{');
    bool first = true;
    std::vector<std::pair<Value, Value>> sorted;
    if (format_.sort_keys) {
      sorted = value.as_dict().entries;
      const auto text = [](const auto& entry) { return entry.first.as_text_or(""); };
      std::stable_sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) { return text(a) < text(b); });
    }
    for (const auto& [key, item] : format_.sort_keys ? sorted : value.as_dict().entries) {
      part(first, depth);
      first = false;
      HOTSET_RETURN_IF_ERROR(print_key(key, depth));
      out_ += format_.key_separator;
      HOTSET_RETURN_IF_ERROR(print(item, depth + 1));
    }
    if (!first) break_line(depth);
    out_.push_back('}');
    return ok_status();
  }

  // JSON's keys are texts, whatever the value is.
  Status print_key(const Value& key, int depth) {
    const bool quoted = json_ && !key.is(Kind::kString);
    if (quoted) out_.push_back('"');
    HOTSET_RETURN_IF_ERROR(print(key, depth + 1));
    if (quoted) out_.push_back('"');
    return ok_status();
  }

  const bool json_;
  const JsonFormat& format_;
  const size_t limit_bytes_;
  std::string out_;
};

}  // namespace

Result<std::string> to_text(const Value& value, size_t limit_bytes) {
  if (value.is(Kind::kString)) return std::string(value.as_text());
  const JsonFormat format;
  Printer printer(false, format, limit_bytes);
  HOTSET_RETURN_IF_ERROR(printer.print(value, 0));
  return printer.take();
}

Result<std::string> to_json(const Value& value, const JsonFormat& format, size_t limit_bytes) {
  Printer printer(true, format, limit_bytes);
  HOTSET_RETURN_IF_ERROR(printer.print(value, 0));
  return printer.take();
}

}  // namespace hotset::jinja
