// Recurrences over tokens, on the CPU with every set of kernels and on the GPU, against double precision.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/compute/cpu_rig.h"
#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr float kUntouched = 7777;
constexpr uint32_t kGap = 3;  // floats between the parts of a row, and behind them

template <class Suite>
void on_each_device(Suite suite) {
  for (const cpu::FloatKernels* floats : cpu::all_float_kernels()) {
    CAPTURE(floats->name);
    CpuRig rig(2, *floats);
    suite(rig);
  }
  const auto gpu = GpuRig::open();
  if (!gpu) HOTSET_SKIP("no Vulkan device");
  suite(*gpu);
}

std::vector<float> copy_of(const Buffer& buffer) {
  const auto bytes = buffer.mapped();
  std::vector<float> values(bytes.size() / sizeof(float));
  std::copy_n(reinterpret_cast<const float*>(bytes.data()), values.size(), values.begin());
  return values;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// Rows of several parts, one behind the other with gaps: each is columns of a wider value.
struct Wide {
  explicit Wide(uint32_t tokens, std::initializer_list<uint32_t> cols, uint32_t seed) : n(tokens) {
    for (const uint32_t count : cols) {
      offsets.push_back(stride);
      stride += count + kGap;
    }
    values = random_floats(size_t{n} * stride, seed);
  }
  float at(uint32_t part, uint32_t token, uint32_t i) const { return values[size_t{token} * stride + offsets[part] + i]; }
  float& at(uint32_t part, uint32_t token, uint32_t i) { return values[size_t{token} * stride + offsets[part] + i]; }
  Rows rows(const Buffer& buffer, uint32_t part, uint32_t first) const {
    return {buffer.address() + sizeof(float) * (uint64_t{first} * stride + offsets[part]), stride};
  }

  uint32_t n;
  uint32_t stride = 0;
  std::vector<uint32_t> offsets;
  std::vector<float> values;
};

// What a run left: rows of out with a gap behind each, and the state.
struct Outcome {
  std::vector<float> out;
  std::vector<float> state;
};

// What double precision finds, and how large the numbers are whose rounding counts.
struct Expected {
  std::vector<double> out;
  std::vector<double> state;
  double magnitude = 0;
};

struct Start {
  uint32_t position;
  std::vector<float> state;  // as it lies in memory
  double at(size_t i) const { return position == 0 ? 0 : state[i]; }
};

// At the beginning of a sequence memory may hold anything.
Start start_at(uint32_t position, size_t floats) {
  return {position, position == 0 ? std::vector<float>(floats, std::nanf("")) : random_floats(floats, 77)};
}

// Runs the pieces one after the other: record(ops, state, out, first token, tokens).
template <class Rig, class Record>
Outcome run_pieces(Rig& rig, const Start& start, uint32_t n, uint32_t cols, const std::vector<uint32_t>& pieces, Record record, uint32_t stop = 0) {
  Buffer state = rig.buffer(std::max<size_t>(start.state.size(), 1) * sizeof(float));
  std::copy(start.state.begin(), start.state.end(), reinterpret_cast<float*>(state.mapped().data()));
  Buffer out = rig.upload(std::vector<float>(size_t{n} * (cols + kGap), kUntouched));
  uint32_t first = 0;
  for (const uint32_t count : pieces) {
    rig.control_block() = {start.position + first, stop, 0, 0};
    const Rows rows = {out.address() + sizeof(float) * uint64_t{first} * (cols + kGap), cols + kGap};
    REQUIRE(rig.run([&](Ops& ops) { record(ops, state.address(), rows, first, count); }).ok());
    first += count;
  }
  rig.control_block() = {};
  Outcome outcome = {copy_of(out), copy_of(state)};
  outcome.state.resize(start.state.size());
  return outcome;
}

void check_close(const Outcome& got, const Expected& want, uint32_t n, uint32_t cols, double roundings) {
  const double tolerance = roundings * kEpsilon * want.magnitude;
  double worst = 0;
  bool gaps_kept = true;
  for (uint32_t t = 0; t < n; ++t) {
    const float* row = &got.out[size_t{t} * (cols + kGap)];
    for (uint32_t i = 0; i < cols; ++i) worst = std::max(worst, std::isfinite(row[i]) ? std::abs(row[i] - want.out[size_t{t} * cols + i]) : 1e30);
    for (uint32_t i = cols; i < cols + kGap; ++i) gaps_kept = gaps_kept && row[i] == kUntouched;
  }
  for (size_t i = 0; i < want.state.size(); ++i) {
    worst = std::max(worst, std::isfinite(got.state[i]) ? std::abs(got.state[i] - want.state[i]) : 1e30);
  }
  CHECK(worst <= tolerance);
  CHECK(gaps_kept);
}

// One call, one call a token, and uneven calls leave the same bits, which are close to what is expected; a stopped pass leaves all.
template <class Rig, class Record>
void check_runs(Rig& rig, const Start& start, uint32_t n, uint32_t cols, const Expected& want, double roundings, Record record) {
  const Outcome whole = run_pieces(rig, start, n, cols, {n}, record);
  check_close(whole, want, n, cols, roundings);
  std::vector<std::vector<uint32_t>> splits = {std::vector<uint32_t>(n, 1)};
  if (n > 4) splits.push_back({2, n - 3, 1});
  for (const auto& split : splits) {
    const Outcome pieces = run_pieces(rig, start, n, cols, split, record);
    CHECK(same_bits(pieces.out, whole.out));
    CHECK(same_bits(pieces.state, whole.state));
  }
  const Outcome stopped = run_pieces(rig, start, n, cols, {n}, record, 3);
  CHECK(same_bits(stopped.out, std::vector<float>(size_t{n} * (cols + kGap), kUntouched)));
  CHECK(same_bits(stopped.state, start.state));
}

// ---- conv

double activated(Activation f, double x) {
  if (f == Activation::kSilu) return x / (1 + std::exp(-x));
  if (f == Activation::kRelu) return std::max(x, 0.0);
  return x;
}

Expected expect_conv(const ConvShape& shape, const Start& start, const Wide& x, const std::vector<float>& weight, const std::vector<float>& bias) {
  const uint32_t channels = shape.channels, kernel = shape.kernel;
  const auto input = [&](int64_t row, uint32_t c) {
    return row >= 0 ? x.at(0, static_cast<uint32_t>(row), c) : start.at(static_cast<size_t>(row + kernel - 1) * channels + c);
  };
  Expected want;
  for (uint32_t t = 0; t < x.n; ++t) {
    for (uint32_t c = 0; c < channels; ++c) {
      double sum = bias.empty() ? 0 : bias[c], size = std::abs(sum);
      for (uint32_t j = 0; j < kernel; ++j) {
        const double product = double{weight[c * kernel + j]} * input(int64_t{t} + j + 1 - kernel, c);
        sum += product;
        size += std::abs(product);
      }
      want.out.push_back(activated(shape.f, sum));
      want.magnitude = std::max(want.magnitude, size);
    }
  }
  for (uint32_t j = 0; j + 1 < kernel; ++j) {
    for (uint32_t c = 0; c < channels; ++c) want.state.push_back(input(int64_t{x.n} + j + 1 - kernel, c));
  }
  return want;
}

// ---- linear attention

struct HeadsCase {
  const char* like;
  LinearAttentionShape shape;
  bool has_beta;
  uint32_t n;
};

// q | k | v | decay | beta, with what trained models have: k of length 1, decays below 0, beta within 0..1.
Wide head_inputs(const HeadsCase& c) {
  const LinearAttentionShape& s = c.shape;
  const uint32_t keys = s.key_heads * s.key_dim, decays = s.decay == Decay::kChannel ? s.heads * s.key_dim : s.heads;
  Wide made(c.n, {keys, keys, s.heads * s.value_dim, decays, s.heads}, s.key_dim);
  for (uint32_t t = 0; t < c.n; ++t) {
    for (uint32_t h = 0; h < s.key_heads; ++h) {
      double squares = 0;
      for (uint32_t i = h * s.key_dim; i < (h + 1) * s.key_dim; ++i) squares += double{made.at(1, t, i)} * made.at(1, t, i);
      for (uint32_t i = h * s.key_dim; i < (h + 1) * s.key_dim; ++i) made.at(1, t, i) = static_cast<float>(made.at(1, t, i) / std::sqrt(squares));
    }
    for (uint32_t i = 0; i < decays; ++i) made.at(3, t, i) = -std::abs(made.at(3, t, i)) * (i % 3 == 0 ? 4 : 0.1f);
    for (uint32_t h = 0; h < s.heads; ++h) made.at(4, t, h) = 1 / (1 + std::exp(-made.at(4, t, h)));
  }
  return made;
}

double log_decay(const LinearAttentionShape& s, const Wide& in, uint32_t t, uint32_t head, uint32_t key) {
  switch (s.decay) {
    case Decay::kNone: break;
    case Decay::kHead: return in.at(3, t, head);
    case Decay::kChannel: return in.at(3, t, head * s.key_dim + key);
    case Decay::kConstant: return in.at(3, 0, head);
  }
  return 0;
}

// One token of one head: S is advanced, and its outputs are appended.
void expect_token(const HeadsCase& c, const Wide& in, uint32_t t, uint32_t head, double* s, Expected& want) {
  const LinearAttentionShape& shape = c.shape;
  const uint32_t key_head = shape.tiled_heads ? head % shape.key_heads : head / (shape.heads / shape.key_heads);
  for (uint32_t i = 0; i < shape.key_dim; ++i) {
    for (uint32_t j = 0; j < shape.value_dim; ++j) s[i * shape.value_dim + j] *= std::exp(log_decay(shape, in, t, head, i));
  }
  for (uint32_t j = 0; j < shape.value_dim; ++j) {
    double u = in.at(2, t, head * shape.value_dim + j);
    for (uint32_t i = 0; shape.delta && i < shape.key_dim; ++i) u -= in.at(1, t, key_head * shape.key_dim + i) * s[i * shape.value_dim + j];
    if (c.has_beta) u *= in.at(4, t, head);
    double out = 0, size = 0;
    for (uint32_t i = 0; i < shape.key_dim; ++i) {
      double& element = s[i * shape.value_dim + j];
      element += in.at(1, t, key_head * shape.key_dim + i) * u;
      out += in.at(0, t, key_head * shape.key_dim + i) * element;
      size += std::abs(in.at(0, t, key_head * shape.key_dim + i) * element) + std::abs(element);
    }
    want.out.push_back(shape.scale * out);
    want.magnitude = std::max(want.magnitude, size);
  }
}

Expected expect_heads(const HeadsCase& c, const Start& start, const Wide& in) {
  const size_t each = size_t{c.shape.key_dim} * c.shape.value_dim;
  Expected want;
  for (size_t i = 0; i < c.shape.heads * each; ++i) want.state.push_back(start.at(i));
  for (uint32_t t = 0; t < c.n; ++t) {
    for (uint32_t head = 0; head < c.shape.heads; ++head) expect_token(c, in, t, head, &want.state[head * each], want);
  }
  return want;
}

constexpr HeadsCase kHeadsCases[] = {
    {"gated delta net", {4, 2, false, 32, 32, Decay::kHead, true, 0.25f}, true, 9},
    {"gated delta net, heads in tiles", {6, 2, true, 32, 24, Decay::kHead, true, 0.25f}, true, 6},
    {"gated delta net, full heads", {2, 1, false, 128, 128, Decay::kHead, true, 0.09f}, true, 3},
    {"Kimi delta attention, odd sizes", {3, 3, false, 33, 19, Decay::kChannel, true, 0.2f}, true, 7},
    {"Kimi delta attention, many columns", {2, 2, false, 40, 135, Decay::kChannel, true, 1.0f}, true, 5},
    {"Mamba-2", {8, 2, false, 32, 20, Decay::kHead, false, 1.0f}, true, 6},
    {"lightning", {4, 4, false, 24, 40, Decay::kConstant, false, 1.0f}, false, 11},
    {"delta without decay", {2, 1, false, 7, 5, Decay::kNone, true, 0.5f}, false, 5},
    {"long keys", {2, 2, true, 256, 9, Decay::kHead, true, 0.1f}, true, 3},
    {"one of each", {1, 1, false, 1, 1, Decay::kHead, true, 1.0f}, true, 1},
};

// ---- selective scan

// x | dt | b | c
Expected expect_scan(const SelectiveScanShape& shape, const Start& start, const Wide& in, const std::vector<float>& a, const std::vector<float>& d) {
  Expected want;
  for (size_t i = 0; i < size_t{shape.channels} * shape.state_dim; ++i) want.state.push_back(start.at(i));
  for (uint32_t t = 0; t < in.n; ++t) {
    for (uint32_t c = 0; c < shape.channels; ++c) {
      const double x = in.at(0, t, c), dt = in.at(1, t, c);
      double out = d[c] * x, size = std::abs(out);
      for (uint32_t i = 0; i < shape.state_dim; ++i) {
        double& s = want.state[c * shape.state_dim + i];
        s = std::exp(dt * a[c * shape.state_dim + i]) * s + dt * in.at(2, t, i) * x;
        out += s * in.at(3, t, i);
        size += std::abs(s);
      }
      want.out.push_back(out);
      want.magnitude = std::max(want.magnitude, size);
    }
  }
  return want;
}

}  // namespace

TEST_CASE("recurrent conv: kernels, activations, state, any split") {
  struct Case {
    ConvShape shape;
    bool has_bias;
    uint32_t n;
  };
  const Case cases[] = {{{70, 4, Activation::kSilu}, false, 40}, {{64, 3, Activation::kNone}, true, 5},  {{131, 4, Activation::kSilu}, true, 1},
                        {{5, 2, Activation::kRelu}, true, 7},    {{9, 1, Activation::kSilu}, false, 3}, {{33, 17, Activation::kNone}, true, 35},
                        {{20, 17, Activation::kNone}, true, 6}};
  on_each_device([&](auto& rig) {
    for (const Case& c : cases) {
      const Wide x(c.n, {c.shape.channels, 2}, c.shape.channels);
      const std::vector<float> weight = random_floats(size_t{c.shape.channels} * c.shape.kernel, 2);
      const std::vector<float> bias = c.has_bias ? random_floats(c.shape.channels, 3) : std::vector<float>();
      Buffer in = rig.upload(x.values), taps = rig.upload(weight), added = rig.upload(c.has_bias ? bias : std::vector<float>(1));
      for (const uint32_t position : {0u, 5u}) {
        CAPTURE(c.shape.channels);
        CAPTURE(c.shape.kernel);
        CAPTURE(position);
        const Start start = start_at(position, size_t{c.shape.kernel - 1} * c.shape.channels);
        const Expected want = expect_conv(c.shape, start, x, weight, bias);
        const auto record = [&](Ops& ops, uint64_t state, const Rows& out, uint32_t first, uint32_t n) {
          ops.conv(c.shape, x.rows(in, 0, first), taps.address(), c.has_bias ? added.address() : 0, state, out, n);
        };
        check_runs(rig, start, c.n, c.shape.channels, want, c.shape.kernel + 8, record);
      }
    }
  });
}

TEST_CASE("recurrent linear attention: decays, delta, heads, odd sizes, state, any split") {
  on_each_device([&](auto& rig) {
    for (const HeadsCase& c : kHeadsCases) {
      const Wide in = head_inputs(c);
      Buffer memory = rig.upload(in.values);
      for (const uint32_t position : {0u, 5u}) {
        CAPTURE(c.like);
        CAPTURE(position);
        const Start start = start_at(position, size_t{c.shape.heads} * c.shape.key_dim * c.shape.value_dim);
        const Expected want = expect_heads(c, start, in);
        const auto record = [&](Ops& ops, uint64_t state, const Rows& out, uint32_t first, uint32_t n) {
          const Rows decay = in.rows(memory, 3, c.shape.decay == Decay::kConstant ? 0 : first);
          ops.linear_attention(c.shape, in.rows(memory, 0, first), in.rows(memory, 1, first), in.rows(memory, 2, first),
                               c.shape.decay == Decay::kNone ? Rows{} : decay, c.has_beta ? in.rows(memory, 4, first) : Rows{}, state, out, n);
        };
        check_runs(rig, start, c.n, c.shape.heads * c.shape.value_dim, want, c.shape.key_dim + 4 * c.n + 8, record);
      }
    }
  });
}

TEST_CASE("recurrent selective scan: odd sizes, state, any split") {
  struct Case {
    SelectiveScanShape shape;
    uint32_t n;
  };
  on_each_device([&](auto& rig) {
    for (const Case& c : {Case{{37, 16}, 9}, {{64, 5}, 6}, {{16, 20}, 5}, {{3, 33}, 1}}) {
      const uint32_t channels = c.shape.channels, state_dim = c.shape.state_dim;
      Wide in(c.n, {channels, channels, state_dim, state_dim}, 4);
      for (uint32_t t = 0; t < c.n; ++t) {
        for (uint32_t i = 0; i < channels; ++i) in.at(1, t, i) = std::abs(in.at(1, t, i));
      }
      std::vector<float> decays = random_floats(size_t{channels} * state_dim, 5), skips = random_floats(channels, 6);
      for (float& value : decays) value = -4 * std::abs(value);
      Buffer memory = rig.upload(in.values), a = rig.upload(decays), d = rig.upload(skips);
      for (const uint32_t position : {0u, 5u}) {
        CAPTURE(channels);
        CAPTURE(state_dim);
        CAPTURE(position);
        const Start start = start_at(position, size_t{channels} * state_dim);
        const Expected want = expect_scan(c.shape, start, in, decays, skips);
        const auto record = [&](Ops& ops, uint64_t state, const Rows& out, uint32_t first, uint32_t n) {
          ops.selective_scan(c.shape, in.rows(memory, 0, first), in.rows(memory, 1, first), in.rows(memory, 2, first), in.rows(memory, 3, first),
                             a.address(), d.address(), state, out, n);
        };
        check_runs(rig, start, c.n, channels, want, state_dim + 4 * c.n + 8, record);
      }
    }
  });
}
