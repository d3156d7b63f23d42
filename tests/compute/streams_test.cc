// compress, stream_weights and mix_streams on both devices, against their definitions in double precision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/compute/both_devices.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// The row of the run that ends before position `end`, from all positions' values and scores.
double compressed(const CompressShape& shape, RowBuffer& values, RowBuffer& scores, const std::vector<float>& bias, uint32_t end, uint32_t channel) {
  double sum = 0, weight = 0;
  for (uint32_t at = end - std::min(end, shape.positions()); at < end; ++at) {
    const uint32_t col = channel + (shape.overlap && at + shape.ratio >= end ? shape.width : 0);
    const double share = std::exp(double{scores.old_row(at)[col]} + double{bias[at % shape.ratio * shape.cols() + col]});
    sum += share * double{values.old_row(at)[col]};
    weight += share;
  }
  return sum / weight;
}

// Tokens 0..n-1 in batches of `each`.
template <class Rig>
void check_compress(Rig& rig, const CompressShape& shape, uint32_t each) {
  constexpr uint32_t n = 21;
  RowBuffer values(rig, n, shape.cols(), 1, 3), scores(rig, n, shape.cols(), 2, 1), out(rig, n, shape.width, 3, 2);
  const auto biases = random_floats(size_t{shape.ratio} * shape.cols(), 4);
  Buffer bias = rig.upload(biases), state = rig.upload(random_floats(shape.state_floats(), 5));
  for (uint32_t first = 0; first < n; first += each) {
    rig.control_block().position = first;
    REQUIRE(rig.run([&](Ops& ops) {
      ops.compress(shape, values.rows(first), scores.rows(first), bias.address(), state.address(), out.rows(first), std::min(each, n - first));
    }).ok());
  }
  double worst = 0;
  for (uint32_t t = 0; t < n; ++t) {
    for (uint32_t i = 0; i < shape.width; ++i) {
      const double want = (t + 1) % shape.ratio == 0 ? compressed(shape, values, scores, biases, t + 1, i) : 0.0;
      worst = std::max(worst, std::abs(want - double{out.row(t)[i]}));
    }
  }
  CHECK(worst < 4e-6);
  CHECK(out.only_changed(0, shape.width));
}

}  // namespace

TEST_CASE("streams: runs of positions become rows, however tokens are batched") {
  on_both_devices([](auto& rig) {
    for (const CompressShape& shape : {CompressShape{70, 4, true}, CompressShape{70, 4, false}, CompressShape{16, 5, false}}) {
      for (const uint32_t each : {1u, 3u, 8u, 21u}) check_compress(rig, shape, each);
    }
  });
}

TEST_CASE("streams: weighted sums, in place") {
  on_both_devices([](auto& rig) {
    constexpr uint32_t n = 3, width = 70, streams = 4;
    RowBuffer x(rig, n, streams * width, 1, 1), weights(rig, n, streams * streams, 2), added(rig, n, width, 3), factors(rig, n, streams, 4);
    REQUIRE(rig.run([&](Ops& ops) {
      ops.mix_streams({streams, streams, width}, x.rows(), weights.rows(), added.rows(), factors.rows(), x.rows(), n);
    }).ok());
    double worst = 0;
    for (uint32_t t = 0; t < n; ++t) {
      for (uint32_t i = 0; i < streams * width; ++i) {
        const uint32_t to = i / width, col = i % width;
        double want = double{factors.old_row(t)[to]} * double{added.old_row(t)[col]};
        for (uint32_t s = 0; s < streams; ++s) want += double{weights.old_row(t)[s * streams + to]} * double{x.old_row(t)[s * width + col]};
        worst = std::max(worst, std::abs(want - double{x.row(t)[i]}));
      }
    }
    CHECK(worst < 4e-6);
    CHECK(x.only_changed(0, streams * width));
  });
}

TEST_CASE("streams: what streams keep sums to one") {
  on_both_devices([](auto& rig) {
    constexpr uint32_t n = 5, streams = 4, cols = (2 + streams) * streams;
    RowBuffer mixes(rig, n, cols, 1), out(rig, n, cols, 2, 1);
    const std::vector<float> scales = {0.5f, 2, 1.5f}, biases = random_floats(cols, 3);
    Buffer scale = rig.upload(scales), bias = rig.upload(biases);
    REQUIRE(rig.run([&](Ops& ops) { ops.stream_weights({streams, 40, 1e-6f}, mixes.rows(), scale.address(), bias.address(), out.rows(), n); }).ok());
    for (uint32_t t = 0; t < n; ++t) {
      const float* m = mixes.old_row(t);
      const float* w = out.row(t);
      for (uint32_t s = 0; s < streams; ++s) {
        double from = 0, to = 0;
        for (uint32_t other = 0; other < streams; ++other) {
          from += double{w[2 * streams + other * streams + s]};
          to += double{w[2 * streams + s * streams + other]};
        }
        CHECK(std::abs(from - 1) < 1e-4);
        CHECK(std::abs(to - 1) < 1e-3);
        CHECK(std::abs(double{w[s]} - 1 / (1 + std::exp(-0.5 * double{m[s]} - double{biases[s]}))) < 4e-6);
        CHECK(std::abs(double{w[streams + s]} - 2 / (1 + std::exp(-2 * double{m[streams + s]} - double{biases[streams + s]}))) < 4e-6);
      }
    }
    CHECK(out.only_changed(0, cols));
  });
}
