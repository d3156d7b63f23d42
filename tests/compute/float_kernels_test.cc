// Every set of float kernels that this machine can run, against double precision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "runtime/compute/cpu/float_kernels.h"
#include "runtime/format/half.h"
#include "tests/compute/quant_rows.h"

using namespace hotset;
using namespace hotset::test;
using cpu::FloatKernels;

namespace {

constexpr uint32_t kCounts[] = {1, 3, 4, 15, 16, 17, 31, 64, 100, 257};

}  // namespace

TEST_CASE("float kernels: halves widen exactly and floats narrow to the nearest half") {
  std::vector<uint16_t> halves(65536), back(65536);
  std::vector<float> floats(65536);
  for (uint32_t i = 0; i < 65536; ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> hard = {0x1.002p0f, 0x1.006p0f, 65519.f, 65520.f, -70000.f, 0x1p-24f, 0x1.8p-25f, 0x1p-25f, -0x1.fp-20f, 1e-30f, 0.f, -0.f,
                             0x1.ffep-15f, 0x1.ffffp-15f, 3.14159f, -2.71828f, std::numeric_limits<float>::infinity()};
  for (const FloatKernels* set : cpu::all_float_kernels()) {
    CAPTURE(set->name);
    set->widen(halves.data(), floats.data(), 65536);
    set->narrow(floats.data(), back.data(), 65536);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < 65536; ++i) {
      const bool nan = (i & 0x7fffu) > 0x7c00u;
      if (nan) wrong += !std::isnan(floats[i]) || (back[i] & 0x7fffu) <= 0x7c00u;
      else wrong += floats[i] != half_to_float(static_cast<uint16_t>(i)) || back[i] != i;
    }
    CHECK(wrong == 0);
    for (const uint32_t count : {1u, 5u, 17u}) {
      std::vector<uint16_t> made(count + 1, 0xabcd);
      set->narrow(hard.data(), made.data(), count);
      for (uint32_t i = 0; i < count; ++i) CHECK(made[i] == float_to_half(hard[i]));
      CHECK(made[count] == 0xabcd);
    }
  }
}

TEST_CASE("float kernels: exp, gating, norms and sums agree with double precision at every length") {
  for (const FloatKernels* set : cpu::all_float_kernels()) {
    CAPTURE(set->name);
    for (const uint32_t count : kCounts) {
      CAPTURE(count);
      const std::vector<float> x = random_floats(count, count, 8), y = random_floats(count, 2), w = random_floats(count, 3);
      std::vector<float> out(count + 1, 77.0f);
      double sum = 0, squares = 0;
      const float returned = set->exps(x.data(), 30.0f, out.data(), count);
      for (uint32_t i = 0; i < count; ++i) {
        const double want = std::exp(double{x[i] - 30.0f});
        sum += want;
        squares += double{x[i]} * x[i];
        CHECK(std::abs(out[i] - want) <= 3e-7 * want + 1e-26);
      }
      CHECK(std::abs(returned - sum) <= 2e-6 * sum);
      set->gate_up(x.data(), y.data(), out.data(), count);
      for (uint32_t i = 0; i < count; ++i) {
        const double want = double{x[i]} / (1 + std::exp(-double{x[i]})) * y[i];
        CHECK(std::abs(out[i] - want) <= 6e-7 * std::abs(want) + 1e-30);
      }
      set->rms_norm(x.data(), w.data(), out.data(), count, 1e-6f);
      for (uint32_t i = 0; i < count; ++i) CHECK(out[i] == doctest::Approx(x[i] / std::sqrt(squares / count + 1e-6) * w[i]).epsilon(1e-6));
      set->add(x.data(), y.data(), out.data(), count);
      for (uint32_t i = 0; i < count; ++i) CHECK(out[i] == x[i] + y[i]);
      out.assign(out.size(), 77.0f);
      set->add_scaled(0.5f, x.data(), out.data(), count);
      for (uint32_t i = 0; i < count; ++i) CHECK(out[i] == doctest::Approx(77.0 + 0.5 * x[i]).epsilon(1e-7));
      CHECK(out[count] == 77.0f);
    }
  }
}

TEST_CASE("float kernels: gates far from zero neither overflow nor become NaN, and NaN stays") {
  for (const FloatKernels* set : cpu::all_float_kernels()) {
    CAPTURE(set->name);
    const float far[] = {1e4f, -1e4f, 1e38f, -1e38f, 0.0f, std::nanf("")}, ones[] = {1, 1, 1, 1, 1, 1};
    float out[6];
    set->gate_up(far, ones, out, 6);
    CHECK(out[0] == 1e4f);
    CHECK(std::abs(out[1]) < 1e-30f);
    CHECK(out[2] == 1e38f);
    CHECK(std::isfinite(out[3]));
    CHECK(out[4] == 0);
    CHECK(std::isnan(out[5]));
  }
}

TEST_CASE("float kernels: a column's attention has the same bits alone and among others, from floats and from halves") {
  constexpr uint32_t kDims = 48, kColumns = 7, kKeys = 37;
  const std::vector<float> queries = random_floats(kColumns * kDims, 1);
  std::vector<float> keys = random_floats(kKeys * kDims, 2);
  std::vector<uint16_t> halves;
  for (float& key : keys) {
    halves.push_back(float_to_half(key));
    key = half_to_float(halves.back());
  }
  for (const FloatKernels* set : cpu::all_float_kernels()) {
    CAPTURE(set->name);
    std::vector<float> all(kColumns * cpu::kKeyBlock), same(all.size()), sums(kColumns * kDims, 0.25f), same_sums = sums;
    const std::vector<float> shrink(kColumns, 0.5f);
    const cpu::HeadRows as_floats = {keys.data(), kDims, kKeys, false}, as_halves = {halves.data(), kDims, kKeys, true};
    set->score(queries.data(), kColumns, as_floats, kDims, all.data());
    for (uint32_t c = 0; c < kColumns; ++c) {
      for (uint32_t k = 0; k < kKeys; ++k) {
        double want = 0, magnitude = 0;
        for (uint32_t d = 0; d < kDims; ++d) {
          want += double{queries[c * kDims + d]} * keys[k * kDims + d];
          magnitude += std::abs(double{queries[c * kDims + d]} * keys[k * kDims + d]);
        }
        CHECK(std::abs(all[c * cpu::kKeyBlock + k] - want) <= 1e-6 * magnitude);
      }
    }
    set->gather(all.data(), shrink.data(), kColumns, as_floats, kDims, sums.data());
    for (uint32_t c = 0; c < kColumns; ++c) {
      float* scores = same.data() + c * cpu::kKeyBlock;
      set->score(queries.data() + c * kDims, 1, as_halves, kDims, scores);
      CHECK(std::memcmp(scores, all.data() + c * cpu::kKeyBlock, kKeys * sizeof(float)) == 0);
      set->gather(scores, shrink.data(), 1, as_halves, kDims, same_sums.data() + c * kDims);
    }
    CHECK(std::memcmp(sums.data(), same_sums.data(), sums.size() * sizeof(float)) == 0);
    for (uint32_t d = 0; d < kDims; ++d) {
      double want = 0.125, magnitude = 0.125;
      for (uint32_t k = 0; k < kKeys; ++k) {
        want += double{all[k]} * keys[k * kDims + d];
        magnitude += std::abs(double{all[k]} * keys[k * kDims + d]);
      }
      CHECK(std::abs(sums[d] - want) <= 4e-6 * magnitude);
    }
  }
}

TEST_CASE("float kernels: a softmax over blocks is the softmax over all") {
  const std::vector<float> scores = random_floats(150, 5, 30);
  double top = -1e300, weight = 0;
  for (const float score : scores) top = std::max(top, double{score});
  for (const float score : scores) weight += std::exp(score - top);
  for (const FloatKernels* set : cpu::all_float_kernels()) {
    CAPTURE(set->name);
    cpu::SoftmaxState state;
    double sum = 0;
    for (uint32_t first = 0; first < 150; first += 37) {
      std::vector<float> block(cpu::kKeyBlock, 1e30f);
      const uint32_t count = std::min(37u, 150 - first);
      std::copy_n(scores.data() + first, count, block.data());
      const float shrink = set->soften(block.data(), count, state);
      sum *= double{shrink};
      for (uint32_t i = 0; i < count; ++i) sum += double{block[i]};
    }
    CHECK(double{state.highest} == top);
    CHECK(double{state.weight} == doctest::Approx(weight).epsilon(1e-6));
    CHECK(sum == doctest::Approx(weight).epsilon(1e-6));
  }
}
