// Block types against tests/data/quant: bytes, values and exact products made by the ggml library (index.json).
#include "runtime/format/quant.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "platform/file.h"
#include "runtime/format/quantize.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

std::string load(const std::string& name) {
  auto bytes = read_whole_file(test::data_path("quant/" + name), 1 << 20);
  REQUIRE_MESSAGE(bytes.ok(), bytes.status().message());
  return std::move(bytes).value();
}

std::vector<float> load_floats(const std::string& name) {
  const std::string bytes = load(name);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

// The golden sets of the types that this build runs.
std::vector<nlohmann::json> supported_sets() {
  const auto index = nlohmann::json::parse(load("index.json"));
  std::vector<nlohmann::json> out;
  for (const auto& set : index["types"]) {
    if (block_type_from_number(set["ggml_type"].get<uint32_t>()).ok()) out.push_back(set);
  }
  return out;
}

}  // namespace

TEST_CASE("quant: the goldens' types have the goldens' names and sizes") {
  const auto sets = supported_sets();
  CHECK(sets.size() == 28);
  for (const auto& set : sets) {
    const BlockType type = *block_type_from_number(set["ggml_type"].get<uint32_t>());
    CHECK(set["type"].get<std::string>() == block_type_name(type));
    CHECK(set["block_elements"].get<uint32_t>() == block_elements(type));
    CHECK(set["block_bytes"].get<uint32_t>() == block_bytes(type));
  }
  const auto index = nlohmann::json::parse(load("index.json"));
  for (const auto& set : index["types"]) {
    CHECK(set["type"].get<std::string>() == ggml_type_name(set["ggml_type"].get<uint32_t>()));
  }
}

TEST_CASE("quant: dequantised blocks equal the goldens bit for bit") {
  for (const auto& set : supported_sets()) {
    const BlockType type = *block_type_from_number(set["ggml_type"].get<uint32_t>());
    const std::vector<float> expected = load_floats(set["values"]);
    std::vector<float> values(expected.size());
    const Status status = dequantize(type, as_bytes(load(set["raw"])), values);
    REQUIRE_MESSAGE(status.ok(), status.message());
    size_t differing = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const bool both_nan = std::isnan(values[i]) && std::isnan(expected[i]);
      differing += !both_nan && std::memcmp(&values[i], &expected[i], sizeof(float)) != 0;
    }
    CHECK_MESSAGE(differing == 0, block_type_name(type));
  }
}

TEST_CASE("quant: products with a vector are exact to float32 rounding") {
  const std::vector<float> x = load_floats("x.f32");
  for (const auto& set : supported_sets()) {
    const BlockType type = *block_type_from_number(set["ggml_type"].get<uint32_t>());
    const std::string raw = load(set["raw"]);
    const size_t columns = set["cols"];
    const uint64_t bytes = *row_bytes(type, columns);
    std::vector<float> row(columns);
    for (size_t r = 0; r < set["rows"].get<size_t>(); ++r) {
      REQUIRE(dequantize(type, as_bytes(raw).subspan(r * bytes, bytes), row).ok());
      double sum = 0;
      for (size_t i = 0; i < columns; ++i) sum += static_cast<double>(row[i]) * static_cast<double>(x[i]);
      const double bound = 1e-9 * set["matvec_abs_sum"][r].get<double>();
      CHECK_MESSAGE(std::fabs(sum - set["matvec"][r].get<double>()) <= bound, block_type_name(type), " row ", r);
    }
  }
}

// Sum of squared differences.
double squared_error(const std::vector<float>& values, std::span<const float> source) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += std::pow(static_cast<double>(values[i]) - static_cast<double>(source[i]), 2);
  return sum;
}

TEST_CASE("quant: quantised rows equal the reference quantiser's bytes, or lose no more") {
  const std::vector<float> source = load_floats("src.f32");
  size_t checked = 0;
  for (const auto& set : supported_sets()) {
    const BlockType type = *block_type_from_number(set["ggml_type"].get<uint32_t>());
    const size_t columns = set["cols"];
    const uint64_t bytes = *row_bytes(type, columns);
    std::vector<std::byte> blocks(bytes);
    if (!can_quantize(type)) {
      CHECK(quantize(type, std::span(source).first(columns), blocks).code() == Code::kUnsupported);
      continue;
    }
    ++checked;
    const bool searches = block_elements(type) == 256 || type == BlockType::kMXFP4;
    const std::string raw = load(set["raw"]);
    std::vector<float> ours(columns), theirs(columns);
    for (size_t r = 0; r < set["rows_from_src"].get<size_t>(); ++r) {
      const auto row = std::span(source).subspan(r * columns, columns);
      REQUIRE(quantize(type, row, blocks).ok());
      if (!searches) {
        CHECK_MESSAGE(std::memcmp(blocks.data(), raw.data() + r * bytes, bytes) == 0, block_type_name(type), " row ", r);
        continue;
      }
      REQUIRE(dequantize(type, blocks, ours).ok());
      REQUIRE(dequantize(type, as_bytes(raw).subspan(r * bytes, bytes), theirs).ok());
      const double error = squared_error(ours, row), limit = squared_error(theirs, row);
      CHECK_MESSAGE(error <= limit, std::string(block_type_name(type)), " row ", r, ": ", error, " > ", limit);
    }
  }
  CHECK(checked == 8);
}

TEST_CASE("quant: types that cannot be run say which they are") {
  CHECK(block_type_from_number(9).status().message() == "type Q8_1 is not supported yet");
  CHECK(block_type_from_number(24).status().message() == "type I8 is not supported yet");
  for (const uint32_t number : {4u, 5u, 43u, 97u, 0xffffffffu}) {
    const auto type = block_type_from_number(number);
    REQUIRE(!type.ok());
    CHECK(type.status().message() == "unknown quantisation type " + std::to_string(number));
  }
}

TEST_CASE("quant: sizes that do not fit are refused") {
  CHECK(*row_bytes(BlockType::kQ4_K, 512) == 288);
  CHECK(*row_bytes(BlockType::kQ4_K, 0) == 0);
  CHECK(!row_bytes(BlockType::kQ4_K, 128).ok());
  CHECK(!row_bytes(BlockType::kF32, uint64_t{1} << 62).ok());
  std::vector<std::byte> blocks(33);
  std::vector<float> values(32);
  CHECK(!dequantize(BlockType::kQ8_0, blocks, values).ok());
  CHECK(!quantize(BlockType::kQ8_0, values, blocks).ok());
  CHECK(!dequantize(BlockType::kQ6_K, blocks, values).ok());
  CHECK(dequantize(BlockType::kF32, {}, {}).ok());
}

TEST_CASE("quant: a quantiser meets NaN and infinity without undefined behaviour") {
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    for (const BlockType type : {BlockType::kF16, BlockType::kBF16, BlockType::kQ8_0, BlockType::kQ4_0, BlockType::kMXFP4, BlockType::kQ4_K, BlockType::kQ6_K}) {
      std::vector<float> values(256, bad);
      std::vector<std::byte> blocks(*row_bytes(type, values.size()));
      CHECK(quantize(type, values, blocks).ok());
      for (size_t i = 0; i < values.size(); ++i) values[i] = i % 32 == 5 ? bad : static_cast<float>(i);
      CHECK(quantize(type, values, blocks).ok());
    }
  }
}
