// GGUF files that are right: every type, both versions, parts, the fixtures.
#include "runtime/format/gguf.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "platform/clock.h"
#include "tests/format/gguf_builder.h"
#include "tests/test_support.h"

using namespace hotset;
using test::GgufBuilder;

namespace {

std::unique_ptr<GgufFile> open_bytes(const test::TempFolder& folder, const std::string& bytes) {
  auto file = GgufFile::open(folder.write("m.gguf", bytes));
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  return std::move(file).value();
}

// One array of i32 inside an array.
std::string inner_array(const std::vector<int32_t>& values) {
  std::string out;
  test::append_number<uint32_t>(out, 5);
  test::append_number<uint64_t>(out, values.size());
  for (const int32_t value : values) test::append_number(out, value);
  return out;
}

}  // namespace

TEST_CASE("gguf: scalars of every type are read, in versions 2 and 3") {
  const test::TempFolder folder;
  for (const uint32_t version : {2u, 3u}) {
    GgufBuilder builder;
    builder.version = version;
    builder.number<uint8_t>("u8", 200).number<int8_t>("i8", -3).number<uint16_t>("u16", 60000).number<int16_t>("i16", -300);
    builder.number<uint32_t>("u32", 4000000000u).number<int32_t>("i32", -70000).number<uint64_t>("u64", UINT64_MAX);
    builder.number<int64_t>("i64", INT64_MIN).number<float>("f32", 0.5f).number<double>("f64", 1e300);
    builder.number<bool>("yes", true).number<bool>("no", false).text("text", "h\xc3\xa9llo").text("empty", "");
    const auto file = open_bytes(folder, builder.bytes());
    CHECK(file->version() == version);
    CHECK(file->values().size() == 14);
    CHECK(file->tensors().empty());
    CHECK(*file->get_u32("u8") == 200);
    CHECK(*file->get_i64("i8") == -3);
    CHECK(*file->get_u32("u16") == 60000);
    CHECK(*file->get_i64("i16") == -300);
    CHECK(*file->get_u32("u32") == 4000000000u);
    CHECK(*file->get_i64("i32") == -70000);
    CHECK(*file->get_u64("u64") == UINT64_MAX);
    CHECK(*file->get_i64("i64") == INT64_MIN);
    CHECK(*file->get_f32("f32") == 0.5f);
    CHECK(std::isinf(*file->get_f32("f64")));
    CHECK(*file->find("f64")->to_f64() == 1e300);
    CHECK(*file->get_f32("i8") == -3.0f);
    CHECK(*file->get_bool("yes"));
    CHECK(!*file->get_bool("no"));
    CHECK(*file->get_string("text") == "h\xc3\xa9llo");
    CHECK(file->get_string("empty")->empty());
    CHECK(file->find("other") == nullptr);
  }
}

TEST_CASE("gguf: a getter that meets another type names the key and both types") {
  const test::TempFolder folder;
  GgufBuilder builder;
  builder.text("s", "x").number<int32_t>("neg", -1).number<uint64_t>("big", UINT64_MAX).f32("f", 1);
  builder.numbers<float>("floats", {1, 2}).texts("texts", {"a"});
  const auto file = open_bytes(folder, builder.bytes());
  const struct {
    Status status;
    const char* message;
  } cases[] = {
      {file->get_u32("s").status(), "key 's' has the type string, but a whole number is expected"},
      {file->get_u32("f").status(), "key 'f' has the type f32, but a whole number is expected"},
      {file->get_u32("neg").status(), "key 'neg' is -1, which is below zero"},
      {file->get_u32("big").status(), "key 'big' is 18446744073709551615, which is too large"},
      {file->get_i64("big").status(), "key 'big' is 18446744073709551615, which is too large"},
      {file->get_f32("s").status(), "key 's' has the type string, but a number is expected"},
      {file->get_bool("f").status(), "key 'f' has the type f32, but a bool is expected"},
      {file->get_string("floats").status(), "key 'floats' has the type array of 2 f32, but a string is expected"},
      {file->get_ints("floats").status(), "key 'floats' has the type array of 2 f32, but an array of whole numbers is expected"},
      {file->get_floats("texts").status(), "key 'texts' has the type array of 1 string, but an array of numbers is expected"},
      {file->get_strings("s").status(), "key 's' has the type string, but an array of strings is expected"},
      {file->get_u32("gone").status(), "key 'gone' is missing"},
      {file->get_u32_or("s", 7).status(), "key 's' has the type string, but a whole number is expected"},
  };
  for (const auto& item : cases) CHECK(item.status.message() == item.message);
  CHECK(file->get_u32("gone").status().code() == Code::kNotFound);
  CHECK(*file->get_u32_or("gone", 7) == 7);
  CHECK(*file->get_string_or("gone", "d") == "d");
}

// The published attack: a reader that takes four bytes an element from an array of one byte each reads past its end.
TEST_CASE("gguf: arrays narrower or wider than usual are converted element by element") {
  const test::TempFolder folder;
  GgufBuilder builder;
  builder.numbers<uint8_t>("types8", {1, 255}).numbers<int8_t>("signed8", {-1, 1}).numbers<uint64_t>("types64", {3, 1});
  builder.numbers<double>("scores64", {0.5, -1e300}).numbers<uint16_t>("scores16", {7, 8});
  builder.numbers<uint64_t>("huge", {UINT64_MAX}).numbers<bool>("flags", std::vector<bool>{true, false});
  builder.numbers<int32_t>("none", {});
  const auto file = open_bytes(folder, builder.bytes());
  CHECK(*file->get_ints("types8") == std::vector<int64_t>{1, 255});
  CHECK(*file->get_ints("signed8") == std::vector<int64_t>{-1, 1});
  CHECK(*file->get_ints("types64") == std::vector<int64_t>{3, 1});
  CHECK(*file->get_floats("scores64") == std::vector<float>{0.5f, -HUGE_VALF});
  CHECK(*file->get_floats("scores16") == std::vector<float>{7, 8});
  CHECK(!file->get_ints("huge").ok());
  CHECK(*file->get_bools("flags") == std::vector<bool>{true, false});
  CHECK(file->get_ints("none")->empty());
}

TEST_CASE("gguf: strings and nested arrays") {
  const test::TempFolder folder;
  std::string nested = inner_array({1, 2}) + inner_array({}) + inner_array({3});
  std::string deep;
  test::append_number<uint32_t>(deep, 9);
  test::append_number<uint64_t>(deep, 1);
  deep += inner_array({9});
  GgufBuilder builder;
  builder.texts("t", {"a", "", std::string("b\0c", 3)}).raw_array("n", 9, 3, nested).raw_array("d", 9, 1, deep).u32("after", 5);
  const auto file = open_bytes(folder, builder.bytes());
  CHECK(*file->get_strings("t") == std::vector<std::string_view>{"a", "", std::string_view("b\0c", 3)});
  const auto inner = file->find("n")->to_arrays();
  REQUIRE(inner.ok());
  REQUIRE(inner->size() == 3);
  CHECK(*(*inner)[0].to_ints() == std::vector<int64_t>{1, 2});
  CHECK((*inner)[1].to_ints()->empty());
  CHECK(*(*inner)[2].to_ints() == std::vector<int64_t>{3});
  const auto outer = file->find("d")->to_arrays();
  CHECK(*(*(*outer)[0].to_arrays())[0].to_ints() == std::vector<int64_t>{9});
  CHECK(*file->get_u32("after") == 5);
}

TEST_CASE("gguf: a tensor of a type that is not known stands in nobody's way") {
  const test::TempFolder folder;
  for (const auto& [type, name, message] :
       {std::tuple{97u, "type 97", "tensor 'u': unknown quantisation type 97"}, {9u, "Q8_1", "tensor 'u': type Q8_1 is not supported yet"},
        {4294967295u, "type 4294967295", "tensor 'u': unknown quantisation type 4294967295"}}) {
    GgufBuilder builder;
    builder.tensor("a", {8}, 0, std::string(32, 'a')).tensor("u", {7, 5}, type, std::string(100, 'u')).tensor("z", {8}, 0, std::string(32, 'z'));
    const auto file = open_bytes(folder, builder.bytes());
    REQUIRE(file->tensors().size() == 3);
    CHECK(file->find_tensor("z")->check_type().ok());
    CHECK(file->find_tensor("z")->type_name() == "F32");
    const TensorInfo& unknown = *file->find_tensor("u");
    CHECK(unknown.size_bytes == 0);
    CHECK(unknown.elements() == 35);
    CHECK(unknown.type_name() == name);
    CHECK(unknown.check_type().message() == message);
    std::byte one[1];
    CHECK(!file->read(unknown, 0, one).ok());
  }
}

TEST_CASE("gguf: tensors are found where they lie, at any alignment") {
  const test::TempFolder folder;
  for (const uint32_t alignment : {1u, 32u, 4096u}) {
    GgufBuilder builder;
    builder.alignment = alignment;
    builder.u32("general.alignment", alignment);
    builder.tensor("a", {3, 2}, 0, "0123456789abcdefghijklmn").tensor("q", {32}, 8, std::string(34, 'q'));
    const auto file = open_bytes(folder, builder.bytes());
    REQUIRE(file->tensors().size() == 2);
    const TensorInfo* a = file->find_tensor("a");
    REQUIRE(a);
    CHECK(a->n_dims == 2);
    CHECK(a->dims == std::array<uint64_t, 4>{3, 2, 1, 1});
    CHECK(a->elements() == 6);
    CHECK(a->rows() == 2);
    CHECK(a->size_bytes == 24);
    CHECK(a->file_offset_bytes % alignment == 0);
    std::string text(5, ' ');
    REQUIRE(file->read(*a, 10, std::as_writable_bytes(std::span(text.data(), text.size()))).ok());
    CHECK(text == "abcde");
    CHECK(file->find_tensor("q")->type == BlockType::kQ8_0);
    CHECK(file->find_tensor("z") == nullptr);
    std::vector<std::byte> out(5);
    CHECK(file->read(*a, 20, out).code() == Code::kInvalidArgument);
    CHECK(file->read(*a, UINT64_MAX, out).code() == Code::kInvalidArgument);
    CHECK(file->read(*a, 24, {}).ok());
  }
}

namespace {

// Part `index` of `count` with one tensor.
GgufBuilder part(uint16_t index, uint16_t count, const std::string& tensor) {
  GgufBuilder builder;
  builder.number<uint16_t>("split.no", index).number<uint16_t>("split.count", count);
  builder.number<int32_t>("split.tensors.count", count);
  return builder.ones(tensor, {4});
}

}  // namespace

TEST_CASE("gguf: the parts of a split model are one model") {
  const test::TempFolder folder;
  const std::string first = folder.write("m-00001-of-00003.gguf", part(0, 3, "a").text("general.name", "x").bytes());
  folder.write("m-00002-of-00003.gguf", part(1, 3, "b").bytes());
  const std::string third = folder.write("m-00003-of-00003.gguf", part(2, 3, "c").bytes());
  const auto file = GgufFile::open(first);
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  const GgufFile& gguf = **file;
  CHECK(gguf.part_count() == 3);
  CHECK(gguf.tensors().size() == 3);
  CHECK(gguf.find_tensor("c")->part == 2);
  CHECK(gguf.part(2).path() == third);
  CHECK(*gguf.get_string("general.name") == "x");
  CHECK(gguf.file_size_bytes() == 3 * gguf.part(1).size_bytes() + 64 - 32);
  float value = 0;
  CHECK(gguf.read(*gguf.find_tensor("c"), 4, std::as_writable_bytes(std::span(&value, 1))).ok());
  CHECK(value == 1.0f);
}

TEST_CASE("gguf: what can be wrong with parts") {
  const struct {
    const char* message;  // what the error must say
    std::string first, second;
    const char* first_name = "m-00001-of-00002.gguf";
    bool open_second = false;
  } cases[] = {
      {"part 2 of 2 is missing", part(0, 2, "a").bytes(), ""},
      {"says to be part 1 of 2", part(0, 2, "a").bytes(), part(0, 2, "b").bytes()},
      {"says to be part 2 of 3", part(0, 2, "a").bytes(), part(1, 3, "b").bytes()},
      {"says to be part 1 of 1", part(0, 2, "a").bytes(), GgufBuilder().ones("b", {4}).bytes()},
      {"the tensor 'a' is in part 1 and in part 2", part(0, 2, "a").bytes(), part(1, 2, "a").bytes()},
      {"hold 3 tensors together, but 2 are expected", part(0, 2, "a").bytes(), part(1, 2, "b").ones("c", {1}).bytes()},
      {"this is part 2 of 2: open the first one, '...-00001-of-00002.gguf'", part(0, 2, "a").bytes(), part(1, 2, "b").bytes(),
       "m-00001-of-00002.gguf", true},
      {"its name must end in '-00001-of-00002.gguf'", part(0, 2, "a").bytes(), part(1, 2, "b").bytes(), "m.gguf"},
      {"it says to be part 6 of 2", part(5, 2, "a").bytes(), ""},
      {"it says to be part 2 of 0", part(1, 0, "a").bytes(), ""},
      {"the model has 65535 parts", part(0, 65535, "a").bytes(), ""},
      {"key 'split.count' has the type string", GgufBuilder().text("split.count", "2").bytes(), ""},
      {"m-00002-of-00002.gguf': not a GGUF file", part(0, 2, "a").bytes(), "nonsense"},
  };
  for (const auto& item : cases) {
    const test::TempFolder folder;
    const std::string first = folder.write(item.first_name, item.first);
    const std::string second = folder.file("m-00002-of-00002.gguf");
    if (!item.second.empty()) folder.write("m-00002-of-00002.gguf", item.second);
    const auto file = GgufFile::open(item.open_second ? second : first);
    REQUIRE_MESSAGE(!file.ok(), item.message);
    CHECK_MESSAGE(file.status().message().find(item.message) != std::string::npos, file.status().message());
  }
}

TEST_CASE("gguf: the model fixtures hold what their descriptions say") {
  for (const char* name : {"qwen3moe", "qwen3moe-f32", "qwen3moe-f16", "qwen3moe-bf16", "qwen3moe-q8_0", "qwen3moe-q4_0",
                           "qwen3moe-tied", "granitemoe-split"}) {
    const std::string folder = test::data_path("models/") + name + "/";
    const auto text = read_whole_file(folder + "expect.json", 1 << 20);
    REQUIRE(text.ok());
    const auto expect = nlohmann::json::parse(*text);
    const auto file = GgufFile::open(folder + expect["gguf"].get<std::string>());
    REQUIRE_MESSAGE(file.ok(), file.status().message());
    const GgufFile& gguf = **file;
    uint64_t elements = 0;
    std::map<std::string, uint64_t> types;
    for (const TensorInfo& tensor : gguf.tensors()) {
      elements += tensor.elements();
      ++types[block_type_name(tensor.type)];
      CHECK(gguf.find_tensor(tensor.name) == &tensor);
    }
    CHECK_MESSAGE(elements == expect["n_params"].get<uint64_t>(), name);
    const auto expected_types = expect["types"].get<std::map<std::string, uint64_t>>();
    CHECK_MESSAGE(types == expected_types, name);
    CHECK(*gguf.get_string("general.architecture") == expect["arch"].get<std::string>());
    CHECK(gguf.get_strings("tokenizer.ggml.tokens")->size() == expect["n_vocab"].get<size_t>());
  }
}

TEST_CASE("gguf: a header with a large vocabulary opens quickly") {
  std::vector<std::string> tokens;
  for (int i = 0; i < 150000; ++i) tokens.push_back("token " + std::to_string(i));
  const test::TempFolder folder;
  GgufBuilder builder;
  builder.texts("tokenizer.ggml.tokens", tokens).texts("tokenizer.ggml.merges", tokens);
  builder.numbers("tokenizer.ggml.token_type", std::vector<int32_t>(tokens.size(), 1)).ones("t", {8});
  const std::string path = folder.write("m.gguf", builder.bytes());
  const uint64_t start = now_ns();
  const auto file = GgufFile::open(path);
  const auto views = (*file)->get_strings("tokenizer.ggml.tokens");
  const double seconds = seconds_between(start, now_ns());
  CHECK(views->size() == tokens.size());
  CHECK((*views)[149999] == "token 149999");
  MESSAGE("opened in ", seconds * 1e3, " ms");
  CHECK(seconds < 2.0);  // some 10 ms; sanitizers and a busy machine are slower
}
