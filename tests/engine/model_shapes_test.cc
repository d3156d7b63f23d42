// Shapes against the parameter counts that the models' makers publish.
#include "runtime/engine/model_shapes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <string>

#include "runtime/engine/near_names.h"

using namespace hotset;

namespace {

// Which embedding tables the publisher counts among the parameters of a token.
enum class Counted { kAll, kNoInput, kNone };

struct Published {
  const char* name;
  const char* total_billions;  // as published, "1.6T" in trillions: the last digit is rounded, or the rest cut off
  const char* active_billions;
  Counted counted;
  Counted counted_in_total = Counted::kAll;
  double vision_billions = 0;  // of the published count, and not of the shape
};

const Published kPublished[] = {
    {"mixtral-8x7b", "46.7", "12.9", Counted::kAll},
    {"mixtral-8x22b", "141", "39", Counted::kAll},
    {"deepseek-v2-lite", "15.7", "2.4", Counted::kNoInput},
    {"deepseek-v2", "236", "21", Counted::kAll},
    {"deepseek-v3", "671", "37", Counted::kAll},
    {"deepseek-v3.2", "671", "37", Counted::kNoInput},
    {"deepseek-v4-flash", "284", "13", Counted::kAll},
    {"deepseek-v4-pro", "1.6T", "49", Counted::kAll},
    {"kimi-k2", "1.03T", "32.6", Counted::kAll},
    {"kimi-k2.6", "1.03T", "32.6", Counted::kAll},
    {"kimi-k3", "2.8T", "104", Counted::kNoInput},
    {"kimi-linear-48b-a3b", "48", "3", Counted::kNoInput, Counted::kNoInput},
    {"qwen3-30b-a3b", "30.5", "3.3", Counted::kAll},
    {"qwen3-235b-a22b", "235", "22", Counted::kAll},
    {"qwen3-coder-480b-a35b", "480", "35", Counted::kAll},
    {"qwen3-next-80b-a3b", "80", "3", Counted::kNone},
    {"qwen3.5-35b-a3b", "35", "3", Counted::kNoInput},
    {"qwen3.5-122b-a10b", "122", "10", Counted::kAll},
    {"qwen3.5-397b-a17b", "397", "17", Counted::kAll},
    {"gpt-oss-20b", "20.9", "3.6", Counted::kNoInput},
    {"gpt-oss-120b", "116.8", "5.1", Counted::kNoInput},
    {"nemotron-3-nano", "31.6", "3.6", Counted::kAll},
    {"nemotron-3-super", "120.6", "12.7", Counted::kAll},
    {"nemotron-3-ultra", "550", "55", Counted::kNoInput},
    {"glm-4.5", "355", "32", Counted::kNone},
    {"glm-4.5-air", "106", "12", Counted::kNone},
    {"glm-4.7-flash", "30", "3", Counted::kNone},
    {"glm-5", "744", "40", Counted::kNone},
    {"minimax-m2", "230", "10", Counted::kNone},
    {"minimax-m3", "428", "23", Counted::kNone},
    {"llama-4-scout", "109", "17", Counted::kAll, Counted::kAll, 0.9},
    {"llama-4-maverick", "400", "17", Counted::kAll, Counted::kAll, 0.9},
    {"ling-mini-2.0", "16.26", "1.43", Counted::kAll},
    {"ling-flash-2.0", "103", "6.1", Counted::kAll},
    {"ling-1t", "999.7", "50", Counted::kNoInput},
    {"ernie-4.5-21b-a3b", "21", "3", Counted::kAll},
    {"ernie-4.5-300b-a47b", "300", "47", Counted::kAll},
    {"hunyuan-a13b", "80", "13", Counted::kAll},
    {"olmoe-1b-7b", "6.9", "1.3", Counted::kAll},
    {"gemma-4-26b-a4b", "25.2", "3.8", Counted::kAll},
    {"mimo-v2-flash", "309", "15", Counted::kNoInput},
    {"step-3.7-flash", "196", "11", Counted::kAll},
};

// Within `tolerance`, or equal to what was published when rounded or cut to as many digits.
bool agrees(double billions, const std::string& published, double tolerance) {
  const double unit = published.ends_with("T") ? 1000 : 1;
  const double value = std::strtod(published.c_str(), nullptr) * unit;
  const std::string digits = published.substr(0, published.find('T'));
  const size_t decimals = digits.find('.') == std::string::npos ? 0 : digits.size() - digits.find('.') - 1;
  const double digit = unit * std::pow(0.1, static_cast<double>(decimals));
  return billions >= value - std::max(value * tolerance, digit / 2) && billions <= value + std::max(value * tolerance, digit);
}

const ModelShape& shape_of(const char* name) {
  const auto shape = find_model_shape(name);
  REQUIRE_MESSAGE(shape.ok(), shape.status().message());
  return **shape;
}

}  // namespace

TEST_CASE("model shapes: parameters are those that were published") {
  for (const Published& row : kPublished) {
    const ModelShape& shape = shape_of(row.name);
    const double table = static_cast<double>(embedding_parameters(shape)) / 1e9;
    const auto uncounted = [&](Counted counted) { return counted == Counted::kAll ? 0 : counted == Counted::kNoInput ? table : 2 * table; };
    const double total = static_cast<double>(total_parameters(shape)) / 1e9 - uncounted(row.counted_in_total);
    const double active = static_cast<double>(active_parameters(shape)) / 1e9 - uncounted(row.counted);
    CAPTURE(row.name);
    CAPTURE(total);
    CAPTURE(active);
    CHECK(agrees(total + row.vision_billions, row.total_billions, 0.01));
    CHECK(agrees(active, row.active_billions, 0.02));
  }
  CHECK(std::size(kPublished) == model_shapes().size());
}

TEST_CASE("model shapes: each is whole and has a name of its own") {
  std::set<std::string> names;
  for (const ModelShape& shape : model_shapes()) {
    CAPTURE(shape.name);
    CHECK(shape.top_k >= 1);
    CHECK(shape.top_k <= shape.experts);
    CHECK(shape.moe_layers + shape.dense_layers >= 1);
    // A layer has a mixer and a feed-forward part; Nemotron alone counts them as layers of their own.
    if (shape.expert_matrices == 3) CHECK(layer_count(shape) == shape.moe_layers + shape.dense_layers);
    CHECK(kv_elements(shape, shape.context_tokens) > 0);
    CHECK(kv_elements(shape, 1000) <= 1000 * kv_elements(shape, 1) * 1.0001);
    CHECK(names.insert(plain_name(shape.name)).second);
    for (const std::string_view alias : shape.aliases) {
      if (!alias.empty()) CHECK(names.insert(plain_name(alias)).second);
    }
  }
}

TEST_CASE("model shapes: what a context keeps") {
  // 61 layers of 512 + 64 latents; 48 layers of 2 x 4 x 128.
  CHECK(kv_elements(shape_of("deepseek-v3"), 1000) == doctest::Approx(61 * 576 * 1000.0));
  CHECK(kv_elements(shape_of("qwen3-30b-a3b"), 1000) == doctest::Approx(48 * 1024 * 1000.0));
  // Half of the layers look back 128 tokens only.
  CHECK(kv_elements(shape_of("gpt-oss-20b"), 10000) == doctest::Approx(24 * 1024 * 10000.0));
  CHECK(kv_read_elements(shape_of("gpt-oss-20b"), 10000) == doctest::Approx(12 * 1024 * (10000.0 + 128)));
  CHECK(state_elements(shape_of("qwen3.5-35b-a3b")) > 30 * 32 * 128 * 128);
  CHECK(state_elements(shape_of("mixtral-8x7b")) == 0);
}

TEST_CASE("model shapes: names as people type them") {
  CHECK(&shape_of("Qwen3-30B-A3B") == &shape_of("qwen3 30b a3b"));
  CHECK(&shape_of("DeepSeek-R1") == &shape_of("deepseek-v3"));
  CHECK(&shape_of("Kimi-K2.5") == &shape_of("kimi-k2.6"));
  const auto unknown = find_model_shape("qwen3-30b");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.status().code() == Code::kNotFound);
  CHECK(unknown.status().message().find("did you mean qwen3-30b-a3b") != std::string::npos);
  CHECK(find_model_shape("gtp-oss-20b").status().message().find("gpt-oss-20b") != std::string::npos);
  CHECK(find_model_shape("zzzzzzzzzzzzzzzz").status().message() == "no model shape is called 'zzzzzzzzzzzzzzzz' (--list names all)");
  CHECK_FALSE(find_model_shape("").ok());
  CHECK_FALSE(find_model_shape(std::string(100000, 'q')).ok());
}
