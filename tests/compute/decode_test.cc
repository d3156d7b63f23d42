// The decode phase's products against double arithmetic on the exact weights.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// A dot product and the sum of its terms' magnitudes, which errors are measured by. Types with mins and offsets sum
// scale * q * x and offset * x apart; `slack` of such a type covers that its terms can be larger than the weights'.
struct Dot {
  double value = 0;
  double magnitude = 0;
};

Dot dot(const float* w, const float* x, size_t count) {
  Dot made;
  for (size_t i = 0; i < count; ++i) {
    const double term = static_cast<double>(w[i]) * static_cast<double>(x[i]);
    made.value += term;
    made.magnitude += std::fabs(term);
  }
  return made;
}

constexpr double kSlack = 1e-6;

double silu(double v) { return v / (1 + std::exp(-v)); }

// The largest error over its allowance among out[i] against want[i].
double worst(std::span<const float> out, const std::vector<Dot>& want) {
  double most = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = std::fabs(static_cast<double>(out[i]) - want[i].value) / (kSlack * want[i].magnitude + 1e-30);
    most = std::isfinite(out[i]) ? std::max(most, error) : HUGE_VAL;
  }
  return most;
}

}  // namespace

TEST_CASE("matmul, decode: every type and odd sizes agree with double arithmetic") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const BlockType type : kAllTypes) {
    for (const auto& [rows, cols] : {std::pair{5u, 32u}, {37u, 256u}, {70u, 768u}, {16u, 1536u}, {1u, 2048u}, {9u, 44u}, {3u, 31u}}) {
      if (cols % block_elements(type) != 0) continue;
      CAPTURE(block_type_name(type));
      CAPTURE(rows);
      CAPTURE(cols);
      const uint32_t n = cols % 4 == 0 ? 3 : 1;
      const QuantRows w = random_rows(type, rows, cols, cols + rows);
      const std::vector<float> xs = random_floats(size_t{n} * cols, 3), added = random_floats(size_t{n} * rows, 4, 1e-3f);
      Buffer matrix = rig->upload(w.blocks), x = rig->upload(xs), out = rig->buffer(uint64_t{n} * rows * 4), both = rig->upload(added);
      const Weight weight = {type, rows, cols, matrix.address()};
      REQUIRE(rig->run([&](Ops& ops) {
        ops.matmul(weight, rig->tensor(x), rig->tensor(out), n, Phase::kDecode);
        const Tensor residual = rig->tensor(both);
        ops.matmul(weight, rig->tensor(x), residual, n, Phase::kDecode, &residual);
      }).ok());
      std::vector<Dot> want, want_both;
      for (size_t i = 0; i < size_t{n} * rows; ++i) {
        want.push_back(dot(w.values.data() + i % rows * cols, xs.data() + i / rows * cols, cols));
        want_both.push_back({want[i].value + static_cast<double>(added[i]), want[i].magnitude + std::fabs(static_cast<double>(added[i]))});
      }
      CHECK(worst(rig->view<float>(out), want) <= 1);
      CHECK(worst(rig->view<float>(both), want_both) <= 1);
    }
  }
}

TEST_CASE("matmul, decode: a token's result has the same bits alone and among others, zeros give zeros") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const BlockType type : kAllTypes) {
    CAPTURE(block_type_name(type));
    const QuantRows w = random_rows(type, 50, 256, 1);
    std::vector<float> xs = random_floats(4 * 256, 2);
    std::fill(xs.begin() + 256, xs.begin() + 512, 0.0f);
    Buffer matrix = rig->upload(w.blocks), x = rig->upload(xs), all = rig->buffer(4 * 50 * 4), one = rig->buffer(7 * 4);
    REQUIRE(rig->run([&](Ops& ops) {
      ops.matmul({type, 50, 256, matrix.address()}, rig->tensor(x), rig->tensor(all), 4, Phase::kDecode);
      // Rows 40..46 alone, for the last token. 40 rows of every type are a multiple of 16 bytes.
      ops.matmul({type, 7, 256, matrix.address() + 40 * row_bytes(type, 256).value()}, {x.address() + 3 * 1024, 1024}, rig->tensor(one), 1,
                 Phase::kDecode);
    }).ok());
    const auto got = rig->view<float>(all);
    CHECK(std::memcmp(got.data() + 150 + 40, rig->view<float>(one).data(), 28) == 0);
    CHECK(std::all_of(got.begin() + 50, got.begin() + 100, [](float v) { return v == 0; }));
  }
}

TEST_CASE("matmul, decode: products that share a dispatch have the bits of each alone") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  // Rows that leave workgroups half filled, and a type in between that cannot join its neighbours.
  const QuantRows a = random_rows(BlockType::kQ4_K, 50, 256, 1), b = random_rows(BlockType::kQ4_K, 7, 256, 2),
                  c = random_rows(BlockType::kQ4_K, 300, 256, 3), d = random_rows(BlockType::kQ6_K, 50, 256, 4);
  Buffer weights[] = {rig->upload(a.blocks), rig->upload(b.blocks), rig->upload(d.blocks), rig->upload(c.blocks)};
  const Weight matrices[] = {{BlockType::kQ4_K, 50, 256, weights[0].address()},
                             {BlockType::kQ4_K, 7, 256, weights[1].address()},
                             {BlockType::kQ6_K, 50, 256, weights[2].address()},
                             {BlockType::kQ4_K, 300, 256, weights[3].address()}};
  Buffer x = rig->upload(random_floats(2 * 256, 5));
  Buffer joined = rig->buffer(4 * 4096), alone = rig->buffer(4 * 4096);
  const auto part = [](const Buffer& buffer, uint64_t i) { return Tensor{buffer.address() + i * 4096, 4096}; };
  // In both orders: four in a row of which two can join, and three of one type.
  for (const auto& order : {std::array{0, 1, 2, 3}, std::array{0, 3, 1, 2}}) {
    std::vector<MatrixProduct> products;
    for (const int i : order) products.push_back({matrices[i], part(joined, static_cast<uint64_t>(i))});
    REQUIRE(rig->run([&](Ops& ops) {
      ops.matmul_each(products, rig->tensor(x), 2, Phase::kDecode);
      for (uint64_t i = 0; i < 4; ++i) ops.matmul(matrices[i], rig->tensor(x), part(alone, i), 2, Phase::kDecode);
    }).ok());
    CHECK(std::memcmp(joined.mapped().data(), alone.mapped().data(), joined.size_bytes()) == 0);
    CHECK(std::any_of(joined.mapped().begin(), joined.mapped().end(), [](std::byte v) { return v != std::byte{0}; }));
  }
}

TEST_CASE("rms_norm: rows of several widths agree with double arithmetic") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const uint32_t cols : {32u, 100u, 256u, 2048u}) {
    CAPTURE(cols);
    std::vector<float> xs = random_floats(size_t{3} * cols, 5, 30);
    std::fill(xs.begin() + cols, xs.begin() + 2 * cols, 0.0f);
    const std::vector<float> scale = random_floats(cols, 6);
    Buffer x = rig->upload(xs), weight = rig->upload(scale), out = rig->buffer(xs.size() * 4);
    REQUIRE(rig->run([&](Ops& ops) { ops.rms_norm(rig->tensor(x), weight.address(), rig->tensor(out), 3, cols, 1e-6f); }).ok());
    std::vector<Dot> want;
    for (size_t i = 0; i < xs.size(); ++i) {
      const float* row = xs.data() + i / cols * cols;
      const double mean = dot(row, row, cols).value / cols;
      const double value = static_cast<double>(xs[i]) / std::sqrt(mean + 1e-6) * static_cast<double>(scale[i % cols]);
      want.push_back({value, std::fabs(value)});
    }
    CHECK(worst(rig->view<float>(out), want) <= 1);
  }
}

namespace {

// Records of experts: gate, up and down behind each other at 16-byte borders.
struct Experts {
  ExpertShape shape;
  std::vector<QuantRows> gate, up, down;
  std::vector<Buffer> records;
};

uint32_t put(std::vector<std::byte>& record, const QuantRows& rows) {
  record.resize((record.size() + 15) / 16 * 16);
  const uint32_t at = static_cast<uint32_t>(record.size());
  record.insert(record.end(), rows.blocks.begin(), rows.blocks.end());
  return at;
}

Experts make_experts(GpuRig& rig, ExpertShape shape) {
  Experts made;
  made.shape = shape;
  for (uint32_t s = 0; s < shape.used; ++s) {
    made.gate.push_back(random_rows(shape.gate_type, shape.ff, shape.embd, 10 * s + 1));
    made.up.push_back(random_rows(shape.up_type, shape.ff, shape.embd, 10 * s + 2));
    made.down.push_back(random_rows(shape.down_type, shape.embd, shape.ff, 10 * s + 3));
    std::vector<std::byte> record(16);
    made.shape.gate_offset = put(record, made.gate.back());
    made.shape.up_offset = put(record, made.up.back());
    made.shape.down_offset = put(record, made.down.back());
    made.records.push_back(rig.upload(record));
  }
  return made;
}

void check_experts(GpuRig& rig, const ExpertShape& asked) {
  const Experts experts = make_experts(rig, asked);
  const ExpertShape& shape = experts.shape;
  std::vector<uint64_t> at;
  for (const Buffer& record : experts.records) at.push_back(record.address());
  const std::vector<float> xs = random_floats(shape.embd, 8), share = random_floats(shape.used, 9), before = random_floats(shape.embd, 10);
  const std::vector<float> given = random_floats(size_t{shape.used} * shape.ff, 11);
  Buffer addresses = rig.upload(at), x = rig.upload(xs), weights = rig.upload(share), out = rig.upload(before), input = rig.upload(given);
  Buffer hidden = rig.buffer(given.size() * 4);
  REQUIRE(rig.run([&](Ops& ops) {
    ops.expert_up(shape, rig.tensor(addresses), {}, rig.tensor(x), rig.tensor(hidden));
    ops.expert_down(shape, rig.tensor(addresses), rig.tensor(weights), rig.tensor(input), rig.tensor(out));
  }).ok());
  std::vector<Dot> want_hidden, want_out;
  for (uint32_t s = 0; s < shape.used; ++s) {
    for (uint32_t r = 0; r < shape.ff; ++r) {
      const Dot gate = dot(experts.gate[s].values.data() + size_t{r} * shape.embd, xs.data(), shape.embd);
      const Dot up = dot(experts.up[s].values.data() + size_t{r} * shape.embd, xs.data(), shape.embd);
      const double value = silu(gate.value) * up.value;
      // |silu'| <= 1.1; exp has a few units of its own.
      want_hidden.push_back({value, 1.1 * gate.magnitude * std::fabs(up.value) + std::fabs(silu(gate.value)) * up.magnitude + std::fabs(value)});
    }
  }
  for (uint32_t r = 0; r < shape.embd; ++r) {
    Dot sum = {static_cast<double>(before[r]), std::fabs(static_cast<double>(before[r]))};
    for (uint32_t s = 0; s < shape.used; ++s) {
      const Dot part = dot(experts.down[s].values.data() + size_t{r} * shape.ff, given.data() + size_t{s} * shape.ff, shape.ff);
      sum.value += static_cast<double>(share[s]) * part.value;
      sum.magnitude += std::fabs(static_cast<double>(share[s])) * part.magnitude;
    }
    want_out.push_back(sum);
  }
  CHECK(worst(rig.view<float>(hidden), want_hidden) <= 1);
  CHECK(worst(rig.view<float>(out), want_out) <= 1);
}

}  // namespace

TEST_CASE("experts, decode: every type agrees with double arithmetic") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const BlockType type : kAllTypes) {
    CAPTURE(block_type_name(type));
    check_experts(*rig, {256, 512, 2, type, type, type});
  }
  check_experts(*rig, {768, 256, 5, BlockType::kQ4_K, BlockType::kQ6_K, BlockType::kQ8_0});  // types that differ
  check_experts(*rig, {64, 96, 8, BlockType::kQ8_0, BlockType::kQ8_0, BlockType::kQ4_0});    // rows not of a whole workgroup
  check_experts(*rig, {96, 160, 3, BlockType::kMXFP4, BlockType::kMXFP4, BlockType::kMXFP4});  // rows at odd addresses
  check_experts(*rig, {768, 256, 5, BlockType::kIQ2_XXS, BlockType::kQ4_K, BlockType::kIQ3_S});  // of both builds of the shaders
  check_experts(*rig, {256, 64, 3, BlockType::kQ3_K, BlockType::kIQ4_XS, BlockType::kNVFP4});
}

TEST_CASE("no operation writes while the pass is stopped") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  Experts experts = make_experts(*rig, {256, 256, 1, BlockType::kQ4_K, BlockType::kQ4_K, BlockType::kQ4_K});
  const std::vector<float> ones(256, 1.0f);
  const std::vector<uint64_t> at = {experts.records[0].address()};
  Buffer x = rig->upload(ones), addresses = rig->upload(at), out = rig->buffer(6 * 1024), tokens = rig->buffer(4);
  const auto part = [&](uint64_t i) { return Tensor{out.address() + i * 1024, 1024}; };
  const Weight w = {BlockType::kF32, 1, 256, x.address()};
  rig->control_block().stop = 7;
  REQUIRE(rig->run([&](Ops& ops) {
    ops.embed(w, tokens.address(), part(0), 1);
    ops.rms_norm(rig->tensor(x), x.address(), part(1), 1, 256, 1e-6f);
    ops.matmul(w, rig->tensor(x), part(2), 1, Phase::kDecode);
    const Tensor ids = part(3), chosen = part(4);
    ops.route({256, 2}, rig->tensor(x), ids, chosen, 1);
    ops.expert_up(experts.shape, rig->tensor(addresses), {}, rig->tensor(x), part(5));
    ops.expert_down(experts.shape, rig->tensor(addresses), rig->tensor(x), rig->tensor(x), part(5));
  }).ok());
  const auto bytes = out.mapped();
  CHECK(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }));
  CHECK(rig->control_block().stop == 7);
}
