// compress, stream_weights and mix_streams on both devices, against their definitions in double precision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/compute/both_devices.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// The row of the run that ends before position `end`, from all positions' values and scores. No bias: a plain mean.
double compressed(const CompressShape& shape, RowBuffer& values, RowBuffer& scores, const std::vector<float>& bias, uint32_t end, uint32_t channel) {
  double sum = 0, weight = 0;
  for (uint32_t at = end - std::min(end, shape.positions()); at < end; ++at) {
    const uint32_t col = channel + (shape.overlap && at + shape.ratio >= end ? shape.width : 0);
    const double share = bias.empty() ? 1 : std::exp(double{scores.old_row(at)[col]} + double{bias[at % shape.ratio * shape.cols() + col]});
    sum += share * double{values.old_row(at)[col]};
    weight += share;
  }
  return sum / weight;
}

// Tokens 0..n-1 in batches of `each`.
template <class Rig>
void check_compress(Rig& rig, const CompressShape& shape, uint32_t each, bool scored) {
  constexpr uint32_t n = 21;
  RowBuffer values(rig, n, shape.cols(), 1, 3), scores(rig, n, shape.cols(), 2, 1), out(rig, n, shape.width, 3, 2);
  const auto biases = random_floats(scored ? size_t{shape.ratio} * shape.cols() : 0, 4);
  Buffer bias = rig.upload(random_floats(size_t{shape.ratio} * shape.cols(), 4)), state = rig.upload(random_floats(shape.state_floats(scored), 5));
  for (uint32_t first = 0; first < n; first += each) {
    rig.control_block().position = first;
    REQUIRE(rig.run([&](Ops& ops) {
      ops.compress(shape, values.rows(first), scored ? scores.rows(first) : Rows{}, scored ? bias.address() : 0, state.address(), out.rows(first),
                   std::min(each, n - first));
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
      for (const uint32_t each : {1u, 3u, 8u, 21u}) {
        check_compress(rig, shape, each, true);
        check_compress(rig, shape, each, false);
      }
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

namespace {

// What streams keep, by the definition: [from][to].
std::vector<double> kept_by(const float* mixes, double scale, const float* bias, const StreamShape& shape) {
  const uint32_t n = shape.streams;
  std::vector<double> keep(size_t{n} * n);
  for (uint32_t i = 0; i < n * n; ++i) keep[i] = std::exp(double{mixes[i]} * scale + double{bias[i]});
  const auto even_out = [&](uint32_t step, uint32_t stride, double before, double after) {
    for (uint32_t i = 0; i < n; ++i) {
      double total = before;
      for (uint32_t j = 0; j < n; ++j) total += keep[i * step + j * stride];
      for (uint32_t j = 0; j < n; ++j) keep[i * step + j * stride] = keep[i * step + j * stride] / total + after;
    }
  };
  even_out(n, 1, 0, double{shape.eps});
  even_out(1, n, double{shape.eps}, 0);
  for (uint32_t i = 1; i < shape.iterations; ++i) {
    even_out(n, 1, double{shape.eps}, 0);
    even_out(1, n, double{shape.eps}, 0);
  }
  return keep;
}

template <class Rig>
void check_weights(Rig& rig, const StreamShape& shape, bool in_place) {
  constexpr uint32_t n = 5;
  const uint32_t streams = shape.streams, cols = (2 + streams) * streams;
  RowBuffer mixes(rig, n, cols, 1), other(rig, n, cols, 2, 1);
  RowBuffer& out = in_place ? mixes : other;
  const std::vector<float> scales = {0.5f, 2, 1.5f}, biases = random_floats(cols, 3);
  Buffer scale = rig.upload(scales), bias = rig.upload(biases);
  REQUIRE(rig.run([&](Ops& ops) { ops.stream_weights(shape, mixes.rows(), scale.address(), bias.address(), out.rows(), n); }).ok());
  double worst = 0;
  for (uint32_t t = 0; t < n; ++t) {
    const float* m = mixes.old_row(t);
    const auto keep = kept_by(m + 2 * streams, 1.5, &biases[2 * streams], shape);
    for (uint32_t i = 0; i < cols; ++i) {
      const double eps = double{shape.eps}, number = double{m[i]} * double{scales[std::min(i / streams, 2u)]} + double{biases[i]}, gate = 1 / (1 + std::exp(-number));
      const double want = i < streams ? gate + eps : i < 2 * streams ? 2 * gate : keep[i - 2 * streams];
      worst = std::max(worst, std::abs(want - double{out.row(t)[i]}));
    }
  }
  CHECK(worst < 4e-6);
  CHECK(out.only_changed(0, cols));
}

}  // namespace

TEST_CASE("streams: weights between streams, whose sums approach one") {
  on_both_devices([](auto& rig) {
    for (const StreamShape& shape : {StreamShape{4, 20, 1e-6f}, StreamShape{4, 1, 1e-3f}, StreamShape{2, 3, 1e-6f}, StreamShape{8, 5, 1e-6f}}) {
      CAPTURE(shape.streams);
      for (const bool in_place : {false, true}) check_weights(rig, shape, in_place);
    }
  });
}
