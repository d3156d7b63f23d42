// norm, map, rope, store_rows and matmul_heads on both devices, against their definitions in double precision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/compute/both_devices.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// ---- norm

struct NormCase {
  NormShape shape;
  bool weight;
  bool bias;
  bool in_place;
};

std::vector<double> normed(const NormShape& shape, const float* x, const float* weight, const float* bias) {
  double mean = 0, squares = 0;
  for (uint32_t i = 0; i < shape.cols; ++i) mean += shape.kind == NormKind::kLayer ? double{x[i]} / shape.cols : 0;
  for (uint32_t i = 0; i < shape.cols; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double eps = double{shape.eps};
  const double by = shape.kind == NormKind::kL2 ? std::max(std::sqrt(squares), eps) : std::sqrt(squares / shape.cols + eps);
  std::vector<double> out(shape.cols);
  for (uint32_t i = 0; i < shape.cols; ++i) {
    out[i] = (x[i] - mean) / by * (weight != nullptr ? double{weight[i]} : 1.0) + (bias != nullptr ? double{bias[i]} : 0.0);
  }
  return out;
}

template <class Rig>
void check_norm(Rig& rig, const NormCase& c) {
  constexpr uint32_t n = 5;
  const NormShape& shape = c.shape;
  const uint32_t cols = shape.groups * shape.cols;
  RowBuffer x(rig, n, cols, 1, 3), apart(rig, n, cols, 2, 1);
  RowBuffer& out = c.in_place ? x : apart;
  const auto weights = random_floats(cols, 3), biases = random_floats(cols, 4);
  Buffer weight = rig.upload(weights), bias = rig.upload(biases);
  const auto run = [&](uint32_t first, uint32_t count) {
    REQUIRE(rig.run([&](Ops& ops) {
      ops.norm(shape, x.rows(first), c.weight ? weight.address() : 0, c.bias ? bias.address() : 0, out.rows(first), count);
    }).ok());
  };
  run(0, n);
  double worst = 0;
  for (uint32_t t = 0; t < n; ++t) {
    for (uint32_t g = 0; g < shape.groups; ++g) {
      const size_t at = size_t{g} * shape.weight_stride;
      const auto want = normed(shape, x.old_row(t) + g * shape.cols, c.weight ? &weights[at] : nullptr, c.bias ? &biases[at] : nullptr);
      for (uint32_t i = 0; i < shape.cols; ++i) worst = std::max(worst, std::abs(want[i] - double{out.row(t)[g * shape.cols + i]}) / (1 + std::abs(want[i])));
    }
  }
  CHECK(worst < 4e-6);
  CHECK(out.only_changed(0, cols));
  const auto together = out.now();
  x.restore(), out.restore();
  for (const auto& [first, count] : {std::pair{0u, 2u}, {2u, 1u}, {3u, 2u}}) run(first, count);
  CHECK(out.now() == together);
}

}  // namespace

TEST_CASE("parts: norm of every kind, grouped, in place, with and without weights and biases") {
  on_both_devices([](auto& rig) {
    for (const NormKind kind : {NormKind::kRms, NormKind::kLayer, NormKind::kL2}) {
      for (const auto& [groups, cols] : {std::pair{1u, 600u}, {3u, 64u}, {5u, 7u}, {1u, 1u}, {2u, 130u}}) {
        for (const uint32_t flags : {0u, 1u, 3u, 5u, 14u, 9u}) {
          NormShape shape = {kind, groups, cols, (flags & 8) != 0 ? cols : 0, 1e-5f};
          CAPTURE(static_cast<int>(kind));
          CAPTURE(cols);
          CAPTURE(flags);
          if (cols == 1 && kind == NormKind::kLayer) continue;  // a variance of 0: all of it is rounding
          check_norm(rig, {shape, (flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0});
        }
      }
    }
  });
}

namespace {

// ---- map

double activated(Activation f, double alpha, double x) {
  switch (f) {
    case Activation::kNone: return x;
    case Activation::kSilu: return x / (1 + std::exp(-alpha * x));
    case Activation::kGelu: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case Activation::kGeluErf: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::kRelu: return std::max(x, 0.0);
    case Activation::kReluSquared: return std::max(x, 0.0) * std::max(x, 0.0);
    case Activation::kSigmoid: return 1 / (1 + std::exp(-alpha * x));
    case Activation::kSoftplus: return x > 20 ? x : std::log(1 + std::exp(x));
    case Activation::kTanh: return std::tanh(alpha * x);
    case Activation::kExp: return std::exp(alpha * x);
    case Activation::kSitu: return std::tanh(alpha * x) / alpha / (1 + std::exp(-x));
  }
  return NAN;
}

double element(const std::vector<float>& values, const Operand& operand, uint32_t t, uint32_t i) {
  const uint32_t at = i / operand.group;
  return double{values[size_t{t} * operand.stride + (operand.period == 0 ? at : at % operand.period)]};
}

}  // namespace

TEST_CASE("parts: map computes every activation, from far below zero to far above") {
  on_both_devices([](auto& rig) {
    std::vector<float> xs = {0, -0.0f, 1e-6f, -1e-6f, 0.03f, -0.07f, 19.9f, 20.1f, 80, -80, 30000, -30000};
    for (float x = -12; x < 12; x += 0.37f) xs.push_back(x);
    const auto cols = static_cast<uint32_t>(xs.size());
    Buffer x = rig.upload(xs), out = rig.buffer(cols * sizeof(float));
    for (uint32_t f = 0; f <= static_cast<uint32_t>(Activation::kSitu); ++f) {
      Glu glu;
      glu.f = static_cast<Activation>(f);
      const bool takes_alpha = glu.f == Activation::kSilu || glu.f == Activation::kSigmoid || glu.f == Activation::kTanh || glu.f == Activation::kExp || glu.f == Activation::kSitu;
      glu.alpha = takes_alpha ? 0.7f : 1;
      if (glu.f == Activation::kExp) glu.gate_high = 50;
      REQUIRE(rig.run([&](Ops& ops) { ops.map(glu, 1, {x.address(), 0}, {}, {}, {out.address(), 0}, 1, cols); }).ok());
      for (uint32_t i = 0; i < cols; ++i) {
        const double want = activated(glu.f, double{glu.alpha}, std::min(double{xs[i]}, double{glu.gate_high}));
        const double got = double{rig.template view<float>(out)[i]};
        CAPTURE(f);
        CAPTURE(xs[i]);
        CAPTURE(got);
        // Of exp the argument's own rounding comes into the result.
        const double relative = 4e-6 + (glu.f == Activation::kExp ? 1e-5 : 0);
        CHECK(std::abs(got - want) <= std::max(relative * std::abs(want), glu.f == Activation::kSoftplus || f == 0 ? 1e-12 : 3e-7));
      }
    }
  });
}

namespace {

// Runs map over operands of `kinds` (0: absent, 1: element for element, 2: every row the same, 3: group, 4: period, 5: both), out
// being operand `in_place` (3: none).
template <class Rig>
void check_map(Rig& rig, const Glu& glu, std::array<uint32_t, 3> kinds, uint32_t in_place) {
  constexpr uint32_t n = 4, cols = 77;
  std::array<std::vector<float>, 3> values;
  std::array<Buffer, 3> buffers;
  std::array<Operand, 3> operands;
  for (uint32_t i = 0; i < 3; ++i) {
    values[i] = random_floats(n * 90, i + 1, 2);
    buffers[i] = rig.upload(values[i]);
    const Operand all[] = {{}, {0, 90}, {0, 0}, {0, 90, 7}, {0, 85, 1, 16}, {0, 90, 3, 5}};
    operands[i] = all[kinds[i]];
    if (kinds[i] != 0) operands[i].address = buffers[i].address();
  }
  Buffer apart = rig.buffer(n * 90 * sizeof(float));
  Buffer& out = in_place < 3 ? buffers[in_place] : apart;
  constexpr float scale = 0.6f;
  const auto run = [&](uint32_t first, uint32_t count) {
    std::array<Operand, 3> part = operands;
    for (Operand& operand : part) operand.address += operand.address != 0 ? uint64_t{first} * operand.stride * sizeof(float) : 0;
    REQUIRE(rig.run([&](Ops& ops) { ops.map(glu, scale, part[0], part[1], part[2], {out.address() + first * 90 * sizeof(float), 90}, count, cols); }).ok());
  };
  run(0, n);
  const auto view = rig.template view<float>(out);
  double worst = 0;
  for (uint32_t t = 0; t < n; ++t) {
    for (uint32_t i = 0; i < cols; ++i) {
      const auto bounded = [](double x, float low, float high) { return std::min(std::max(x, double{low}), double{high}); };
      double want = activated(glu.f, double{glu.alpha}, bounded(element(values[0], operands[0], t, i), glu.gate_low, glu.gate_high));
      if (kinds[1] != 0) want *= bounded(element(values[1], operands[1], t, i), glu.up_low, glu.up_high) + double{glu.up_offset};
      want *= double{scale};
      if (kinds[2] != 0) want += element(values[2], operands[2], t, i);
      worst = std::max(worst, std::abs(want - double{view[t * 90 + i]}));
    }
  }
  CHECK(worst < 1e-5);
  const std::vector<float> together(view.begin(), view.end());
  if (in_place < 3) std::copy(values[in_place].begin(), values[in_place].end(), view.begin());
  run(0, 1), run(1, 3);
  CHECK(std::equal(together.begin(), together.end(), view.begin()));
}

}  // namespace

TEST_CASE("parts: map takes operands of every form, clamps, offsets and works in place") {
  Glu clamped;
  clamped.alpha = 1.702f;
  clamped.gate_high = 1.5f;
  clamped.up_low = -1;
  clamped.up_high = 1;
  clamped.up_offset = 1;
  Glu sigmoid;
  sigmoid.f = Activation::kSigmoid;
  on_both_devices([&](auto& rig) {
    for (const Glu& glu : {Glu{}, clamped, sigmoid}) {
      for (uint32_t kind = 1; kind <= 5; ++kind) {
        CAPTURE(kind);
        check_map(rig, glu, {kind, 0, 0}, 3);
        check_map(rig, glu, {1, kind, 0}, 0);
        check_map(rig, glu, {kind, 1, 1}, 1);
        check_map(rig, glu, {5, 1, kind}, 1);
        check_map(rig, glu, {kind, 0, 1}, 2);
      }
    }
    check_map(rig, Glu{}, {1, 1, 0}, 0);
  });
}

// ---- rope

TEST_CASE("parts: rope turns some dims of some heads, forward and back") {
  on_both_devices([](auto& rig) {
    constexpr uint32_t n = 5, heads = 3, head_stride = 50;
    for (const uint32_t flags : {0u, 1u, 2u, 3u}) {
      for (const auto& [first, dim] : {std::pair{0u, 48u}, {32u, 16u}, {5u, 2u}}) {
        const RopeShape shape = {heads, head_stride, first, dim, (flags & 1) != 0, (flags & 2) != 0};
        CAPTURE(flags);
        CAPTURE(dim);
        RowBuffer x(rig, n, heads * head_stride, 1, 2);
        std::vector<float> turns;
        for (uint32_t i = 0; i < n * dim / 2; ++i) {
          turns.push_back(std::cos(0.3f * static_cast<float>(i)));
          turns.push_back(std::sin(0.3f * static_cast<float>(i)));
        }
        Buffer table = rig.upload(turns);
        const auto run = [&](const RopeShape& how, uint32_t from, uint32_t count) {
          REQUIRE(rig.run([&](Ops& ops) { ops.rope(how, x.rows(from), table.address() + from * dim * sizeof(float), count); }).ok());
        };
        run(shape, 0, n);
        double worst = 0;
        for (uint32_t t = 0; t < n; ++t) {
          std::vector<double> want(x.old_row(t), x.old_row(t) + heads * head_stride);
          for (uint32_t i = 0; i < heads * dim / 2; ++i) {
            const uint32_t pair = i % (dim / 2), at = i / (dim / 2) * head_stride + first + ((flags & 1) != 0 ? 2 * pair : pair);
            double &one = want[at], &two = want[at + ((flags & 1) != 0 ? 1 : dim / 2)];
            const double cosine = double{turns[t * dim + 2 * pair]}, sine = double{turns[t * dim + 2 * pair + 1]} * ((flags & 2) != 0 ? -1 : 1);
            const double a = one * cosine - two * sine, b = one * sine + two * cosine;
            one = a, two = b;
          }
          for (uint32_t i = 0; i < want.size(); ++i) worst = std::max(worst, std::abs(want[i] - double{x.row(t)[i]}));
        }
        CHECK(worst < 1e-6);
        const auto together = x.now();
        x.restore();
        run(shape, 0, 2), run(shape, 2, 3);
        CHECK(x.now() == together);
        RopeShape back = shape;
        back.inverse = !back.inverse;
        run(back, 0, n);
        for (size_t i = 0; i < x.before.size(); ++i) worst = std::max(worst, double{std::abs(x.now()[i] - x.before[i])});
        CHECK(worst < 2e-6);
      }
    }
  });
}

// ---- store_rows

TEST_CASE("parts: store_rows writes columns of cache rows from the pass's position on, and none past the context") {
  on_both_devices([](auto& rig) {
    for (const KvElement element : {KvElement::kF32, KvElement::kF16}) {
      for (const uint32_t cols : {1u, 64u, 131u}) {
        constexpr uint32_t context = 9, stride = 140, column = 2, n = 4;
        CAPTURE(cols);
        RowBuffer x(rig, n, cols, 1, 1);
        const uint32_t bytes = kv_element_bytes(element);
        Buffer cache = rig.upload(std::vector<uint8_t>(context * stride * bytes, 0x3c));
        for (const uint32_t position : {0u, 7u}) {
          rig.control_block() = {position, 0, 0, 0};
          REQUIRE(rig.run([&](Ops& ops) { ops.store_rows(element, x.rows(), cache.address() + column * bytes, stride, context, cols, n); }).ok());
        }
        uint32_t wrong = 0;
        for (uint32_t p = 0; p < context; ++p) {
          for (uint32_t i = 0; i < stride; ++i) {
            const bool stored = i >= column && i < column + cols && (p < 4 || p >= 7);
            const float from = stored ? x.old_row(p < 4 ? p : p - 7)[i - column] : 0;
            const size_t at = size_t{p} * stride + i;
            if (element == KvElement::kF16) wrong += rig.template view<uint16_t>(cache)[at] != (stored ? float_to_half(from) : 0x3c3c);
            else wrong += rig.template view<float>(cache)[at] != (stored ? from : std::bit_cast<float>(0x3c3c3c3cu));
          }
        }
        CHECK(wrong == 0);
        rig.control_block() = {};
      }
    }
  });
}

namespace {

// ---- matmul_heads

template <class Rig>
void check_heads(Rig& rig, BlockType type, bool transposed, uint32_t heads, uint32_t rows, uint32_t cols, bool is_cpu) {
  constexpr uint32_t n = 19;
  const HeadsShape shape = {heads, rows, cols, cols + 4, rows + 1, transposed};
  const QuantRows weights = random_rows(type, heads * (transposed ? cols : rows), transposed ? rows : cols, 1);
  Buffer matrix = rig.upload(weights.blocks);
  const Weight w = {type, heads * (transposed ? cols : rows), transposed ? rows : cols, matrix.address()};
  RowBuffer x(rig, n, heads * (cols + 4), 2, 4, 4), out(rig, n, heads * (rows + 1) - 1, 3, 1);
  const auto run = [&](uint32_t first, uint32_t count) {
    REQUIRE(rig.run([&](Ops& ops) { ops.matmul_heads(shape, w, x.rows(first), out.rows(first), count); }).ok());
  };
  run(0, n);
  const bool rounded = is_cpu && !transposed && block_elements(type) > 1;  // activations to 8 bits
  uint32_t wrong = 0;
  for (uint32_t t = 0; t < n; ++t) {
    for (uint32_t head = 0; head < heads; ++head) {
      const float* in = x.old_row(t) + head * (cols + 4);
      const double most = double{std::abs(*std::max_element(in, in + cols, [](float a, float b) { return std::abs(a) < std::abs(b); }))};
      for (uint32_t r = 0; r < rows; ++r) {
        double want = 0, size = 0, steps = 0;
        for (uint32_t c = 0; c < cols; ++c) {
          const double weight = double{weights.values[transposed ? (size_t{head} * cols + c) * rows + r : (size_t{head} * rows + r) * cols + c]};
          want += weight * double{in[c]};
          size += std::abs(weight * double{in[c]});
          steps += std::abs(weight);
        }
        const double bound = (rounded ? steps * most / 253 : 0) + 2e-6 * size + 1e-12;
        wrong += !(std::abs(want - double{out.row(t)[head * (rows + 1) + r]}) <= bound);
      }
    }
  }
  CHECK(wrong == 0);
  const auto together = out.now();
  out.restore();
  for (const auto& [first, count] : {std::pair{0u, 1u}, {1u, 17u}, {18u, 1u}}) run(first, count);
  CHECK(out.now() == together);
  for (uint32_t t = 0; t < n; ++t) {
    for (uint32_t head = 0; head + 1 < heads; ++head) CHECK(out.row(t)[head * (rows + 1) + rows] == out.old_row(t)[head * (rows + 1) + rows]);
  }
}

}  // namespace

TEST_CASE("parts: matmul_heads with every type of weights, as they lie and transposed") {
  bool is_cpu = true;
  on_both_devices([&](auto& rig) {
    for (const BlockType type : kAllTypes) {
      for (const bool transposed : {false, true}) {
        CAPTURE(block_type_name(type));
        CAPTURE(transposed);
        check_heads(rig, type, transposed, 3, transposed ? 256 : 40, transposed ? 40 : 256, is_cpu);
        if (block_elements(type) == 32) check_heads(rig, type, transposed, 2, transposed ? 96 : 5, transposed ? 7 : 96, is_cpu);
        if (block_elements(type) == 1) check_heads(rig, type, transposed, 2, transposed ? 6 : 5, transposed ? 5 : 6, is_cpu);
      }
    }
    is_cpu = false;
  });
}

TEST_CASE("parts: nothing is written while the pass has stopped") {
  on_both_devices([](auto& rig) {
    RowBuffer x(rig, 2, 64, 1), out(rig, 2, 64, 2);
    Buffer cache = rig.buffer(64 * 2 * sizeof(float));
    Buffer weights = rig.upload(random_floats(64 * 64, 3));
    const std::vector<float> stored(rig.template view<float>(cache).begin(), rig.template view<float>(cache).end());
    rig.control_block() = {0, 1, 0, 0};
    REQUIRE(rig.run([&](Ops& ops) {
      ops.norm({NormKind::kRms, 1, 64, 0, 1e-6f}, x.rows(), weights.address(), 0, out.rows(), 2);
      ops.map({}, 1, {x.rows().address, x.stride}, {}, {}, out.rows(), 2, 64);
      ops.rope({1, 64, 0, 64}, out.rows(), weights.address(), 2);
      ops.store_rows(KvElement::kF32, x.rows(), cache.address(), 64, 2, 64, 2);
      ops.matmul_heads({1, 64, 64, 64, 64, false}, {BlockType::kF32, 64, 64, weights.address()}, x.rows(), out.rows(), 2);
      ops.matmul_heads({1, 64, 64, 64, 64, true}, {BlockType::kF32, 64, 64, weights.address()}, x.rows(), out.rows(), 2);
    }).ok());
    CHECK(out.now() == out.before);
    CHECK(std::equal(stored.begin(), stored.end(), rig.template view<float>(cache).begin()));
  });
}

TEST_CASE("parts: operations of a segment see what those before wrote, in columns of wider rows too") {
  on_both_devices([](auto& rig) {
    constexpr uint32_t n = 33, cols = 257;
    RowBuffer x(rig, n, 2 * cols, 1), out(rig, n, cols, 2);
    const Operand gate = {x.rows().address, x.stride}, up = {x.rows().address + cols * sizeof(float), x.stride}, own = {out.rows().address, out.stride};
    REQUIRE(rig.run([&](Ops& ops) {
      ops.norm({NormKind::kRms, 2, cols, 0, 1e-6f}, x.rows(), 0, 0, x.rows(), n);
      ops.map({}, 1, gate, up, {}, {gate.address, x.stride}, n, cols);
      ops.map({Activation::kNone}, 2, gate, {}, {}, out.rows(), n, cols);
      ops.map({Activation::kNone}, 1, own, {}, gate, out.rows(), n, cols);
    }).ok());
    double worst = 0;
    const NormShape shape = {NormKind::kRms, 2, cols, 0, 1e-6f};
    for (uint32_t t = 0; t < n; ++t) {
      const auto a = normed(shape, x.old_row(t), nullptr, nullptr), b = normed(shape, x.old_row(t) + cols, nullptr, nullptr);
      for (uint32_t i = 0; i < cols; ++i) {
        worst = std::max(worst, std::abs(3 * activated(Activation::kSilu, 1, a[i]) * b[i] - double{out.row(t)[i]}));
      }
    }
    CHECK(worst < 3e-5);
  });
}
