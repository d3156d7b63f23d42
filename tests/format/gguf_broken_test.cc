// Broken and hostile GGUF files: each gives one line that says what is wrong, and nothing worse.
#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "platform/file.h"
#include "platform/host_memory.h"
#include "runtime/format/gguf.h"
#include "tests/format/gguf_builder.h"
#include "tests/test_support.h"

using namespace hotset;
using test::GgufBuilder;

namespace {

constexpr uint64_t kNear2To63 = (uint64_t{1} << 63) - 1;

struct Broken {
  std::string message;  // what the error must say
  std::string bytes;
};

// Bytes that only hold a length or count in front, as a hostile file would.
std::string number_bytes(uint64_t value) {
  std::string out;
  test::append_number(out, value);
  return out;
}

GgufBuilder with(const std::function<void(GgufBuilder&)>& change) {
  GgufBuilder builder;
  change(builder);
  return builder;
}

std::string versioned(uint32_t version) {
  return with([&](GgufBuilder& b) { b.version = version; }).bytes();
}

// `depth` arrays, each holding the next.
std::string nested(int depth) {
  std::string out;
  for (int i = 0; i < depth; ++i) {
    test::append_number<uint32_t>(out, 9);
    test::append_number<uint64_t>(out, 1);
  }
  return out;
}

std::string one_tensor(const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset = 0) {
  return GgufBuilder().raw_tensor("t", dims, type, offset).data(std::string(256, 'x')).bytes();
}

std::string aligned(uint32_t alignment) { return GgufBuilder().u32("general.alignment", alignment).ones("t", {8}).bytes(); }

std::vector<Broken> headers() {
  const auto counts = [](std::optional<uint64_t> tensors, std::optional<uint64_t> entries) {
    return with([&](GgufBuilder& b) { b.tensor_count = tensors, b.entry_count = entries; }).u32("a", 1).bytes();
  };
  return {
      {"the file is empty", ""},
      {"not a GGUF file: it starts with 'ggjt'", with([](GgufBuilder& b) { b.magic = "ggjt"; }).bytes()},
      {"not a GGUF file: it starts with '?\?\?A'", std::string("\n\x01\xff" "A and more")},
      {"GGUF version 0 is not supported", versioned(0)},
      {"GGUF version 1 is not supported", versioned(1)},
      {"GGUF version 99 is not supported", versioned(99)},
      {"big-endian GGUF files are not supported", versioned(0x03000000)},
      {"claims 4294967296 tensors, more than any model has", counts(uint64_t{1} << 32, {})},
      {"claims 18446744073709551615 tensors", counts(UINT64_MAX, {})},
      {"claims 1000 tensors, more than the file has room for", counts(1000, {})},
      {"claims 9223372036854775807 metadata entries", counts({}, kNear2To63)},
      {"claims 100 metadata entries, more than the file has room for", counts({}, 100)},
      {"the key '?\?a' is there twice", GgufBuilder().u32("\n\x7f" "a", 1).u32("\n\x7f" "a", 2).bytes()},
  };
}

std::vector<Broken> metadata() {
  const std::string length_2_63 = number_bytes(kNear2To63);
  const auto key_of_length = [](uint64_t length) {
    std::string out = with([](GgufBuilder& b) { b.entry_count = 1; }).header();
    return out + number_bytes(length) + std::string(64, 'k');
  };
  return {
      {"metadata entry 0: the key is empty", GgufBuilder().u32("", 1).bytes()},
      {"metadata entry 0: the key at byte 32 takes 9223372036854775807 bytes", key_of_length(kNear2To63)},
      {"metadata entry 0: the key at byte 32 takes 18446744073709551615 bytes", key_of_length(UINT64_MAX)},
      {"the key is 70000 bytes long, at most 65535 are allowed", GgufBuilder().u32(std::string(70000, 'k'), 1).bytes()},
      {"key 'a': the value type 13 does not exist", GgufBuilder().raw("a", 13, "xxxx").bytes()},
      {"key 'a': the value type 4294967295 does not exist", GgufBuilder().raw("a", UINT32_MAX, "xxxx").bytes()},
      {"key 'a': a string at byte", GgufBuilder().raw("a", 8, length_2_63).bytes()},
      {"takes 9223372036854775808 bytes", GgufBuilder().raw("a", 8, number_bytes(kNear2To63 + 1)).bytes()},
      {"key 'a': the array's element type 77 does not exist", GgufBuilder().raw_array("a", 77, 1, "xxxx").bytes()},
      {"claims 9223372036854775807 elements", GgufBuilder().raw_array("a", 0, kNear2To63, "xxxx").bytes()},
      {"claims 4611686018427387905 elements", GgufBuilder().raw_array("a", 4, (uint64_t{1} << 62) + 1, "xxxx").bytes()},
      {"claims 2305843009213693953 elements", GgufBuilder().raw_array("a", 8, (uint64_t{1} << 61) + 1, length_2_63).bytes()},
      {"claims 9223372036854775807 elements", GgufBuilder().raw_array("a", 9, kNear2To63, nested(1)).bytes()},
      {"key 'a': a string at byte", GgufBuilder().raw_array("a", 8, 1, length_2_63).bytes()},
      {"key 'a': a bool is neither 0 nor 1", GgufBuilder().raw("a", 7, "\x02").bytes()},
      {"key 'a': a bool is neither 0 nor 1", GgufBuilder().raw_array("a", 7, 2, std::string("\x01\xff")).bytes()},
      {"arrays are nested more than 4 deep", GgufBuilder().raw("a", 9, nested(5)).bytes()},
      {"arrays are nested more than 4 deep", GgufBuilder().raw("a", 9, nested(100000)).bytes()},
      {"an array has 16777217 elements, at most 16777216 are read",
       GgufBuilder().raw_array("a", 0, (1u << 24) + 1, std::string((1u << 24) + 1, 'x')).bytes()},
      {"the key 'a' is there twice", GgufBuilder().u32("a", 1).text("a", "x").bytes()},
      {"key 'general.alignment' is 0,", aligned(0)},
      {"key 'general.alignment' is 48,", aligned(48)},
      {"key 'general.alignment' is 2147483648,", aligned(1u << 31)},
      {"key 'general.alignment' is 4294967295,", aligned(UINT32_MAX)},
      {"key 'general.alignment' has the type string, but u32 is expected",
       GgufBuilder().text("general.alignment", "32").ones("t", {8}).bytes()},
      {"key 'general.alignment' has the type u8,", GgufBuilder().number<uint8_t>("general.alignment", 32).bytes()},
      {"key 'general.alignment' has the type array of 1 u32,", GgufBuilder().numbers<uint32_t>("general.alignment", {32}).bytes()},
  };
}

std::vector<Broken> tensors() {  // of known types; of others only the place is checked
  const auto two_at = [](uint64_t a, uint64_t b) {
    return GgufBuilder().raw_tensor("a", {16}, 0, a).raw_tensor("b", {8}, 0, b).data(std::string(256, 'x')).bytes();
  };
  return {
      {"tensor 0: the name is empty", GgufBuilder().ones("", {1}).bytes()},
      {"tensor 0: the name is 65 bytes long", GgufBuilder().ones(std::string(65, 'n'), {1}).bytes()},
      {"tensor 't': it has 0 dimensions", one_tensor({}, 0)},
      {"tensor 't': it has 5 dimensions", one_tensor({1, 1, 1, 1, 1}, 0)},
      {"tensor 't': it has 1000000 dimensions", GgufBuilder().raw_tensor("t", {1}, 0, 0, 1000000).bytes()},
      {"tensor 't': dimension 0 is 0", one_tensor({0}, 0)},
      {"tensor 't': dimension 1 is 0", one_tensor({32, 0}, 8)},
      // 2^62 floats are 2^64 bytes: a size that wraps to 0.
      {"tensor 't': its size does not fit in 64 bits", one_tensor({uint64_t{1} << 62}, 0)},
      {"tensor 't': its number of elements does not fit in 64 bits", one_tensor({uint64_t{1} << 32, uint64_t{1} << 32}, 0)},
      {"tensor 't': its number of elements does not fit", one_tensor({(uint64_t{1} << 42) + 1, uint64_t{1} << 22}, 0)},
      {"lie past the end of the file", one_tensor({(uint64_t{1} << 42) + 1}, 0)},
      {"tensor 't': its size does not fit in 64 bits", one_tensor({uint64_t{1} << 63, 1}, 1)},
      // 2^64 - 4 bytes become 0 when padded to the alignment.
      {"lie past the end of the file", one_tensor({(uint64_t{1} << 62) - 1}, 0)},
      {"tensor 't': its rows of 100 are not a whole number of Q4_K blocks of 256", one_tensor({100, 256}, 12)},
      {"tensor 't': its offset 4 is not a multiple of the alignment 32", one_tensor({4}, 0, 4)},
      {"tensor 't': its 16 bytes at data offset 256 lie past the end", one_tensor({4}, 0, 256)},
      {"tensor 't': its 16 bytes at data offset 18446744073709551584 lie past the end", one_tensor({4}, 0, UINT64_MAX - 31)},
      {"tensor 't': its 16 bytes at data offset 9223372036854775776 lie past the end", one_tensor({4}, 0, kNear2To63 - 31)},
      {"the tensors 'a' and 'b' overlap", two_at(0, 32)},
      {"' overlap", two_at(64, 64)},
      {"the tensor 't' is there twice", GgufBuilder().ones("t", {1}).ones("t", {1}).bytes()},
  };
}

void check_all(const std::vector<Broken>& table) {
  const test::TempFolder folder;
  for (const Broken& item : table) {
    const auto file = GgufFile::open(folder.write("broken.gguf", item.bytes));
    REQUIRE_MESSAGE(!file.ok(), item.message);
    const std::string& message = file.status().message();
    CHECK_MESSAGE(message.find(item.message) != std::string::npos, "expected: ", item.message, "\n  got: ", message);
    CHECK_MESSAGE(message.find('\n') == std::string::npos, message);
    CHECK_MESSAGE(message.find("broken.gguf': ") != std::string::npos, message);
  }
}

// A small right file with something of everything.
GgufBuilder small_file() {
  GgufBuilder builder;
  builder.text("general.architecture", "x").u32("general.alignment", 32).number<bool>("b", true).f32("f", 1);
  builder.texts("tokens", {"a", "bc", ""}).numbers<float>("scores", {1, 2, 3});
  std::string inner;
  test::append_number<uint32_t>(inner, 0);
  test::append_number<uint64_t>(inner, 2);
  builder.raw_array("nested", 9, 1, inner + "xy");
  return builder.ones("t", {8, 2}).tensor("q", {32}, 8, std::string(34, 'q'));
}

}  // namespace

TEST_CASE("broken gguf: headers") { check_all(headers()); }
TEST_CASE("broken gguf: metadata") { check_all(metadata()); }
TEST_CASE("broken gguf: tensors") { check_all(tensors()); }

TEST_CASE("broken gguf: a file cut at any byte is an error") {
  const test::TempFolder folder;
  const std::string whole = small_file().bytes();
  REQUIRE(GgufFile::open(folder.write("whole.gguf", whole)).ok());
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto file = GgufFile::open(folder.write("cut.gguf", whole.substr(0, length)));
    REQUIRE_MESSAGE(!file.ok(), "cut to ", length);
    CHECK_MESSAGE(file.status().code() == Code::kCorrupt, file.status().message());
  }
}

// No claim about the outcome: some changes are harmless. A crash or a sanitizer's report is the failure.
TEST_CASE("broken gguf: a header with any one byte changed does no harm") {
  const test::TempFolder folder;
  const std::string whole = small_file().bytes();
  int opened = 0;
  for (size_t at = 0; at < small_file().header().size(); ++at) {
    for (const int value : {0x00, 0x09, 0xff}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(value);
      const auto file = GgufFile::open(folder.write("changed.gguf", changed));
      if (!file.ok()) continue;
      ++opened;
      for (const GgufValue& item : (*file)->values()) {
        (void)item.to_i64();
        (void)item.to_f64();
        (void)item.to_string();
        (void)item.to_ints();
        (void)item.to_floats();
        (void)item.to_strings();
        (void)item.to_arrays();
      }
      for (const TensorInfo& tensor : (*file)->tensors()) {
        std::vector<std::byte> data(tensor.size_bytes);
        CHECK((*file)->read(tensor, 0, data).ok());
      }
    }
  }
  CHECK(opened > 0);
}

TEST_CASE("broken gguf: a header as large as the file is refused before it is read") {
  const test::TempFolder folder;
  // A string of 8 GiB in a file that is that long, but holds only a hole.
  const uint64_t huge = uint64_t{8} << 30;
  const std::string path = folder.write("huge.gguf", GgufBuilder().raw("a", 8, number_bytes(huge)).bytes());
  std::error_code failed;
  std::filesystem::resize_file(path, huge + 4096, failed);
  if (failed) HOTSET_SKIP("the file system has no room for a sparse file");
  const uint64_t before = peak_resident_bytes();
  const auto file = GgufFile::open(path);
  REQUIRE(!file.ok());
  CHECK_MESSAGE(file.status().message().find("larger than the 256 MiB") != std::string::npos, file.status().message());
  CHECK(file.status().code() == Code::kUnsupported);
  CHECK(peak_resident_bytes() - before < (uint64_t{16} << 20));
}

TEST_CASE("broken gguf: paths that are no files") {
  const test::TempFolder folder;
  CHECK(GgufFile::open(folder.file("gone.gguf")).status().code() == Code::kNotFound);
  CHECK(GgufFile::open(folder.file("")).status().message().find("is a directory") != std::string::npos);
}
