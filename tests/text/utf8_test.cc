#include "runtime/text/utf8.h"

#include <doctest/doctest.h>

#include <vector>

using namespace hotset;

namespace {

constexpr const char* kFffd = "\xEF\xBF\xBD";

std::string through_stream(const std::vector<std::string>& pieces) {
  Utf8Stream stream;
  std::string out;
  for (const std::string& piece : pieces) stream.push(piece, out);
  stream.flush(out);
  return out;
}

}  // namespace

TEST_CASE("invalid UTF-8 is found at its first byte") {
  CHECK(find_invalid_utf8("") == std::string_view::npos);
  CHECK(find_invalid_utf8("plain, \xC3\xA9 \xE6\x97\xA5 \xF0\x9F\x98\x80") == std::string_view::npos);
  struct Row {
    const char* bytes;
    size_t offset;
  };
  for (const Row& row : {Row{"\xFF", 0}, Row{"a\x80", 1}, Row{"ab\xC3", 2}, Row{"\xC0\xAF", 0}, Row{"\xE0\x80\x80", 0}, Row{"\xED\xA0\x80", 0},
                         Row{"\xF4\x90\x80\x80", 0}, Row{"\xF0\x9F\x98", 0}, Row{"\xC3\xA9\xE6\x97", 2}, Row{"\xF8\x88\x80\x80\x80", 0}}) {
    CAPTURE(row.bytes);
    CHECK(find_invalid_utf8(row.bytes) == row.offset);
  }
}

TEST_CASE("code points survive encoding and decoding") {
  for (const uint32_t c : {0x24u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xD7FFu, 0xE000u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
    std::string text;
    append_utf8(c, text);
    CHECK(utf8_code_point_at(text, 0).value == c);
    CHECK(utf8_code_point_at(text, 0).size_bytes == text.size());
  }
  for (const uint32_t c : {0xD800u, 0xDFFFu, 0x110000u}) {
    std::string text;
    append_utf8(c, text);
    CHECK(text == kFffd);
  }
}

TEST_CASE("a stream hands on whole characters, however they are cut") {
  const std::string text = "a\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80z";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Utf8Stream stream;
    std::string out;
    stream.push(text.substr(0, cut), out);
    CHECK(find_invalid_utf8(out) == std::string_view::npos);
    stream.push(text.substr(cut), out);
    CHECK(out == text);
  }
}

TEST_CASE("a stream replaces each maximal invalid sequence once") {
  const std::string r = kFffd;
  CHECK(through_stream({"a\xFF", "b"}) == "a" + r + "b");
  CHECK(through_stream({"\xE6\x97", "x"}) == r + "x");
  CHECK(through_stream({"\xE6", "\xE6\x97\xA5"}) == r + "\xE6\x97\xA5");
  CHECK(through_stream({"\xF0\x9F\x98"}) == r);
  CHECK(through_stream({"\xED\xA0\x80"}) == r + r + r);
  CHECK(through_stream({"\xC0\xAF"}) == r + r);
  CHECK(through_stream({"\xF4\x90\x80\x80"}) == r + r + r + r);
}
