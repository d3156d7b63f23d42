// Experts of all families, in decode, in batches and beside a GPU, against one plain reference in double precision.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <functional>

#include "runtime/compute/cpu/activation_function.h"
#include "runtime/model/cpu_experts.h"
#include "tests/compute/cpu_rig.h"
#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

constexpr uint32_t kEmbd = 96, kFf = 64, kExperts = 4, kUsed = 3, kTokens = 11;

struct Form {
  const char* name;
  ExpertShape shape;  // types, glu, has_gate, weight_on_input
  bool biases = false;
  bool joined = false;  // gate and up in one piece
};

double activate_exactly(const Glu& glu, double x) {
  const double alpha = double{glu.alpha};
  switch (glu.f) {
    case Activation::kNone: return x;
    case Activation::kSilu: return x / (1 + std::exp(-alpha * x));
    case Activation::kGelu: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kGeluErf: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::kRelu: return std::max(x, 0.0);
    case Activation::kReluSquared: return std::max(x, 0.0) * std::max(x, 0.0);
    case Activation::kSigmoid: return 1 / (1 + std::exp(-alpha * x));
    case Activation::kSoftplus: return std::log1p(std::exp(x));
    case Activation::kTanh: return std::tanh(alpha * x);
    case Activation::kExp: return std::exp(alpha * x);
    case Activation::kSitu: return std::tanh(alpha * x) / alpha / (1 + std::exp(-x));
  }
  return 0;
}

double glu_exactly(const Glu& glu, double gate, double up) {
  const double limited = glu.f == Activation::kSitu ? double{glu.up_high} * std::tanh(up / double{glu.up_high})
                                                    : std::min(std::max(up, double{glu.up_low}), double{glu.up_high});
  return activate_exactly(glu, std::min(std::max(gate, double{glu.gate_low}), double{glu.gate_high})) * (limited + double{glu.up_offset});
}

// Weights of about 2 / sqrt(cols), so that clamps and curves matter.
QuantRows matrix(BlockType type, uint32_t rows, uint32_t cols, uint32_t seed) {
  QuantRows made = random_rows(type, rows, cols, seed);
  if (type != BlockType::kF32) return made;
  made.values = random_floats(made.values.size(), seed, 2 / std::sqrt(static_cast<float>(cols)));
  std::memcpy(made.blocks.data(), made.values.data(), made.blocks.size());
  return made;
}

// One expert: its matrices and biases as numbers, and as a record.
struct Expert {
  QuantRows gate, up, down;
  std::vector<float> gate_bias, up_bias, down_bias;  // empty: none
  std::vector<std::byte> record;
  std::vector<uint32_t> piece_offsets;

  // Fills in the places of the shape, the same for every expert.
  Expert(const Form& form, uint32_t seed, ExpertShape& shape)
      : gate(matrix(shape.gate_type, kFf, kEmbd, 10 * seed)), up(matrix(shape.up_type, kFf, kEmbd, 10 * seed + 1)),
        down(matrix(shape.down_type, kEmbd, kFf, 10 * seed + 2)) {
    record.resize(32);  // a record need not begin with gate
    if (shape.has_gate) shape.gate_piece = add(gate.blocks, shape.gate_offset);
    if (form.joined) {
      shape.up_piece = shape.gate_piece;
      shape.up_piece_offset = static_cast<uint32_t>(gate.blocks.size());
      shape.up_offset = shape.gate_offset + shape.up_piece_offset;
      record.resize(shape.up_offset);
      record.insert(record.end(), up.blocks.begin(), up.blocks.end());
    } else {
      shape.up_piece = add(up.blocks, shape.up_offset);
    }
    shape.down_piece = add(down.blocks, shape.down_offset);
    if (!form.biases) return;
    if (shape.has_gate) shape.gate_bias_piece = add_bias(gate_bias = random_floats(kFf, 10 * seed + 3), shape.gate_bias_offset);
    shape.up_bias_piece = add_bias(up_bias = random_floats(kFf, 10 * seed + 4), shape.up_bias_offset);
    shape.down_bias_piece = add_bias(down_bias = random_floats(kEmbd, 10 * seed + 5), shape.down_bias_offset);
  }

  std::vector<double> hidden(const ExpertShape& shape, const float* x, double weight) const {
    std::vector<double> made(kFf);
    for (uint32_t i = 0; i < kFf; ++i) {
      const double risen = product(up, x, kEmbd, i, weight, up_bias);
      made[i] = shape.has_gate ? glu_exactly(shape.glu, product(gate, x, kEmbd, i, weight, gate_bias), risen) : activate_exactly(shape.glu, risen);
    }
    return made;
  }
  std::vector<double> output(const std::vector<double>& from) const {
    std::vector<double> made(kEmbd);
    for (uint32_t i = 0; i < kEmbd; ++i) made[i] = product(down, from.data(), kFf, i, 1, down_bias);
    return made;
  }

 private:
  uint32_t add(const std::vector<std::byte>& bytes, uint32_t& offset) {
    record.resize((record.size() + 15) / 16 * 16);
    offset = static_cast<uint32_t>(record.size());
    piece_offsets.push_back(offset);
    record.insert(record.end(), bytes.begin(), bytes.end());
    return static_cast<uint32_t>(piece_offsets.size() - 1);
  }
  uint32_t add_bias(const std::vector<float>& bias, uint32_t& offset) {
    const auto* bytes = reinterpret_cast<const std::byte*>(bias.data());
    return add({bytes, bytes + bias.size() * sizeof(float)}, offset);
  }
  template <class Float>
  static double product(const QuantRows& w, const Float* x, uint32_t cols, uint32_t row, double weight, const std::vector<float>& bias) {
    double sum = 0;
    for (uint32_t k = 0; k < cols; ++k) sum += double{w.values[size_t{row} * cols + k]} * double{x[k]};
    return weight * sum + (bias.empty() ? 0.0 : double{bias[row]});
  }
};

// A layer's experts and the reference.
struct Bank {
  ExpertShape shape;
  std::vector<Expert> experts;
  std::vector<float> x = random_floats(size_t{kTokens} * kEmbd, 77);
  std::vector<float> weights = random_floats(size_t{kTokens} * kUsed, 78, 0.5f);  // by pair

  explicit Bank(const Form& form) : shape(form.shape) {
    shape.embd = kEmbd;
    shape.ff = kFf;
    shape.used = kUsed;
    for (uint32_t e = 0; e < kExperts; ++e) experts.emplace_back(form, e + 1, shape);
  }
  // The expert of a pair; token 3 takes one twice.
  static uint32_t expert_of(uint32_t pair) { return pair == 10 ? expert_of(9) : (pair / kUsed + 2 * (pair % kUsed) + pair / 7) % kExperts; }
  double input_weight(uint32_t pair) const { return shape.weight_on_input ? double{weights[pair]} : 1; }
  double output_weight(uint32_t pair) const { return shape.weight_on_input ? 1 : double{weights[pair]}; }
  std::vector<double> hidden(uint32_t pair) const {
    return experts[expert_of(pair)].hidden(shape, &x[size_t{pair / kUsed} * kEmbd], input_weight(pair));
  }
  std::vector<double> part(uint32_t pair) const { return experts[expert_of(pair)].output(hidden(pair)); }
  // Of the token's pairs for which `taken`.
  std::vector<double> sum(uint32_t token, const std::function<bool(uint32_t)>& taken) const {
    std::vector<double> total(kEmbd);
    for (uint32_t pair = token * kUsed; pair < (token + 1) * kUsed; ++pair) {
      if (!taken(pair)) continue;
      const std::vector<double> values = part(pair);
      for (uint32_t i = 0; i < kEmbd; ++i) total[i] += output_weight(pair) * values[i];
    }
    return total;
  }
};

// The experts in a device's memory.
template <class Rig>
struct Placed {
  Rig& rig;
  const Bank& bank;
  std::vector<Buffer> memory;
  std::deque<ExpertPieces> pieces;
  std::vector<uint64_t> addresses;

  Placed(Rig& on, const Bank& of) : rig(on), bank(of) {
    for (const Expert& expert : bank.experts) {
      memory.push_back(rig.upload(expert.record));
      addresses.push_back(memory.back().address());
      if constexpr (!std::is_same_v<Rig, CpuRig>) continue;
      ExpertPieces& made = pieces.emplace_back();
      for (size_t i = 0; i < expert.piece_offsets.size(); ++i) made.piece[i] = memory.back().mapped().data() + expert.piece_offsets[i];
      addresses.back() = reinterpret_cast<uint64_t>(&made);
    }
  }

  std::vector<float> copy(Buffer& buffer) const {
    const auto view = rig.template view<float>(buffer);
    return {view.begin(), view.end()};
  }

  struct Decoded {
    std::vector<float> hidden, out;
  };
  // One token; slots for which `left_out` have no address.
  Decoded decode(uint32_t token, const std::function<bool(uint32_t)>& left_out) {
    std::vector<uint64_t> found;
    for (uint32_t s = 0; s < kUsed; ++s) found.push_back(left_out(s) ? 0 : addresses[Bank::expert_of(token * kUsed + s)]);
    Buffer list = rig.upload(found), weights = rig.upload(std::span(bank.weights).subspan(size_t{token} * kUsed, kUsed));
    Buffer x = rig.upload(std::span(bank.x).subspan(size_t{token} * kEmbd, kEmbd));
    Buffer hidden = rig.buffer(kUsed * kFf * 4), out = rig.upload(std::vector<float>(kEmbd, 0.0f));
    const Status status = rig.run([&](Ops& ops) {
      ops.expert_up(bank.shape, rig.tensor(list), rig.tensor(weights), rig.tensor(x), rig.tensor(hidden));
      ops.expert_down(bank.shape, rig.tensor(list), rig.tensor(weights), rig.tensor(hidden), rig.tensor(out));
    });
    REQUIRE_MESSAGE(status.ok(), status.message());
    return {copy(hidden), copy(out)};
  }

  struct Batched {
    std::vector<float> hidden, parts, out;
  };
  // All tokens, in tiles of at most `tile_pairs`.
  Batched batch(uint32_t tile_pairs) {
    std::vector<uint32_t> order;
    std::vector<shaders::ExpertTile> tiles;
    for (uint32_t e = 0; e < kExperts; ++e) {
      for (uint32_t pair = 0; pair < kTokens * kUsed; ++pair) {
        if (Bank::expert_of(pair) != e) continue;
        if (tiles.empty() || tiles.back().expert != addresses[e] || tiles.back().pair_count == tile_pairs) {
          tiles.push_back({addresses[e], static_cast<uint32_t>(order.size()), 0});
        }
        order.push_back(pair);
        ++tiles.back().pair_count;
      }
    }
    Buffer list = rig.upload(tiles), pairs = rig.upload(order), weights = rig.upload(bank.weights), x = rig.upload(bank.x);
    Buffer hidden = rig.buffer(kTokens * kUsed * kFf * 4), parts = rig.buffer(kTokens * kUsed * kEmbd * 4);
    Buffer out = rig.upload(std::vector<float>(kTokens * kEmbd, 0.0f));
    const auto count = static_cast<uint32_t>(tiles.size());
    const Status status = rig.run([&](Ops& ops) {
      ops.expert_up_batch(bank.shape, list.address(), count, pairs.address(), rig.tensor(weights), rig.tensor(x), rig.tensor(hidden));
      ops.expert_down_batch(bank.shape, list.address(), count, pairs.address(), rig.tensor(hidden), rig.tensor(parts));
      ops.combine(bank.shape, rig.tensor(weights), rig.tensor(parts), rig.tensor(out), kTokens);
    });
    REQUIRE_MESSAGE(status.ok(), status.message());
    return {copy(hidden), copy(parts), copy(out)};
  }
};

// How far off the values are, as a share of their length.
double error_of(const float* values, const std::vector<double>& want) {
  double squares = 0, errors = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    squares += want[i] * want[i];
    errors += (double{values[i]} - want[i]) * (double{values[i]} - want[i]);
  }
  REQUIRE(squares > 0);
  return std::sqrt(errors / squares);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Float rounding; on the CPU quantised weights meet activations of 8 bits.
template <class Rig>
double limit_of(const ExpertShape& shape) {
  const bool rounds = std::is_same_v<Rig, CpuRig> && (shape.up_type != BlockType::kF32 || shape.down_type != BlockType::kF32);
  return rounds ? 0.03 : 1e-5;
}

template <class Rig>
void check_decode(Placed<Rig>& placed) {
  const Bank& bank = placed.bank;
  const double limit = limit_of<Rig>(bank.shape);
  const auto none = [](uint32_t) { return false; };
  for (const uint32_t token : {0u, 3u}) {
    const auto all = placed.decode(token, none), some = placed.decode(token, [](uint32_t slot) { return slot == 1; });
    for (uint32_t s = 0; s < kUsed; ++s) CHECK(error_of(&all.hidden[s * kFf], bank.hidden(token * kUsed + s)) <= limit);
    CHECK(error_of(all.out.data(), bank.sum(token, [](uint32_t) { return true; })) <= limit);
    CHECK(error_of(some.out.data(), bank.sum(token, [](uint32_t pair) { return pair % kUsed != 1; })) <= limit);
    for (const uint32_t s : {0u, 2u}) CHECK(std::memcmp(&all.hidden[s * kFf], &some.hidden[s * kFf], kFf * sizeof(float)) == 0);
  }
}

template <class Rig>
void check_batch(Placed<Rig>& placed) {
  const Bank& bank = placed.bank;
  const double limit = limit_of<Rig>(bank.shape);
  const auto whole = placed.batch(Ops::kTilePairs), single = placed.batch(1);
  CHECK(same_bits(whole.hidden, single.hidden));
  CHECK(same_bits(whole.parts, single.parts));
  CHECK(same_bits(whole.out, single.out));
  for (uint32_t pair = 0; pair < kTokens * kUsed; ++pair) {
    CHECK(error_of(&whole.hidden[pair * kFf], bank.hidden(pair)) <= limit);
    CHECK(error_of(&whole.parts[pair * kEmbd], bank.part(pair)) <= limit);
  }
  for (uint32_t t = 0; t < kTokens; ++t) CHECK(error_of(&whole.out[t * kEmbd], bank.sum(t, [](uint32_t) { return true; })) <= limit);
}

ExpertShape shape_of(Glu glu, BlockType gate = BlockType::kF32, BlockType up = BlockType::kF32, BlockType down = BlockType::kF32) {
  ExpertShape shape;
  shape.glu = glu;
  shape.gate_type = gate;
  shape.up_type = up;
  shape.down_type = down;
  return shape;
}

Glu glu_of_kind(Activation f) {
  Glu glu;
  glu.f = f;
  if (f == Activation::kSitu) {
    glu.alpha = 0.25f;
    glu.up_high = 1.5f;
  }
  if (f == Activation::kTanh || f == Activation::kSigmoid) glu.alpha = 0.7f;
  return glu;
}

Glu clamped_glu() { return {Activation::kSilu, 1.702f, -INFINITY, 1.5f, -1.5f, 1.5f, 1.0f}; }

// One form for each thing that is not plain, and some of them together.
std::vector<Form> mixed_forms() {
  std::vector<Form> forms;
  forms.push_back({"plain", shape_of({})});
  forms.push_back({"plain with biases", shape_of({}), true});
  forms.push_back({"gpt-oss", shape_of(clamped_glu(), BlockType::kMXFP4, BlockType::kMXFP4, BlockType::kMXFP4), true});
  forms.push_back({"three types, joined", shape_of(glu_of_kind(Activation::kGelu), BlockType::kQ8_0, BlockType::kQ4_0, BlockType::kF32), false, true});
  forms.push_back({"weight on input", shape_of({}), true});
  forms.back().shape.weight_on_input = true;
  forms.push_back({"no gate", shape_of(glu_of_kind(Activation::kReluSquared))});
  forms.back().shape.has_gate = false;
  forms.push_back({"no gate, biases, weight on input", shape_of(glu_of_kind(Activation::kReluSquared), BlockType::kF32, BlockType::kQ8_0), true});
  forms.back().shape.has_gate = false;
  forms.back().shape.weight_on_input = true;
  return forms;
}

std::vector<Form> activation_forms() {
  std::vector<Form> forms;
  for (uint32_t f = 0; f <= static_cast<uint32_t>(Activation::kSitu); ++f) {
    forms.push_back({"activation", shape_of(glu_of_kind(static_cast<Activation>(f))), false, f % 2 == 0});
  }
  return forms;
}

}  // namespace

TEST_CASE("expert forms: every form in decode and in batches on the CPU") {
  CpuRig rig;
  for (const auto& forms : {activation_forms(), mixed_forms()}) {
    for (const Form& form : forms) {
      CAPTURE(form.name);
      CAPTURE(static_cast<uint32_t>(form.shape.glu.f));
      const Bank bank(form);
      Placed<CpuRig> placed(rig, bank);
      check_decode(placed);
      check_batch(placed);
    }
  }
}

TEST_CASE("expert forms: every form in decode and in batches on the GPU") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  const tuning::Batch tuned = tuning::batch(rig->device->limits());
  for (const Form& form : mixed_forms()) {
    CAPTURE(form.name);
    const Bank bank(form);
    Placed<GpuRig> placed(*rig, bank);
    check_decode(placed);
    check_batch(placed);
    // The other way of cutting a batch up, with forms that have something of everything.
    if (!form.biases || (form.shape.has_gate && form.shape.glu == Glu{})) continue;
    tuning::Batch other = tuned;
    other.shared_tiles = !tuned.shared_tiles;
    if (!other.shared_tiles && rig->device->limits().subgroup_size < tuning::kShuffledValues) continue;
    rig->ops->set_batch_tuning(other);
    check_batch(placed);
    rig->ops->set_batch_tuning(tuned);
  }
}

TEST_CASE("expert forms: every activation on the GPU") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const Form& form : activation_forms()) {
    CAPTURE(static_cast<uint32_t>(form.shape.glu.f));
    const Bank bank(form);
    Placed<GpuRig> placed(*rig, bank);
    check_decode(placed);
  }
}

TEST_CASE("expert forms: experts that the CPU runs beside a GPU") {
  for (const Form& form : mixed_forms()) {
    CAPTURE(form.name);
    const Bank bank(form);
    CpuRig rig(1);
    const Placed<CpuRig> placed(rig, bank);
    std::vector<CpuExperts::Job> jobs;
    for (uint32_t s = 0; s < kUsed; ++s) jobs.push_back({placed.pieces[Bank::expert_of(s)], bank.weights[s]});
    std::vector<float> alone(kEmbd), shared(kEmbd);
    CpuExperts(1, {&bank.shape, 1}, kUsed).run(bank.shape, jobs, std::span(bank.x).first(kEmbd), alone);
    CpuExperts(3, {&bank.shape, 1}, kUsed).run(bank.shape, jobs, std::span(bank.x).first(kEmbd), shared);
    CHECK(same_bits(alone, shared));
    CHECK(error_of(alone.data(), bank.sum(0, [](uint32_t) { return true; })) <= limit_of<CpuRig>(bank.shape));
  }
}

TEST_CASE("expert forms: a clamp behind silu is one before it") {
  for (const float limit : {0.01f, 0.5f, 4.0f, 7.0f, 1000.0f}) {
    const double x = double{silu_inverse(limit)};
    CHECK(x / (1 + std::exp(-x)) == doctest::Approx(double{limit}).epsilon(1e-6));
  }
}
