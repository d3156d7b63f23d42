// The CPU's operations but attention: products against the kernels called row by row, the rest against double precision.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "offload/expert_pieces.h"
#include "platform/host_memory.h"
#include "tests/compute/cpu_rig.h"
#include "tests/compute/quant_rows.h"

using namespace hotset;
using namespace hotset::test;

namespace {

static_assert(offsetof(ExpertPieces, piece) == 0 && sizeof(ExpertPieces) >= sizeof(cpu::ExpertPointers));

constexpr BlockType kCpuTypes[] = {BlockType::kF32,  BlockType::kF16,   BlockType::kBF16, BlockType::kQ8_0, BlockType::kQ4_0,
                                   BlockType::kQ4_K, BlockType::kQ5_K, BlockType::kQ6_K, BlockType::kMXFP4};

// A matrix times one vector, a row at a time.
std::vector<float> product(BlockType type, const QuantRows& w, uint32_t cols, const float* x) {
  const auto rows = static_cast<uint32_t>(w.values.size() / cols);
  const uint64_t bytes = row_bytes(type, cols).value();
  const auto memory = HostArena::create(cpu::activation_bytes(type, cols)).value();
  cpu::kernels().prepare(type, x, cols, memory->bytes().data());
  std::vector<float> out(rows);
  for (uint32_t r = 0; r < rows; ++r) {
    cpu::kernels().multiply(type, w.blocks.data() + r * bytes, bytes, 1, cols, memory->bytes().data(), 0, 1, &out[r], 1);
  }
  return out;
}

double silu(double v) { return v / (1 + std::exp(-v)); }

bool close(float got, double want, double magnitude) { return std::abs(double{got} - want) <= 2e-6 * magnitude + 1e-30; }

}  // namespace

TEST_CASE("cpu matmul: every type, both phases, with and without a residual") {
  CpuRig rig;
  for (const BlockType type : kCpuTypes) {
    for (const auto& [rows, cols] : {std::pair{5u, 32u}, {70u, 256u}, {37u, 1536u}, {9u, 44u}}) {
      if (cols % block_elements(type) != 0) continue;
      for (const uint32_t n : {1u, 3u, 70u}) {
        CAPTURE(block_type_name(type));
        CAPTURE(rows);
        CAPTURE(n);
        const QuantRows w = random_rows(type, rows, cols, cols + rows);
        const std::vector<float> xs = random_floats(size_t{n} * cols, 3), added = random_floats(size_t{n} * rows, 4);
        Buffer matrix = rig.upload(w.blocks), x = rig.upload(xs), out = rig.buffer(uint64_t{n} * rows * 4), both = rig.upload(added);
        for (const Phase phase : {Phase::kDecode, Phase::kBatch}) {
          std::memcpy(both.mapped().data(), added.data(), added.size() * 4);
          const Tensor residual = rig.tensor(both);
          REQUIRE(rig.run([&](Ops& ops) {
            ops.matmul({type, rows, cols, matrix.address()}, rig.tensor(x), rig.tensor(out), n, phase);
            ops.matmul({type, rows, cols, matrix.address()}, rig.tensor(x), residual, n, phase, &residual);
          }).ok());
          for (uint32_t t = 0; t < n; ++t) {
            const std::vector<float> want = product(type, w, cols, &xs[size_t{t} * cols]);
            CHECK(std::memcmp(want.data(), &rig.view<float>(out)[t * rows], rows * 4) == 0);
            for (uint32_t r = 0; r < rows; ++r) CHECK(rig.view<float>(both)[t * rows + r] == added[t * rows + r] + want[r]);
          }
        }
      }
    }
  }
}

TEST_CASE("cpu matmul: products of one x, of types that prepare it differently, more than fit one stage") {
  CpuRig rig(3);
  const BlockType types[] = {BlockType::kQ4_K, BlockType::kQ8_0, BlockType::kQ6_K, BlockType::kF32, BlockType::kQ8_0};
  const uint32_t rows[] = {50, 7, 130, 33, 16};
  const std::vector<float> xs = random_floats(3 * 256, 5);
  Buffer x = rig.upload(xs);
  std::vector<QuantRows> weights;
  std::vector<Buffer> matrices, outs;
  std::vector<MatrixProduct> products;
  for (size_t i = 0; i < std::size(types); ++i) {
    weights.push_back(random_rows(types[i], rows[i], 256, static_cast<uint32_t>(i)));
    matrices.push_back(rig.upload(weights[i].blocks));
    outs.push_back(rig.buffer(3 * rows[i] * 4));
    products.push_back({{types[i], rows[i], 256, matrices[i].address()}, rig.tensor(outs[i])});
  }
  for (const Phase phase : {Phase::kDecode, Phase::kBatch}) {
    REQUIRE(rig.run([&](Ops& ops) { ops.matmul_each(products, rig.tensor(x), 3, phase); }).ok());
    for (size_t i = 0; i < std::size(types); ++i) {
      for (uint32_t t = 0; t < 3; ++t) {
        const std::vector<float> want = product(types[i], weights[i], 256, &xs[t * 256]);
        CHECK(std::memcmp(want.data(), &rig.view<float>(outs[i])[t * rows[i]], rows[i] * 4) == 0);
      }
    }
  }
}

TEST_CASE("cpu embed, norm and add") {
  CpuRig rig;
  for (const BlockType type : kCpuTypes) {
    const QuantRows table = random_rows(type, 9, 256, 7);
    const std::vector<uint32_t> tokens = {3, 8, 0, 3, 7};
    Buffer weights = rig.upload(table.blocks), ids = rig.upload(tokens), out = rig.buffer(tokens.size() * 256 * 4);
    REQUIRE(rig.run([&](Ops& ops) { ops.embed({type, 9, 256, weights.address()}, ids.address(), rig.tensor(out), 5); }).ok());
    for (size_t i = 0; i < 5; ++i) CHECK(std::memcmp(&rig.view<float>(out)[i * 256], &table.values[tokens[i] * 256], 1024) == 0);
  }
  const std::vector<float> xs = random_floats(3 * 100, 5, 30), scale = random_floats(100, 6), before = random_floats(2500, 7), more = random_floats(2500, 8);
  Buffer x = rig.upload(xs), weight = rig.upload(scale), out = rig.buffer(1200), sum = rig.upload(before), part = rig.upload(more);
  REQUIRE(rig.run([&](Ops& ops) {
    ops.rms_norm(rig.tensor(x), weight.address(), rig.tensor(out), 3, 100, 1e-6f);
    ops.add(rig.tensor(part), rig.tensor(sum), 2500);
  }).ok());
  for (uint32_t i = 0; i < 300; ++i) {
    double squares = 0;
    for (uint32_t j = 0; j < 100; ++j) squares += double{xs[i / 100 * 100 + j]} * xs[i / 100 * 100 + j];
    CHECK(rig.view<float>(out)[i] == doctest::Approx(xs[i] / std::sqrt(squares / 100 + 1e-6) * scale[i % 100]).epsilon(1e-6));
  }
  for (uint32_t i = 0; i < 2500; ++i) CHECK(rig.view<float>(sum)[i] == before[i] + more[i]);
}

TEST_CASE("cpu route: the best in order with their weights, ties to the lower id, NaN last") {
  CpuRig rig;
  for (const bool renormalise : {true, false}) {
    for (const auto& [experts, used] : {std::pair{4u, 1u}, {60u, 4u}, {128u, 8u}, {1024u, 32u}}) {
      std::vector<float> scores = random_floats(size_t{3} * experts, experts, 4);
      scores[1] = scores[3] = 50;
      scores[experts + 2] = 0.0f;
      scores[experts + 1] = -0.0f;
      Buffer in = rig.upload(scores), ids = rig.buffer(uint64_t{3} * used * 4), weights = rig.buffer(uint64_t{3} * used * 4);
      REQUIRE(rig.run([&](Ops& ops) { ops.route({experts, used, renormalise, 1.5f}, rig.tensor(in), rig.tensor(ids), rig.tensor(weights), 3); }).ok());
      for (uint32_t t = 0; t < 3; ++t) {
        const float* row = &scores[t * experts];
        std::vector<uint32_t> order(experts);
        std::iota(order.begin(), order.end(), 0u);
        std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return row[a] > row[b]; });
        double total = 0, chosen = 0;
        for (uint32_t i = 0; i < experts; ++i) total += std::exp(double{row[i]} - row[order[0]]);
        for (uint32_t s = 0; s < used; ++s) chosen += std::exp(double{row[order[s]]} - row[order[0]]) / total;
        for (uint32_t s = 0; s < used; ++s) {
          CHECK(rig.view<uint32_t>(ids)[t * used + s] == order[s]);
          const double want = std::exp(double{row[order[s]]} - row[order[0]]) / total / (renormalise ? chosen : 1) * 1.5;
          CHECK(double{rig.view<float>(weights)[t * used + s]} == doctest::Approx(want).epsilon(3e-6));
        }
      }
    }
  }
  std::vector<float> scores(16, std::nanf(""));
  scores[9] = -1e30f;
  Buffer in = rig.upload(scores), ids = rig.buffer(16), weights = rig.buffer(16);
  REQUIRE(rig.run([&](Ops& ops) { ops.route({16, 4}, rig.tensor(in), rig.tensor(ids), rig.tensor(weights), 1); }).ok());
  CHECK(rig.copy<uint32_t>(ids) == std::vector<uint32_t>{9, 0, 1, 2});
}

namespace {

// Experts in RAM, each piece somewhere else.
struct Experts {
  ExpertShape shape;
  std::vector<QuantRows> gate, up, down;
  std::vector<Buffer> memory;
  std::vector<ExpertPieces> pieces;

  Experts(CpuRig& rig, const ExpertShape& s, uint32_t count) : shape(s), pieces(count) {
    for (uint32_t e = 0; e < count; ++e) {
      gate.push_back(random_rows(shape.gate_type, shape.ff, shape.embd, 10 * e + 1));
      up.push_back(random_rows(shape.up_type, shape.ff, shape.embd, 10 * e + 2));
      down.push_back(random_rows(shape.down_type, shape.embd, shape.ff, 10 * e + 3));
      for (const QuantRows* rows : {&gate[e], &up[e], &down[e]}) {
        memory.push_back(rig.upload(rows->blocks));
        pieces[e].piece[(memory.size() - 1) % 3] = memory.back().mapped().data();
      }
    }
  }
  uint64_t address(uint32_t expert) const { return reinterpret_cast<uint64_t>(&pieces[expert]); }
};

ExpertShape expert_shape(uint32_t embd, uint32_t ff, uint32_t used, BlockType gate, BlockType up, BlockType down) {
  ExpertShape shape;
  shape.embd = embd;
  shape.ff = ff;
  shape.used = used;
  shape.gate_type = gate;
  shape.up_type = up;
  shape.down_type = down;
  return shape;
}

const ExpertShape kExpertShapes[] = {expert_shape(256, 512, 3, BlockType::kQ4_K, BlockType::kQ4_K, BlockType::kQ6_K),
                                     expert_shape(768, 256, 4, BlockType::kQ4_K, BlockType::kQ8_0, BlockType::kQ8_0),
                                     expert_shape(96, 160, 2, BlockType::kF16, BlockType::kMXFP4, BlockType::kBF16),
                                     expert_shape(64, 40, 1, BlockType::kF32, BlockType::kF32, BlockType::kF32)};

}  // namespace

TEST_CASE("cpu experts, decode: the sum over slots in order, without those that have no address") {
  CpuRig rig;
  for (const ExpertShape& shape : kExpertShapes) {
    for (const bool with_gap : {false, true}) {
      const Experts experts(rig, shape, shape.used);
      std::vector<uint64_t> at;
      for (uint32_t s = 0; s < shape.used; ++s) at.push_back(with_gap && s == shape.used / 2 ? 0 : experts.address(s));
      const std::vector<float> xs = random_floats(shape.embd, 8), share = random_floats(shape.used, 9), before = random_floats(shape.embd, 10);
      const std::vector<float> untouched(size_t{shape.used} * shape.ff, 123.0f);
      Buffer addresses = rig.upload(at), x = rig.upload(xs), weights = rig.upload(share), out = rig.upload(before), hidden = rig.upload(untouched);
      REQUIRE(rig.run([&](Ops& ops) {
        ops.expert_up(shape, rig.tensor(addresses), {}, rig.tensor(x), rig.tensor(hidden));
        ops.expert_down(shape, rig.tensor(addresses), rig.tensor(weights), rig.tensor(hidden), rig.tensor(out));
      }).ok());
      std::vector<double> want(before.begin(), before.end()), magnitude(shape.embd);
      for (uint32_t s = 0; s < shape.used; ++s) {
        const float* made = &rig.view<float>(hidden)[size_t{s} * shape.ff];
        if (at[s] == 0) {
          CHECK(std::all_of(made, made + shape.ff, [](float v) { return v == 123.0f; }));
          continue;
        }
        const auto gate = product(shape.gate_type, experts.gate[s], shape.embd, xs.data()), up = product(shape.up_type, experts.up[s], shape.embd, xs.data());
        for (uint32_t r = 0; r < shape.ff; ++r) CHECK(close(made[r], silu(gate[r]) * up[r], std::abs(silu(gate[r]) * up[r])));
        const auto down = product(shape.down_type, experts.down[s], shape.ff, made);
        for (uint32_t r = 0; r < shape.embd; ++r) {
          want[r] += double{share[s]} * down[r];
          magnitude[r] += std::abs(double{share[s]} * down[r]) + std::abs(double{before[r]});
        }
      }
      for (uint32_t r = 0; r < shape.embd; ++r) CHECK(close(rig.view<float>(out)[r], want[r], magnitude[r] + std::abs(double{before[r]})));
    }
  }
}

TEST_CASE("cpu experts, batch: pairs by tile, alone or with the tile before") {
  CpuRig rig(3);
  for (const ExpertShape& shape : kExpertShapes) {
    const uint32_t n = 45, count = 5, pairs = n * shape.used;
    const Experts experts(rig, shape, count);
    std::vector<uint32_t> ids(pairs), order(pairs);
    for (uint32_t i = 0; i < pairs; ++i) ids[i] = i % 7 < 4 ? 2 : (i * 7) % count;  // one expert has more pairs than go together
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return ids[a] < ids[b]; });
    std::vector<shaders::ExpertTile> tiles;
    for (uint32_t i = 0; i < pairs; ++i) {
      const uint64_t address = experts.address(ids[order[i]]);
      if (tiles.empty() || tiles.back().expert != address || tiles.back().pair_count == Ops::kTilePairs) tiles.push_back({address, i, 0});
      ++tiles.back().pair_count;
    }
    const std::vector<float> xs = random_floats(size_t{n} * shape.embd, 1), share = random_floats(pairs, 2), before = random_floats(size_t{n} * shape.embd, 3);
    Buffer tile_list = rig.upload(tiles), pair_list = rig.upload(order), x = rig.upload(xs), weights = rig.upload(share), out = rig.upload(before);
    Buffer hidden = rig.buffer(uint64_t{pairs} * shape.ff * 4), parts = rig.buffer(uint64_t{pairs} * shape.embd * 4);
    const auto tile_count = static_cast<uint32_t>(tiles.size());
    REQUIRE(rig.run([&](Ops& ops) {
      ops.expert_up_batch(shape, tile_list.address(), tile_count, pair_list.address(), {}, rig.tensor(x), rig.tensor(hidden));
      ops.expert_down_batch(shape, tile_list.address(), tile_count, pair_list.address(), rig.tensor(hidden), rig.tensor(parts));
      ops.combine(shape, rig.tensor(weights), rig.tensor(parts), rig.tensor(out), n);
    }).ok());
    for (uint32_t pair = 0; pair < pairs; ++pair) {
      const float* token = &xs[size_t{pair / shape.used} * shape.embd];
      const float* made = &rig.view<float>(hidden)[size_t{pair} * shape.ff];
      const auto gate = product(shape.gate_type, experts.gate[ids[pair]], shape.embd, token), up = product(shape.up_type, experts.up[ids[pair]], shape.embd, token);
      uint32_t wrong = 0;
      for (uint32_t r = 0; r < shape.ff; ++r) wrong += !close(made[r], silu(gate[r]) * up[r], std::abs(silu(gate[r]) * up[r]));
      CHECK(wrong == 0);
      const auto down = product(shape.down_type, experts.down[ids[pair]], shape.ff, made);
      CHECK(std::memcmp(down.data(), &rig.view<float>(parts)[size_t{pair} * shape.embd], shape.embd * 4) == 0);
    }
    for (uint32_t i = 0; i < n * shape.embd; ++i) {
      double want = before[i], magnitude = std::abs(want);
      for (uint32_t s = 0; s < shape.used; ++s) {
        const uint32_t pair = i / shape.embd * shape.used + s;
        const double term = double{share[pair]} * rig.view<float>(parts)[size_t{pair} * shape.embd + i % shape.embd];
        want += term;
        magnitude += std::abs(term);
      }
      CHECK(close(rig.view<float>(out)[i], want, magnitude));
    }
  }
}

TEST_CASE("cpu: a stopped pass writes nothing but what it exports, a missing expert stops it") {
  for (const uint32_t threads : {1u, 2u, 3u}) {
    CpuRig rig(threads);
    const ExpertShape shape = expert_shape(256, 256, 1, BlockType::kQ4_K, BlockType::kQ4_K, BlockType::kQ4_K);
    const Experts experts(rig, shape, 1);
    const std::vector<uint64_t> at = {experts.address(0)}, table = {at[0], 0, at[0], at[0]};
    std::vector<float> scores(4, 0.0f);
    scores[1] = 2;
    Buffer x = rig.upload(std::vector<float>(2 * 256, 1.0f)), addresses = rig.upload(at), out = rig.buffer(16 * 2048), row = rig.upload(scores),
           known = rig.upload(table), tokens = rig.buffer(8);
    const auto part = [&](uint64_t i) { return Tensor{out.address() + i * 2048, 2048}; };
    const Weight w = {BlockType::kF32, 2, 256, x.address()};
    AttentionShape attention;
    attention.heads = attention.kv_heads = 1;
    attention.head_dim = attention.value_dim = attention.rope_dim = 32;
    attention.context_tokens = 4;
    const auto record_all = [&](Ops& ops) {
      ops.embed(w, tokens.address(), part(0), 2);
      ops.rms_norm(rig.tensor(x), x.address(), part(1), 2, 256, 1e-6f);
      ops.matmul(w, rig.tensor(x), part(2), 2, Phase::kDecode);
      ops.matmul(w, rig.tensor(x), part(3), 2, Phase::kBatch);
      ops.route({256, 2}, rig.tensor(x), part(4), part(5), 1);
      ops.store_kv(attention, part(6), rig.tensor(x), rig.tensor(x), 0, 0, x.address(), {part(7).address, part(8).address}, 2);
      ops.attention(attention, rig.tensor(x), {x.address(), x.address()}, part(9), {}, 2, Phase::kDecode);
      ops.attention(attention, rig.tensor(x), {x.address(), x.address()}, part(9), {}, 2, Phase::kBatch);
      ops.expert_up(shape, rig.tensor(addresses), {}, rig.tensor(x), part(10));
      ops.expert_down(shape, rig.tensor(addresses), rig.tensor(x), rig.tensor(x), part(11));
      ops.combine(shape, rig.tensor(x), rig.tensor(x), part(12), 2);
      ops.add(rig.tensor(x), part(13), 256);
    };
    const auto zero = [](float v) { return v == 0; };
    rig.control_block().stop = 7;
    REQUIRE(rig.run([&](Ops& ops) {
      record_all(ops);
      ops.export_stopped(rig.tensor(x), part(14), 256, 6);
      ops.export_stopped(rig.tensor(x), part(15), 256, 7);
      record_all(ops);
    }).ok());
    const auto view = rig.view<float>(out);
    CHECK(std::all_of(view.begin(), view.begin() + 15 * 512, zero));
    CHECK(std::count(view.begin() + 15 * 512, view.end(), 1.0f) == 256);
    // Expert 1 has no address: the pass stops behind the router and does the export only.
    rig.control_block().stop = 0;
    const Tensor found = rig.tensor(addresses);
    REQUIRE(rig.run([&](Ops& ops) {
      ops.rms_norm(rig.tensor(x), x.address(), part(1), 2, 256, 1e-6f);
      ops.route({4, 1}, rig.tensor(row), part(4), part(5), 1, known.address(), &found, 5);
      ops.export_stopped(rig.tensor(x), part(14), 256, 5);
      ops.route({4, 1}, rig.tensor(row), part(4), part(5), 1, known.address(), &found, 6);
      record_all(ops);
    }).ok());
    CHECK(rig.control_block().stop == 5);
    CHECK(rig.view<uint64_t>(addresses)[0] == 0);
    CHECK(std::all_of(view.begin(), view.begin() + 512, zero));
    CHECK(std::all_of(view.begin() + 2 * 512, view.begin() + 4 * 512, zero));
    CHECK(std::all_of(view.begin() + 6 * 512, view.begin() + 14 * 512, zero));
    CHECK(view[14 * 512 + 255] == 1.0f);
    rig.control_block().stop = 0;
    REQUIRE(rig.run(record_all).ok());
    for (const size_t i : {0u, 1u, 2u, 3u, 5u, 7u, 8u, 9u, 12u, 13u}) CHECK_FALSE(std::all_of(view.begin() + i * 512, view.begin() + (i + 1) * 512, zero));
    CHECK(rig.submits == 3);
  }
}
