// Every set of CPU kernels that this machine can run, against dequantize() and double precision on the prepared activations.
#include <doctest/doctest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "runtime/compute/cpu/activation.h"
#include "runtime/compute/cpu/dot.h"
#include "tests/compute/guarded_memory.h"
#include "tests/compute/quant_rows.h"

using namespace hotset;
using namespace hotset::test;
using cpu::Kernels;

namespace {

// Prepared activations, [tokens], each followed by a gap; the last ends at a page that must not be touched.
struct Activations {
  Activations(const Kernels& set, BlockType type, const std::vector<float>& x, uint32_t cols)
      : stride(cpu::activation_bytes(type, cols) + 64), tokens(static_cast<uint32_t>(x.size() / cols)), memory(stride * tokens - 64) {
    for (uint32_t t = 0; t < tokens; ++t) {
      GuardedMemory values(cols * sizeof(float));
      std::memcpy(values.as<float>(), x.data() + size_t{t} * cols, cols * sizeof(float));
      set.prepare(type, values.as<float>(), cols, memory.as<std::byte>() + t * stride);
    }
  }
  const std::byte* of(uint32_t token) const { return memory.as<std::byte>() + token * stride; }

  uint64_t stride;
  uint32_t tokens;
  GuardedMemory memory;
};

// What a prepared activation stands for.
std::vector<double> prepared_values(BlockType type, const std::byte* prepared, uint32_t cols) {
  std::vector<double> values(cols);
  for (uint32_t i = 0; i < cols; ++i) {
    if (cpu::activation_form(type) == cpu::ActivationForm::kFloat) {
      values[i] = double{reinterpret_cast<const float*>(prepared)[i]};
    } else if (cpu::activation_form(type) == cpu::ActivationForm::kSmall) {
      const auto& group = reinterpret_cast<const cpu::SmallActivation*>(prepared)[i / 128];
      const uint32_t block = i / 32 % 4;
      values[i] = double{group.scale[block][0]} * (i % 32 < 16 ? group.first[block][i % 16] : group.second[block][i % 16]);
    } else {
      const auto& block = reinterpret_cast<const cpu::SuperActivation*>(prepared)[i / 256];
      values[i] = double{block.scale} * block.values[cpu::SuperActivation::kPlaceOfGroup[i % 256 / 32]][i % 32];
    }
  }
  return values;
}

// The parts of types with mins that are multiplied apart: the scaled quants and the mins. Both are exact floats, their difference is not.
struct Parts {
  std::vector<float> scaled;
  std::vector<float> mins;
};

Parts parts_of(BlockType type, std::vector<std::byte> blocks, size_t count) {
  Parts parts = {std::vector<float>(count), std::vector<float>(count)};
  const HalfPlaces places = half_places(type);
  if (places.mins_behind == 0) {
    REQUIRE(dequantize(type, blocks, parts.scaled).ok());
    return parts;
  }
  std::vector<std::byte> no_mins = blocks;
  for (size_t at = places.d; at < blocks.size(); at += block_bytes(type)) {
    std::memset(blocks.data() + at, 0, 2);
    std::memset(no_mins.data() + at + places.mins_behind, 0, 2);
  }
  REQUIRE(dequantize(type, no_mins, parts.scaled).ok());
  REQUIRE(dequantize(type, blocks, parts.mins).ok());
  for (float& value : parts.mins) value = -value;
  return parts;
}

struct Expected {
  double product;
  double error;  // most that float32 sums may be off
};

// Products of a block are exact integers; then come a conversion, the two scales' product and one sum a block, at most one sum a
// value for plain types, and the sum of at most 16 lanes. Lanes hold offsets of unsigned quants apart from the quants, so what
// rounds is up to 4 times the largest weight of 32 neighbours.
Expected expected_product(const Parts& parts, size_t first, const std::vector<double>& x) {
  Expected expected = {0, 0};
  for (size_t i = 0; i < x.size(); ++i) {
    expected.product += (double{parts.scaled[first + i]} - double{parts.mins[first + i]}) * x[i];
  }
  for (size_t from = 0; from < x.size(); from += 32) {
    double largest = 0, sum = 0;
    for (size_t i = from; i < std::min(from + 32, x.size()); ++i) {
      largest = std::max(largest, double{std::fabs(parts.scaled[first + i])} + double{std::fabs(parts.mins[first + i])});
      sum += std::fabs(x[i]);
    }
    expected.error += 4 * largest * sum;
  }
  const double roundings = static_cast<double>(x.size()) / 8 + 16;
  expected.error = expected.error * roundings * double{FLT_EPSILON} / 2 + double{FLT_MIN};
  return expected;
}

void check_products(const Kernels& set, BlockType type, const std::vector<std::byte>& blocks, const std::vector<float>& x, uint32_t cols) {
  const uint64_t row_bytes = *hotset::row_bytes(type, cols);
  const auto rows = static_cast<uint32_t>(blocks.size() / row_bytes);
  const Activations activations(set, type, x, cols);
  const uint64_t out_stride = rows + 3;
  const Parts parts = parts_of(type, blocks, size_t{rows} * cols);
  for (const auto side : {GuardedMemory::Side::kBehind, GuardedMemory::Side::kBefore}) {
    const GuardedMemory weights(blocks.size(), side);
    std::memcpy(weights.as<std::byte>(), blocks.data(), blocks.size());
    std::vector<float> out(out_stride * activations.tokens, -7.0f);
    set.multiply(type, weights.as<std::byte>(), row_bytes, rows, cols, activations.of(0), activations.stride, activations.tokens, out.data(),
                 out_stride);
    size_t wrong = 0, strayed = 0;
    for (uint32_t t = 0; t < activations.tokens; ++t) {
      const std::vector<double> values = prepared_values(type, activations.of(t), cols);
      for (uint32_t r = 0; r < rows; ++r) {
        const Expected expected = expected_product(parts, size_t{r} * cols, values);
        wrong += !(std::fabs(double{out[t * out_stride + r]} - expected.product) <= expected.error);
      }
      for (uint64_t r = rows; r < out_stride; ++r) strayed += out[t * out_stride + r] != -7.0f;
    }
    CHECK_MESSAGE(wrong == 0, std::string(set.name), " ", std::string(block_type_name(type)), " ", rows, " x ", cols, ", ", activations.tokens, " tokens");
    CHECK_MESSAGE(strayed == 0, set.name, " ", block_type_name(type));
  }
}

// Blocks with quants of random bits and scales as given (set_scales).
std::vector<std::byte> blocks_of_scale(BlockType type, uint32_t rows, uint32_t cols, float scale, uint8_t power) {
  std::vector<std::byte> blocks = random_rows(type, rows, cols, 5).blocks;
  for (size_t at = 0; at < blocks.size(); at += block_bytes(type)) set_scales(type, scale, scale, power, blocks.data() + at);
  return blocks;
}

std::vector<uint32_t> odd_widths(BlockType type) {
  if (block_elements(type) == 1) return {1, 2, 7, 8, 9, 15, 16, 17, 33, 63, 64, 65, 200, 1000};
  if (block_elements(type) == 32) return {32, 64, 96, 128, 160, 224, 768, 2080};
  if (block_elements(type) == 64) return {64, 128, 192, 320, 768, 2112};
  if (block_elements(type) == 128) return {128, 256, 384, 2176};
  return {256, 512, 768, 2048};
}

}  // namespace

TEST_CASE("cpu kernels: the portable set comes first and the best is used") {
  REQUIRE(!cpu::all_kernels().empty());
  CHECK(std::string(cpu::all_kernels().front()->name) == "portable");
  CHECK(&cpu::kernels() == cpu::all_kernels().back());
  for (const BlockType type : kAllTypes) CHECK(cpu::activation_bytes(type, 1024) % 64 == 0);
  CHECK(cpu::same_activation(BlockType::kQ4_K, BlockType::kQ6_K));
  CHECK(cpu::same_activation(BlockType::kQ8_0, BlockType::kMXFP4));
  CHECK(!cpu::same_activation(BlockType::kQ8_0, BlockType::kQ4_K));
  CHECK(!cpu::same_activation(BlockType::kF16, BlockType::kQ8_0));
}

TEST_CASE("cpu kernels: products equal dequantised weights times prepared activations, nothing outside is read") {
  for (const Kernels* set : cpu::all_kernels()) {
    for (const BlockType type : kAllTypes) {
      for (const uint32_t cols : odd_widths(type)) {
        for (const auto& [rows, tokens] : {std::pair{1u, 1u}, {3u, 2u}, {2u, 3u}, {5u, 4u}, {9u, 9u}}) {
          const QuantRows weights = random_rows(type, rows, cols, cols + rows);
          check_products(*set, type, weights.blocks, random_floats(size_t{tokens} * cols, rows), cols);
        }
      }
    }
  }
}

TEST_CASE("cpu kernels: scales that are zero, subnormal, negative or huge") {
  constexpr uint32_t kRows = 2, kCols = 512;
  struct Case {
    float weight;
    uint8_t power;
    float x;
  };
  const Case cases[] = {{0, 0, 1},           {0x1p-24f, 0, 1},   {0x1p-24f, 1, 1e-30f}, {65504, 200, 1e-3f},
                        {-65504, 160, 1e20f}, {-0x1p-14f, 2, 1},  {1, 127, 0},          {1, 127, 1e-40f}};
  for (const Kernels* set : cpu::all_kernels()) {
    for (const BlockType type : kAllTypes) {
      for (const Case& c : cases) {
        const std::vector<std::byte> blocks = blocks_of_scale(type, kRows, kCols, c.weight, c.power);
        check_products(*set, type, blocks, random_floats(2 * kCols, 3, c.x), kCols);
      }
    }
  }
}

// Sums of whole blocks must not leave their integers: 16 bits of AVX2's pairs, 32 of a block of 256.
TEST_CASE("cpu kernels: the largest quants with the largest activations") {
  constexpr uint32_t kCols = 512;
  for (const Kernels* set : cpu::all_kernels()) {
    for (const BlockType type : kAllTypes) {
      for (const int fill : {0x00, 0x7f, 0x80, 0xff}) {
        std::vector<std::byte> blocks = blocks_of_scale(type, 1, kCols, 0.5f, 120);
        for (size_t at = 0; at < blocks.size(); at += block_bytes(type)) {
          std::memset(blocks.data() + at, fill, block_bytes(type));
          set_scales(type, 0.5f, 0.5f, 120, blocks.data() + at);
        }
        for (const float sign : {1.0f, -1.0f}) check_products(*set, type, blocks, std::vector<float>(kCols, sign), kCols);
      }
    }
  }
}

TEST_CASE("cpu kernels: a product has the same bits however rows and tokens are split") {
  constexpr uint32_t kRows = 9, kTokens = 9;
  for (const Kernels* set : cpu::all_kernels()) {
    for (const BlockType type : kAllTypes) {
      const uint32_t cols = block_elements(type) == 1 ? 1000 : block_elements(type) == 32 ? 992 : block_elements(type) == 64 ? 960 : 1024;
      const QuantRows weights = random_rows(type, kRows, cols, 3);
      const uint64_t row_bytes = *hotset::row_bytes(type, cols);
      const Activations x(*set, type, random_floats(kTokens * cols, 4), cols);
      std::vector<float> whole(kRows * kTokens), split(whole.size());
      set->multiply(type, weights.blocks.data(), row_bytes, kRows, cols, x.of(0), x.stride, kTokens, whole.data(), kRows);
      for (uint32_t rows = 1; rows <= kRows; ++rows) {
        for (uint32_t tokens = 1; tokens <= kTokens; ++tokens) {
          for (uint32_t r = 0; r < kRows; r += rows) {
            for (uint32_t t = 0; t < kTokens; t += tokens) {
              set->multiply(type, weights.blocks.data() + r * row_bytes, row_bytes, std::min(rows, kRows - r), cols, x.of(t), x.stride,
                            std::min(tokens, kTokens - t), split.data() + t * kRows + r, kRows);
            }
          }
          CHECK_MESSAGE(std::memcmp(whole.data(), split.data(), whole.size() * sizeof(float)) == 0, set->name, " ", block_type_name(type), " ",
                        rows, " rows, ", tokens, " tokens");
        }
      }
    }
  }
}

TEST_CASE("cpu kernels: activations are rounded to the nearest of 8 bits") {
  constexpr uint32_t kCols = 768;
  for (const float scale : {1.0f, 1e-30f, 1e30f}) {
    const std::vector<float> x = random_floats(kCols, 11, scale);
    for (const BlockType type : {BlockType::kF16, BlockType::kQ8_0, BlockType::kQ4_K}) {
      const uint32_t block = type == BlockType::kQ8_0 ? 32 : type == BlockType::kQ4_K ? 256 : 1;
      const Activations prepared(cpu::kernels(), type, x, kCols);
      const std::vector<double> values = prepared_values(type, prepared.of(0), kCols);
      size_t wrong = 0;
      for (uint32_t from = 0; from < kCols; from += block) {
        float largest = 0;
        for (uint32_t i = from; i < from + block; ++i) largest = std::max(largest, std::fabs(x[i]));
        const double step = block == 1 ? 0 : double{largest} / 127;
        for (uint32_t i = from; i < from + block; ++i) wrong += std::fabs(values[i] - double{x[i]}) > step * 0.5001;
      }
      CHECK_MESSAGE(wrong == 0, block_type_name(type));
    }
  }
}

TEST_CASE("cpu kernels: all sets prepare the same bytes") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const BlockType type : kAllTypes) {
    const uint32_t cols = block_elements(type) > 32 ? 2048 : 2016;
    std::vector<float> x = random_floats(cols, 8);
    std::fill_n(x.begin() + 256, 256, 0.0f);
    std::fill_n(x.begin() + 512, 256, 1e-37f);
    std::fill_n(x.begin() + 768, 256, 1e-42f);
    x[1030] = inf;
    x[1300] = nan;
    for (size_t i = 1536; i < 1792; ++i) x[i] = static_cast<float>(i % 2 ? 127.0 : 0.5 + static_cast<double>(i % 120));  // halves: to even
    const Activations first(*cpu::all_kernels().front(), type, x, cols);
    for (const Kernels* set : cpu::all_kernels()) {
      const Activations other(*set, type, x, cols);
      CHECK_MESSAGE(std::memcmp(first.of(0), other.of(0), cpu::activation_bytes(type, cols)) == 0, set->name, " ", block_type_name(type));
    }
  }
}

TEST_CASE("cpu kernels: an activation with an infinity or a NaN gives NaN, not a crash") {
  constexpr uint32_t kCols = 512;
  for (const Kernels* set : cpu::all_kernels()) {
    for (const BlockType type : kAllTypes) {
      if (block_elements(type) == 1) continue;
      for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), std::nanf("")}) {
        std::vector<float> x = random_floats(kCols, 2);
        x[300] = bad;
        const Activations prepared(*set, type, x, kCols);
        float out = 0;
        set->multiply(type, random_rows(type, 1, kCols, 1).blocks.data(), 0, 1, kCols, prepared.of(0), prepared.stride, 1, &out, 1);
        CHECK_MESSAGE(std::isnan(out), set->name, " ", block_type_name(type));
      }
    }
  }
}

TEST_CASE("cpu kernels: no rows or no tokens write nothing") {
  for (const Kernels* set : cpu::all_kernels()) {
    for (const BlockType type : kAllTypes) {
      const Activations x(*set, type, std::vector<float>(256, 1.0f), 256);
      float out = -7;
      const QuantRows weights = random_rows(type, 1, 256, 1);
      set->multiply(type, weights.blocks.data(), weights.blocks.size(), 0, 256, x.of(0), x.stride, 1, &out, 1);
      set->multiply(type, weights.blocks.data(), weights.blocks.size(), 1, 256, x.of(0), x.stride, 0, &out, 1);
      CHECK(out == -7);
    }
  }
}
