// safetensors: headers right and wrong, folders of several files, number formats, and weights in all the forms they ship in.
#include "runtime/format/safetensors.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "runtime/format/checkpoint.h"
#include "runtime/format/half.h"
#include "runtime/format/stored_weight.h"
#include "tests/format/gguf_builder.h"
#include "tests/format/safetensors_builder.h"

namespace {

using namespace hotset;
using test::bytes_of;
using test::safetensors_file;
using test::SafetensorsBuilder;

Status open_bytes(const std::string& bytes) {
  const test::TempFolder folder;
  const auto file = File::open(folder.write("x.safetensors", bytes));
  REQUIRE(file.ok());
  return read_safetensors_header(**file).status();
}

std::string one(const std::string& fields) { return "{\"a\":{" + fields + "}}"; }

}  // namespace

TEST_CASE("safetensors: a header is read in the order of the data") {
  const test::TempFolder folder;
  SafetensorsBuilder builder;
  builder.floats("z", {2, 2}, {1, 2, 3, 4}).tensor("none", "I64", {0, 3}, "").tensor("a", "BF16", {}, "ab");
  const auto file = File::open(folder.write("x", builder.bytes()));
  REQUIRE(file.ok());
  const auto tensors = read_safetensors_header(**file);
  REQUIRE_MESSAGE(tensors.ok(), tensors.status().message());
  REQUIRE(tensors->size() == 3);
  CHECK((*tensors)[0].name == "z");
  CHECK((*tensors)[0].shape == std::vector<uint64_t>{2, 2});
  CHECK((*tensors)[0].elements() == 4);
  CHECK((*tensors)[1].elements() == 0);
  CHECK((*tensors)[2].name == "a");
  CHECK((*tensors)[2].elements() == 1);
  CHECK((*tensors)[2].file_offset_bytes + 2 == (*file)->size_bytes());
}

TEST_CASE("safetensors: what is wrong with a file is said in one line") {
  const std::string good = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  const std::string data(8, '\0');
  REQUIRE(open_bytes(safetensors_file(one(good), data)).ok());
  struct Case {
    std::string bytes;
    const char* message;
  };
  const Case cases[] = {
      {"", "too short"},
      {"abc", "too short"},
      {safetensors_file("{}", "", 1000), "claims a header of 1000"},
      {safetensors_file("{}", "", UINT64_MAX), "claims a header of"},
      {safetensors_file("[]", ""), "no JSON object"},
      {safetensors_file("{\"a\":", ""), "not JSON"},
      {safetensors_file("{\"a\":3}", ""), "no dtype"},
      {safetensors_file(one(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])"), data), "type 'F33'"},
      {safetensors_file(one(R"("dtype":4,"shape":[2],"data_offsets":[0,8])"), data), "no dtype"},
      {safetensors_file(one(R"("dtype":"F32","data_offsets":[0,8])"), data), "no shape"},
      {safetensors_file(one(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), data), "no whole number"},
      {safetensors_file(one(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), data), "no whole number"},
      {safetensors_file(one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"), data), "64 bits"},
      {safetensors_file(one(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])"), data), "dimensions"},
      {safetensors_file(one(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"), data), "takes 12 bytes"},
      {safetensors_file(one(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), data), "not within"},
      {safetensors_file(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), "abcd"), "truncated"},
      {safetensors_file(one(R"("dtype":"F32","shape":[2],"data_offsets":[0])"), data), "data_offsets"},
      {safetensors_file(one(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"), data + data), "a hole"},
      {safetensors_file(one(good), data + "more"), "which has 12 bytes"},
      {safetensors_file("{\"a\":{" + good + "},\"b\":{" + good + "}}", data), "overlap"},
      {safetensors_file("{\"a\":{" + good + "},\"a\":{" + good + "}}", data), "names 'a' twice"},
      {safetensors_file("{\"a\":" + std::string(200, '[') + std::string(200, ']') + "}", data), "nested"},
  };
  for (const Case& c : cases) {
    const Status status = open_bytes(c.bytes);
    CAPTURE(c.message);
    CHECK_FALSE(status.ok());
    CHECK_MESSAGE(status.message().find(c.message) != std::string::npos, status.message());
    CHECK(status.message().find('\n') == std::string::npos);
  }
}

TEST_CASE("safetensors: numbers of every format become the floats they stand for") {
  // Each byte of the 8-bit formats by the formula of the format.
  for (uint32_t bits = 0; bits < 256; ++bits) {
    const std::byte byte{static_cast<unsigned char>(bits)};
    const double sign = bits & 128 ? -1 : 1;
    float e4m3 = 0, e5m2 = 0, e8m0 = 0;
    REQUIRE(stored_to_floats(StoredType::kF8E4M3, {&byte, 1}, {&e4m3, 1}).ok());
    REQUIRE(stored_to_floats(StoredType::kF8E5M2, {&byte, 1}, {&e5m2, 1}).ok());
    REQUIRE(stored_to_floats(StoredType::kF8E8M0, {&byte, 1}, {&e8m0, 1}).ok());
    const int e4 = static_cast<int>(bits >> 3 & 15), m4 = static_cast<int>(bits & 7);
    const int e5 = static_cast<int>(bits >> 2 & 31), m5 = static_cast<int>(bits & 3);
    if ((bits & 127) == 127) CHECK(std::isnan(e4m3));
    else CHECK(static_cast<double>(e4m3) == sign * (e4 == 0 ? m4 / 8.0 * std::exp2(-6) : (1 + m4 / 8.0) * std::exp2(e4 - 7)));
    if (e5 == 31) CHECK(std::isfinite(e5m2) == false);
    else CHECK(static_cast<double>(e5m2) == sign * (e5 == 0 ? m5 / 4.0 * std::exp2(-14) : (1 + m5 / 4.0) * std::exp2(e5 - 15)));
    if (bits == 255) CHECK(std::isnan(e8m0));
    else CHECK(static_cast<double>(e8m0) == std::exp2(static_cast<int>(bits) - 127));
  }
  const auto converts = [](StoredType type, const std::string& bytes, float expected) {
    float value = 0;
    REQUIRE(stored_to_floats(type, std::as_bytes(std::span(bytes.data(), bytes.size())), {&value, 1}).ok());
    CHECK(value == expected);
  };
  converts(StoredType::kI8, bytes_of<int8_t>({-7}), -7);
  converts(StoredType::kU8, bytes_of<uint8_t>({200}), 200);
  converts(StoredType::kI16, bytes_of<int16_t>({-300}), -300);
  converts(StoredType::kU16, bytes_of<uint16_t>({60000}), 60000);
  converts(StoredType::kI32, bytes_of<int32_t>({-70000}), -70000);
  converts(StoredType::kI64, bytes_of<int64_t>({-5}), -5);
  converts(StoredType::kF64, bytes_of<double>({0.5}), 0.5f);
  converts(StoredType::kF16, bytes_of<uint16_t>({float_to_half(1.5f)}), 1.5f);
  converts(StoredType::kBF16, bytes_of<uint16_t>({float_to_bfloat16(-2.5f)}), -2.5f);
  float none = 0;
  CHECK_FALSE(stored_to_floats(StoredType::kF32, {}, {&none, 1}).ok());
}

TEST_CASE("checkpoint: several files under one index, and what is wrong with them") {
  const test::TempFolder folder;
  folder.write("config.json", "{}");
  folder.write("a.safetensors", SafetensorsBuilder().floats("x", {1}, {1}).bytes());
  folder.write("b.safetensors", SafetensorsBuilder().floats("y", {2}, {2, 3}).bytes());
  const auto index = [&](const std::string& map) { folder.write("model.safetensors.index.json", "{\"weight_map\":" + map + "}"); };
  index(R"({"x":"a.safetensors","y":"b.safetensors"})");
  CHECK(is_checkpoint_folder(folder.file("")));
  const auto checkpoint = Checkpoint::open(folder.file(""));
  REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
  REQUIRE((*checkpoint)->find("y") != nullptr);
  float number = 0;
  REQUIRE((*checkpoint)->read(*(*checkpoint)->find("y"), 4, std::as_writable_bytes(std::span(&number, 1))).ok());
  CHECK(number == 3);
  CHECK_FALSE((*checkpoint)->read(*(*checkpoint)->find("y"), 5, std::as_writable_bytes(std::span(&number, 1))).ok());

  const std::pair<const char*, const char*> cases[] = {
      {R"({"x":"a.safetensors","y":"c.safetensors"})", "c.safetensors' is missing"},
      {R"({"x":"b.safetensors","y":"b.safetensors"})", "lacks the tensor 'x'"},
      {R"({"x":"../a.safetensors"})", "in no file of the folder"},
      {R"({"x":3})", "in no file of the folder"},
      {R"({})", "no weight_map"},
      {R"([])", "no weight_map"},
  };
  for (const auto& [map, message] : cases) {
    index(map);
    const Status status = Checkpoint::open(folder.file("")).status();
    CHECK_MESSAGE(status.message().find(message) != std::string::npos, status.message());
    CHECK_FALSE(status.ok());
  }
  std::filesystem::remove(folder.file("model.safetensors.index.json"));
  folder.write("b.safetensors", SafetensorsBuilder().floats("x", {1}, {1}).bytes());
  CHECK(Checkpoint::open(folder.file("")).status().message().find("lies in") != std::string::npos);
  std::filesystem::remove(folder.file("a.safetensors"));
  std::filesystem::remove(folder.file("b.safetensors"));
  folder.write("model.bin", "x");
  CHECK(Checkpoint::open(folder.file("")).status().message().find("PyTorch") != std::string::npos);
  CHECK_FALSE(Checkpoint::open(folder.file("absent")).ok());
}

namespace {

struct Weights {
  test::TempFolder folder;
  std::unique_ptr<Checkpoint> files;
  WeightCatalog catalog;

  Status build(const SafetensorsBuilder& builder, const std::string& config = "{}") {
    folder.write("model.safetensors", builder.bytes());
    auto opened = Checkpoint::open(folder.file(""));
    REQUIRE_MESSAGE(opened.ok(), opened.status().message());
    files = std::move(opened).value();
    auto built = WeightCatalog::build(*files, nlohmann::json::parse(config));
    if (!built.ok()) return built.status();
    catalog = std::move(built).value();
    return ok_status();
  }
  std::vector<float> rows(const std::string& name, uint64_t first, uint64_t count) {
    const StoredWeight* weight = catalog.find(name);
    REQUIRE(weight != nullptr);
    std::vector<float> out(count * weight->cols());
    const Status read = weight->read_rows(first, count, out);
    REQUIRE_MESSAGE(read.ok(), read.message());
    return out;
  }
};

std::string pattern(size_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>((seed = seed * 1664525u + 1013904223u) >> 24);
  return bytes;
}

}  // namespace

TEST_CASE("stored weights: FP8 with scales of blocks, rows and whole tensors") {
  constexpr uint64_t kRows = 5, kCols = 7;
  std::string numbers = pattern(kRows * kCols, 1);
  for (char& byte : numbers) byte = static_cast<char>(byte & 0x77);  // no NaN
  const std::vector<float> scales = {0.5f, 2, 3, 0.25f, -1, 8, 5, 7, 9};  // ceil(5 / 2) x ceil(7 / 3)
  SafetensorsBuilder builder;
  builder.tensor("b.weight", "F8_E4M3", {kRows, kCols}, numbers).floats("b.weight_scale_inv", {3, 3}, scales);
  builder.tensor("r.weight", "F8_E4M3", {kRows, kCols}, numbers).floats("r.weight_scale", {kRows, 1}, {1, 2, 3, 4, 5});
  builder.tensor("t.weight", "F8_E4M3", {kRows, kCols}, numbers).floats("t.weight_scale", {}, {4});
  builder.tensor("e", "F8_E4M3", {2, kRows, kCols}, numbers + numbers).tensor("e_scale_inv", "BF16", {2, 3, 3}, [&] {
    std::vector<uint16_t> halves;
    for (int plane = 1; plane <= 2; ++plane) for (const float s : scales) halves.push_back(float_to_bfloat16(s * static_cast<float>(plane)));
    return bytes_of(halves);
  }());
  Weights weights;
  const Status built = weights.build(builder, R"({"quantization_config":{"quant_method":"fp8","weight_block_size":[2,3]}})");
  REQUIRE_MESSAGE(built.ok(), built.message());
  CHECK(weights.catalog.weights().size() == 4);
  std::vector<float> plain(kRows * kCols);
  REQUIRE(stored_to_floats(StoredType::kF8E4M3, std::as_bytes(std::span(numbers.data(), numbers.size())), plain).ok());
  const auto blocks = weights.rows("b.weight", 1, 4);
  const auto rows = weights.rows("r.weight", 0, kRows);
  const auto whole = weights.rows("t.weight", 2, 1);
  const auto planes = weights.rows("e", 3, 6);  // rows 3, 4 of the first plane and 0..3 of the second
  for (uint64_t r = 0; r < kRows; ++r) {
    for (uint64_t c = 0; c < kCols; ++c) {
      const float x = plain[r * kCols + c];
      if (r >= 1) CHECK(blocks[(r - 1) * kCols + c] == x * scales[r / 2 * 3 + c / 3]);
      CHECK(rows[r * kCols + c] == x * static_cast<float>(r + 1));
      if (r == 2) CHECK(whole[c] == x * 4);
      if (r >= 3) CHECK(planes[(r - 3) * kCols + c] == x * scales[r / 2 * 3 + c / 3]);
      if (r < 4) CHECK(planes[(r + 2) * kCols + c] == x * 2 * scales[r / 2 * 3 + c / 3]);
    }
  }
}

TEST_CASE("stored weights: MXFP4 and INT4, as floats and as the same blocks of a GGUF") {
  constexpr uint64_t kRows = 3, kGroups = 2, kCols = 32 * kGroups;
  const std::string nibbles = pattern(kRows * kCols / 2, 2);
  std::string powers = pattern(kRows * kGroups, 3);
  for (char& power : powers) power = static_cast<char>(117 + (power & 15));
  std::vector<float> scales;
  for (size_t i = 0; i < kRows * kGroups; ++i) scales.push_back(0.01f * static_cast<float>(i + 1));
  std::vector<uint16_t> halves;
  for (const float scale : scales) halves.push_back(float_to_bfloat16(scale));
  SafetensorsBuilder builder;
  builder.tensor("mlp.experts.x_blocks", "U8", {1, kRows, kGroups, 16}, nibbles).tensor("mlp.experts.x_scales", "U8", {1, kRows, kGroups}, powers);
  builder.tensor("q.weight_packed", "I32", {kRows, kCols / 8}, nibbles).tensor("q.weight_scale", "BF16", {kRows, kGroups}, bytes_of(halves));
  builder.tensor("q.weight_shape", "I64", {2}, bytes_of<int64_t>({kRows, kCols}));
  builder.tensor("m.weight_packed", "U8", {kRows, kCols / 2}, nibbles).tensor("m.weight_scale", "U8", {kRows, kGroups}, powers);
  Weights weights;
  const Status built = weights.build(builder);
  REQUIRE_MESSAGE(built.ok(), built.message());
  CHECK(weights.catalog.weights().size() == 3);
  CHECK(weights.catalog.find("mlp.experts.x")->shape() == std::vector<uint64_t>{1, kRows, kCols});
  const auto fours = weights.rows("mlp.experts.x", 0, kRows);
  const auto ints = weights.rows("q.weight", 0, kRows);
  constexpr float kE2m1[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (uint64_t i = 0; i < kRows * kCols; ++i) {
    const auto byte = static_cast<uint8_t>(nibbles[i / 2]);
    const uint32_t q = i % 2 == 0 ? byte & 15u : byte >> 4;
    const float power = std::exp2(static_cast<float>(static_cast<uint8_t>(powers[i / 32])) - 127);
    CHECK(fours[i] == (q & 8 ? -1 : 1) * kE2m1[q & 7] * power);
    CHECK(ints[i] == bfloat16_to_float(halves[i / 32]) * (static_cast<float>(q) - 8));
  }
  CHECK(weights.rows("m.weight", 0, kRows) == fours);

  const auto repacked = [&](const char* name, BlockType type) {
    const StoredWeight* weight = weights.catalog.find(name);
    REQUIRE(weight->repacks_to(type));
    std::vector<std::byte> blocks(kRows * row_bytes(type, kCols).value());
    REQUIRE(weight->repack_rows(0, kRows, blocks).ok());
    std::vector<float> out(kRows * kCols);
    REQUIRE(dequantize(type, blocks, out).ok());
    return out;
  };
  CHECK(repacked("mlp.experts.x", BlockType::kMXFP4) == fours);
  const auto q4 = repacked("q.weight", BlockType::kQ4_0);
  for (size_t i = 0; i < q4.size(); ++i) CHECK(q4[i] == half_to_float(float_to_half(bfloat16_to_float(halves[i / 32]))) * (ints[i] / bfloat16_to_float(halves[i / 32])));
  CHECK_FALSE(weights.catalog.find("q.weight")->repacks_to(BlockType::kMXFP4));
}

TEST_CASE("stored weights: parts that do not fit each other are refused") {
  const std::string bytes(64, '\1');
  struct Case {
    SafetensorsBuilder builder;
    const char* config;
    const char* message;
  };
  const auto with = [&](auto add) {
    SafetensorsBuilder builder;
    add(builder);
    return builder;
  };
  const Case cases[] = {
      {with([&](auto& b) { b.tensor("w", "F8_E4M3", {8, 8}, bytes).floats("w_scale_inv", {2, 1}, {1, 2}); }), "{}", "do not fit their scales"},
      {with([&](auto& b) { b.tensor("w", "F8_E4M3", {64}, bytes).floats("w_scale_inv", {1}, {1}); }), "{}", "do not fit their scales"},
      {with([&](auto& b) { b.tensor("w_packed", "I32", {2, 8}, bytes).floats("w_scale", {2, 3}, {1, 2, 3, 4, 5, 6}); }), "{}", "do not fit their scales"},
      {with([&](auto& b) { b.tensor("w_packed", "I32", {2, 8}, bytes).floats("w_scale", {3, 2}, {1, 2, 3, 4, 5, 6}); }), "{}", "do not fit their scales"},
      {with([&](auto& b) { b.tensor("w_blocks", "U8", {4, 1, 16}, bytes).floats("w_scales", {4, 1}, {1, 2, 3, 4}); }), "{}", "do not fit their scales"},
      {with([&](auto& b) { b.floats("w", {0, 4}, {}); }), "{}", "holds nothing"},
      {with([&](auto& b) { b.floats("w", {1}, {1}).tensor("w_packed", "I32", {2, 8}, bytes).floats("w_scale", {2, 2}, {1, 2, 3, 4}); }), "{}", ""},
      {with([&](auto& b) { b.floats("w", {1}, {1}); }), R"({"quantization_config":{"quant_method":"gptq"}})", "quantised by 'gptq'"},
      {with([&](auto& b) { b.floats("w", {1}, {1}); }), R"({"quantization_config":{"weight_block_size":[0,128]}})", "weight_block_size"},
      {with([&](auto& b) { b.floats("w", {1}, {1}); }),
       R"({"text_config":{"quantization_config":{"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"g":{"weights":{"num_bits":8}}}}}})",
       "of 4 bits"},
  };
  for (const Case& c : cases) {
    Weights weights;
    const Status status = weights.build(c.builder, c.config);
    CHECK_FALSE(status.ok());
    CHECK_MESSAGE(status.message().find(c.message) != std::string::npos, status.message());
  }
  Weights lying;
  REQUIRE(lying.build(with([&](auto& b) {
    b.tensor("w_packed", "I32", {2, 8}, bytes).floats("w_scale", {2, 2}, {1, 2, 3, 4}).tensor("w_shape", "I32", {2}, bytes_of<int32_t>({2, 60}));
  })).ok());
  std::vector<float> out(128);
  CHECK(lying.catalog.find("w")->read_rows(0, 2, out).message().find("another shape") != std::string::npos);
  CHECK_FALSE(lying.catalog.find("w")->read_rows(1, 2, out).ok());
}
